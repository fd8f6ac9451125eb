"""In-band restoration: which frames a network gets, which planes are plain, and real files."""

from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import (
    assert_same_frames,
    change_manifest,
    find_sample_clip,
    measure_psnr,
    read_attachments,
    read_message,
    read_payloads,
    remux,
    run,
)
from synthetic import make_info, write_clip

import tinct
from tinct import limits
from tinct.bitstream.base import BASES
from tinct.bitstream.container import read_file_manifest
from tinct.bitstream.short_manifest import write_short
from tinct.bitstream.strengths import NEUTRAL, Strengths
from tinct.decoder.inband import InBandRestorer
from tinct.decoder.levels import Levels
from tinct.decoder.losses import LossLog
from tinct.decoder.postfilter import Judge, PostFilter
from tinct.frames import Frame
from tinct.media.planes import Planes
from tinct.motion.references import References
from tinct.motion.views import KeyView, LumaView
from tinct.networks import compact
from tinct.networks.compact import GatherInBand
from tinct.networks.interface import InBandColouriser, StartFrame

INFO = make_info(4, 4, frame_rate=Fraction(30))
# One for each network, and structure.
CONFIGS = {
    f"{base}-{network}-{structure}": tinct.EncodeConfig(
        structure=structure, base=base, network=network, colouriser="compact", qp=37
    )
    for base, network, structure in (
        ("hevc", "best", "low-delay"),
        ("hevc", "fast", "random-access"),
        ("hevc", "best", "random-access"),
        ("av1", "fast", "random-access"),
        ("av1", "best", "random-access"),
    )
}


def view(pts: int) -> KeyView:
    luma = LumaView(np.full((4, 4), 100 + pts, np.uint8), bit_depth=8, pts=pts)
    return KeyView(luma, *np.full((2, 2, 2), pts, np.uint8))


def start_frame(frames: Sequence[KeyView], index: int, *, pool: Executor) -> Future[Planes]:
    """Return luma whose bits are the frames that were given, and Cb and Cr raised by 100.

    The lowest bit stands for the first frame given.
    """
    given = sum(1 << (frame.luma.pts - frames[0].luma.pts) for frame in frames)
    own = frames[index]
    return pool.submit(lambda: (np.full((4, 4), given, np.uint8), own.cb + 100, own.cr + 100))


def start_level(frames: Sequence[KeyView], index: int, *, pool: Executor) -> Future[Planes]:
    """Return planes that hold the frame's level."""
    level = frames[index].luma.level
    y, c = np.full((4, 4), level, np.uint8), np.full((2, 2), level, np.uint8)
    return pool.submit(lambda: (y, c, c))


def restore(
    times: Sequence[int],
    post_filter: PostFilter | None = None,
    judge: Judge | None = None,
    *,
    start_frame: StartFrame = start_frame,
    start: int = 0,
    entries: Sequence[int] = (),
) -> list[Frame]:
    levels = Levels(BASES["av1"])
    for pts in entries:
        levels.note(b"", pts, is_entry=True)
    with ThreadPoolExecutor(2) as pool:
        restorer = InBandRestorer(
            INFO,
            InBandColouriser(start_frame, reach=2),
            pool,
            levels=levels,
            post_filter=post_filter or PostFilter(),
            judge=judge,
            pending_frames=3,
            losses=LossLog(),
            start=start,
        )
        frames = [frame for pts in times for frame in restorer.push(view(pts))] + restorer.flush()
    assert [frame.pts for frame in frames] == [pts for pts in times if pts >= start]
    return frames


@pytest.mark.parametrize(
    ("count", "given"),
    [
        (1, [1]),
        (2, [3, 3]),
        (4, [0b111, 0b1111, 0b1111, 0b111]),
        (6, [0b111, 0b1111, 0b11111, 0b11111, 0b1111, 0b111]),
    ],
)
def test_a_frame_is_restored_from_two_on_either_side(count: int, given: list[int]) -> None:
    frames = restore(range(count))
    assert [int(frame.y[0, 0]) for frame in frames] == given


