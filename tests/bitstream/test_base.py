"""The seam of the base codec: what the rest of the code knows of it."""

import re
from pathlib import Path
from typing import get_args

import pytest

import tinct
from tinct.bitstream.base import BASES
from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import Layout
from tinct.config import OPTIONS, Base, Structure

PACKAGE = Path(tinct.__file__).parent
# The lab codes anchors with HEVC itself.
NAMES_HEVC = ("bitstream", "evaluation")
OTHERS = [p for p in PACKAGE.rglob("*.py") if p.relative_to(PACKAGE).parts[0] not in NAMES_HEVC]


def test_no_other_folder_asks_a_codec_for_its_name() -> None:
    """What a codec can stands in its row."""
    assert len(OTHERS) > 50
    asks = re.compile(r"\b(base|name|codec) (==|!=|in) \(?[\"'](hevc|avc|av1|hm)")
    assert [str(path) for path in OTHERS if asks.search(path.read_text())] == []


def test_every_base_of_a_config_has_a_row() -> None:
    assert ("auto", *BASES) == get_args(Base)


def test_a_config_has_the_presets_and_the_crfs_of_all_rows() -> None:
    presets = dict.fromkeys(preset for row in BASES.values() for preset in row.presets)
    assert OPTIONS["base_preset"].choices == tuple(presets)
    assert OPTIONS["x265_preset"].choices == BASES["hevc"].presets
    assert OPTIONS["crf"].high == max(row.highest_crf for row in BASES.values())


@pytest.mark.parametrize("structure", [s for s in get_args(Structure) if s != "auto"])
@pytest.mark.parametrize("base", BASES)
def test_every_structure_of_a_config_is_one_of_every_codec(base: str, structure: str) -> None:
    assert structure in BASES[base].structures


def test_every_layout_of_the_format_has_a_row() -> None:
    assert tuple(LAYOUTS) == get_args(Layout)
