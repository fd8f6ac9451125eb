"""What hostile bytes are given to: whole files to `info` and `decode`, bytes to the readers of the manifest and of the update."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

from tinct.bitstream.manifest import read_manifest, write_manifest
from tinct.cli.say import _info_lines
from tinct.decoder.api import decode
from tinct.decoder.inspection import info
from tinct.networks.gan_config import GanConfig
from tinct.networks.weights import decode_weights

OUTPUTS = (".y4m", ".y4m", ".y4m", ".mkv", ".mp4")  # in turn
SHAPES = {"conv.weight": (8, 6, 3, 3), "conv.bias": (8,), "gain": (1,)}
_turns = itertools.count()


def run_info(path: Path) -> bool:
    """All that `tinct info` does, but print; never damage, which `info` does not look for."""
    found = info(str(path))
    json.dumps(found.to_dict())
    assert _info_lines(found)
    return False


def run_decode(path: Path) -> bool:
    """`tinct decode`; whether the file is damaged. What it writes is thrown away."""
    target = path.with_name("out" + OUTPUTS[next(_turns) % len(OUTPUTS)])
    try:
        return bool(decode(str(path), str(target), overwrite=True).damage)
    finally:
        target.unlink(missing_ok=True)
        left = [other.name for other in path.parent.iterdir() if other != path]
        assert not left, left


RUNS: dict[str, Callable[[Path], bool]] = {"info": run_info, "decode": run_decode}


def run_manifest(data: bytes) -> None:
    """What is read is what would be written."""
    manifest = read_manifest(data)
    assert read_manifest(write_manifest(manifest)) == manifest
    assert manifest.generator is None or isinstance(manifest.generator, GanConfig)


def run_update(data: bytes) -> None:
    decoded = decode_weights(data, SHAPES)
    assert {name: tensor.shape for name, tensor in decoded.items()} == SHAPES
