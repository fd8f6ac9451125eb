"""Files cut, with packets lost or bits flipped: decoding goes on where it can, counts what it concealed, and never hangs."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import av
import numpy as np
import pytest
from helpers import payloads, remux, run, track_packets
from synthetic import write_clip

import tinct
from tinct.decoder.damage import Damage
from tinct.errors import CodecError

SLOWER = 20  # than the decode of the whole file: what is slower counts as a hang
FRAMES, GROUP = 40, 8
LAYOUTS = {"chroma": {"group": GROUP}, "full": {"group": GROUP, "key_form": "full"}}


@dataclass(frozen=True)
class Whole:
    """A file that nothing is wrong with, its frames, how long it takes to decode, and a process that decodes others."""

    path: Path
    frames: list[tinct.Frame]
    seconds: float  # that `tinct decode` takes for it
    reader: ProcessPoolExecutor


@pytest.fixture(scope="module")
def reader() -> Iterator[ProcessPoolExecutor]:
    """Another process: a hang inside FFmpeg would keep this one from ever noticing."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(len, "ready").result(60) == 5
        yield pool


def made(clip_path: Path, path: Path, reader: ProcessPoolExecutor, **options: object) -> Whole:
    tinct.encode(str(clip_path), str(path), tinct.EncodeConfig(colouriser="none", **options))  # type: ignore[arg-type]
    began = time.monotonic()
    assert run("decode", path, path.with_suffix(".y4m")).returncode == 0
    return Whole(path, read(str(path))[0], time.monotonic() - began, reader)


@pytest.fixture(scope="module", params=LAYOUTS)
def whole(
    request: pytest.FixtureRequest,
    clip_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    reader: ProcessPoolExecutor,
) -> Whole:
    path = tmp_path_factory.mktemp("damage") / "whole.mkv"
    return made(clip_path, path, reader, colour="track", **LAYOUTS[request.param])


@pytest.fixture(scope="module", params=["intra", "low-delay", "random-access"])
def plain(
    request: pytest.FixtureRequest,
    clip_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    reader: ProcessPoolExecutor,
) -> Whole:
    """HEVC without a byte of Tinct, which is what layout `in-band` is."""
    path = tmp_path_factory.mktemp("damage") / "plain.mkv"
    return made(clip_path, path, reader, colour="in-band", structure=request.param)


def read(path: str) -> tuple[list[tinct.Frame], Damage]:
    video = tinct.open(path)
    return list(video), video.damage


def frames_of(whole: Whole, path: Path) -> tuple[list[tinct.Frame], Damage]:
    """What a file still shows, in the time that it may take."""
    try:
        frames, damage = whole.reader.submit(read, str(path)).result(SLOWER * whole.seconds)
    except TimeoutError:
        for process in whole.reader._processes.values():
            process.kill()
        pytest.fail(f"{path} took more than {SLOWER} times the whole file's {whole.seconds:.3f} s")
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    return frames, damage


