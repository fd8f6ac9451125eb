"""Phases are shown: a bar each in a terminal, elsewhere a line every so often; in 80 columns."""

import time
from pathlib import Path

import pytest
from synthetic import write_clip

import tinct
from tinct.adapt.budget import Step
from tinct.cli import bars
from tinct.phases import Phase, listen, tell


def test_a_line_has_name_count_share_and_time_left() -> None:
    phase = Phase(name="coding", done=123, total=300, unit="frames")
    assert bars.line_text(phase, 130.0) == "coding: 123 of 300 frames, 41%, about 2:10 left"
    assert bars.line_text(Phase(name="planning", done=0, total=None), None) == "planning"


def test_the_line_of_a_training_fits_80_columns() -> None:
    terms = {"gan": 0.7, "mse": 0.0123, "content": 0.0345, "colour": 0.0123}
    note = f"{Step(123456, 0.5, terms).text()}, 31.20 dB"
    line = bars.line_text(Phase(name="training", done=0.5, total=1, note=note), 4000.0)
    assert line.startswith("training: 50%, about 1:06:40 left, step 123456: gan 0.700 mse 0.0123")
    assert len(f"tinct: {line}") <= 80


def test_without_a_terminal_a_line_comes_whether_told_or_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bars, "LINE_SECONDS", 0.05)
    with bars.show_phases(quiet=False):
        tell("coding", 3, 10, unit="frames")
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert set(lines) == {"tinct: coding: 3 of 10 frames, 30%"}


def test_a_quick_command_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with bars.show_phases(quiet=False):
        tell("coding", 3, 10)
    assert capsys.readouterr().err == ""


def test_nobody_hears_outside_or_when_quiet() -> None:
    heard: list[Phase] = []
    with listen(heard.append):
        tell("coding", 1, 2)
        with bars.show_phases(quiet=True) as show:
            assert show is None
    tell("coding", 2, 2)
    assert [phase.done for phase in heard] == [1]


def test_every_phase_of_an_encode_is_told(tmp_path: Path) -> None:
    """An encode with tracks of its own plans, codes and muxes, each to the end."""
    write_clip(tmp_path / "a.mkv", frames=8)
    heard: list[Phase] = []
    config = tinct.EncodeConfig(structure="intra", colour="track", colouriser="none")
    with listen(heard.append):
        tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    assert list(dict.fromkeys(phase.name for phase in heard)) == ["planning", "coding", "muxing"]
    ends = {phase.name: (phase.done, phase.total) for phase in heard}
    assert ends["coding"] == (8, 8)
    assert ends["muxing"][0] == ends["muxing"][1]


def test_each_trial_of_a_bitrate_is_a_phase(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=8)
    heard: list[Phase] = []
    config = tinct.EncodeConfig(base="hevc", base_preset="ultrafast", bitrate_kbps=40)
    with listen(heard.append):
        report = tinct.encode(tmp_path / "a.mkv", tmp_path / "b.mkv", config)
    names = [name for name in dict.fromkeys(phase.name for phase in heard) if "coding" in name]
    assert names[:2] == ["coding", "coding, trial 2"]
    ends = {phase.name: phase.done for phase in heard}
    assert [ends[name] for name in names] == [report.frames] * len(names)
