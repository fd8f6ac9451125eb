"""The seam of the base codec: what the rest of the code knows of it."""

import re
from pathlib import Path
from typing import get_args

import pytest

import tinct
from tinct.bitstream.base import STRUCTURES
from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import Layout
from tinct.config import Structure

PACKAGE = Path(tinct.__file__).parent
# The lab codes anchors with HEVC itself.
NAMES_HEVC = ("bitstream", "evaluation")
OTHERS = [p for p in PACKAGE.rglob("*.py") if p.relative_to(PACKAGE).parts[0] not in NAMES_HEVC]


def test_no_other_folder_names_the_classes_of_hevc() -> None:
    assert len(OTHERS) > 50
    names = re.compile(r"\bHevc\w*\b|\bbitstream\.hevc\b")
    assert [str(path) for path in OTHERS if names.search(path.read_text())] == []


@pytest.mark.parametrize("structure", get_args(Structure))
def test_every_structure_of_a_config_is_one_of_the_base_codec(structure: str) -> None:
    assert structure in STRUCTURES


def test_every_layout_of_the_format_has_a_row() -> None:
    assert tuple(LAYOUTS) == get_args(Layout)
