"""HEVC as a base codec: the options of x265, its faults in small pictures, and its header.

One plane is coded as a 4:0:0 picture, three as 4:2:0.
"""

import os

from tinct.bitstream.annexb import iterate_units, split_units
from tinct.bitstream.codecs import MATRICES, PRIMARIES, TRANSFERS, BaseCodec, BaseSettings, Shape
from tinct.frames import CHROMA_LOCATIONS

# Options of x265 for each structure. All others, and the parameter sets, are the same for all.
_NO_REORDERING = "bframes=0:rc-lookahead=0:scenecut=0:open-gop=0"
STRUCTURES: dict[str, str] = {
    "intra": "keyint=1",
    # x265 signals the Rext profile for keyint=1, which hardware decoders refuse
    "intra-main": f"keyint=2:{_NO_REORDERING}",
    "low-delay": "keyint={entry_frames}:bframes=0",
    "random-access": "keyint={entry_frames}",
    # IDR pictures come only where `encode(idr=True)` asks for them
    "colour": f"keyint=-1:{_NO_REORDERING}",
}
# Where pictures are predicted a nominal QP is a CRF, which gives each kind of picture its own QP.
BY_CRF = ("low-delay", "random-access")
PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium"),
    *("slow", "slower", "veryslow", "placebo"),
)


def make_options(settings: BaseSettings, shape: Shape, *, grey: bool) -> dict[str, str]:
    """Return FFmpeg's options of libx265 for pictures of `shape` (height, width)."""
    location = settings.info.chroma_location
    place = "" if grey or location is None else f":chromaloc={CHROMA_LOCATIONS[location]}"
    options = {
        "preset": settings.preset,
        "forced-idr": "1",
        "x265-params": format_x265_params(settings, shape) + place,
    }
    if settings.tune != "none":
        options["tune"] = settings.tune
    return options


def format_x265_params(settings: BaseSettings, shape: Shape) -> str:
    """Return the value of `x265-params`."""
    if settings.qp is not None and settings.structure not in BY_CRF:
        options = [f"qp={settings.qp}", "aq-mode=0", "ipratio=1"]
    elif settings.bitrate_kbps is not None:
        options = [f"bitrate={settings.bitrate_kbps}"]
    else:
        options = [f"crf={settings.qp if settings.crf is None else settings.crf}"]
    # Of all threads only frame threads change the bytes. `info=0` leaves out 2,275 bytes of
    # text for each intra picture.
    options += ["frame-threads=1", "info=0", "log-level=none"]
    if offset := settings.chroma_qp_offset:
        options += [f"cbqpoffs={offset}", f"crqpoffs={offset}"]
    options.append(STRUCTURES[settings.structure].format(entry_frames=settings.entry_frames))
    hdr = settings.info.hdr
    if hdr.master_display:
        options.append(f"master-display={hdr.master_display}")
    if hdr.max_cll:
        options.append(f"max-cll={hdr.max_cll}")
    return ":".join(options + _choose_size_options(shape))


def _choose_size_options(shape: Shape) -> list[str]:
    """Return options that work around faults of x265 4 in small pictures of `shape`.

    The faults were found with valgrind, MALLOC_PERTURB_ and gdb. The lookahead takes from a queue
    without a lock, and crashes where threads finish small pictures too fast. Weighted prediction
    reads uninitialised memory where a picture has one row of coding tree units (CTUs). The cutree
    writes beyond a row of fewer than four blocks. All of x265 reads uninitialised memory where a
    picture is as wide as one CTU; the CTU is halved there. A CTU of 16 cannot be halved, so that
    no picture is coded 16 wide.
    """
    height, width = shape
    if min(height, width) <= 64:
        options = ["pools=none", "weightp=0"]
    else:
        options = [f"pools={os.cpu_count()}"]
    if width in (32, 64):
        options.append(f"ctu={width // 2}")
    if width <= 48:
        options.append("cutree=0")
    return options


def split_header(header: bytes) -> tuple[bytes, bytes]:
    """Split x265's Annex B header into VPS, SPS and PPS, and all other NAL units.

    Parameter sets have NAL unit types 32 to 34 (ITU-T H.265 table 7-1). The others are HDR10
    messages: x265 writes them only here and Matroska has no place for them, so that they are
    stored with key pictures.
    """
    units = split_units(header)
    sets = [unit for unit in units if 32 <= (unit[4] >> 1) & 63 <= 34]
    return b"".join(sets), b"".join(unit for unit in units if unit not in sets)


def is_reference(packet: bytes) -> bool:
    """Return whether others may be predicted from a picture (ITU-T H.265 table 7-1).

    Below 16 the even types of NAL units are those of pictures that no other of their temporal layer
    refers to; x265 has one layer.
    """
    types = ((unit[0] >> 1) & 63 for unit in iterate_units(packet))
    kind = next((kind for kind in types if kind < 32), 1)
    return kind >= 16 or kind % 2 == 1


HEVC = BaseCodec(
    name="hevc",
    title="HEVC",
    maker="x265",
    library="libx265",
    decoder="hevc",
    coded_as="hevc",
    raw_format="hevc",
    structures=tuple(STRUCTURES),
    presets=PRESETS,
    preset="medium",
    pixels=("gray", "gray10le", "yuv420p", "yuvj420p", "yuv420p10le"),
    least=(16, 18),  # x265 refuses sides below 16; for the width of 16 see `_choose_size_options`
    make_options=make_options,
    split_header=split_header,
    is_reference=is_reference,
    tags={"primaries": PRIMARIES, "transfer": TRANSFERS, "matrix": MATRICES | {15}},
    codes_grey=True,
    has_own_qps=True,
)
