"""Files that are cut, lack packets or have flipped bits.

Decoding goes on where it can, counts the frames that it concealed, and never hangs.
`test_attacks` has damage on purpose.
"""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from random import Random

import av
import numpy as np
import pytest
from helpers import read_payloads, read_track_packets, remux, run
from synthetic import write_broken_start, write_clip

import tinct
from tinct.decoder.damage import Damage
from tinct.errors import CodecError

# A decode that takes this many times as long as that of the undamaged file counts as a hang.
SLOWDOWN = 20
FRAMES, GROUP = 40, 8
LAYOUTS = {
    "chroma": {"group": GROUP},
    "full": {"group": GROUP, "key_form": "full"},
    "chroma-avc": {"group": GROUP, "base": "avc"},
    "full-avc": {"group": GROUP, "key_form": "full", "base": "avc"},
}


@dataclass(frozen=True)
class WholeFile:
    """An undamaged file, its frames, and the seconds that `tinct decode` takes for it.

    `reader` is a process that decodes damaged copies.
    """

    path: Path
    frames: list[tinct.Frame]
    seconds: float
    reader: ProcessPoolExecutor


@pytest.fixture(scope="module")
def reader() -> Iterator[ProcessPoolExecutor]:
    """A process of its own: a hang inside FFmpeg would stop this one as well."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(len, "ready").result(60) == 5
        yield pool


def make_whole_file(
    clip_path: Path, path: Path, reader: ProcessPoolExecutor, **options: object
) -> WholeFile:
    """Encode the clip without a network, and time how long it takes to decode."""
    tinct.encode(str(clip_path), str(path), tinct.EncodeConfig(colouriser="none", **options))  # type: ignore[arg-type]
    began = time.monotonic()
    assert run("decode", path, path.with_suffix(".y4m")).returncode == 0
    seconds = time.monotonic() - began
    return WholeFile(path=path, frames=read_video(str(path))[0], seconds=seconds, reader=reader)


@pytest.fixture(scope="module", params=LAYOUTS)
def whole_file(
    request: pytest.FixtureRequest,
    clip_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    reader: ProcessPoolExecutor,
) -> WholeFile:
    """A file with a colour track."""
    path = tmp_path_factory.mktemp("damage") / "whole.mkv"
    return make_whole_file(clip_path, path, reader, colour="track", **LAYOUTS[request.param])


@pytest.fixture(
    scope="module",
    params=product(("hevc", "av1"), ("intra", "low-delay", "random-access")),
    ids="-".join,
)
def plain_file(
    request: pytest.FixtureRequest,
    clip_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    reader: ProcessPoolExecutor,
) -> WholeFile:
    """A file of plain HEVC or AV1, as layout `in-band` writes it."""
    base, structure = request.param
    path = tmp_path_factory.mktemp("damage") / "plain.mkv"
    return make_whole_file(
        clip_path, path, reader, colour="in-band", base=base, structure=structure
    )


def read_video(path: str) -> tuple[list[tinct.Frame], Damage]:
    """Return the frames of a file and the damage found."""
    video = tinct.open(path)
    return list(video), video.damage


def read_damaged(whole_file: WholeFile, path: Path) -> tuple[list[tinct.Frame], Damage]:
    """Return the frames of a damaged file and its damage; fail where decoding hangs."""
    try:
        task = whole_file.reader.submit(read_video, str(path))
        frames, damage = task.result(SLOWDOWN * whole_file.seconds)
    except TimeoutError:
        # The executor has no public way to stop a task that hangs.
        for process in whole_file.reader._processes.values():
            process.kill()
        pytest.fail(
            f"{path} took more than {SLOWDOWN} times the whole file's {whole_file.seconds:.3f} s"
        )
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    return frames, damage


def write_changed(
    whole_file: WholeFile, target: Path, *, track: str, numbers: range, data: bytes | None = None
) -> Path:
    """Copy the file with some packets of a track replaced by `data`, or dropped."""
    remux(
        whole_file.path,
        target,
        packet=lambda name, n, old: data if name == track and n in numbers else old,
    )
    return target


def flip_bits(data: bytes, packet: bytes, random: Random, *, count: int) -> bytes:
    """Return a file with random bits of one packet flipped, behind its first 4 bytes."""
    start = data.index(packet[4:])
    spoilt = bytearray(data)
    for _ in range(count):
        spoilt[start + random.randrange(len(packet) - 4)] ^= 1 << random.randrange(8)
    return bytes(spoilt)


def list_packets(whole_file: WholeFile) -> Iterator[tuple[str, int]]:
    """Yield the track and number of each packet."""
    for track in ("luma", "colour"):
        yield from (
            (track, number) for number in range(len(read_track_packets(whole_file.path, track)))
        )


def is_same(a: tinct.Frame, b: tinct.Frame) -> bool:
    return all(np.array_equal(getattr(a, plane), getattr(b, plane)) for plane in ("y", "cb", "cr"))


@pytest.mark.slow
def test_a_file_cut_anywhere_shows_what_is_left(whole_file: WholeFile, tmp_path: Path) -> None:
    """A longer part of a file decodes to no fewer frames, equal to those of the whole file."""
    data = whole_file.path.read_bytes()
    before, refused = 0, 0
    for length in range(0, len(data), len(data) // 60):
        (tmp_path / "a.mkv").write_bytes(data[:length])
        try:
            frames, damage = read_damaged(whole_file, tmp_path / "a.mkv")
        except CodecError:
            refused += 1
            assert before == 0, length
            continue
        assert damage.missing_frames == FRAMES - len(frames)
        assert len(frames) >= before
        before = len(frames)
        in_whole_groups = frames[: (len(frames) - 2) // GROUP * GROUP]
        for ours, theirs in zip(in_whole_groups, whole_file.frames, strict=False):
            assert is_same(ours, theirs)
    assert before == FRAMES
    assert refused < 40


@pytest.mark.slow
def test_any_single_packet_may_be_lost(whole_file: WholeFile, tmp_path: Path) -> None:
    """A lost packet is counted, and frames two groups away are not changed by a loss of luma."""
    for track, number in list_packets(whole_file):
        numbers = range(number, number + 1)
        path = write_changed(whole_file, tmp_path / "a.mkv", track=track, numbers=numbers)
        frames, damage = read_damaged(whole_file, path)
        assert damage, (track, number)
        # Before the first frame there is nothing to repeat.
        assert len(frames) + damage.missing_frames >= FRAMES - 1, (track, number)
        assert damage.concealed_frames + damage.missing_frames + damage.packets > 0
        lost = find_pts(whole_file, track, number)
        far = [frame for frame in frames if abs(frame.pts - lost) > 2 * GROUP]
        if track == "luma":
            assert all(is_same(frame, whole_file.frames[frame.pts]) for frame in far), number


def find_pts(whole_file: WholeFile, track: str, number: int) -> int:
    """Return the number of the frame that a packet belongs to."""
    return round(float(read_track_packets(whole_file.path, track)[number].pts) / 40)


@pytest.mark.slow
def test_bits_flipped_in_any_packet_are_named(whole_file: WholeFile, tmp_path: Path) -> None:
    """Flipped bits are found by the file's checksums, where HEVC's decoder finds no error."""
    data, random = whole_file.path.read_bytes(), Random(0)
    for track, number in list_packets(whole_file):
        packet = bytes(read_track_packets(whole_file.path, track)[number])
        count = random.choice((1, 1, 3))
        (tmp_path / "a.mkv").write_bytes(flip_bits(data, packet, random, count=count))
        frames, damage = read_damaged(whole_file, tmp_path / "a.mkv")
        assert len(frames) + damage.missing_frames >= FRAMES - 1, (track, number)
        assert damage.broken_checksums == 1


def test_colour_of_a_broken_key_frame_comes_from_the_nearest_whole_one(
    whole_file: WholeFile, tmp_path: Path
) -> None:
    """Frames of a broken key frame are coloured as if it were lost: not grey, and counted."""
    key_flags = {bool(p.is_keyframe) for p in read_track_packets(whole_file.path, "colour")}
    is_predicted = len(key_flags) > 1
    later = range(2, 99) if is_predicted else range(2, 3)
    rest = write_changed(whole_file, tmp_path / "b.mkv", track="colour", numbers=later)
    without, _ = read_damaged(whole_file, rest)
    nonsense = b"\0\0\0\3\x02\x01\xd0"
    broken = write_changed(
        whole_file, tmp_path / "a.mkv", track="colour", numbers=range(2, 3), data=nonsense
    )
    frames, damage = read_damaged(whole_file, broken)
    assert len(frames) == FRAMES
    assert damage.packets >= 1
    assert damage.concealed_frames >= GROUP
    assert all(is_same(ours, theirs) for ours, theirs in zip(frames, without, strict=True))
    assert all(np.ptp(frame.cb) > 40 for frame in frames)


def test_luma_that_is_lost_for_long_is_repeated_and_counted(
    whole_file: WholeFile, tmp_path: Path
) -> None:
    """Frames whose luma is lost repeat the frame before and are counted."""
    path = write_changed(whole_file, tmp_path / "a.mkv", track="luma", numbers=range(9, 26))
    frames, damage = read_damaged(whole_file, path)
    assert [frame.pts for frame in frames] == list(range(FRAMES))
    assert damage.concealed_frames >= 15


@pytest.mark.slow
@pytest.mark.parametrize(
    "structure", [pytest.param("low-delay", marks=pytest.mark.nightly), "random-access"]
)
def test_what_is_predicted_from_a_lost_picture_is_still_shown(
    structure: str, clip_path: Path, tmp_path: Path, reader: ProcessPoolExecutor
) -> None:
    """Pictures predicted from a lost one are decoded: the first picture is the only intra one."""
    whole_file = make_whole_file(
        clip_path, tmp_path / "whole.mkv", reader, colour="track", structure=structure, group=GROUP
    )
    data = whole_file.path.read_bytes()
    first, *others = map(bytes, read_track_packets(whole_file.path, "luma"))
    (tmp_path / "a.mkv").write_bytes(data.replace(first[4:], bytes(len(first) - 4)))
    with pytest.raises(CodecError, match="expected frames to decode, found none"):
        read_damaged(whole_file, tmp_path / "a.mkv")  # all pictures are predicted from the first
    for packet in others:
        (tmp_path / "a.mkv").write_bytes(data.replace(packet[4:], bytes(len(packet) - 4)))
        frames, damage = read_damaged(whole_file, tmp_path / "a.mkv")
        assert len(frames) + damage.missing_frames == FRAMES
        assert damage.missing_frames <= 2
        assert damage
    # The loss of the first colour packet is no exception: its frames are grey.
    for packet in map(bytes, read_track_packets(whole_file.path, "colour")):
        (tmp_path / "a.mkv").write_bytes(data.replace(packet[4:], bytes(len(packet) - 4)))
        frames, damage = read_damaged(whole_file, tmp_path / "a.mkv")
        assert len(frames) == FRAMES
        assert all(np.array_equal(a.y, b.y) for a, b in zip(frames, whole_file.frames, strict=True))
        assert damage.concealed_frames >= 1


def test_decoding_again_counts_again(whole_file: WholeFile, tmp_path: Path) -> None:
    """A second pass over a video counts its damage anew, and the same."""
    write_changed(whole_file, tmp_path / "a.mkv", track="colour", numbers=range(2, 3))
    video = tinct.open(str(tmp_path / "a.mkv"))
    counts = set()
    for _ in range(2):
        assert len(list(video)) >= FRAMES - 1
        counts.add(str(video.damage))
    assert len(counts) == 1


# ── plain HEVC, which has no manifest ─────────────────────────────────────────────────────────────


def test_a_plain_file_cut_anywhere_shows_what_is_left(
    plain_file: WholeFile, tmp_path: Path
) -> None:
    """A longer part of a plain file decodes to no fewer frames, equal but for the last four."""
    data, counts = plain_file.path.read_bytes(), [0]
    for length in range(0, len(data), len(data) // 40):
        (tmp_path / "a.mkv").write_bytes(data[:length])
        try:
            frames, _ = read_damaged(plain_file, tmp_path / "a.mkv")
        except CodecError:
            assert counts[-1] == 0, length
            continue
        counts.append(len(frames))
        assert all(
            is_same(ours, theirs)
            for ours, theirs in zip(frames[:-4], plain_file.frames, strict=False)
        )
    assert counts == sorted(counts)
    assert counts[-1] > 30


@pytest.mark.slow
def test_any_packet_of_a_plain_file_may_be_lost_or_spoilt(
    plain_file: WholeFile, tmp_path: Path
) -> None:
    """An all-intra file loses one frame at most; other structures lose predicted frames too.

    dav1d drops the frame after a broken one with it.
    """
    most = 2 if plain_file.path.read_bytes().count(b"V_AV1") else 1
    random = Random(0)
    with av.open(str(plain_file.path)) as container:
        coded = [packet for packet in container.demux(video=0) if packet.size]
        packets = [bytes(packet) for packet in coded]
        is_all_intra = all(packet.is_keyframe for packet in coded)
    data = plain_file.path.read_bytes()
    (tmp_path / "a.mkv").write_bytes(data.replace(packets[0][4:], bytes(len(packets[0]) - 4)))
    if is_all_intra:
        frames, _ = read_damaged(plain_file, tmp_path / "a.mkv")
        assert [frame.pts for frame in frames] == [frame.pts for frame in plain_file.frames[1:]]
    else:
        with pytest.raises(CodecError, match="expected frames to decode, found none"):
            read_damaged(plain_file, tmp_path / "a.mkv")
    for packet in packets[1:]:
        if len(packet) < 16:  # as many bytes may stand in several places
            continue
        (tmp_path / "a.mkv").write_bytes(flip_bits(data, packet, random, count=3))
        frames, _ = read_damaged(plain_file, tmp_path / "a.mkv")
        assert FRAMES - 4 <= len(frames) <= FRAMES
        if is_all_intra:
            assert sum(not is_same(frame, plain_file.frames[frame.pts]) for frame in frames) <= most


def test_broken_intra_pictures_are_shown_from_the_first_one_on(
    tmp_path: Path, reader: ProcessPoolExecutor
) -> None:
    """Intra pictures are decoded as far as they go: here, H.264 whose packets lack their ends."""
    source = tmp_path / "a.mkv"
    write_clip(
        source, frames=8, size=(192, 144), codec="libx264", codec_options={"g": "1", "qp": "10"}
    )
    data = bytearray(source.read_bytes())
    for _, packet in read_payloads(source, "video"):
        end, lost = data.index(packet) + len(packet), len(packet) - len(packet) * 2 // 3
        data[end - lost : end] = bytes(lost)
    source.write_bytes(data)
    frames, damage = reader.submit(read_video, str(source)).result(60)
    assert len(frames) == 8
    assert damage.packets > 0


@pytest.mark.slow
def test_damage_that_only_the_first_reading_sees_is_told(tmp_path: Path) -> None:
    """Lost frames are counted where an update reads the source again.

    The second reading ends with the last frame and sees no loss.
    """
    source = write_broken_start(tmp_path / "a.mkv", size=(96, 64))
    options = {"colour": "track", "colouriser": "compact", "group": 8, "qp": 8}
    options |= {"interpolate": "off"}
    reports = [
        tinct.encode(
            str(source),
            str(tmp_path / f"{adapt}.mkv"),
            tinct.EncodeConfig(adapt=adapt, **options),  # type: ignore[arg-type]
        )
        for adapt in ("off", "2steps")
    ]
    assert reports[0].damaged == reports[1].damaged > 0


def test_quality_is_that_of_the_same_frames_where_the_first_is_lost(
    whole_file: WholeFile, clip_path: Path, tmp_path: Path
) -> None:
    """`verify` compares each decoded frame with the source frame of the same time."""
    first = bytes(read_track_packets(whole_file.path, "luma")[0])
    (tmp_path / "a.mkv").write_bytes(
        whole_file.path.read_bytes().replace(first[4:], bytes(len(first) - 4))
    )
    lost, kept = (
        tinct.verify(str(path), str(clip_path)) for path in (tmp_path / "a.mkv", whole_file.path)
    )
    assert lost.psnr is not None
    assert kept.psnr is not None
    assert abs(lost.psnr[0].mean_db - kept.psnr[0].mean_db) < 1
