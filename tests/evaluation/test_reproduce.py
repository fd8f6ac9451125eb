"""The paper's tables repeated: its printed numbers, the codecs compared, and a run that goes on."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tinct.bitstream.container import read_file_manifest
from tinct.cli.app import main
from tinct.errors import CodecError
from tinct.evaluation import load
from tinct.evaluation.codecs import parse_codec
from tinct.evaluation.published import find_printed
from tinct.evaluation.reproduce import TABLES, Experiment, choose_qps, list_codecs
from tinct.networks.gan_config import GanConfig


@pytest.mark.parametrize(
    ("table", "clip", "qp", "variant", "expected"),
    [
        ("table2", "mother_daughter", 37, "proposed", (37.71, None, 561.3)),
        ("table2", "mother_daughter", 37, "HEVC 4:2:0", (33.238, None, 625.42)),
        ("table2", "mother_daughter", 37, "none", (None, None, None)),
        ("table3", "Vidyo1", 37, "original RC", (36.953, 0.969, None)),
        ("table4", "Johnny", 37, "with SA", (39.615, 0.963, None)),
        ("table6", "Johnny", 37, "G2 G1+100color", (38.73, 0.961, None)),
        ("table7", "Mother-daughter", 27, "pix2pix", (30.6, 0.922, None)),
        ("table7", "akiyo", 27, "pix2pix", (None, None, None)),
    ],
)
def test_printed_numbers_are_found_by_the_clips_name(
    table: str, clip: str, qp: int, variant: str, expected: tuple[float | None, ...]
) -> None:
    assert find_printed(table, clip, qp=qp, variant=variant) == expected


def test_a_size_may_stand_behind_a_clips_name() -> None:
    long, short = (
        find_printed("table2", name, qp=37, variant="proposed")
        for name in ("FourPeople_1280x720_60", "FourPeople")
    )
    assert long == short
    assert long.psnr_db is not None


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("recipe", ["paper", "cpu"])
def test_every_variant_is_a_codec_of_the_lab_and_differs_from_the_others(
    table: str, recipe: str
) -> None:
    codecs = list_codecs(table, Experiment(16, recipe, "300", vgg19="vgg.pth"))
    assert list(codecs)[:2] == ["HEVC 4:2:0", "none"]
    assert len(set(codecs.values())) == len(codecs)
    for codec in codecs.values():
        parse_codec(codec)


def test_the_content_loss_can_be_left_out() -> None:
    codecs = list_codecs("table6", Experiment(16, "paper", "300", content_loss="none"))
    assert list(codecs)[2:] == ["G1 gan+100mse", "G2 G1+100color"]
    assert not any("content" in codec for codec in codecs.values())


def test_tables_have_the_qps_of_the_paper() -> None:
    assert choose_qps(["table2"]) == [27, 32, 37, 42]
    assert choose_qps(["table3", "table6"]) == [37]
    expected = r"expected tables of the same QPs, found table6 \(37\), table7 \(27\)"
    with pytest.raises(CodecError, match=expected):
        choose_qps(["table6", "table7"])


def run_command(arguments: list[str]) -> int:
    """Run `tinct` in this process and return its exit code."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("table6", "--vgg19 nowhere.pth", "expected VGG-19 weights in "),
        (
            "table6",
            "--channels 0 --content-loss none",
            "--channels: expected 6 to 128; found 0",
        ),
        (
            "table7",
            "--channels 64 --content-loss none",
            "expected a generator of at most 16,777,216 weights",
        ),
    ],
)
def test_a_training_that_cannot_begin_is_refused_before_any_work(
    table: str,
    options: str,
    message: str,
    clip_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "r"
    arguments = ["reproduce", table, "--clips", str(clip_path), "--out", str(out)]
    assert run_command([*arguments, *options.split()]) == 2
    assert f"tinct: {message}" in capsys.readouterr().err
    assert not out.exists()


def test_other_tables_are_refused() -> None:
    allowed = "published, table2, table3, table4, table6, table7"
    with pytest.raises(CodecError, match=f"expected to reproduce: {allowed}; found table5"):
        list_codecs("table5", Experiment())


@pytest.fixture
def arguments(clip_path: Path, tmp_path: Path) -> list[str]:
    """Return a command that does two tables, into the folder `results`."""
    files = ["--clips", str(clip_path), "--out", str(tmp_path / "results")]
    size = ["--qp", "32", "--frames", "13", "--channels", "8"]
    training = ["--recipe", "cpu", "--budget", "3steps"]
    return ["reproduce", "table3", "table4", *files, *size, *training]


@pytest.mark.nightly
def test_a_table_is_trained_measured_and_goes_on(
    arguments: list[str], clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    assert run_command(arguments) == 0
    printed = capsys.readouterr().out
    assert printed == (out / "table3.md").read_text() + (out / "table4.md").read_text()
    check_rows(out)
    check_files(out)

    before = (out / "points.jsonl").read_bytes()
    assert (run_command(arguments), capsys.readouterr().out) == (0, printed)
    assert (out / "points.jsonl").read_bytes() == before, "nothing was measured again"

    other = tmp_path / "other.mkv"
    other.write_bytes(clip_path.read_bytes())
    other_clip = [str(other) if word == str(clip_path) else word for word in arguments]
    other_tables = [word for word in arguments if word != "table4"]
    for wrong in (other_tables, other_clip):
        assert run_command(wrong) == 2
        assert "expected the folder of these very tables" in capsys.readouterr().err


def check_rows(out: Path) -> None:
    """Check the numbers of both tables against the points."""
    tables = {name: json.loads((out / f"{name}.json").read_text()) for name in ("table3", "table4")}
    rows = tables["table3"]
    assert [row["variant"] for row in rows] == ["HEVC 4:2:0", "none", "original RC", "proposed RC"]
    (hevc,) = (point for point in load(out).points if point.codec == "x265:intra")
    between_keys = hevc.value("psnr_y", without=set(range(0, 13, 6)))
    assert rows[0]["ours"]["psnr_y"] == between_keys, "the key frames of Tinct are left out"
    assert between_keys != hevc.means["psnr_y"]
    for row in rows:
        has_network = row["variant"].endswith("RC")
        assert (row["all_bits_kbps"] > row["paper_kbps"]) == has_network
    (proposed,) = (row for row in tables["table3"] if row["variant"] == "proposed RC")
    (with_attention,) = (row for row in tables["table4"] if row["variant"] == "with SA")
    assert proposed["ours"] == with_attention["ours"]


def check_files(out: Path) -> None:
    """Check that what both tables need was coded once, and what the networks are."""
    files = list((out / "files").rglob("*.mkv"))
    assert len(files) == 5, "HEVC, Tinct without a network, and three networks"
    manifests = [read_file_manifest(str(path)) for path in files]
    generators = [m.generator for m in manifests if m is not None and m.generator is not None]
    assert {g.residual for g in generators} == {"original", GanConfig().residual}
