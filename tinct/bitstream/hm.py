"""HM, HEVC's reference encoder, as a base codec: a program that a user has, and its command line.

Its packets are HEVC, so that all but the way to them is HEVC's row.
"""

from dataclasses import replace

from tinct.bitstream.codecs import BaseSettings, Shape
from tinct.bitstream.hevc import HEVC


def list_options(bit_depth: int, *, grey: bool = False) -> list[str]:
    """Return the options by which HM codes pictures of a bit depth as HEVC's profiles have them.

    HM chooses among the profiles of grey pictures itself.
    """
    chroma = "400" if grey else "420"
    main = "main" if bit_depth == 8 else "main10"
    return [
        f"--InputBitDepth={bit_depth}",
        f"--InternalBitDepth={bit_depth}",
        f"--InputChromaFormat={chroma}",
        "--ConformanceMode=1",  # any size: HM pads to whole blocks
        f"--Profile={'main-RExt' if grey else main}",
        "--Level=6.2",
        "--SEIDecodedPictureHash=0",
    ]


def make_command(settings: BaseSettings, shape: Shape, *, grey: bool) -> list[str]:
    """Return HM's command line but for the files and their number of pictures.

    All-intra, HM's configuration has no entry point but the first picture: there the type of
    decoding refresh is one with which every picture is one.
    """
    program = settings.program
    assert program is not None
    height, width = shape
    command = [
        *(program.path, "-c", program.config),
        *("-wdt", str(width), "-hgt", str(height)),
        *("-fr", str(max(1, round(settings.info.mean_rate)))),
        *("-q", str(settings.qp)),
        *list_options(settings.info.bit_depth, grey=grey),
    ]
    if settings.structure.startswith("intra"):
        command.append("--DecodingRefreshType=1")
    if offset := settings.chroma_qp_offset:
        command += [f"--CbQpOffset={offset}", f"--CrQpOffset={offset}"]
    return command


HM = replace(
    HEVC,
    name="hm",
    maker="HM",
    presets=(),
    make_command=make_command,
    has_hdr=False,
    has_own_qps=False,
)
