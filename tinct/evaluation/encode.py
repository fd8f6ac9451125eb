"""Encoders that the lab compares, as a program that writes Matroska.

    python -m tinct.evaluation.encode ENCODER SOURCE TARGET OPTION=VALUE ...

`hevc` is x265 with the settings of Tinct's base codec, chroma QP offsets where asked for, and
frames left out where asked for, which `decode` interpolates; `libx264` and `libsvtav1` take the
options of FFmpeg's wrapper. All go through the muxer that Tinct uses, and nothing in their files
names the time of writing. `codecs` makes the command lines.
"""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
from av.video.stream import VideoStream

from tinct.bitstream.base import PictureEncoder
from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.container import Spool, mux
from tinct.bitstream.hevc import HEVC
from tinct.bitstream.manifest import LUMA
from tinct.frames import Frame
from tinct.media.cues import thin_index
from tinct.media.planes import pixel_format, to_av_frame
from tinct.media.source import open_source
from tinct.motion.shots import scan_frames


def encode_hevc(source: str, target: str, options: dict[str, str]) -> None:
    """Write 4:2:0 HEVC; `options` are `structure`, `qp` and `preset`.

    Others are `chroma-qp-offset`, and `every`, with which only the frames of `select_frames` are
    sent. Without these two the bytes are those of `tinct encode --colour in-band`.
    """
    video = open_source(source)
    info, structure = video.info, options["structure"]
    settings = BaseSettings(
        structure=structure,
        info=info,
        qp=int(options["qp"]),
        preset=options["preset"],
        chroma_qp_offset=int(options.get("chroma-qp-offset", "0")),
    )
    encoder = PictureEncoder(settings, (info.height, info.width), grey=False)
    with tempfile.TemporaryFile() as file:
        spool = Spool(LUMA, encoder.header, HEVC, file=file)
        for frame in select_frames(video, int(options.get("every", "1"))):
            planes = (frame.y, frame.cb, frame.cr)
            spool.write(encoder.encode(planes, frame.pts, idr=structure == "intra"))
        spool.write(encoder.flush())
        mux(Path(target), info, [spool], manifest=None, source=None)


def select_frames(frames: Iterable[Frame], every: int) -> Iterator[Frame]:
    """Yield the first frame and every n-th after it, the last one, and both frames of each cut.

    With both frames of a cut sent nothing lies between them, so that no decoder interpolates across
    a cut.
    """
    if every == 1:
        yield from frames
        return
    left_out: Frame | None = None  # the frame before, where it is not sent so far
    for number, scanned in enumerate(scan_frames(frames)):
        if scanned.starts_shot and left_out is not None:
            yield left_out
        left_out = scanned.frame
        if scanned.starts_shot or number % every == 0:
            yield scanned.frame
            left_out = None
    if left_out is not None:
        yield left_out


def encode_with_ffmpeg(encoder: str, source: str, target: str, *, options: dict[str, str]) -> None:
    """Encode with any 4:2:0 encoder of FFmpeg; odd sizes are padded by one row or column."""
    video = open_source(source)
    info = video.info
    shape = (info.height + info.height % 2, info.width + info.width % 2)
    pixels = pixel_format(info.bit_depth)
    with av.open(
        f"file:{target}", "w", format="matroska", container_options={"fflags": "+bitexact"}
    ) as out:
        stream = out.add_stream(encoder, rate=info.mean_rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = shape
        stream.pix_fmt = pixels
        stream.codec_context.time_base = info.time_base
        for frame in video:
            picture = to_av_frame((frame.y, frame.cb, frame.cr), pixels, shape)
            picture.pts, picture.time_base = frame.pts, info.time_base
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    thin_index(Path(target))


def main() -> None:
    """Encode as the command line says."""
    encoder, source, target, *pairs = sys.argv[1:]
    options = dict(pair.split("=", 1) for pair in pairs)
    if encoder == "hevc":
        encode_hevc(source, target, options)
    else:
        encode_with_ffmpeg(encoder, source, target, options=options)


if __name__ == "__main__":
    main()
