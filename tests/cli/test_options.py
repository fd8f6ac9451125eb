"""Checks, signatures of commands, help and guide follow from the declaration of each option."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from helpers import run

import tinct
from tinct.cli.options import option_table, options_of, read_config
from tinct.config import OPTIONS, PANELS, PAPER, EncodeConfig
from tinct.declaration import Option
from tinct.errors import OptionError
from tinct.evaluation.codecs import TINCT_OPTIONS

GUIDE = Path(__file__).parent.parent.parent / "docs" / "guide.md"


def test_every_field_is_an_option_of_one_panel() -> None:
    assert sorted(options_of(*PANELS)) == sorted(part.name for part in fields(EncodeConfig))


def test_a_value_out_of_range_fails_where_it_is_made() -> None:
    with pytest.raises(OptionError) as caught:
        EncodeConfig(qp=99)
    error = caught.value
    assert (error.option, error.expected, error.found) == ("qp", "0 to 51", "99")
    assert str(error) == "qp: expected 0 to 51; found 99"
    assert isinstance(error, tinct.CodecError)


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        (Option(help="", panel="", choices=("a", "b")), ["a"], ["c", "", 1, True]),
        (Option(help="", panel="", kind=int, high=9), [0, 9], [-1, 10, 2.5, True, "3"]),
        (Option(help="", panel="", kind=float, high=9), [0, 2.5], [9.1, float("nan"), "3"]),
        (Option(help="", panel="", kind=int, high=9, choices=("auto",)), ["auto", 3], ["x", 10]),
        (Option(help="", panel="", accepts=str.isdigit), ["12"], ["x", 12]),
        (Option(help="", panel=""), [True, False], [1, "yes"]),
    ],
    ids=lambda value: value.metavar if isinstance(value, Option) else "",
)
def test_an_option_allows_what_it_declares(
    option: Option, good: list[object], bad: list[object]
) -> None:
    assert [value for value in good if not option.allows(value)] == []
    assert [value for value in bad if option.allows(value)] == []


def test_text_of_the_command_line_is_parsed_by_the_declaration() -> None:
    """Texts of the command line become values, and None stands for a missing option."""
    given = {"qp": "30", "group": "auto", "bitrate_kbps": "1.5", "compatible": True, "crf": None}
    assert read_config("default", {**given, "qp": None}) == EncodeConfig(
        bitrate_kbps=1.5, compatible=True
    )
    assert read_config("default", {"qp": "30", "group": "8"}) == EncodeConfig(qp=30, group=8)
    with pytest.raises(OptionError, match="qp: expected 0 to 51; found x"):
        read_config("default", {"qp": "x"})


def shown_options(command: str) -> dict[str, str]:
    """Return each option that a command's help shows, with the heading it stands under."""
    found, heading = {}, ""
    for line in run(command, "--help").stdout.decode().splitlines():
        if match := re.fullmatch(r"(\S.*):", line):
            heading = match[1]
        elif match := re.match(r"  --([\w-]+)", line):
            found[match[1]] = heading
    return found


def test_help_shows_every_option_under_its_panel() -> None:
    shown = shown_options("encode")
    for option in OPTIONS.values():
        assert shown[option.flag] == option.panel
    help_text = run("encode", "--help").stdout.decode()
    assert "--structure [auto|intra|low-delay|random-access]" in help_text
    assert "--group [auto|1..96]" in help_text


def test_batch_takes_all_but_the_papers_network() -> None:
    """`batch` has every option but those of the paper's network."""
    shown = set(shown_options("batch"))
    for option in OPTIONS.values():
        assert (option.flag in shown) == (option.panel != PAPER), option.flag


def test_the_lab_takes_every_option_that_it_does_not_set_itself() -> None:
    """A codec of the lab takes every option but rate, structure and checkpoint, which it sets."""
    own = {"structure", "qp", "crf", "bitrate", "checkpoint"}
    assert set(TINCT_OPTIONS) == {option.flag for option in OPTIONS.values()} - own


def test_the_guide_has_the_declared_options() -> None:
    """The option table of the guide equals the declarations.

    To write it anew: `python -c "from tinct.cli.options import *; print(option_table())"`.
    """
    table = GUIDE.read_text().split("<!-- options -->\n")[1].split("<!-- /options -->")[0]
    assert table.strip() == option_table().strip()
