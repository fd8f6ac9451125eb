"""The targets.

`info` and `decode` take whole Tinct files, `mp4` and `ts` videos of other programs; two readers
take the bytes of one part.
"""

import itertools
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import tinct
from tinct.bitstream.manifest import read_manifest, write_manifest
from tinct.cli.reports import info_lines
from tinct.decoder.api import decode
from tinct.decoder.inspection import info
from tinct.networks.gan_config import GanConfig
from tinct.networks.weights import decode_weights

MAX_FRAMES = 200  # of a video of another program
OUTPUTS = (".y4m", ".y4m", ".y4m", ".mkv", ".mp4")  # in turn
SHAPES = {"conv.weight": (8, 6, 3, 3), "conv.bias": (8,), "gain": (1,)}
_turns = itertools.count()


def run_info(path: Path) -> bool:
    """Do all that `tinct info` does but print; return False, since it does not look for damage."""
    found = info(str(path))
    json.dumps(found.to_dict())
    assert info_lines(found)
    return False


def run_decode(path: Path) -> bool:
    """Decode a file and drop what is written; return whether it is damaged."""
    target = path.with_name("out" + OUTPUTS[next(_turns) % len(OUTPUTS)])
    try:
        return bool(decode(str(path), str(target), overwrite=True).damage)
    finally:
        target.unlink(missing_ok=True)
        left = [other.name for other in path.parent.iterdir() if other != path]
        assert not left, left


def run_source(path: Path) -> bool:
    """Read a video of another program; return whether it is damaged."""
    info(str(path))
    video = tinct.open(str(path))
    last = -1
    for frame in islice(video, MAX_FRAMES):
        assert frame.pts > last, (last, frame.pts)
        last = frame.pts
    return bool(video.damage)


RUNS: dict[str, Callable[[Path], bool]] = {
    "info": run_info,
    "decode": run_decode,
    "mp4": run_source,
    "ts": run_source,
}


def run_manifest(data: bytes) -> None:
    """Read a manifest; what is written of it must read as the same."""
    manifest = read_manifest(data)
    assert read_manifest(write_manifest(manifest)) == manifest
    assert manifest.generator is None or isinstance(manifest.generator, GanConfig)


def run_update(data: bytes) -> None:
    """Read weights of some shapes."""
    decoded = decode_weights(data, SHAPES)
    assert {name: tensor.shape for name, tensor in decoded.items()} == SHAPES
