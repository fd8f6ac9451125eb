"""What a new user types first: no arguments, -h, --version, misspelt words, names left out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import read_message, run
from synthetic import write_clip

import tinct
from tinct.cli.names import pair_names
from tinct.encoder.batch import name_outputs, pair_files
from tinct.errors import CodecError
from tinct.moments import format_seconds, parse_seconds

COMMANDS = ("encode", "batch", "decode", "info", "verify", "keyframes", "colourise", "train")


def test_no_arguments_show_help_that_is_laid_out() -> None:
    result = run()
    assert (result.returncode, result.stderr) == (0, b"")
    lines = result.stdout.decode().splitlines()
    assert lines[0].startswith("Usage: tinct ")
    assert max(map(len, lines)) <= 80
    for command in COMMANDS:
        assert any(line.startswith(f"  {command} ") for line in lines), command
    assert result.stdout == run("-h").stdout == run("--help").stdout


def test_the_version_is_told() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout.decode()) == (0, f"tinct {tinct.__version__}\n")


@pytest.mark.parametrize("command", ["encode", "decode", "train"])
def test_a_short_option_shows_the_help_of_every_command(command: str) -> None:
    result = run(command, "-h")
    assert (result.returncode, result.stdout) == (0, run(command, "--help").stdout)


def test_a_shell_gets_its_completion() -> None:
    # Typer asks the process that called it which shell it is
    command = f"{sys.executable} -m tinct --show-completion; exit $?"
    result = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    assert b"_TINCT_COMPLETE=complete_bash" in result.stdout
    words = {"COMP_WORDS": "tinct encode --structure ra", "COMP_CWORD": "3"}
    asked = run(env={**os.environ, **words, "_TINCT_COMPLETE": "complete_bash"})
    assert asked.stdout.split() == [b"random-access"]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["enocde"], "Did you mean 'encode'?"),
        (["encode", "--quite", "a.mp4"], "did you mean --quiet?"),
        (["encode", "--structure", "random-acess", "a.mp4"], "did you mean random-access?"),
        (["encode", "--preset", "papper", "a.mp4"], "did you mean paper?"),
        (["encode", "--format", "mp", "a.mp4"], "did you mean mp4"),
        (["decode", "a.mkv", "b.mp4", "--codec", "h265"], "did you mean h264?"),
        (["train", "--data", "a", "--out", "b", "--task", "frist"], "did you mean first?"),
        (["batch", "a", "b", "--engine", "locall"], "did you mean local?"),
    ],
    ids=str,
)
def test_a_misspelt_word_is_understood(arguments: list[str], meant: str, tmp_path: Path) -> None:
    if arguments[0] == "decode":
        write_clip(tmp_path / "a.mkv", frames=2)
    assert meant in read_message(run(*arguments, cwd=tmp_path), 2)


def test_a_file_in_the_place_of_a_command_is_understood(tmp_path: Path) -> None:
    (tmp_path / "talk.mp4").touch()
    said = read_message(run("talk.mp4", cwd=tmp_path), 2)
    assert said == "expected a command, found a file: tinct encode talk.mp4"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("72", 72.0), ("72.5", 72.5), ("72s", 72.0), ("1:12.5", 72.5), ("00:01:12.5", 72.5)],
)
def test_times_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "", "1:2:3:4", "soon"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_seconds(text) is None


def test_durations_are_written_as_people_read_them() -> None:
    assert [format_seconds(s) for s in (0.4, 65, 3725)] == ["0:00", "1:05", "1:02:05"]


def test_a_cut_is_asked_for_by_the_clock(clip_path: Path, tmp_path: Path) -> None:
    cut = ("--start", "00:00:00.4", "--duration", "0.8")
    assert run("decode", clip_path, tmp_path / "a.mkv", *cut).returncode == 0
    assert len(list(tinct.open(str(tmp_path / "a.mkv")))) == 20


@pytest.mark.parametrize(
    ("sources", "suffix", "outputs"),
    [
        (["talk.mp4"], ".mkv", ["talk.mkv"]),
        (["talk.mkv"], ".mkv", ["talk.tinct.mkv"]),
        (["talk.mp4"], ".mp4", ["talk.tinct.mp4"]),
        (["a.mp4", "b.mov"], ".mkv", ["a.mkv", "b.mkv"]),
        (["a.mp4", "a.mkv"], ".mkv", ["a.mp4.mkv", "a.mkv.mkv"]),
    ],
)
def test_an_output_is_named_after_its_source_and_is_never_one(
    sources: list[str], suffix: str, outputs: list[str], tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in sources]
    pairs = pair_files(paths, None, suffix=suffix)
    assert [target.name for _, target in pairs] == outputs
    assert not {target for _, target in pairs} & set(paths)


def test_names_in_a_folder_are_those_of_the_sources(tmp_path: Path) -> None:
    sources = [tmp_path / "x" / "a.mp4", tmp_path / "y" / "b.mp4"]
    pairs = pair_files(sources, tmp_path / "out")
    assert [target for _, target in pairs] == [tmp_path / "out" / n for n in ("a.mkv", "b.mkv")]
    with pytest.raises(CodecError, match="inputs of different names"):
        pair_files([tmp_path / "x" / "a.mp4", tmp_path / "y" / "a.mp4"], tmp_path / "out")


def test_a_taken_name_is_passed_over_for_a_long_one_too() -> None:
    taken = frozenset(str(Path(name).resolve()).casefold() for name in ("a.mkv", "a.mp4.mkv"))
    names = name_outputs([Path("a.mp4"), Path("a.mov")], taken=taken)
    assert [str(name) for name in names] == ["a.mp4.tinct.mkv", "a.mov.mkv"]


def test_two_recordings_are_not_taken_for_input_and_output(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    names = [str(tmp_path / name) for name in ("a.mp4", "b.mp4")]
    with pytest.raises(CodecError, match=r"--out FOLDER encodes both files, --overwrite replaces"):
        pair_names(names, out=None, suffix=".mkv", overwrite=False)
    pairs = pair_names(names, out=str(tmp_path / "coded"), suffix=".mkv", overwrite=False)
    assert [Path(target).name for _, target in pairs] == ["a.mkv", "b.mkv"]


def test_a_folder_is_sent_to_batch(tmp_path: Path) -> None:
    said = read_message(run("encode", tmp_path, "coded"), 2)
    assert said.endswith(f"tinct batch {tmp_path} coded")


def test_train_names_its_limits() -> None:
    text = " ".join(run("train", "-h").stdout.decode().split())
    for limit in ("160 pixels a side or more", "10 or more: every 10th is held out", "PyTorch"):
        assert limit in text
    assert len(re.findall(r"[01] or more\.", text)) >= 4


def test_the_printed_figures_of_the_paper_need_no_extra() -> None:
    """`reproduce published` loads neither PyTorch nor anything else of an extra."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys("
        "('torch', 'bjontegaard', 'skimage', 'matplotlib', 'vmaf_torch')));"
        "from tinct.cli.app import main; main(['reproduce', 'published'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"KristenAndSara       -60.14     -60.14" in result.stdout
