"""Files with frames that were never sent: they decode, seek, break and are refused as they should.

`test_roundtrip` has them among its layouts.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import assert_same_frames, linux_only, read_attachments, read_message, remux, run
from synthetic import draw_clip, make_info, write_clip, write_video

import tinct
from tinct.bitstream.container import read_file_manifest
from tinct.bitstream.times import pack_times
from tinct.cli.reports import info_lines
from tinct.errors import CodecError

GROUP, STEP, FRAMES = 12, 4, 40
OPTIONS: dict[str, Any] = {"colour": "track", "colouriser": "none", "group": GROUP}


@pytest.fixture(scope="session")
def path(clip_path: Path, make_once: Any) -> Path:
    """The clip, of which every fourth frame between key frames is sent, and what is ugly."""
    config = tinct.EncodeConfig(**OPTIONS, interpolate=STEP)

    def make(folder: Path) -> None:
        tinct.encode(str(clip_path), str(folder / "a.mkv"), config)

    return make_once("interpolated", make) / "a.mkv"


@pytest.fixture(scope="session")
def frames(path: Path) -> list[tinct.Frame]:
    return list(tinct.open(str(path)))


def interpolated_times(path: Path) -> Sequence[int]:
    manifest = read_file_manifest(str(path))
    assert manifest is not None
    return manifest.interpolated


def test_the_manifest_says_which_frames_are_not_sent(path: Path) -> None:
    times = interpolated_times(path)
    assert len(times) > FRAMES // 3
    assert not {time for time in times if time % GROUP % STEP == 0}
    assert json.loads(read_attachments(path)["tinct.json"])["tinct"] == 2


def test_it_says_what_others_see(path: Path) -> None:
    found = tinct.info(str(path))
    missing = len(interpolated_times(path))
    assert (found.frames, found.interpolated_frames) == (FRAMES, missing)
    assert found.sent_frames == FRAMES - missing
    assert 1 <= found.longest_run <= STEP - 1
    line = next(line for line in info_lines(found) if "frames are sent" in line)
    assert f"{FRAMES - missing} frames are sent, {missing} interpolated by the decoder" in line
    assert f"other players show {(FRAMES - missing) / 1.6:.3g} frames/s" in line


def test_a_process_of_its_own_shows_the_same(
    path: Path, frames: list[tinct.Frame], tmp_path: Path
) -> None:
    assert run("decode", path, tmp_path / "a.mkv", "--quiet").returncode == 0
    assert_same_frames(list(tinct.open(str(tmp_path / "a.mkv"))), frames)


@pytest.mark.parametrize("start", [0.04, 0.2, 0.48, 0.52, 1.0, 1.56])
def test_a_cut_anywhere_gives_the_same_frames(
    path: Path, frames: list[tinct.Frame], start: float
) -> None:
    cut = tinct.open(str(path), start_seconds=start, duration_seconds=0.2)
    found = list(cut)
    first = round(start * 25)
    expected = frames[first : first + 5]
    assert len(found) == cut.info.frame_count == len(expected)
    for frame, original in zip(found, expected, strict=True):
        assert frame.pts + first == original.pts
        assert np.array_equal(frame.y, original.y)
        assert np.array_equal(frame.cb, original.cb)
    assert not cut.damage


# ── other videos ─────────────────────────────────────────────────────────────────────────────────


def test_times_of_a_variable_rate_are_kept(tmp_path: Path) -> None:
    times = [0, 40, 75, 120, 160, 290, 330, 360, 410, 450, 1450, 1490, 1533, 1570]
    write_clip(tmp_path / "a.mkv", frames=len(times), vfr=times)
    config = tinct.EncodeConfig(**{**OPTIONS, "group": 7}, interpolate=3)
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    assert interpolated_times(tmp_path / "b.mkv")
    assert [frame.pts for frame in tinct.open(str(tmp_path / "b.mkv"))] == times
    assert tinct.verify(str(tmp_path / "b.mkv"), str(tmp_path / "a.mkv")).whole


def test_no_frame_mixes_two_shots(tmp_path: Path) -> None:
    """A dark texture is cut to a bright one in the middle of a group."""
    dark = [(y // 2, cb, cr) for y, cb, cr in draw_clip(13)]
    bright = [(255 - y // 2, cb, cr) for y, cb, cr in draw_clip(13)[::-1]]
    write_video(tmp_path / "a.mkv", dark + bright, make_info())
    config = tinct.EncodeConfig(**OPTIONS, interpolate=GROUP)
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    means = [float(frame.y.mean()) for frame in tinct.open(str(tmp_path / "b.mkv"))]
    assert max(means[:13]) < 90
    assert min(means[13:]) > 165
    assert not {12, 13} & set(interpolated_times(tmp_path / "b.mkv"))


@pytest.mark.slow
def test_a_frame_that_cannot_be_interpolated_is_sent_after_all(tmp_path: Path) -> None:
    """One frame of a still scene flashes: it is sent, its neighbours are not."""
    still = draw_clip(1)[0]
    planes = [still for _ in range(13)]
    planes[6] = (np.clip(still[0].astype(int) + 40, 16, 235).astype(np.uint8), *still[1:])
    write_video(tmp_path / "a.mkv", planes, make_info())
    config = tinct.EncodeConfig(**OPTIONS, interpolate=GROUP)
    report = tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    left_out = set(interpolated_times(tmp_path / "b.mkv"))
    assert 6 not in left_out
    assert {2, 3, 9, 10} <= left_out
    check = tinct.verify(str(tmp_path / "b.mkv"), str(tmp_path / "a.mkv"))
    assert check.psnr == report.psnr


@pytest.mark.slow
def test_a_bitrate_is_met_and_gives_the_same_bytes_twice(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=150, size=(96, 80))
    options = {"colour": "track", "colouriser": "none", "group": 8, "interpolate": 2}
    config = tinct.EncodeConfig(**options, bitrate_kbps=120)  # type: ignore[arg-type]
    for name in ("b.mkv", "c.mkv"):
        report = tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / name), config)
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "c.mkv").read_bytes()
    kbps = (report.luma_bytes + report.colour_bytes) * 8 / 1000 / 6
    assert 120 * 0.95 < kbps < 120 * 1.05


# ── damage ───────────────────────────────────────────────────────────────────────────────────────


def lose(path: Path, target: Path, lost: dict[str, set[int]]) -> None:
    """Copy a file without packets of these numbers, by track."""
    remux(
        path,
        target,
        packet=lambda track, number, data: None if number in lost.get(track, ()) else data,
    )


@pytest.mark.parametrize(
    ("lost", "least"),
    [({1}, 1), ({2, 3}, 2), ({7}, 1), ({1, 4, 8}, 3)],
    ids=str,
)
def test_a_lost_frame_is_interpolated_and_counted(
    path: Path, frames: list[tinct.Frame], tmp_path: Path, lost: set[int], least: int
) -> None:
    """All frames are there; those made for want of the lost ones are counted, others are whole."""
    lose(path, tmp_path / "a.mkv", {"luma": lost})
    video = tinct.open(str(tmp_path / "a.mkv"))
    found = list(video)
    assert [frame.pts for frame in found] == list(range(FRAMES))
    differ = sum(not np.array_equal(a.y, b.y) for a, b in zip(found, frames, strict=True))
    assert least <= differ <= video.damage.concealed_frames + video.damage.packets
    assert video.damage.missing_frames == 0
    assert run("verify", tmp_path / "a.mkv", "--quiet").returncode == 3


def test_a_lost_key_frame_is_told(path: Path, tmp_path: Path) -> None:
    lose(path, tmp_path / "a.mkv", {"luma": {0}, "colour": {1}})
    video = tinct.open(str(tmp_path / "a.mkv"))
    assert len(list(video)) >= FRAMES - GROUP
    assert video.damage


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--interpolate", "2", "--colour", "in-band"], "needs --colour track"),
        (["--interpolate", "2", "--structure", "low-delay"], "needs --structure intra"),
        (["--interpolate", "2", "--preset", "paper"], "does not go with --colouriser gan"),
        (["--interpolate", "1"], "expected auto, off or 2 to 96"),
        (["--interpolate", "some"], "--interpolate: expected"),
    ],
)
def test_contradictions_are_refused(
    clip_path: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    said = read_message(run("encode", clip_path, tmp_path / "a.mkv", *options), 2)
    assert words in said
    assert list(tmp_path.iterdir()) == []


def with_keys(path: Path, target: Path, **changes: Any) -> Path:
    """Copy a file with keys of its manifest changed; None removes one."""

    def change(name: str, data: bytes) -> list[tuple[str, bytes]]:
        fields = json.loads(data) | changes
        kept = {key: value for key, value in fields.items() if value is not None}
        return [(name, json.dumps(kept).encode())]

    remux(path, target, attachments=change)
    return target


@pytest.mark.parametrize(
    "changes",
    [
        {"interpolated": None},
        {"tinct": 1},
        {"interpolated": [1, 2]},
        {"interpolated": "?"},
        {"interpolated": ""},
        {"interpolated": pack_times(range(FRAMES))},
        {"interpolated": pack_times(range(3_000_000))},
    ],
    ids=["without", "version 1", "list", "no text", "none", "all", "more than frames"],
)
def test_other_manifests_are_refused(path: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(CodecError, match=r"^damaged tinct.json: 'interpolated'"):
        tinct.open(str(with_keys(path, tmp_path / "a.mkv", **changes)))


LIES = {
    "beyond the video": ([*range(500, 520)], FRAMES),
    "between all others": ([n for n in range(1, 400) if n % 4], 400),
    "what was sent": ([0, 4, 8, 12], FRAMES),
    "a video of years": ([*range(100, 200_000)], 1 << 30),
}


@linux_only
@pytest.mark.parametrize("kind", LIES)
def test_lying_times_cost_nothing_and_are_told(path: Path, tmp_path: Path, kind: str) -> None:
    """Every sent frame is shown; memory and time stay those of the file."""
    times, count = LIES[kind]
    with_keys(path, tmp_path / "a.mkv", interpolated=pack_times(times), frames=count)
    code = (
        "import re, sys, tinct\n"
        "video = tinct.open(sys.argv[1])\n"
        "count = sum(1 for _ in video)\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]\n"
        "print(count, bool(video.damage), int(peak) >> 10)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.mkv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    shown, is_damaged, megabytes = done.stdout.split()
    assert 10 <= int(shown) <= FRAMES
    assert is_damaged == "True"
    assert int(megabytes) < 400


# ── files that are out there ─────────────────────────────────────────────────────────────────────

DATA = Path(__file__).parent.parent / "data"
# SHA-256 of the Y, Cb and Cr of all frames, one after the other.
RELEASED = {
    "version1.mkv": "a023485b1d81a96eb7d190d0bcd692a4dc3519e3526bfe7555a1a8fd91e8f30b",
    "avc_tracks.mkv": "31ff70b86771f3d1f3e059439245c07c7e56145511c8c25b3fb98159dc87acc6",
    "version2.mkv": "94e996b00ebec3c77ae877518dbe9364e31f5f12f452553ab751731e02b63559",
}


def hash_frames(path: Path) -> str:
    planes = hashlib.sha256()
    for frame in tinct.open(str(path)):
        for plane in (frame.y, frame.cb, frame.cr):
            planes.update(plane.tobytes())
    return planes.hexdigest()


@pytest.mark.parametrize("name", RELEASED)
def test_released_files_decode_to_the_same_frames(name: str) -> None:
    assert hash_frames(DATA / name) == RELEASED[name]


PAPER_SHA256 = "5857f605c7acf71271352297f27715aee6563f61cf7df108202e5af6460d4dbf"


def test_the_papers_files_keep_their_bytes(tmp_path: Path) -> None:
    """Its key frames and luma, without the training, are those of the release before version 2."""
    write_clip(tmp_path / "a.mkv", frames=13)
    config = tinct.preset("paper", colouriser="none")
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    assert hashlib.sha256((tmp_path / "b.mkv").read_bytes()).hexdigest() == PAPER_SHA256
