"""Bitrates: met within 5 % by files of every base codec and layout, and what users are told."""

from pathlib import Path
from typing import Any

import pytest
from helpers import find_sample_clip, run
from synthetic import write_clip

import tinct

MET = 0.05


def measure_video_kbps(path: Path) -> float:
    """Return what `tinct info` says of luma and colour, or of the one track of a plain video."""
    rates = tinct.info(str(path)).rate_kbps
    return sum(rates.get(part, 0.0) for part in ("luma", "colour", "video"))


def check_rate(source: Path, target: Path, **options: Any) -> None:
    report = tinct.encode(str(source), str(target), tinct.EncodeConfig(**options))
    assert measure_video_kbps(target) == pytest.approx(options["bitrate_kbps"], rel=MET)
    # Matroska has no temporal delimiters, two bytes of each AV1 packet
    assert report.video_kbps == pytest.approx(measure_video_kbps(target), abs=0.5)
    assert not any("is not met" in note for note in report.notes)


@pytest.mark.parametrize("structure", ["random-access", "low-delay", "intra"])
@pytest.mark.parametrize("base", ["hevc", "avc", "av1"])
def test_a_bitrate_is_met_with_colour_in_band(tmp_path: Path, base: str, structure: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=30, size=(96, 80))
    kbps = 500 if structure == "intra" else 160
    options = {"base": base, "structure": structure, "colour": "in-band", "bitrate_kbps": kbps}
    check_rate(tmp_path / "a.mkv", tmp_path / "b.mkv", **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"colour": "track", "colouriser": "none"},
        {"colour": "track", "colouriser": "none", "interpolate": "off", "group": 8},
        {"key_form": "full", "group": 6},
        {"colouriser": "compact"},
        {"structure": "random-access", "base": "hevc", "colour": "track"},
        {"structure": "low-delay", "base": "hevc", "colour": "track"},
    ],
    ids=str,
)
def test_a_bitrate_is_met_with_colour_on_a_track(tmp_path: Path, options: dict[str, Any]) -> None:
    write_clip(tmp_path / "a.mkv", frames=60, size=(96, 80))
    kbps = 120 if "structure" in options else 300  # above 209 no quality of random access has it
    check_rate(tmp_path / "a.mkv", tmp_path / "b.mkv", bitrate_kbps=kbps, **options)


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["random-access", "low-delay"])
@pytest.mark.parametrize("base", ["hevc", "avc", "av1"])
def test_a_bitrate_of_a_real_clip_is_met(tmp_path: Path, base: str, structure: str) -> None:
    """Libraries' own rate control missed it by up to a fifth."""
    clip = find_sample_clip("carphone_pristine.mp4")
    check_rate(clip, tmp_path / "b.mkv", base=base, structure=structure, bitrate_kbps=100)


@pytest.mark.parametrize("base", ["hevc", "avc", "av1"])
def test_a_blind_encode_leaves_a_bitrate_to_the_library(tmp_path: Path, base: str) -> None:
    """SVT-AV1 once refused a bitrate in low-delay."""
    write_clip(tmp_path / "a.mkv", frames=75, size=(96, 80))
    config = tinct.EncodeConfig(base=base, structure="low-delay", search="off", bitrate_kbps=160)  # type: ignore[arg-type]
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    assert measure_video_kbps(tmp_path / "b.mkv") == pytest.approx(160, rel=0.4)


def test_users_see_the_bitrate_beside_the_one_asked_for(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=12)
    done = run("encode", tmp_path / "a.mkv", tmp_path / "b.mkv", "--base", "avc", "--bitrate", "90")
    assert done.returncode == 0
    kbps = measure_video_kbps(tmp_path / "b.mkv")
    assert f"{kbps:.1f} kbit/s of video, 90 asked for" in done.stderr.decode()


@pytest.mark.parametrize(("kbps", "end"), [(1, "worst"), (1_000_000, "best")])
def test_a_bitrate_that_no_quality_has_is_a_note(tmp_path: Path, kbps: float, end: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=12)
    config = tinct.EncodeConfig(base="hevc", bitrate_kbps=kbps)
    report = tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    (note,) = (note for note in report.notes if "is not met" in note)
    assert note.endswith(f"{report.video_kbps:.1f} kbit/s, at the {end} quality of x265")
