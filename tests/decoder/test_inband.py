"""In-band restoration: which frames a network gets, which planes are plain, and real files."""

import json
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
from tinct.decoder.inband import InBandRestorer
from tinct.decoder.losses import LossLog
from tinct.frames import Frame
from tinct.media.planes import Planes
from tinct.motion.references import References
from tinct.motion.views import KeyView, LumaView
from tinct.networks import compact
from tinct.networks.interface import Judge

INFO = make_info(4, 4, frame_rate=Fraction(30))
CONFIG = tinct.EncodeConfig(structure="random-access", base="hevc", network="best", qp=37)


def view(pts: int) -> KeyView:
    luma = LumaView(np.full((4, 4), 100 + pts, np.uint8), bit_depth=8, pts=pts)
    return KeyView(luma, *np.full((2, 2, 2), pts, np.uint8))


def around(frames: Sequence[KeyView], index: int, pool: Executor) -> Future[Planes]:
    """Return luma whose bits are the frames that were given, and Cb and Cr raised by 100.

    The lowest bit stands for the first frame given.
    """
    given = sum(1 << (frame.luma.pts - frames[0].luma.pts) for frame in frames)
    own = frames[index]
    return pool.submit(lambda: (np.full((4, 4), given, np.uint8), own.cb + 100, own.cr + 100))


def restore(
    times: Sequence[int], plain: tuple[set[int], ...], judge: Judge | None = None
) -> list[Frame]:
    with ThreadPoolExecutor(2) as pool:
        restorer = InBandRestorer(
            INFO, around, pool, plain=plain, judge=judge, pending_frames=3, losses=LossLog()
        )
        frames = [frame for pts in times for frame in restorer.push(view(pts))] + restorer.flush()
    assert [frame.pts for frame in frames] == list(times)
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
    frames = restore(range(count), (set(), set(), set()))
    assert [int(frame.y[0, 0]) for frame in frames] == given


def test_a_frame_is_restored_from_decoded_frames() -> None:
    """So a cut that is read from two frames earlier shows the same as the whole video."""
    whole = restore(range(12), (set(), set(), set()))
    part = restore(range(3, 12), (set(), set(), set()))
    assert_same_frames(part[2:], whole[5:])


def test_planes_are_plain_by_the_second() -> None:
    """At 30 frames/s the first second is frames 0 to 29."""
    frames = restore(range(70), ({1}, {0, 1}, {1}))
    is_restored = [int(f.y[0, 0]) == 0b11111 for f in frames[2:68]]
    assert is_restored == [True] * 28 + [False] * 30 + [True] * 8
    assert [int(f.cb[0, 0]) - f.pts for f in frames] == [0] * 60 + [100] * 10
    assert [int(f.cr[0, 0]) - f.pts for f in frames] == [100] * 30 + [0] * 30 + [100] * 10


def test_a_judge_decides_when_a_second_is_complete() -> None:
    asked: list[list[int]] = []

    def judge(
        times: Sequence[int], restored: Sequence[Planes], prior: Sequence[Planes]
    ) -> tuple[bool, ...]:
        asked.append(list(times))
        assert all(int(planes[1][0, 0]) == pts for pts, planes in zip(times, prior, strict=True))
        assert all(
            int(planes[1][0, 0]) == pts + 100 for pts, planes in zip(times, restored, strict=True)
        )
        return (False, times[0] >= 30, False)

    plain: tuple[set[int], ...] = (set(), set(), set())
    frames = restore(range(70), plain, judge)
    assert asked == [list(range(30)), list(range(30, 60)), list(range(60, 70))]
    assert plain == (set(), {1, 2}, set())
    assert [int(f.cb[0, 0]) - f.pts for f in frames] == [100] * 30 + [0] * 40


