"""Encoders that the lab compares: Tinct's base codecs alone, as a program that writes Matroska.

    python -m tinct.evaluation.encode BASE SOURCE TARGET OPTION=VALUE ...

They are coded, and their files muxed, as `tinct encode` does it. `codecs` makes the command lines.
"""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tinct.bitstream.base import BASES, PictureEncoder
from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.layouts import IN_BAND
from tinct.bitstream.manifest import LUMA, Manifest
from tinct.bitstream.muxer import mux
from tinct.bitstream.spools import Spool
from tinct.frames import Frame, VideoInfo
from tinct.media.source import open_source
from tinct.motion.shots import scan_frames


def encode_plain(base: str, source: str, target: str, *, options: dict[str, str]) -> None:
    """Write 4:2:0 video; `options` are `structure`, the nominal `qp` and `preset`.

    Others are `chroma-offset` of HEVC's QP, `keyint`, the frames between entry points, and `every`,
    with which only the frames of `select_frames` are sent, and `decode` interpolates the others.
    Without these the bytes are those of `tinct encode --colour in-band`.
    """
    video = open_source(source)
    info, structure = video.info, options["structure"]
    settings = BaseSettings(
        base=base,
        structure=structure,
        info=info,
        qp=int(options["qp"]),
        preset=options["preset"],
        chroma_qp_offset=int(options.get("chroma-offset", "0")),
        keyint=int(options["keyint"]) if "keyint" in options else None,
    )
    encoder = PictureEncoder(settings, (info.height, info.width), grey=False)
    with tempfile.TemporaryFile() as file:
        spool = Spool(LUMA, encoder.header, BASES[base], file=file)
        count = 0
        for frame in select_frames(video, int(options.get("every", "1"))):
            count += 1
            planes = (frame.y, frame.cb, frame.cr)
            spool.write(encoder.encode(planes, frame.pts, idr=structure == "intra"))
        spool.write(encoder.flush())
        mux(Path(target), info, [spool], manifest=_tell_size(info, encoder, count), source=None)


def _tell_size(info: VideoInfo, encoder: PictureEncoder, frames: int) -> Manifest | None:
    """Return the manifest that a file of padded pictures needs; None for others."""
    if encoder.shape == (info.height, info.width):
        return None
    size = (info.width, info.height)
    return Manifest(size=size, frames=frames, layout=IN_BAND.name, rate=info.frame_rate)


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


def main() -> None:
    """Encode as the command line says."""
    base, source, target, *pairs = sys.argv[1:]
    options = dict(pair.split("=", 1) for pair in pairs)
    encode_plain(base, source, target, options=options)


if __name__ == "__main__":
    main()
