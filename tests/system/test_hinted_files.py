"""Files whose frames have hints of colour: what enters between key frames keeps its colour."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import assert_same_frames, change_manifest, read_message, remux, run
from synthetic import Planes, draw_clip, make_info, write_video

import tinct
from tinct.bitstream.container import read_file_manifest
from tinct.cli.reports import info_lines

FRAMES, GROUP = 13, 12
OPTIONS: dict[str, Any] = {"colour": "track", "colouriser": "none", "interpolate": "off"}
INSIDE = (slice(6, 16), slice(10, 24))  # chroma samples of a patch that luma does not show


def draw_entrance(count: int = FRAMES) -> list[Planes]:
    """A still scene into which a patch of colour comes after its first frame, and then leaves."""
    (y, cb, cr), planes = draw_clip(1)[0], []
    for number in range(count):
        here, there = cb.copy(), cr.copy()
        if 0 < number < count - 1:
            here[INSIDE], there[INSIDE] = 170, 80
        planes.append((y, here, there))
    return planes


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("entrance") / "a.mkv"
    write_video(path, draw_entrance(), make_info())
    return path


@pytest.fixture(scope="module")
def coded(source: Path) -> Path:
    path = source.with_name("hints.mkv")
    tinct.encode(str(source), str(path), tinct.EncodeConfig(**OPTIONS, group=GROUP, hints="on"))
    return path


def measure_patch(path: Path) -> list[float]:
    """Return how far Cb of the patch is from its colour, frame by frame."""
    return [
        float(np.abs(frame.cb[INSIDE].astype(int) - 170)[2:-2, 2:-2].mean())
        for frame in tinct.open(str(path))
    ][1:-1]


def test_colour_that_enters_between_key_frames_is_shown(source: Path, coded: Path) -> None:
    bare = source.with_name("bare.mkv")
    tinct.encode(str(source), str(bare), tinct.EncodeConfig(**OPTIONS, group=GROUP))
    assert min(measure_patch(bare)) > 20
    assert max(measure_patch(coded)) < 4


def test_the_file_says_so(coded: Path) -> None:
    manifest = read_file_manifest(str(coded))
    assert manifest is not None
    assert manifest.hints
    assert manifest.version == 2
    assert any("hint of colour" in line for line in info_lines(tinct.info(str(coded))))


def test_other_players_show_colour(coded: Path) -> None:
    """The first track alone, as any decoder of HEVC has it: 4:2:0, about the colours."""
    with av.open(str(coded)) as container:
        pictures = [frame.to_ndarray() for frame in container.decode(video=0)]
        assert container.streams.video[0].format.name == "yuv420p"
    originals = draw_entrance()
    for picture, (_, cb, _) in zip(pictures[1:-1], originals[1:-1], strict=True):
        found = picture[48:60].reshape(24, 32)
        assert np.abs(found.astype(int) - cb).mean() < 4


def test_a_process_of_its_own_shows_what_was_measured(
    source: Path, coded: Path, tmp_path: Path
) -> None:
    assert run("decode", coded, tmp_path / "a.mkv", "--quiet").returncode == 0
    assert_same_frames(list(tinct.open(str(tmp_path / "a.mkv"))), list(tinct.open(str(coded))))
    assert run("verify", coded, "--against", source).returncode == 0


def test_interpolated_frames_and_cuts_have_the_colour_too(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    config = tinct.EncodeConfig(**{**OPTIONS, "interpolate": 3}, group=GROUP, hints="on")
    tinct.encode(str(source), str(path), config)
    manifest = read_file_manifest(str(path))
    assert manifest is not None
    whole = list(tinct.open(str(path)))
    # between two frames that were sent with the colour; those beside key frames fade
    inside = [pts for pts in manifest.interpolated if 3 < pts < 9]
    assert inside
    assert all(abs(float(whole[pts].cb[10, 16]) - 170) < 6 for pts in inside)
    cut = list(tinct.open(str(path), start_seconds=5 / 25, duration_seconds=2 / 25))
    assert [frame.cb.tobytes() for frame in cut] == [frame.cb.tobytes() for frame in whole[5:7]]


def test_lost_key_frames_leave_the_hints(coded: Path, tmp_path: Path) -> None:
    """Without any colour to carry, frames between key frames still have that of their hints."""

    def drop(track: str, number: int, data: bytes) -> bytes | None:
        return None if track == "colour" else data

    remux(coded, tmp_path / "a.mkv", packet=drop)
    assert max(measure_patch(tmp_path / "a.mkv")) < 12


@pytest.mark.slow
def test_they_are_searched_for_where_colour_cannot_be_carried(tmp_path: Path) -> None:
    """A patch flickers in colour alone, so that neither key frames nor luma tell; or none does."""
    still, flicker = draw_clip(1, 320, 240) * 24, []
    for number, planes in enumerate(still):
        y, cb, cr = (plane.copy() for plane in planes)
        cb[INSIDE] += np.uint8(20 * (number % 3))
        flicker.append((y, cb, cr))
    for name, planes, expected in (("a", flicker, True), ("b", still, False)):
        write_video(tmp_path / f"{name}.mkv", planes, make_info(320, 240))
        options = {"group": 24, "interpolate": "off", "adapt": "off"}
        config = tinct.EncodeConfig(colour="track", colouriser="compact", **options)  # type: ignore[arg-type]
        tinct.encode(str(tmp_path / f"{name}.mkv"), str(tmp_path / f"{name}.coded.mkv"), config)
        manifest = read_file_manifest(str(tmp_path / f"{name}.coded.mkv"))
        assert manifest is not None
        assert manifest.hints is expected, name


# ── what is refused ──────────────────────────────────────────────────────────────────────────────

Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: {**m, "hints": False}, "'hints' is not as format 2 has it"),
        (lambda m: {**m, "hints": 1}, "'hints' is not as format 2 has it"),
        (lambda m: {**m, "tinct": 1}, "'hints' is not as format 1 has it"),
    ],
)
def test_a_lying_manifest_is_refused(
    coded: Path, tmp_path: Path, change: Change, message: str
) -> None:
    path = change_manifest(coded, tmp_path / "a.mkv", change)
    assert message in read_message(run("decode", path, tmp_path / "b.mkv"), 2)
    assert not (tmp_path / "b.mkv").exists()


def test_hints_in_a_grey_track_are_refused(source: Path, tmp_path: Path) -> None:
    bare = tmp_path / "a.mkv"
    tinct.encode(str(source), str(bare), tinct.EncodeConfig(**OPTIONS, group=GROUP))
    path = change_manifest(bare, tmp_path / "b.mkv", lambda m: {**m, "tinct": 2, "hints": True})
    found = read_message(run("decode", path, tmp_path / "c.mkv"), 2)
    assert "expected other pixels in track luma" in found


def test_they_need_a_colour_track(source: Path, tmp_path: Path) -> None:
    done = run("encode", source, tmp_path / "a.mkv", "--colour", "in-band", "--hints", "on")
    assert "--hints on needs --colour track" in read_message(done, 2)


def test_a_blind_encode_from_a_pipe_has_them_where_they_are_asked_for(
    source: Path, tmp_path: Path
) -> None:
    path, given = tmp_path / "a.mkv", tmp_path / "a.y4m"
    tinct.decode(str(source), str(given))
    options = ("--search", "off", "--colour", "track", "--hints", "on")
    assert run("encode", "-", path, *options, given=given.read_bytes()).returncode == 0
    manifest = read_file_manifest(str(path))
    assert manifest is not None
    assert manifest.hints
    assert max(measure_patch(path)) < 12
