"""Files cut, with packets lost or bits flipped: decoding goes on where it can, counts what it concealed, and never hangs."""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from helpers import remux, track_packets

import tinct
from tinct.decoder import Damage
from tinct.errors import CodecError

SLOWER = 20  # than the decode of the whole file: what is slower counts as a hang
FRAMES, GROUP = 40, 8
LAYOUTS = {"chroma": {"group": GROUP}, "full": {"group": GROUP, "key_form": "full"}}


@dataclass(frozen=True)
class Whole:
    """A file that nothing is wrong with, its frames, and how long it takes to decode."""

    path: Path
    frames: list[tinct.Frame]
    seconds: float


@pytest.fixture(scope="module", params=LAYOUTS)
def whole(request: pytest.FixtureRequest, clip_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    path = tmp_path_factory.mktemp("damage") / "whole.mkv"
    config = tinct.EncodeConfig(colour="track", colouriser="none", **LAYOUTS[request.param])
    tinct.encode(str(clip_path), str(path), config)
    began = time.monotonic()
    return Whole(path, list(tinct.open(str(path))), time.monotonic() - began)


def frames_of(whole: Whole, path: Path) -> tuple[list[tinct.Frame], Damage]:
    """What a file still shows, in the time that it may take."""

    def hang(*_: object) -> None:
        raise TimeoutError(f"{path.name} took more than {SLOWER} times the whole file's {whole.seconds:.3f} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, SLOWER * max(whole.seconds, 0.5))
    try:
        video = tinct.open(str(path))
        frames = list(video)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    return frames, video.damage


def changed(whole: Whole, target: Path, track: str, numbers: range, data: bytes | None) -> Path:
    """The file without some packets of a track, or with other bytes in their place."""
    remux(whole.path, target, packet=lambda name, n, old: data if name == track and n in numbers else old)
    return target


def packets(whole: Whole) -> Iterator[tuple[str, int]]:
    for track in ("luma", "colour"):
        yield from ((track, number) for number in range(len(track_packets(whole.path, track))))


def same(a: tinct.Frame, b: tinct.Frame) -> bool:
    return all(np.array_equal(getattr(a, plane), getattr(b, plane)) for plane in ("y", "cb", "cr"))


def test_a_file_cut_anywhere_shows_what_is_left(whole: Whole, tmp_path: Path) -> None:
    data = whole.path.read_bytes()
    before, refused = 0, 0
    for length in range(0, len(data), len(data) // 60):
        (tmp_path / "a.mkv").write_bytes(data[:length])
        try:
            frames, damage = frames_of(whole, tmp_path / "a.mkv")
        except CodecError:
            refused += 1
            assert before == 0, length
            continue
        assert damage.missing_frames == FRAMES - len(frames)
        assert len(frames) >= before
        before = len(frames)
        for ours, theirs in zip(frames[: (len(frames) - 2) // GROUP * GROUP], whole.frames, strict=False):
            assert same(ours, theirs)
    assert before == FRAMES
    assert refused < 40


def test_any_single_packet_may_be_lost(whole: Whole, tmp_path: Path) -> None:
    for track, number in packets(whole):
        frames, damage = frames_of(whole, changed(whole, tmp_path / "a.mkv", track, range(number, number + 1), None))
        assert damage, (track, number)
        assert len(frames) + damage.missing_frames >= FRAMES - 1, (track, number)  # before the first there is nothing to repeat
        assert damage.concealed_frames + damage.missing_frames + damage.packets > 0
        far = [frame for frame in frames if abs(frame.pts - pts_of(whole, track, number)) > 2 * GROUP]
        if track == "luma":
            assert all(same(frame, whole.frames[frame.pts]) for frame in far), number


def pts_of(whole: Whole, track: str, number: int) -> int:
    return round(float(track_packets(whole.path, track)[number].pts) / 40)


def test_bits_flipped_in_any_packet_are_named(whole: Whole, tmp_path: Path) -> None:
    """Found by the file's checksums where HEVC's decoder finds nothing wrong."""
    data, random = whole.path.read_bytes(), Random(0)
    for track, number in packets(whole):
        packet = bytes(track_packets(whole.path, track)[number])
        start = data.index(packet[4:])
        spoilt = bytearray(data)
        for _ in range(random.choice((1, 1, 3))):
            spoilt[start + random.randrange(len(packet) - 4)] ^= 1 << random.randrange(8)
        (tmp_path / "a.mkv").write_bytes(spoilt)
        frames, damage = frames_of(whole, tmp_path / "a.mkv")
        assert len(frames) + damage.missing_frames >= FRAMES - 1, (track, number)
        assert damage.broken_checksums == 1


def test_colour_of_a_broken_key_frame_comes_from_the_nearest_whole_one(whole: Whole, tmp_path: Path) -> None:
    """As if neither it nor what is predicted from it were there: not grey, not wrong, and counted."""
    later = range(2, 99) if len({bool(p.is_keyframe) for p in track_packets(whole.path, "colour")}) > 1 else range(2, 3)
    without, _ = frames_of(whole, changed(whole, tmp_path / "b.mkv", "colour", later, None))
    frames, damage = frames_of(whole, changed(whole, tmp_path / "a.mkv", "colour", range(2, 3), b"\0\0\0\3\x02\x01\xd0"))
    assert len(frames) == FRAMES
    assert damage.packets >= 1
    assert damage.concealed_frames >= GROUP
    assert all(same(ours, theirs) for ours, theirs in zip(frames, without, strict=True))
    assert all(np.ptp(frame.cb) > 40 for frame in frames)


def test_luma_that_is_lost_for_long_is_repeated_and_counted(whole: Whole, tmp_path: Path) -> None:
    frames, damage = frames_of(whole, changed(whole, tmp_path / "a.mkv", "luma", range(9, 26), None))
    assert [frame.pts for frame in frames] == list(range(FRAMES))
    assert damage.concealed_frames >= 15


def test_decoding_again_counts_again(whole: Whole, tmp_path: Path) -> None:
    video = tinct.open(str(changed(whole, tmp_path / "a.mkv", "colour", range(2, 3), None)))
    counts = set()
    for _ in range(2):
        assert len(list(video)) >= FRAMES - 1
        counts.add(str(video.damage))
    assert len(counts) == 1
