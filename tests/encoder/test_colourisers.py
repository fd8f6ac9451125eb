"""The two halves of each colouriser's row, and the rules on options that a row owns."""

import pytest

import tinct
from tinct.config import EncodeConfig
from tinct.decoder import colourisers as decoder_side
from tinct.encoder import colourisers as encoder_side
from tinct.encoder.refusals import resolve
from tinct.presets import preset


def test_both_halves_have_the_same_names() -> None:
    assert decoder_side.COLOURISERS.keys() == encoder_side.COLOURISERS.keys()
    for rows in (decoder_side.COLOURISERS, encoder_side.COLOURISERS):
        assert all(row.name == name for name, row in rows.items())


@pytest.mark.parametrize(
    ("options", "colour", "colouriser", "key_boost"),
    [
        ({}, "in-band", "auto", 0),
        ({"structure": "intra"}, "auto", "auto", "auto"),
        ({"structure": "intra", "colouriser": "none"}, "auto", "none", 0),
        ({"colouriser": "none", "key_boost": 4}, "auto", "none", 4),
        ({"structure": "random-access"}, "in-band", "auto", 0),
        ({"base": "hevc"}, "in-band", "auto", 0),
        ({"network": "best", "base": "hevc"}, "in-band", "auto", 0),
        ({"crf": 30.0}, "in-band", "auto", 0),
        ({"key_form": "full", "group": 6}, "track", "none", 0),
        ({"colouriser": "gan"}, "track", "gan", 0),
        ({"colouriser": "compact"}, "in-band", "compact", 0),
        ({"colouriser": "compact", "structure": "intra"}, "auto", "compact", "auto"),
    ],
    ids=str,
)
def test_what_options_leave_open_is_filled_in(
    options: dict[str, object], colour: str, colouriser: str, key_boost: object
) -> None:
    """`auto` and missing options become definite where the other options decide them."""
    found = resolve(EncodeConfig(**options))  # type: ignore[arg-type]
    assert (found.colour, found.colouriser, found.key_boost) == (colour, colouriser, key_boost)


def test_the_papers_preset_trains_ten_minutes_unless_told_otherwise() -> None:
    assert resolve(preset("paper")).adapt == "600"
    assert resolve(preset("paper", adapt="20steps")).adapt == "20steps"


def test_a_network_is_weighed_where_one_exists() -> None:
    """A shipped network is considered for intra with a colour track, and in-band for others."""
    intra = resolve(EncodeConfig(structure="intra"))
    assert encoder_side.may_restore(intra)
    assert not encoder_side.restores_in_band(intra)
    best = resolve(EncodeConfig(structure="low-delay", base="hevc", network="best"))
    assert encoder_side.restores_in_band(best)
    assert not encoder_side.may_restore(best)
    assert not encoder_side.may_restore(resolve(EncodeConfig(structure="intra", colouriser="none")))


def test_an_option_of_another_colouriser_is_named() -> None:
    """Options of the paper's network are refused by name with another colouriser."""
    with pytest.raises(tinct.CodecError, match=r"--recipe/channels needs --colouriser gan"):
        resolve(EncodeConfig(channels=16, recipe="cpu"))
