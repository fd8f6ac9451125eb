"""Frames by number and by time: those of an iteration, without decoding all that lies between."""

import io
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import assert_same_frames
from synthetic import draw_clip, make_frames, make_info, write_clip

import tinct
from tinct.decoder import video as video_module
from tinct.decoder.frame_reader import FrameReader

CUTS: list[dict[str, float]] = [
    {},
    {"start_seconds": 0.5},
    {"start_seconds": 0.5, "duration_seconds": 0.4},
]
INTRA = {"structure": "intra", "adapt": "off"}
CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "track": {"colour": "track", "group": 8, "colouriser": "none"},
    "interpolated": {**INTRA, "interpolate": 4, "colour": "track"},
    "whole keys": {**INTRA, "colour": "track", "key_form": "full", "group": 6},
    "network of AV1": {"colouriser": "compact", "network": "best"},
    "low delay": {"structure": "low-delay", "base": "hevc"},
}
SOURCES: dict[str, dict[str, Any]] = {
    "constant": {},
    "variable": {"vfr": [40 * n + n * n % 13 for n in range(40)]},
    "late": {"delay": 7, "audio": "aac"},
}


def check_access(path: Path) -> None:
    """Compare frames by number and time with those of an iteration, for each cut."""
    for cut in CUTS:
        whole, video = list(tinct.open(path, **cut)), tinct.open(path, **cut)
        assert len(video) == len(whole)
        order = [int(n) for n in np.random.default_rng(1).permutation(len(whole))[:9]]
        for number in (*order, 3, 4, 5, -1, -len(whole)):
            assert_same_frames([video[number]], [whole[number]])
        assert_same_frames(video[8:2:-3], whole[8:2:-3])
        times = [video.start_seconds + frame.pts_seconds for frame in whole]
        assert video.times_seconds == pytest.approx(times)
        for number in (0, 4, len(whole) - 1):
            assert video.frame_at(times[number]).pts == whole[number].pts
        between = (times[4] + times[5]) / 2
        assert video.frame_at(between).pts == whole[4].pts


