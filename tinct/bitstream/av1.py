"""AV1 as a base codec: the options of SVT-AV1. dav1d decodes."""

import os
import re
from itertools import pairwise

import numpy as np

from tinct.bitstream.codecs import MATRICES, PRIMARIES, TRANSFERS, BaseCodec, BaseSettings, Shape

# SVT-AV1 writes on stderr: a banner for each encoder, and errors for one that is interrupted. Only
# what ends the process may be said. It looks once, before its first encoder.
os.environ.setdefault("SVT_LOG", "0")

HIGHEST_CRF = 70
# CRFs that give the PSNR of x265's nominal QPs or a little more, by structure;
# lab/notes/2026-11-29-nominal-qp.md.
NOMINAL_QPS = (22, 27, 32, 37, 42)
CRFS = {
    "intra": (14.75, 24.5, 34.25, 42.25, 50),
    "low-delay": (29, 40, 49.5, 58, 63.5),
    "random-access": (33.5, 49.5, 59, 62.5, 67.5),
}
FRAME_OBUS = (3, 6)  # types of a frame header alone, and of a whole frame
# Options for each structure.
STRUCTURES: dict[str, str] = {
    "intra": "keyint=1",
    "low-delay": "keyint={entry_frames}:pred-struct=1",
    "random-access": "keyint={entry_frames}",
}
# Variable bitrate (1), or constant (2), the only one that SVT-AV1 has for low-delay.
RATE_CONTROLS = {"intra": 1, "low-delay": 2, "random-access": 1}


def make_options(settings: BaseSettings, shape: Shape, *, grey: bool) -> dict[str, str]:
    """Return FFmpeg's options of libsvtav1. `qp` becomes a CRF."""
    assert not grey, "SVT-AV1 has no grey pictures"
    structure = STRUCTURES[settings.structure].format(entry_frames=settings.entry_frames)
    parameters = [structure, f"tune={1 if settings.tune == 'psnr' else 0}"]
    options = {"preset": settings.preset}
    crf = settings.crf if settings.qp is None else map_qp(settings.qp, settings.structure)
    if crf is not None:
        parameters.append(f"crf={crf:g}")  # FFmpeg's own option ends at 63
    if settings.bitrate_kbps is not None:
        options["b"] = f"{1000 * settings.bitrate_kbps:.0f}"
        # with more threads than one no two files of one video are the same
        parameters += [f"rc={RATE_CONTROLS[settings.structure]}", "lp=1"]
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


def map_qp(qp: float, structure: str) -> float:
    """Return the CRF of a nominal QP: on lines from point to point, and on as the last ones go.

    SVT-AV1 takes quarters.
    """
    points = list(pairwise(zip(NOMINAL_QPS, CRFS[structure], strict=True)))
    (low, first), (high, last) = next((p for p in points if qp <= p[1][0]), points[-1])
    crf = first + (last - first) * (qp - low) / (high - low)
    return min(max(round(4 * crf) / 4, 1), HIGHEST_CRF)


def find_nominal_qp(crf: float, structure: str) -> int:
    """Return the nominal QP of the table that a CRF is nearest to."""
    return round(float(np.interp(crf, CRFS[structure], NOMINAL_QPS)))


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
    highest_crf=HIGHEST_CRF,
    find_crf=map_qp,
    find_nominal_qp=find_nominal_qp,
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
