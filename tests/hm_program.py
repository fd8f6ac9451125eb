"""A stand-in for HM's encoder: it takes HM's command line, and codes with x265.

What it shows is that programs are run, told and believed as they should be; of HM's own pictures
it says nothing. Of the configuration it reads IntraPeriod and GOPSize.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

HM_PROGRAM = Path(__file__)
INTRA, LOW_DELAY, RANDOM_ACCESS = (
    {"IntraPeriod": 1, "GOPSize": 1},
    {"IntraPeriod": -1, "GOPSize": 4},
    {"IntraPeriod": 8, "GOPSize": 8},
)


def write_hm(path: Path, *more: str) -> Path:
    """Write the stand-in as a program that can be run; `more` are words after its command line."""
    words = shlex.join([sys.executable, str(HM_PROGRAM)])
    return write_script(path, f'exec {words} "$@" {shlex.join(more)}')


def write_script(path: Path, *lines: str) -> Path:
    """Write lines of sh as a program that can be run."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def write_config(path: Path, options: dict[str, int]) -> Path:
    """Write options as HM's configuration files have them."""
    lines = [f"{name:<20}: {value:<10} # says HM" for name, value in options.items()]
    path.write_text("\n".join(["#======== Coding Structure =====", *lines, ""]))
    return path


def read_config(path: str) -> dict[str, int]:
    lines = [line.partition("#")[0] for line in Path(path).read_text().splitlines()]
    pairs = [line.split(":") for line in lines if ":" in line]
    return {name.strip(): int(value) for name, value in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for flag in ("-c", "-i", "-b"):
        parser.add_argument(flag, required=True)
    for flag in ("-wdt", "-hgt", "-fr", "-f", "-q", "--InputBitDepth", "--InputChromaFormat"):
        parser.add_argument(flag, type=int, required=True)
    for flag in ("--InternalBitDepth", "--ConformanceMode", "--SEIDecodedPictureHash"):
        parser.add_argument(flag, type=int)
    for flag in ("--CbQpOffset", "--CrQpOffset", "--DecodingRefreshType"):
        parser.add_argument(flag, type=int, default=0)
    for flag in ("--Profile", "--Level"):
        parser.add_argument(flag)
    given = parser.parse_args()
    config = read_config(given.c)
    with open(given.i, "rb") as pictures, open(given.b, "wb") as stream:
        code(given, config, pictures, stream)


def code(given: Any, config: dict[str, int], pictures: Any, stream: Any) -> None:
    is_grey = given.InputChromaFormat == 400
    bit_depth, is_intra = given.InputBitDepth, config["IntraPeriod"] == 1
    dtype = np.dtype(np.uint8 if bit_depth == 8 else "<u2")
    context: Any = av.CodecContext.create("libx265", "w")
    context.width, context.height = given.wdt, given.hgt
    context.pix_fmt = ("gray" if is_grey else "yuv420p") + ("" if bit_depth == 8 else "10le")
    context.framerate = given.fr
    context.options = {
        "preset": "ultrafast",
        "forced-idr": "1",
        "x265-params": f"qp={given.q}:aq-mode=0:frame-threads=1:pools=none:weightp=0:cutree=0:"
        f"rc-lookahead=8:info=0:log-level=none:keyint={config['IntraPeriod']}:"
        f"bframes={3 if config['GOPSize'] == 8 else 0}:"
        f"cbqpoffs={given.CbQpOffset}:crqpoffs={given.CrQpOffset}",
    }
    rows = given.hgt if is_grey else given.hgt * 3 // 2
    for number in range(given.f):
        data = np.frombuffer(pictures.read(rows * given.wdt * dtype.itemsize), dtype)
        frame = av.VideoFrame.from_ndarray(data.reshape(rows, given.wdt), format=context.pix_fmt)
        frame.pts = number
        frame.pict_type = PictureType.I if number == 0 or is_intra else PictureType.NONE
        for packet in context.encode(frame):
            stream.write(bytes(packet))
        print(f"POC {number:4} TId: 0 ( I-SLICE, QP {given.q} )")
    for packet in context.encode(None):
        stream.write(bytes(packet))


if __name__ == "__main__":
    main()