@pytest.mark.slow
@pytest.mark.parametrize("options", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_number_gives_the_frame_of_an_iteration(
    tmp_path: Path, options: dict[str, Any], source: dict[str, Any]
) -> None:
    write_clip(tmp_path / "clip.mkv", frames=40, **source)
    tinct.encode(tmp_path / "clip.mkv", tmp_path / "a.mkv", tinct.EncodeConfig(**options))
    check_access(tmp_path / "a.mkv")


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_number_gives_the_frame_of_a_file_without_tinct(
    tmp_path: Path, source: dict[str, Any]
) -> None:
    options = {"g": "12", "bf": "2"}
    write_clip(tmp_path / "clip.mkv", frames=40, codec="libx264", codec_options=options, **source)
    check_access(tmp_path / "clip.mkv")


def count_decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the time of each packet that is decoded from now on."""
    times: list[int] = []
    usual = video_module.decode_pictures

    def decode(packets: Any, *others: Any) -> Iterator[Any]:
        def note() -> Iterator[Any]:
            for packet in packets:
                times.append(packet.pts)
                yield packet

        return usual(note(), *others)

    monkeypatch.setattr(video_module, "decode_pictures", decode)
    return times


def test_a_frame_at_random_decodes_its_group_alone(
    tinct_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = count_decoded(monkeypatch)
    video = tinct.open(tinct_path)
    assert video[35].pts == 35
    assert 35 in decoded
    assert len(decoded) < 20  # of 40 frames in groups of 8
    video.close()


def test_frames_in_order_are_decoded_once(
    tinct_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = count_decoded(monkeypatch)
    with tinct.open(tinct_path) as video:
        frames = [video[number] for number in range(len(video))]
    packets = len(decoded)
    assert packets < 2 * len(frames)  # luma of each, and key frames' colour
    assert_same_frames(frames, list(tinct.open(tinct_path)))
    assert len(decoded) == 2 * packets


def read_fake(numbers: list[int], ticks: np.ndarray, *, lost: int = -1) -> tuple[list[int], int]:
    """Read frames of a fake video by number; return their times, and how often it was entered."""
    about = make_info()
    planes = draw_clip(1)[0]
    entries = 0

    def read_from(number: int) -> Generator[tinct.Frame, None, None]:
        nonlocal entries
        entries += 1
        pts = [int(tick) for tick in ticks[number:] if tick != lost]
        yield from make_frames([planes] * len(pts), about, pts)

    reader = FrameReader(ticks, read_from, ahead=8)
    return [reader.read(number).pts for number in numbers], entries


def test_a_reader_enters_anew_only_where_it_has_to() -> None:
    ticks = np.arange(0, 400, 2)
    assert read_fake([3, 4, 4, 5], ticks) == ([6, 8, 8, 10], 1)
    assert read_fake([3, 4, 13], ticks) == ([6, 8, 26], 1)
    assert read_fake([3, 4, 14], ticks) == ([6, 8, 28], 2)
    assert read_fake([3, 2, 1], ticks) == ([6, 4, 2], 3)


def test_a_frame_that_is_lost_is_named() -> None:
    with pytest.raises(tinct.CodecError, match="expected frame 4 to decode, found it lost"):
        read_fake([3, 4], np.arange(10), lost=4)
    with pytest.raises(tinct.CodecError, match="expected frame 9 to decode, found it lost"):
        read_fake([9], np.arange(10), lost=9)


def test_numbers_and_times_outside_are_refused(clip_path: Path) -> None:
    with tinct.open(clip_path) as video:
        for number in (40, -41):
            with pytest.raises(IndexError, match=f"from -40 to 39, found {number}"):
                video[number]
        assert video[40:50] == []
        for seconds in (-0.1, 1.6, 1e9, float("nan")):
            with pytest.raises(tinct.TimeError, match=r"from 0\.000 to before 1\.600 s"):
                video.frame_at(seconds)
        assert issubclass(tinct.TimeError, ValueError)
        assert video.frame_at(1.599).pts == 39
        with pytest.raises(TypeError):
            video["a"]  # type: ignore[call-overload]


def test_a_closed_video_is_refused(clip_path: Path) -> None:
    for source in (clip_path, io.BytesIO(clip_path.read_bytes())):
        with tinct.open(source) as video:
            assert video[3].pts == 3
        for read in (lambda: video[3], lambda: list(video), lambda: video.frame_at(0.1)):
            with pytest.raises(tinct.CodecError, match="expected a video that is open"):
                read()


def test_a_file_object_is_held_until_the_video_is_closed(clip_path: Path) -> None:
    video = tinct.open(io.BytesIO(clip_path.read_bytes()))
    assert Path(video.path).exists()
    assert video.name == "<BytesIO>"
    assert_same_frames(list(video), list(tinct.open(clip_path)))
    video.close()
    assert not Path(video.path).exists()
    forgotten = tinct.open(io.BytesIO(clip_path.read_bytes()))
    path = Path(forgotten.path)
    del forgotten
    assert not path.exists()


def test_a_video_says_what_it_is(clip_path: Path, tinct_path: Path) -> None:
    plain, ours = repr(tinct.open(clip_path)), repr(tinct.open(tinct_path))
    about = "64x48, 8 bit, 25 frames/s, 40 frames"
    assert plain == f"<tinct.Video {str(clip_path)!r}: {about}, no Tinct>"
    assert f"{about}, layout chroma, colouriser none>" in ours


def test_frames_on_stdin_have_no_number() -> None:
    y4m = b"YUV4MPEG2 W2 H2 F25:1 C420\n" + b"FRAME\n123456" * 3
    code = """
import tinct
video = tinct.open("-")
for read in (lambda: len(video), lambda: video[0], lambda: video.frame_at(0)):
    try:
        read()
    except TypeError as error:
        assert str(error).startswith("frames on stdin have no number"), error
assert len(list(video)) == 3
"""
    done = subprocess.run([sys.executable, "-c", code], input=y4m, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