def changed(whole: Whole, target: Path, track: str, numbers: range, data: bytes | None) -> Path:
    """The file without some packets of a track, or with other bytes in their place."""
    remux(
        whole.path,
        target,
        packet=lambda name, n, old: data if name == track and n in numbers else old,
    )
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
        for ours, theirs in zip(
            frames[: (len(frames) - 2) // GROUP * GROUP], whole.frames, strict=False
        ):
            assert same(ours, theirs)
    assert before == FRAMES
    assert refused < 40


def test_any_single_packet_may_be_lost(whole: Whole, tmp_path: Path) -> None:
    for track, number in packets(whole):
        frames, damage = frames_of(
            whole, changed(whole, tmp_path / "a.mkv", track, range(number, number + 1), None)
        )
        assert damage, (track, number)
        assert len(frames) + damage.missing_frames >= FRAMES - 1, (
            track,
            number,
        )  # before the first there is nothing to repeat
        assert damage.concealed_frames + damage.missing_frames + damage.packets > 0
        far = [
            frame for frame in frames if abs(frame.pts - pts_of(whole, track, number)) > 2 * GROUP
        ]
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


def test_colour_of_a_broken_key_frame_comes_from_the_nearest_whole_one(
    whole: Whole, tmp_path: Path
) -> None:
    """As if neither it nor what is predicted from it were there: not grey, not wrong, and counted."""
    later = (
        range(2, 99)
        if len({bool(p.is_keyframe) for p in track_packets(whole.path, "colour")}) > 1
        else range(2, 3)
    )
    without, _ = frames_of(whole, changed(whole, tmp_path / "b.mkv", "colour", later, None))
    frames, damage = frames_of(
        whole, changed(whole, tmp_path / "a.mkv", "colour", range(2, 3), b"\0\0\0\3\x02\x01\xd0")
    )
    assert len(frames) == FRAMES
    assert damage.packets >= 1
    assert damage.concealed_frames >= GROUP
    assert all(same(ours, theirs) for ours, theirs in zip(frames, without, strict=True))
    assert all(np.ptp(frame.cb) > 40 for frame in frames)


def test_luma_that_is_lost_for_long_is_repeated_and_counted(whole: Whole, tmp_path: Path) -> None:
    frames, damage = frames_of(
        whole, changed(whole, tmp_path / "a.mkv", "luma", range(9, 26), None)
    )
    assert [frame.pts for frame in frames] == list(range(FRAMES))
    assert damage.concealed_frames >= 15


@pytest.mark.parametrize("structure", ["low-delay", "random-access"])
def test_what_is_predicted_from_a_lost_picture_is_still_shown(
    structure: str, clip_path: Path, tmp_path: Path, reader: ProcessPoolExecutor
) -> None:
    """There is one intra picture, at the start: nothing else could bring the video back."""
    whole = made(
        clip_path, tmp_path / "whole.mkv", reader, colour="track", structure=structure, group=GROUP
    )
    data = whole.path.read_bytes()
    first, *others = map(bytes, track_packets(whole.path, "luma"))
    (tmp_path / "a.mkv").write_bytes(data.replace(first[4:], bytes(len(first) - 4)))
    with pytest.raises(CodecError, match="expected frames to decode, found none"):
        frames_of(whole, tmp_path / "a.mkv")  # all of them stand on that one
    for packet in others:
        (tmp_path / "a.mkv").write_bytes(data.replace(packet[4:], bytes(len(packet) - 4)))
        frames, damage = frames_of(whole, tmp_path / "a.mkv")
        assert len(frames) + damage.missing_frames == FRAMES
        assert damage.missing_frames <= 2
        assert damage
    for packet in map(
        bytes, track_packets(whole.path, "colour")
    ):  # the first one, too: grey is better than nothing
        (tmp_path / "a.mkv").write_bytes(data.replace(packet[4:], bytes(len(packet) - 4)))
        frames, damage = frames_of(whole, tmp_path / "a.mkv")
        assert [np.array_equal(a.y, b.y) for a, b in zip(frames, whole.frames, strict=True)] == [
            True
        ] * FRAMES
        assert damage.concealed_frames >= 1


def test_decoding_again_counts_again(whole: Whole, tmp_path: Path) -> None:
    video = tinct.open(str(changed(whole, tmp_path / "a.mkv", "colour", range(2, 3), None)))
    counts = set()
    for _ in range(2):
        assert len(list(video)) >= FRAMES - 1
        counts.add(str(video.damage))
    assert len(counts) == 1


# ── plain HEVC, which has no manifest to say what is missing ───────────────────────────────────────────────────────


def test_a_plain_file_cut_anywhere_shows_what_is_left(plain: Whole, tmp_path: Path) -> None:
    data, counts = plain.path.read_bytes(), [0]
    for length in range(0, len(data), len(data) // 40):
        (tmp_path / "a.mkv").write_bytes(data[:length])
        try:
            frames, _ = frames_of(plain, tmp_path / "a.mkv")
        except CodecError:
            assert counts[-1] == 0, length
            continue
        counts.append(len(frames))
        assert all(
            same(ours, theirs) for ours, theirs in zip(frames[:-4], plain.frames, strict=False)
        )
    assert counts == sorted(counts)
    assert counts[-1] > 30


def test_any_packet_of_a_plain_file_may_be_lost_or_spoilt(plain: Whole, tmp_path: Path) -> None:
    """All-intra loses that frame at most; other structures also what is predicted from it."""
    random = Random(0)
    with av.open(str(plain.path)) as container:
        coded = [packet for packet in container.demux(video=0) if packet.size]
        all_intra, packets = (
            all(packet.is_keyframe for packet in coded),
            [bytes(packet) for packet in coded],
        )
    data = plain.path.read_bytes()
    (tmp_path / "a.mkv").write_bytes(data.replace(packets[0][4:], bytes(len(packets[0]) - 4)))
    if all_intra:
        frames, _ = frames_of(plain, tmp_path / "a.mkv")
        assert [frame.pts for frame in frames] == [frame.pts for frame in plain.frames[1:]]
    else:
        with pytest.raises(CodecError, match="expected frames to decode, found none"):
            frames_of(plain, tmp_path / "a.mkv")
    for packet in packets[1:]:
        spoilt = bytearray(data)
        start = data.index(packet[4:])
        for _ in range(3):
            spoilt[start + random.randrange(len(packet) - 4)] ^= 1 << random.randrange(8)
        (tmp_path / "a.mkv").write_bytes(spoilt)
        frames, _ = frames_of(plain, tmp_path / "a.mkv")
        assert FRAMES - 4 <= len(frames) <= FRAMES
        if all_intra:
            assert sum(not same(frame, plain.frames[frame.pts]) for frame in frames) <= 1


def test_broken_intra_pictures_are_shown_from_the_first_one_on(
    tmp_path: Path, reader: ProcessPoolExecutor
) -> None:
    """Each stands alone, so what decodes of it is worth showing: H.264 whose packets have lost their ends."""
    source = tmp_path / "a.mkv"
    write_clip(
        source, frames=8, size=(192, 144), codec="libx264", codec_options={"g": "1", "qp": "10"}
    )
    data = bytearray(source.read_bytes())
    for _, packet in payloads(source, "video"):
        start = data.index(packet)
        data[start + len(packet) * 2 // 3 : start + len(packet)] = bytes(
            len(packet) - len(packet) * 2 // 3
        )
    source.write_bytes(data)
    frames, damage = reader.submit(read, str(source)).result(60)
    assert len(frames) == 8
    assert damage.packets > 0


def test_damage_that_only_the_first_reading_sees_is_told(tmp_path: Path) -> None:
    """A second reading, for an update, ends with the last frame and does not know that some are missing."""
    film = {
        "codec": "libx264",
        "codec_options": {"g": "10", "qp": "4", "x264-params": "open-gop=1:bframes=3"},
    }
    write_clip(tmp_path / "whole.mkv", frames=40, size=(96, 64), **film)  # type: ignore[arg-type]
    with (
        av.open(str(tmp_path / "whole.mkv")) as given,
        av.open(str(tmp_path / "a.mkv"), "w") as out,
    ):
        copy = out.add_stream_from_template(given.streams.video[0])
        for packet in [packet for packet in given.demux(video=0) if packet.size][
            3:
        ]:  # what is left begins within a group
            packet.stream = copy
            out.mux(packet)
    options = {"colour": "track", "colouriser": "compact", "group": 8, "qp": 8}
    reports = [
        tinct.encode(
            str(tmp_path / "a.mkv"),
            str(tmp_path / f"{adapt}.mkv"),
            tinct.EncodeConfig(adapt=adapt, **options),
        )  # type: ignore[arg-type]
        for adapt in ("off", "2steps")
    ]
    assert reports[0].damaged == reports[1].damaged > 0


def test_quality_is_that_of_the_same_frames_where_the_first_is_lost(
    whole: Whole, clip_path: Path, tmp_path: Path
) -> None:
    first = bytes(track_packets(whole.path, "luma")[0])
    (tmp_path / "a.mkv").write_bytes(
        whole.path.read_bytes().replace(first[4:], bytes(len(first) - 4))
    )
    lost, kept = (
        tinct.verify(str(path), str(clip_path)) for path in (tmp_path / "a.mkv", whole.path)
    )
    assert lost.psnr is not None
    assert kept.psnr is not None
    assert abs(lost.psnr[0].mean_db - kept.psnr[0].mean_db) < 1
