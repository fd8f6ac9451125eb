"""The paper's tables done again: which numbers stand beside ours, which codecs are compared, and a whole run that goes on."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tinct.bitstream.container import read_file_manifest
from tinct.cli.app import main
from tinct.errors import CodecError
from tinct.evaluation import load
from tinct.evaluation.codecs import parse
from tinct.evaluation.published import printed
from tinct.evaluation.reproduce import TABLES, Experiment, codecs_of, usual_qps
from tinct.networks.gan_config import GanConfig


def test_printed_numbers_are_found_by_the_clips_name() -> None:
    assert printed("table2", "mother_daughter", 37, "proposed") == (37.71, None, 561.3)
    assert printed("table2", "mother_daughter", 37, "HEVC 4:2:0") == (33.238, None, 625.42)
    assert printed("table2", "mother_daughter", 37, "none") == (None, None, None)
    assert printed("table3", "Vidyo1", 37, "original RC") == (36.953, 0.969, None)
    assert printed("table6", "Johnny", 37, "G2 G1+100color") == (38.73, 0.961, None)
    assert printed("table7", "Mother-daughter", 27, "pix2pix") == (30.6, 0.922, None)
    assert printed("table7", "akiyo", 27, "pix2pix") == (None, None, None)
    assert (
        printed("table2", "FourPeople_1280x720_60", 37, "proposed")[0]
        == printed("table2", "FourPeople", 37, "proposed")[0]
    )
    assert printed("table4", "Johnny", 37, "with SA") == (39.615, 0.963, None)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("recipe", ["paper", "cpu"])
def test_every_variant_is_a_codec_of_the_lab_and_differs_from_the_others(
    table: str, recipe: str
) -> None:
    codecs = codecs_of(table, Experiment(16, recipe, "300", vgg19="vgg.pth"))
    assert list(codecs)[:2] == ["HEVC 4:2:0", "none"]
    assert len(set(codecs.values())) == len(codecs)
    for codec in codecs.values():
        parse(codec)


def test_the_content_loss_can_be_left_out() -> None:
    codecs = codecs_of("table6", Experiment(16, "paper", "300", content_loss="none"))
    assert list(codecs)[2:] == ["G1 gan+100mse", "G2 G1+100color"]
    assert not any("content" in codec for codec in codecs.values())


def test_tables_have_the_qps_of_the_paper() -> None:
    assert usual_qps(["table2"]) == [27, 32, 37, 42]
    assert usual_qps(["table3", "table6"]) == [37]
    with pytest.raises(
        CodecError, match=r"expected tables of the same QPs, found table6 \(37\), table7 \(27\)"
    ):
        usual_qps(["table6", "table7"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vgg19", "nowhere.pth"], "expected VGG-19 weights in "),
        (["--channels", "0", "--content-loss", "none"], "--channels: expected 6 to 128; found 0"),
        (
            ["--channels", "64", "--content-loss", "none"],
            "expected a generator of at most 16,777,216 weights",
        ),
    ],
)
def test_what_no_training_can_begin_with_is_refused_before_any_work(
    options: list[str],
    message: str,
    clip_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = "table7" if "64" in options else "table6"
    with pytest.raises(SystemExit) as stopped:
        main(
            ["reproduce", table, "--clips", str(clip_path), "--out", str(tmp_path / "r"), *options]
        )
    assert stopped.value.code == 2
    assert f"tinct: {message}" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_other_tables_are_refused() -> None:
    with pytest.raises(
        CodecError,
        match="expected to reproduce: published, table2, table3, table4, table6, table7; found table5",
    ):
        codecs_of("table5", Experiment())


@pytest.mark.slow
def test_a_table_is_trained_measured_and_goes_on(
    clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    arguments = [
        "reproduce", "table3", "table4", "--clips", str(clip_path), "--qp", "32", "--frames", "13", "--channels", "8",
        "--recipe", "cpu", "--budget", "3steps", "--out", str(out),
    ]  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert shown == (out / "table3.md").read_text() + "\n" + (out / "table4.md").read_text()
    rows = json.loads((out / "table3.json").read_text())
    assert [row["variant"] for row in rows] == ["HEVC 4:2:0", "none", "original RC", "proposed RC"]
    points = {point.codec: point for point in load(out).points}
    without_keys = points["x265:intra"].value("psnr_y", without=set(range(0, 13, 6)))
    assert rows[0]["ours"]["psnr_y"] == without_keys != points["x265:intra"].means["psnr_y"], (
        "between key frames, which HEVC lacks"
    )
    for row in rows:
        network = row["variant"].endswith("RC")
        assert (row["all_bits_kbps"] > row["paper_kbps"]) == network
    files = {path.name: read_file_manifest(str(path)) for path in (out / "files").rglob("*.mkv")}
    kinds = {
        manifest.generator.residual
        for manifest in files.values()
        if manifest is not None and manifest.generator is not None
    }
    assert kinds == {"original", GanConfig().residual}
    proposed = [
        row
        for name in ("table3", "table4")
        for row in json.loads((out / f"{name}.json").read_text())
    ]
    shared = [row for row in proposed if row["variant"] in ("proposed RC", "with SA")]
    assert len(shared) == 2
    assert shared[0]["ours"] == shared[1]["ours"]
    assert len(files) == 5, (
        "what both tables need is coded once: HEVC, without a network, and three networks"
    )
    points = (out / "points.jsonl").read_bytes()
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert (stopped.value.code, capsys.readouterr().out) == (0, shown)
    assert (out / "points.jsonl").read_bytes() == points, "nothing was measured again"
    other = clip_path.with_name("other.mkv")
    other.write_bytes(clip_path.read_bytes())
    for wrong in (
        [*arguments[:2], *arguments[3:]],
        [str(other) if word == str(clip_path) else word for word in arguments],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
        assert "expected the folder of these very tables" in capsys.readouterr().err
