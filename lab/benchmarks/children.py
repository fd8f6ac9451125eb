"""Small programs that other benchmarks start and measure as whole processes.

    python -m lab.benchmarks.children PROGRAM ARGUMENT ...

Each imports only what it needs, so that its start is that of a user's own program.
"""

import sys
from collections.abc import Callable


def read_frames(path: str) -> None:
    """Read every frame of a video, as a program of a user does, and print their number."""
    import tinct

    print(sum(1 for _ in tinct.open(path)))


def encode_x265(path: str, qp: str) -> None:
    """Encode with x265 alone, set up as the base codec, and drop the packets: the anchor's time."""
    from tinct.bitstream.base import PictureEncoder
    from tinct.bitstream.codecs import BaseSettings
    from tinct.media.source import open_source

    video = open_source(path)
    settings = BaseSettings(structure="intra", info=video.info, qp=int(qp))
    encoder = PictureEncoder(settings, (video.info.height, video.info.width), grey=False)
    for frame in video:
        encoder.encode((frame.y, frame.cb, frame.cr), frame.pts)
    encoder.flush()


def load_reader() -> None:
    """Load what reads files and end: the time by which a process starts."""
    import tinct

    print(tinct.open.__name__)


def read_frame(path: str, start_seconds: str) -> None:
    """Open a video at a time and read the one frame there."""
    import tinct

    next(iter(tinct.open(path, start_seconds=float(start_seconds))))


def encode_without_bound(*arguments: str) -> None:
    """Run `tinct encode` with no bound on how bad an interpolated frame may be."""
    import math

    from tinct.cli.app import main
    from tinct.encoder import late

    late.FRAME_BOUND_DB = late.BLOCK_BOUND_DB = math.inf
    main(["encode", *arguments])


def loop_packets(source: str, target: str, count: str) -> None:
    """Write the packets of a video `count` times with shifted times: any length without coding."""
    import av

    with av.open(target, "w") as out:
        stream = None
        for turn in range(int(count)):
            with av.open(source) as container:
                video = container.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                assert video.average_rate is not None
                assert video.time_base is not None
                step = round(video.frames / video.average_rate / video.time_base)
                for packet in container.demux(video):
                    if packet.dts is None or packet.pts is None:  # the last one, which is empty
                        continue
                    packet.pts, packet.dts = packet.pts + turn * step, packet.dts + turn * step
                    packet.stream = stream
                    out.mux(packet)


PROGRAMS: dict[str, Callable[..., None]] = {
    "read": read_frames,
    "x265": encode_x265,
    "loop": loop_packets,
    "start": load_reader,
    "frame": read_frame,
    "unbounded": encode_without_bound,
}


def make_command(program: str, *arguments: object) -> list[str]:
    """Return the command line of a program."""
    assert program in PROGRAMS, program
    return [sys.executable, "-m", "lab.benchmarks.children", program, *map(str, arguments)]


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
