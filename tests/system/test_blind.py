"""Blind encodes (`--search off`): whole files of every structure, from files and from pipes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import measure_psnr, read_message, run
from synthetic import draw_clip, make_info, write_clip, write_video

import tinct
from tinct.bitstream.container import read_file_manifest
from tinct.media.source import Source

QUICK: dict[str, Any] = {"search": "off", "colouriser": "none", "x265_preset": "ultrafast"}
STRUCTURES: dict[str, dict[str, Any]] = {
    "intra": {},
    "every frame sent": {"interpolate": "off"},
    "every fourth": {"interpolate": 4, "group": 8},
    "whole key frames": {"key_form": "full", "group": 6},
    "compatible": {"compatible": True},
    "bitrate": {"bitrate_kbps": 100},
    "low-delay": {"structure": "low-delay"},
    "low-delay, colour on a track, bitrate": {
        "structure": "low-delay",
        "colour": "track",
        "bitrate_kbps": 100,
    },
    "random access, CRF": {"structure": "random-access", "crf": 30},
}


def encode(source: Path, target: Path, **options: Any) -> tinct.EncodeReport:
    config = tinct.EncodeConfig(**(QUICK | options))
    return tinct.encode(str(source), str(target), config, overwrite=True)


@pytest.fixture(scope="session")
def y4m(make_once: Any) -> Path:
    """A clip of 40 frames as YUV4MPEG2."""

    def make(folder: Path) -> None:
        write_video(folder / "a.y4m", draw_clip(40), make_info())

    return make_once("y4m", make) / "a.y4m"


@pytest.mark.parametrize("kind", STRUCTURES)
def test_every_structure_decodes(clip_path: Path, tmp_path: Path, kind: str) -> None:
    report = encode(clip_path, tmp_path / "a.mkv", **STRUCTURES[kind])
    check = tinct.verify(str(tmp_path / "a.mkv"), str(clip_path))
    assert (report.frames, check.frames, check.whole) == (40, 40, True)
    assert check.psnr is not None
    assert min(plane.mean_db for plane in check.psnr) > 24
    assert report.psnr is None


@pytest.mark.parametrize("kind", ["intra", "bitrate", "low-delay"])
def test_a_pipe_gives_the_same_bytes(y4m: Path, tmp_path: Path, kind: str) -> None:
    encode(y4m, tmp_path / "a.mkv", **STRUCTURES[kind])
    options = [
        part
        for name, value in (QUICK | STRUCTURES[kind]).items()
        for part in (f"--{tinct.config.OPTIONS[name].flag}", str(value))
    ]
    done = run("encode", "-", tmp_path / "b.mkv", *options, given=y4m.read_bytes())
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_a_report_says_that_nothing_was_measured(clip_path: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.mkv"
    options = ["--search", "off", "--colouriser", "none", "--x265-preset", "ultrafast"]
    done = run("encode", clip_path, target, *options)
    said = done.stderr.decode().splitlines()
    sentence = f"PSNR was not measured; tinct verify {target} --against SOURCE measures it"
    assert sentence in said
    assert not [line for line in said if "dB" in line or "does not pay" in line]


def test_nothing_that_was_coded_is_looked_at(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No picture is decoded but the source's, which are read once, and no network is compiled."""
    readings = []
    read = Source.__iter__

    def count(source: Source) -> Any:
        readings.append(source)
        yield from read(source)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("looked at")

    monkeypatch.setattr(Source, "__iter__", count)
    monkeypatch.setattr("tinct.bitstream.decoding.PictureDecoder.__init__", refuse)
    monkeypatch.setattr("tinct.networks.compact.Runner.__init__", refuse)
    report = encode(clip_path, tmp_path / "a.mkv", structure="intra", colouriser="auto")
    assert report.plan.colouriser == "compact"
    assert len(readings) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "network"),
    [
        ({"structure": "intra"}, "fast"),
        ({"structure": "random-access", "base": "hevc", "network": "best"}, "best-hevc"),
    ],
    ids=["intra", "random-access"],
)
def test_a_network_restores_what_was_not_looked_at(
    clip_path: Path, tmp_path: Path, options: dict[str, Any], network: str
) -> None:
    encode(clip_path, tmp_path / "a.mkv", colouriser="auto", **options)
    manifest = read_file_manifest(str(tmp_path / "a.mkv"))
    assert manifest is not None
    assert manifest.network is not None
    assert (manifest.colouriser, manifest.network[0]) == ("compact", network)
    check = tinct.verify(str(tmp_path / "a.mkv"), str(clip_path))
    assert check.whole
    assert check.psnr is not None
    assert check.psnr[0].mean_db > 30


@pytest.mark.parametrize("interpolate", ["auto", 12])
def test_a_flash_is_sent_on_sight_of_the_source(tmp_path: Path, interpolate: int | str) -> None:
    """One frame of a still scene flashes: it is sent, most of its neighbours are not."""
    still = draw_clip(1)[0]
    planes = [still for _ in range(13)]
    planes[6] = (np.clip(still[0].astype(int) + 40, 16, 235).astype(np.uint8), *still[1:])
    write_video(tmp_path / "a.mkv", planes, make_info())
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", group=12, interpolate=interpolate)
    manifest = read_file_manifest(str(tmp_path / "b.mkv"))
    assert manifest is not None
    left_out = set(manifest.interpolated)
    assert 6 not in left_out
    assert {1, 2, 10, 11} <= left_out
    flash = list(tinct.open(str(tmp_path / "b.mkv")))[6]
    assert measure_psnr(flash.y, planes[6][0]) > 28


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (17, 33), (64, 48)])
@pytest.mark.parametrize("count", [1, 2])
def test_short_and_small_videos(tmp_path: Path, size: tuple[int, int], count: int) -> None:
    write_clip(tmp_path / "a.mkv", frames=count, size=size, pix_fmt="yuv420p10le")
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv")
    assert tinct.verify(str(tmp_path / "b.mkv"), str(tmp_path / "a.mkv")).frames == count


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--preset", "paper"], "--search off does not go with --colouriser gan"),
        (["--colouriser", "gan"], "--search off does not go with --colouriser gan"),
        (["--adapt", "60"], "--search off needs --adapt off"),
        (["--adapt", "100steps"], "--search off needs --adapt off"),
        (["--search", "none"], "--search: expected one of fast, thorough, off"),
    ],
    ids=str,
)
def test_contradictions_are_refused(
    clip_path: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    given = [] if "--search" in options else ["--search", "off"]
    said = read_message(run("encode", clip_path, tmp_path / "a.mkv", *given, *options), 2)
    assert words in said
    assert list(tmp_path.iterdir()) == []
