"""Encoders that the lab compares, as a program: `python -m tinct.evaluation.encode ENCODER SOURCE TARGET OPTION=VALUE ...`

`hevc` is x265 as Tinct's own base layer tells it, with chroma QP offsets where asked for; `libx264` and `libsvtav1` take the
options of FFmpeg's wrapper. All write Matroska, through the muxer that Tinct uses, without anything that names the time.
"""

import sys
import tempfile
from pathlib import Path

import av
from av.video.stream import VideoStream

from tinct.bitstream.container import Spool, mux
from tinct.bitstream.hevc import HevcEncoder, HevcSettings
from tinct.bitstream.manifest import LUMA
from tinct.media.planes import pixel_format, to_av_frame
from tinct.media.source import open_source


def hevc(
    source: str, target: str, structure: str, qp: str, preset: str, chroma_qp_offset: str = "0"
) -> None:
    """4:2:0 HEVC: to the byte what `tinct encode --colour in-band` writes, where the offset is 0."""
    video = open_source(source)
    info = video.info
    settings = HevcSettings(
        structure, info, int(qp), preset=preset, chroma_qp_offset=int(chroma_qp_offset)
    )
    encoder = HevcEncoder(settings, (info.height, info.width), grey=False)
    with tempfile.TemporaryFile() as file:
        spool = Spool(LUMA, encoder.header, file)
        for frame in video:
            spool.write(
                encoder.encode((frame.y, frame.cb, frame.cr), frame.pts, idr=structure == "intra")
            )
        spool.write(encoder.flush())
        mux(Path(target), info, [spool], None, None)


def ffmpeg(encoder: str, source: str, target: str, options: dict[str, str]) -> None:
    """Any encoder of FFmpeg's that takes 4:2:0; odd sizes are padded by one row or column."""
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


def main() -> None:
    encoder, source, target, *pairs = sys.argv[1:]
    options = dict(pair.split("=", 1) for pair in pairs)
    if encoder == "hevc":
        hevc(source, target, **{name.replace("-", "_"): value for name, value in options.items()})
    else:
        ffmpeg(encoder, source, target, options)


if __name__ == "__main__":
    main()