def test_a_frame_is_restored_from_decoded_frames() -> None:
    """So a cut that is read from two frames earlier shows the same as the whole video."""
    whole = restore(range(12))
    part = restore(range(3, 12))
    assert_same_frames(part[2:], whole[5:])


@pytest.mark.parametrize("start", [1, 2, 5, 11])
def test_frames_before_a_cut_serve_others_alone(start: int) -> None:
    whole = restore(range(12))
    assert_same_frames(restore(range(12), start=start), whole[start:])


@pytest.mark.parametrize("start", [0, 3, 6])
def test_places_count_from_the_entry_point(start: int) -> None:
    """Frames before a cut count too."""
    frames = restore(range(9), start_frame=start_level, start=start, entries=[0, 5])
    assert [int(frame.y[0, 0]) for frame in frames] == [0, 3, 2, 3, 1, 0, 3, 2, 3][start:]


def test_planes_are_plain_by_the_second() -> None:
    """At 30 frames/s the first second is frames 0 to 29."""
    frames = restore(range(70), PostFilter.of(({1}, {0, 1}, {1}), ((), (), ())))
    is_restored = [int(f.y[0, 0]) == 0b11111 for f in frames[2:68]]
    assert is_restored == [True] * 28 + [False] * 30 + [True] * 8
    assert [int(f.cb[0, 0]) - f.pts for f in frames] == [0] * 60 + [100] * 10
    assert [int(f.cr[0, 0]) - f.pts for f in frames] == [100] * 30 + [0] * 30 + [100] * 10


def test_a_judge_decides_when_a_second_is_complete() -> None:
    asked: list[list[int]] = []

    def judge(
        times: Sequence[int],
        restored: Sequence[Planes],
        prior: Sequence[Planes],
        *,
        current: Sequence[Strengths],
    ) -> list[Strengths]:
        asked.append(list(times))
        assert all(int(planes[1][0, 0]) == pts for pts, planes in zip(times, prior, strict=True))
        assert all(
            int(planes[1][0, 0]) == pts + 100 for pts, planes in zip(times, restored, strict=True)
        )
        return [NEUTRAL, Strengths(0) if times[0] >= 30 else NEUTRAL, NEUTRAL]

    post_filter = PostFilter()
    frames = restore(range(70), post_filter, judge)
    assert asked == [list(range(30)), list(range(30, 60)), list(range(60, 70))]
    assert post_filter == PostFilter.of(((), (1, 2), ()), ((), (), ()))
    assert [int(f.cb[0, 0]) - f.pts for f in frames] == [100] * 30 + [0] * 40


