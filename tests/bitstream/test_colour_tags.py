"""Colour tags that x265 does not know: they are left out with a note, all others are kept."""

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import make_info, write_clip

import tinct
from tinct.bitstream.hevc import HevcEncoder, HevcSettings, drop_unknown_tags
from tinct.frames import ColourTags
from tinct.media.source import open_source

REFUSED = {  # codes of H.273, reserved ones too, for which x265 does not open
    "primaries": {3, *range(13, 30), 255},
    "transfer": {3, *range(19, 30), 255, 256},
    "matrix": {3, *range(16, 30), 255},
}


@pytest.mark.parametrize("kind", REFUSED)
def test_every_code_opens_and_those_that_are_unknown_are_named(kind: str) -> None:
    for code in {*range(30), *REFUSED[kind]}:
        colour = replace(ColourTags(), **{kind: code})  # type: ignore[arg-type]
        kept, notes = drop_unknown_tags(colour)
        assert getattr(kept, kind) == (2 if code in REFUSED[kind] else code)
        assert [str(code) in note for note in notes] == [True] * (code in REFUSED[kind])
        settings = HevcSettings(
            structure="intra", info=make_info(colour=colour), qp=32, preset="ultrafast"
        )
        encoder = HevcEncoder(settings, (48, 64), grey=False)  # raises where x265 refuses
        assert encoder.header


def test_a_video_with_ebu_3213_primaries_is_encoded(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=2, colour=ColourTags(22, 1, 1, full_range=False))
    assert open_source(str(tmp_path / "a.mkv")).info.colour.primaries == 22
    report = tinct.encode(
        str(tmp_path / "a.mkv"),
        str(tmp_path / "b.mkv"),
        tinct.EncodeConfig(colour="in-band", adapt="off", x265_preset="ultrafast", qp=30),
    )
    assert "the colour tag primaries = 22 is left out: x265 does not know it" in report.notes
    found = open_source(str(tmp_path / "b.mkv")).info.colour
    assert found == ColourTags(2, 1, 1, full_range=False)
