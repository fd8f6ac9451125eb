"""AV1 as a base codec: the options of SVT-AV1. dav1d decodes."""

import os
import re
from itertools import pairwise

from tinct.bitstream.codecs import MATRICES, PRIMARIES, TRANSFERS, BaseCodec, BaseSettings, Shape

# SVT-AV1 writes a banner on stderr for each encoder unless it is told to report errors alone. It
# looks once, before its first encoder.
os.environ.setdefault("SVT_LOG", "1")

HIGHEST_QP = 63  # that is also the highest CRF
# CRFs that give the PSNR of x265's nominal QPs, by structure; lab/notes/2026-11-29-nominal-qp.md.
NOMINAL_QPS = (22, 27, 32, 37, 42)
CRFS = {
    "intra": (15, 25, 34, 42, 50),
    "low-delay": (29, 40, 50, 58, 63),
    "random-access": (34, 51, 59, 63, 63),
}
FRAME_OBUS = (3, 6)  # types of a frame header alone, and of a whole frame
# Options for each structure.
STRUCTURES: dict[str, str] = {
    "intra": "keyint=1",
    "low-delay": "keyint=250:pred-struct=1",
    "random-access": "keyint=250",
}


def make_options(settings: BaseSettings, shape: Shape, *, grey: bool) -> dict[str, str]:
    """Return FFmpeg's options of libsvtav1. `qp` becomes a CRF."""
    assert not grey, "SVT-AV1 has no grey pictures"
    parameters = [STRUCTURES[settings.structure], f"tune={1 if settings.tune == 'psnr' else 0}"]
    options = {"preset": settings.preset}
    if settings.qp is not None:
        options["crf"] = f"{map_qp(settings.qp, settings.structure)}"
    if settings.crf is not None:
        options["crf"] = f"{settings.crf:g}"
    if settings.bitrate_kbps is not None:
        options["b"] = f"{1000 * settings.bitrate_kbps:.0f}"
        parameters += ["rc=1", "lp=1"]  # with more threads no two files of one video are the same
    if settings.info.chroma_location == "topleft":
        parameters.append("chroma-sample-position=topleft")
    hdr = settings.info.hdr
    if hdr.master_display:
        parameters.append(f"mastering-display={_scale_display(hdr.master_display)}")
    if hdr.max_cll:
        parameters.append(f"content-light={hdr.max_cll}")
    return {**options, "svtav1-params": ":".join(parameters)}


def reorders(packet: bytes) -> bool:
    """Return whether a temporal unit has more than one frame: one is shown later.

    A frame is an OBU of type 3 or 6 (AV1 specification, 5.3 and 6.2.2). Bytes that are no OBUs end
    the search.
    """
    frames = at = 0
    while at < len(packet):
        kind, has_extension, has_size = packet[at] >> 3 & 15, packet[at] >> 2 & 1, packet[at] & 2
        at += 1 + has_extension
        frames += kind in FRAME_OBUS
        if not has_size:
            break
        size = shift = 0
        while at < len(packet):
            size |= (packet[at] & 127) << shift
            shift += 7
            at += 1
            if not packet[at - 1] & 128 or shift > 56:
                break
        at += size
    return frames > 1


def _scale_display(text: str) -> str:
    """Return a mastering display as SVT-AV1 has it: chromaticities of 0 to 1, luminance in cd/m2.

    x265 and x264 count in steps of 0.00002 and of 0.0001.
    """
    colours, light = text.split("L")
    colours = re.sub(r"\d+", lambda found: f"{int(found[0]) / 50_000:.5f}", colours)
    return colours + "L" + re.sub(r"\d+", lambda found: f"{int(found[0]) / 10_000:.4f}", light)


def map_qp(qp: int, structure: str) -> int:
    """Return the CRF of a nominal QP: on lines from point to point, and on as the last ones go."""
    points = list(pairwise(zip(NOMINAL_QPS, CRFS[structure], strict=True)))
    (low, first), (high, last) = next((p for p in points if qp <= p[1][0]), points[-1])
    crf = first + (last - first) * (qp - low) / (high - low)
    return min(max(round(crf), 1), HIGHEST_QP)


AV1 = BaseCodec(
    name="av1",
    title="AV1",
    maker="SVT-AV1",
    library="libsvtav1",
    decoder="libdav1d",
    coded_as="av1",
    raw_format="obu",
    structures=tuple(STRUCTURES),
    presets=tuple(map(str, range(11))),
    preset="6",
    highest_crf=HIGHEST_QP,
    pixels=("yuv420p", "yuvj420p", "yuv420p10le"),
    least=(64, 64),  # SVT-AV1 takes smaller pictures, but no bitrate with them
    reorders=reorders,
    locations=frozenset({None, "topleft"}),
    has_pixel_shape=False,
    make_options=make_options,
    split_header=lambda header: (header, b""),
    join=lambda header, packet: packet,  # which begins with the header
    # AV1 has the matrix 0, R'G'B' itself, in 4:4:4 alone.
    tags={"primaries": PRIMARIES | {22}, "transfer": TRANSFERS, "matrix": MATRICES - {0}},
)