def test_the_first_of_many_frames_in_a_second_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_JUDGED_PIXELS", 10 * 16)
    asked: list[list[int]] = []

    def judge(
        times: Sequence[int],
        restored: Sequence[Planes],
        prior: Sequence[Planes],
        *,
        current: Sequence[Strengths],
    ) -> list[Strengths]:
        asked.append(list(times))
        return [NEUTRAL, Strengths(0), NEUTRAL]

    frames = restore(range(40), judge=judge)
    assert asked == [list(range(10)), list(range(30, 40))]
    assert all(int(f.cb[0, 0]) == f.pts for f in frames)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames of a real clip."""
    path = tmp_path_factory.mktemp("inband") / "source.mkv"
    tinct.decode(str(find_sample_clip("carphone_pristine.mp4")), str(path), duration_seconds=1.33)
    return path


@pytest.fixture(scope="module", params=CONFIGS)
def coded(request: pytest.FixtureRequest, source: Path) -> Path:
    path = source.with_name(f"{request.param}.mkv")
    tinct.encode(str(source), str(path), CONFIGS[request.param])
    return path


@pytest.mark.slow
def test_the_file_decodes_elsewhere_to_what_the_encoder_saw(
    coded: Path, source: Path, tmp_path: Path
) -> None:
    report = tinct.encode(str(source), str(tmp_path / "again.mkv"), CONFIGS[coded.stem])
    assert (tmp_path / "again.mkv").read_bytes() == coded.read_bytes()
    assert run("decode", coded, tmp_path / "out.mkv").returncode == 0
    here, there = list(tinct.open(str(coded))), list(tinct.open(str(tmp_path / "out.mkv")))
    assert_same_frames([replace(f, info=here[0].info) for f in there], here)
    pairs = list(zip(here, tinct.open(str(source)), strict=True))
    for plane, measured in zip(("y", "cb", "cr"), report.psnr, strict=True):
        found = np.mean([measure_psnr(getattr(a, plane), getattr(b, plane)) for a, b in pairs])
        assert found == pytest.approx(measured.mean_db, abs=0.01)


def mean_psnr_y(path: Path, source: Path) -> float:
    pairs = zip(tinct.open(str(path)), tinct.open(str(source)), strict=True)
    return float(np.mean([measure_psnr(ours.y, theirs.y) for ours, theirs in pairs]))


@pytest.mark.slow
def test_the_track_is_plain_and_the_network_makes_it_better(
    coded: Path, source: Path, tmp_path: Path
) -> None:
    """Packets are those of the library to the byte; the network adds 1 dB of luma at most.

    AV1's own filters leave less to add.
    """
    plain = tmp_path / "plain.mkv"
    tinct.encode(str(source), str(plain), replace(CONFIGS[coded.stem], colouriser="none"))
    assert not read_attachments(plain)
    assert read_payloads(plain, "video") == read_payloads(coded, "video")
    means = [mean_psnr_y(path, source) for path in (plain, coded)]
    least = 0.05 if CONFIGS[coded.stem].base == "hevc" else 0
    assert least < means[1] - means[0] < 1


@pytest.mark.slow
def test_a_cut_in_the_middle_shows_what_the_whole_shows(coded: Path) -> None:
    whole = [f for f in tinct.open(str(coded)) if 20 <= f.pts < 30]
    part = list(
        tinct.open(str(coded), start_seconds=whole[0].pts_seconds, duration_seconds=10 / 30)
    )
    assert_same_frames([replace(f, pts=f.pts + 20, info=whole[0].info) for f in part], whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "clip",
    [
        {"size": (35, 33)},
        {"size": (18, 16)},
        {"pix_fmt": "yuv420p10le"},
        {"frames": 1},
        {"vfr": (0, 40, 90, 200, 1210, 1300)},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("name", "network"),
    [("hevc-best-random-access", "best-hevc"), ("av1-fast-random-access", "fast-av1")],
)
def test_any_size_depth_length_and_rate(
    clip: dict[str, Any], name: str, network: str, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mkv", **{"frames": 6, "size": (48, 32), **clip})
    report = tinct.encode(str(tmp_path / "clip.mkv"), str(tmp_path / "a.mkv"), CONFIGS[name])
    manifest = read_file_manifest(str(tmp_path / "a.mkv"))
    assert manifest is not None
    assert manifest.network is not None
    assert manifest.network[0] == network
    assert manifest.qps == ((0, 37, 37),)
    frames = list(tinct.open(str(tmp_path / "a.mkv")))
    originals = list(tinct.open(str(tmp_path / "clip.mkv")))
    assert [f.pts_seconds for f in frames] == [f.pts_seconds for f in originals]
    peak = 255 << (originals[0].info.bit_depth - 8)
    found = np.mean([measure_psnr(a.y, b.y, peak) for a, b in zip(frames, originals, strict=True)])
    assert found == pytest.approx(report.psnr[0].mean_db, abs=0.01)


def test_a_cut_restores_no_more_than_it_shows_and_needs(
    coded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_file_manifest(str(coded))
    assert manifest is not None
    nowhere_plain = write_short(replace(manifest, plain=((), (), ())), (144, 176))
    remux(coded, tmp_path / "a.mkv", tag=nowhere_plain)
    restored: list[int] = []
    for kind, real in compact.IN_BAND_GATHERERS.items():

        def counted(frames: Sequence[KeyView], index: int, real: GatherInBand = real) -> References:
            restored.append(frames[index].luma.pts)
            return real(frames, index)

        monkeypatch.setitem(compact.IN_BAND_GATHERERS, kind, counted)
    cut = {"start_seconds": 20 / 30, "duration_seconds": 5 / 30}
    assert len(list(tinct.open(str(tmp_path / "a.mkv"), **cut))) == 5
    assert min(restored) == 20
    assert set(range(20, 25)) <= set(restored)


@pytest.mark.slow
def test_with_crf_with_a_bitrate_and_judged_by_a_few_frames(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_JUDGED_PIXELS", 7 * 176 * 144)
    for name, options in (("crf", {"crf": 36.6}), ("bitrate", {"bitrate_kbps": 60.0})):
        config = tinct.EncodeConfig(
            structure="low-delay", base="hevc", network="best", colouriser="compact", **options
        )  # type: ignore[arg-type]
        report = tinct.encode(str(source), str(tmp_path / f"{name}.mkv"), config)
        verified = tinct.verify(str(tmp_path / f"{name}.mkv"), str(source))
        assert verified.psnr is not None
        manifest = read_file_manifest(str(tmp_path / f"{name}.mkv"))
        assert manifest is not None
        ((start, of_keys, of_others),) = manifest.qps
        assert start == 0
        assert of_keys == of_others
        assert of_keys == 37 or name == "bitrate"
        assert [p.mean_db for p in verified.psnr] == pytest.approx(
            [p.mean_db for p in report.psnr], abs=0.01
        )


@pytest.mark.slow
def test_what_does_not_pay_is_plain_hevc(tmp_path: Path) -> None:
    """Two small frames cannot save what a manifest takes."""
    write_clip(tmp_path / "clip.mkv", frames=2)
    options = ["--structure", "low-delay", "--base", "hevc", "--network", "best"]
    done = run("encode", tmp_path / "clip.mkv", tmp_path / "a.mkv", *options)
    assert done.returncode == 0, done.stderr
    assert b"the network does not pay on this video: this is plain HEVC" in done.stderr
    plain = tinct.encode(
        str(tmp_path / "clip.mkv"),
        str(tmp_path / "b.mkv"),
        tinct.EncodeConfig(structure="low-delay", base="hevc", colouriser="none"),
    )
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()
    assert not plain.tinct


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"network": ["best", "0" * 16]},
        {"network": ["fast-av1", "0" * 16]},
        {"layout": "chroma"},
        {"rank": 2, "update": "0" * 16},
        {"plain": [[], [1, 0], []]},
        {"qps": None},
    ],
    ids=str,
)
def test_lies_in_the_manifest_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """That of a size that is cropped is a long one."""
    write_clip(tmp_path / "clip.mkv", frames=3, size=(35, 33))
    config = CONFIGS["hevc-best-random-access"]
    tinct.encode(str(tmp_path / "clip.mkv"), str(tmp_path / "a.mkv"), config)
    change_manifest(tmp_path / "a.mkv", tmp_path / "lie.mkv", lambda manifest: manifest | changes)
    message = read_message(run("info", tmp_path / "lie.mkv"), 2)
    is_of_another = changes.get("network", [""])[0] == "fast-av1"
    expected = "expected AV1 for the network fast-av1, found HEVC in"
    assert (expected if is_of_another else "damaged tinct.json") in message


@pytest.mark.slow
def test_a_lost_packet_is_counted(coded: Path, tmp_path: Path) -> None:
    lost = (
        12 if CONFIGS[coded.stem].base == "hevc" else 36
    )  # AV1's frames are seen from further off
    remux(coded, tmp_path / "lost.mkv", packet=lambda name, n, data: None if n == lost else data)
    video, whole = tinct.open(str(tmp_path / "lost.mkv")), list(tinct.open(str(coded)))
    found = list(video)
    assert [f.pts for f in found] == [f.pts for f in whole]
    assert video.damage
    assert_same_frames(found[:8], whole[:8])
