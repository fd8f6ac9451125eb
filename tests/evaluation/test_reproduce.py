"""The paper's tables repeated: its printed numbers, the codecs compared, and a run that goes on."""

import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

torch = pytest.importorskip("torch")

from helpers import linux_only, wait_until
from synthetic import write_clip

from tinct.bitstream.container import read_file_manifest
from tinct.cli.app import main
from tinct.errors import CodecError
from tinct.evaluation import load
from tinct.evaluation.codecs import parse_codec, parse_config
from tinct.evaluation.experiments import TABLES, Experiment, choose_qps, list_variants
from tinct.evaluation.figure5 import LINE, MARGIN
from tinct.evaluation.published import PrintedDeltas, find_printed, find_printed_deltas
from tinct.evaluation.report import write_report
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
        ("figure5", "vidyo3", 37, "proposed", (35.384, 0.973, None)),
        ("figure5", "vidyo3", 37, "grey", (None, None, None)),
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


def test_printed_deltas_are_those_of_table_2() -> None:
    assert find_printed_deltas("Johnny_1280x720", 37) == (-13.42, 6.054, -79.79, 5.739)
    assert find_printed_deltas("akiyo", 37) == PrintedDeltas()


def list_codecs(table: str, experiment: Experiment) -> dict[str, str]:
    """Return the codec of each variant, which has one seed."""
    variants = list_variants(table, experiment)
    return {name: codec for name, by_seed in variants.items() for codec in by_seed.values()}


def test_each_seed_is_a_codec_of_its_own_and_plain_codecs_have_none() -> None:
    variants = list_variants("table3", Experiment(16, "cpu", "300", seed=4, seeds=3))
    assert list(variants["none"]) == list(variants["HEVC 4:2:0"]) == [None]
    for name in ("original RC", "proposed RC"):
        assert list(variants[name]) == [4, 5, 6]
        seeds = [parse_config(parse_codec(codec)).seed for codec in variants[name].values()]
        assert seeds == [4, 5, 6]
    first = list_variants("table3", Experiment(16, "cpu", "300"))["proposed RC"][0]
    assert "seed" not in first, "folders of before have this name"