def test_the_first_of_many_frames_in_a_second_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_JUDGED_PIXELS", 10 * 16)
    asked: list[list[int]] = []

    def judge(
        times: Sequence[int], restored: Sequence[Planes], prior: Sequence[Planes]
    ) -> tuple[bool, ...]:
        asked.append(list(times))
        return (False, True, False)

    frames = restore(range(40), (set(), set(), set()), judge)
    assert asked == [list(range(10)), list(range(30, 40))]
    assert all(int(f.cb[0, 0]) == f.pts for f in frames)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames of a real clip."""
    path = tmp_path_factory.mktemp("inband") / "source.mkv"
    tinct.decode(str(find_sample_clip("carphone_pristine.mp4")), str(path), duration_seconds=1.33)
    return path


@pytest.fixture(scope="module", params=["low-delay", "random-access"])
def coded(request: pytest.FixtureRequest, source: Path) -> Path:
    path = source.with_name(f"{request.param}.mkv")
    tinct.encode(
        str(source), str(path), replace(CONFIG, structure=request.param, colouriser="compact")
    )
    return path


@pytest.mark.slow
def test_the_file_decodes_elsewhere_to_what_the_encoder_saw(
    coded: Path, source: Path, tmp_path: Path
) -> None:
    config = replace(CONFIG, structure=coded.stem, colouriser="compact")  # type: ignore[arg-type]
    report = tinct.encode(str(source), str(tmp_path / "again.mkv"), config)
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
def test_the_track_is_plain_hevc_and_the_network_makes_it_better(
    coded: Path, source: Path, tmp_path: Path
) -> None:
    """Packets are those of x265 to the byte; the network adds 0.05 to 1 dB of luma."""
    plain = tmp_path / "plain.mkv"
    tinct.encode(str(source), str(plain), replace(CONFIG, structure=coded.stem, network="fast"))  # type: ignore[arg-type]
    assert not read_attachments(plain)
    assert read_payloads(plain, "video") == read_payloads(coded, "video")
    means = [mean_psnr_y(path, source) for path in (plain, coded)]
    assert 0.05 < means[1] - means[0] < 1


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
def test_any_size_depth_length_and_rate(clip: dict[str, Any], tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mkv", **{"frames": 6, "size": (48, 32), **clip})
    report = tinct.encode(
        str(tmp_path / "clip.mkv"), str(tmp_path / "a.mkv"), replace(CONFIG, colouriser="compact")
    )
    manifest = json.loads(read_attachments(tmp_path / "a.mkv")["tinct.json"])
    assert manifest["network"][0] == "in-band"
    assert manifest["qps"] == [[0], [37], [37]]
    frames = list(tinct.open(str(tmp_path / "a.mkv")))
    originals = list(tinct.open(str(tmp_path / "clip.mkv")))
    assert [f.pts_seconds for f in frames] == [f.pts_seconds for f in originals]
    peak = 255 << (originals[0].info.bit_depth - 8)
    found = np.mean([measure_psnr(a.y, b.y, peak) for a, b in zip(frames, originals, strict=True)])
    assert found == pytest.approx(report.psnr[0].mean_db, abs=0.01)


def test_a_cut_restores_no_more_than_it_shows_and_needs(
    source: Path, coded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restored: list[int] = []
    real = compact.gather_in_band_references

    def counted(frames: Sequence[KeyView], index: int) -> References:
        restored.append(frames[index].luma.pts)
        return real(frames, index)

    monkeypatch.setattr(compact, "gather_in_band_references", counted)
    video = tinct.open(str(coded), start_seconds=20 / 30, duration_seconds=5 / 30)
    assert len(list(video)) == 5
    assert min(restored) == 18
    assert set(range(20, 25)) <= set(restored)


@pytest.mark.slow
def test_with_crf_with_a_bitrate_and_judged_by_a_few_frames(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_JUDGED_PIXELS", 7 * 176 * 144)
    for name, options in (("crf", {"crf": 36.6}), ("bitrate", {"bitrate_kbps": 60.0})):
        config = tinct.EncodeConfig(
            structure="low-delay", network="best", colouriser="compact", **options
        )  # type: ignore[arg-type]
        report = tinct.encode(str(source), str(tmp_path / f"{name}.mkv"), config)
        verified = tinct.verify(str(tmp_path / f"{name}.mkv"), str(source))
        assert verified.psnr is not None
        times, *qps = json.loads(read_attachments(tmp_path / f"{name}.mkv")["tinct.json"])["qps"]
        assert times == [0]
        assert qps == [[37], [37]] if name == "crf" else qps[0] == qps[1]
        assert [p.mean_db for p in verified.psnr] == pytest.approx(
            [p.mean_db for p in report.psnr], abs=0.01
        )


@pytest.mark.slow
def test_what_does_not_pay_is_plain_hevc(tmp_path: Path) -> None:
    """Five small frames cannot save what a manifest takes."""
    write_clip(tmp_path / "clip.mkv", frames=5)
    options = ["--structure", "low-delay", "--base", "hevc", "--network", "best"]
    done = run("encode", tmp_path / "clip.mkv", tmp_path / "a.mkv", *options)
    assert done.returncode == 0, done.stderr
    assert b"the network does not pay on this video: this is plain HEVC" in done.stderr
    plain = tinct.encode(
        str(tmp_path / "clip.mkv"),
        str(tmp_path / "b.mkv"),
        tinct.EncodeConfig(structure="low-delay", base="hevc"),
    )
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()
    assert not plain.tinct


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"network": ["best", "0" * 16]},
        {"layout": "chroma"},
        {"rank": 2, "update": "0" * 16},
        {"plain": [[], [1, 0], []]},
        {"qps": None},
    ],
    ids=str,
)
def test_lies_in_the_manifest_are_refused(
    coded: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    change_manifest(coded, tmp_path / "lie.mkv", lambda manifest: manifest | changes)
    assert "damaged tinct.json" in read_message(run("info", tmp_path / "lie.mkv"), 2)


@pytest.mark.slow
def test_a_lost_packet_is_counted(coded: Path, tmp_path: Path) -> None:
    remux(coded, tmp_path / "lost.mkv", packet=lambda name, n, data: None if n == 12 else data)
    video, whole = tinct.open(str(tmp_path / "lost.mkv")), list(tinct.open(str(coded)))
    found = list(video)
    assert [f.pts for f in found] == [f.pts for f in whole]
    assert video.damage
    assert_same_frames(found[:8], whole[:8])
