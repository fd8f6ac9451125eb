"""H.264 as a base codec: the options of x264, and its header.

One plane is coded as a 4:0:0 picture, three as 4:2:0. `avc_headers` reads and changes headers.
"""

import av

from tinct.bitstream.annexb import iterate_units, split_units
from tinct.bitstream.avc_headers import PPS, SPS, is_grey, number_idr
from tinct.bitstream.codecs import MATRICES, PRIMARIES, TRANSFERS, BaseCodec, BaseSettings, Shape
from tinct.bitstream.hevc import PRESETS
from tinct.frames import CHROMA_LOCATIONS, ColourTags

MESSAGE = 6  # NAL unit type of supplemental information (ITU-T H.264 table 7-1)
SLICES = range(1, 6)  # NAL unit types of coded slices
# From a nominal QP to the QP, or in structures that predict the CRF, that gives the PSNR of x265's;
# lab/notes/2026-11-29-nominal-qp.md.
QP_SHIFTS = {"intra": -1, "intra-main": -1, "colour": -1, "low-delay": 2, "random-access": 2}
UNSPECIFIED = 2  # as a colour tag
HIGHEST_QP = 51
LEAST_QP = 1  # of 8 bits: at 0 x264 codes without loss, in a profile that few decoders have
# Samples of luma. In a row of blocks that is no multiple of eight x264's mbtree reads memory that
# nobody wrote, and no two files of one video are the same.
WHOLE_WIDTH = 128
# In these a nominal QP is a constant one, not a CRF. Pictures come out one by one, without delay,
# since several encoders take turns.
BY_QP = ("intra", "intra-main", "colour")
NO_DELAY = "ipratio=1:pbratio=1:force-cfr=1"
# Options for each structure. Several threads would cut an intra picture into slices, by their
# number: more bytes, and others on another machine.
STRUCTURES: dict[str, str] = {
    "intra": "keyint=1:threads=1",
    "intra-main": "keyint=1:threads=1",  # no other than "intra": hardware decoders take it
    "low-delay": "keyint={entry_frames}:bframes=0",
    "random-access": "keyint={entry_frames}",
    # IDR pictures come only where `encode(idr=True)` asks for them
    "colour": "keyint=infinite:bframes=0:rc-lookahead=0:sync-lookahead=0:scenecut=0:threads=1",
}


def make_options(settings: BaseSettings, shape: Shape, *, grey: bool) -> dict[str, str]:
    """Return FFmpeg's options of libx264; `qp` is constant for intra pictures, else a CRF.

    The zero of x264's QPs moves by 6 with each bit of depth above 8. `stitchable` keeps the QP out
    of the parameter sets, so that these are the same for all.
    """
    structure = STRUCTURES[settings.structure].format(entry_frames=settings.entry_frames)
    parameters = [structure, "stitchable=1", "log-level=none"]
    if shape[1] % WHOLE_WIDTH:
        parameters.append("mbtree=0")
    if settings.qp is not None:
        lift = 6 * (settings.info.bit_depth - 8)
        qp = min(max(settings.qp + QP_SHIFTS[settings.structure], LEAST_QP), HIGHEST_QP)
        is_constant = settings.structure in BY_QP
        parameters += [f"qp={qp + lift}", NO_DELAY] if is_constant else [f"crf={qp}"]
    if settings.crf is not None:
        parameters.append(f"crf={settings.crf:g}")
    if settings.bitrate_kbps is not None:
        parameters.append(f"bitrate={settings.bitrate_kbps:g}")
    if offset := settings.chroma_qp_offset:
        parameters.append(f"chroma-qp-offset={offset}")
    location = settings.info.chroma_location
    if not grey and location is not None:
        parameters.append(f"chromaloc={CHROMA_LOCATIONS[location]}")
    hdr = settings.info.hdr
    if hdr.master_display:
        parameters.append(f"mastering-display={hdr.master_display}")
    if hdr.max_cll:
        parameters.append(f"cll={hdr.max_cll}")
    options = {"preset": settings.preset, "forced-idr": "1", "x264-params": ":".join(parameters)}
    if settings.tune != "none":
        options["tune"] = settings.tune
    return options


def split_header(header: bytes) -> tuple[bytes, bytes]:
    """Split x264's Annex B header into SPS and PPS, and messages without x264's own."""
    units = split_units(header)
    sets = [unit for unit in units if _type_of(unit) in (SPS, PPS)]
    return b"".join(sets), b"".join(
        unit for unit in units if unit not in sets and not _is_advertisement(unit)
    )


def complete_header(header: bytes, colour: ColourTags) -> bytes:
    """Return the header of grey pictures with their matrix, which x264 leaves out."""
    if colour.matrix == UNSPECIFIED:
        return header
    change = f"h264_metadata=matrix_coefficients={colour.matrix}"
    packets = av.BitStreamFilterContext(change, AVC.coded_as).filter(av.Packet(header))
    return b"".join(bytes(packet) for packet in packets)


def clean(data: bytes) -> bytes:
    """Return a packet without the text in which each x264 lists its options, about 700 bytes."""
    if b"x264 - core" not in data[:1000]:
        return data
    return b"".join(unit for unit in split_units(data) if not _is_advertisement(unit))


def is_reference(packet: bytes) -> bool:
    """Return whether others may be predicted from a picture: its nal_ref_idc (H.264 7.4.1)."""
    units = iterate_units(packet)
    return next((unit[0] >> 5 & 3 > 0 for unit in units if unit[0] & 31 in SLICES), True)


def _type_of(unit: bytes) -> int:
    return unit[4] & 31


def _is_advertisement(unit: bytes) -> bool:
    return _type_of(unit) == MESSAGE and b"x264 - core" in unit


AVC = BaseCodec(
    name="avc",
    title="H.264",
    maker="x264",
    library="libx264",
    decoder="h264",
    coded_as="h264",
    raw_format="h264",
    structures=tuple(STRUCTURES),
    presets=PRESETS,
    preset="medium",
    pixels=("yuv420p", "yuvj420p", "yuv420p10le"),
    hides_grey=is_grey,
    least=(16, 16),
    make_options=make_options,
    split_header=split_header,
    complete_header=complete_header,
    clean=clean,
    is_reference=is_reference,
    number_entry=number_idr,
    tags={"primaries": PRIMARIES, "transfer": TRANSFERS, "matrix": MATRICES},
    codes_grey=True,
    has_own_qps=True,
)