def test_only_a_network_that_fits_lies_in_the_file() -> None:
    small, large = (list_codecs("table7", Experiment(c, "cpu", "300")) for c in (16, 64))
    families = {name: parse_codec(codec).family for name, codec in large.items()}
    assert families["pix2pix"] == families["pix2pixhd"] == "beside"
    assert families["cyclegan"] == families["proposed"] == "tinct"
    assert {parse_codec(codec).family for codec in small.values()} == {"x265", "tinct"}


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
            "--channels 128 --content-loss none",
            "expected a generator of at most 268,435,456 weights",
        ),
        ("table2", "--seeds 0 --content-loss none", "--seeds: expected 1 or more, found 0"),
        (
            "figure5",
            "--frames 37 --content-loss none",
            "figure5: expected --frames 38 or more, found 37",
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
    allowed = "published, table2, table3, table4, table6, table7, figure5, channels"
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


@pytest.fixture
def tiny(clip_path: Path, tmp_path: Path) -> list[str]:
    """Return the options of a run of two steps a training, into the folder `results`."""
    files = ["--clips", str(clip_path), "--out", str(tmp_path / "results")]
    return [*files, "--channels", "8", "--recipe", "cpu", "--budget", "2steps"]


@pytest.mark.nightly
def test_several_seeds_are_rows_of_their_own_and_one_line_with_their_spread(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    # In two steps a picture of the recipe `cpu` is still the grey one that it starts from.
    recipe = ["--recipe", "paper", "--content-loss", "none"]
    size = ["--frames", "13", "--qp", "27", "37", "--seeds", "2"]
    assert run_command(["reproduce", "table2", *tiny, *recipe, *size]) == 0
    rows = json.loads((out / "table2.json").read_text())
    trained = [row for row in rows if row["variant"] == "proposed"]
    assert [(row["qp"], row["seed"]) for row in trained] == [(27, 0), (27, 1), (37, 0), (37, 1)]
    assert trained[0]["ours"] != trained[1]["ours"]
    for row in trained:
        assert row["deltas"]["paper %"] < row["deltas"]["all bits %"]
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if "| 37 | proposed |" in line]
    assert [line.count("±") > 4 for line in lines] == [True, True]
    assert "| Average |  | proposed |" in printed
    assert "BD-rate, %, all bits" in printed


@pytest.mark.nightly
def test_channels_pay_from_a_length_of_video_on(tiny: list[str], tmp_path: Path) -> None:
    out = tmp_path / "results"
    size = ["--frames", "13", "--qp", "37"]
    assert run_command(["reproduce", "channels", *tiny, *size]) == 0
    rows = json.loads((out / "channels.json").read_text())
    trained = {row["variant"]: row for row in rows if row["payback"]}
    assert list(trained) == ["C = 8", "C = 16", "C = 32"]
    sizes = [row["network_bytes"] for row in trained.values()]
    assert sizes == sorted(sizes)
    assert set(trained["C = 8"]["payback"]) == {
        f"{name} {metric}" for name in ("none", "compact") for metric in ("psnr_rgb", "psnr_yuv611")
    }
    assert "From which length on the network pays" in (out / "channels.md").read_text()


@pytest.mark.nightly
def test_figure_5_shows_its_frame_of_square_clips_and_is_in_the_report(
    clip_path: Path, tmp_path: Path
) -> None:
    clip, out = tmp_path / "Johnny.mkv", tmp_path / "results"
    write_clip(clip, frames=39, size=(96, 64))
    options = ["--channels", "8", "--recipe", "cpu", "--budget", "2steps", "--square"]
    files = ["--clips", str(clip), "--out", str(out), "--frames", "39"]
    assert run_command(["reproduce", "figure5", *files, *options]) == 0
    picture = cv2.imread(str(out / "figure5.png"))
    assert picture is not None
    side = 64 + 2 * MARGIN
    assert picture.shape == (side + 3 * LINE, 4 * side, 3)
    by_codec = {point.codec: point for point in load(out).points}
    assert {(p.width, p.height) for p in by_codec.values()} == {(64, 64)}
    text = (out / "figure5.md").read_text()
    measured = by_codec["x265:intra"].series["psnr_rgb"][37]
    assert f"| Johnny | HEVC 4:2:0 | 31.442 | 0.914 | {measured:.2f} |" in text
    assert "| Johnny | grey |" in text
    write_report(out)
    assert "figure5.png" in (out / "report.md").read_text()
    assert "data:image/png;base64," in (out / "report.html").read_text()


@pytest.mark.nightly
@linux_only
def test_a_run_that_was_killed_goes_on_within_its_training(clip_path: Path, tmp_path: Path) -> None:
    """It is killed once the training has saved itself, which it does every minute."""
    out = tmp_path / "results"
    options = ["--channels", "8", "--recipe", "cpu", "--budget", "90", "--qp", "37"]
    files = ["--clips", str(clip_path), "--out", str(out), "--frames", "13"]
    command = [sys.executable, "-m", "tinct", "reproduce", "table2", *files, *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
        wait_until(lambda: any((out / "files").glob("*.ckpt")), run, seconds=300)
        run.kill()
    time.sleep(10)  # until its worker has noticed, and the training has saved itself again
    (saved,) = (out / "files").glob("*.ckpt")
    assert torch.load(saved, weights_only=True)["steps"] > 0
    before = (out / "points.jsonl").read_text()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = (out / "points.jsonl").read_text()
    assert after.startswith(before)
    assert json.loads(after.splitlines()[2])["encode_seconds"] is None, "only the rest was trained"
    assert not list((out / "files").glob("*.ckpt"))


def check_files(out: Path) -> None:
    """Check that what both tables need was coded once, and what the networks are."""
    files = list((out / "files").rglob("*.mkv"))
    assert len(files) == 5, "HEVC, Tinct without a network, and three networks"
    manifests = [read_file_manifest(str(path)) for path in files]
    generators = [m.generator for m in manifests if m is not None and m.generator is not None]
    assert {g.residual for g in generators} == {"original", GanConfig().residual}
