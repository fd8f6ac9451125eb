"""Files that `compact` restores: what it gains on a real clip, damaged files, and lies in them."""

import json
from collections.abc import Callable
from dataclasses import replace
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
    remux,
    run,
)

import tinct
from tinct.bitstream.base import IntraEncoder
from tinct.bitstream.pictures import Packet
from tinct.encoder.trials import RateSearch
from tinct.evaluation.keyframes import find_key_frames
from tinct.frames import Frame
from tinct.media.planes import Planes

CONFIG = tinct.EncodeConfig(
    interpolate="off", colour="track", colouriser="compact", key_boost=12, group=8, adapt="off"
)


@pytest.fixture(scope="module")
def coded(make_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """40 frames of a real clip, key frames 8 apart and 12 QP finer."""

    def make(folder: Path) -> None:
        clip = find_sample_clip("carphone_pristine.mp4")
        tinct.decode(str(clip), str(folder / "source.mkv"), duration_seconds=1.33)
        tinct.encode(str(folder / "source.mkv"), str(folder / "coded.mkv"), CONFIG)

    return make_once("compact", make) / "coded.mkv"


def mean_psnr(frames: list[Frame], source: list[Frame], plane: str = "y") -> float:
    pairs = zip(frames, source, strict=True)
    return float(np.mean([measure_psnr(getattr(a, plane), getattr(b, plane)) for a, b in pairs]))


@pytest.mark.slow
def test_the_file_decodes_elsewhere_to_what_the_encoder_saw(coded: Path, tmp_path: Path) -> None:
    source = list(tinct.open(str(coded.with_name("source.mkv"))))
    report = tinct.encode(str(coded.with_name("source.mkv")), str(tmp_path / "again.mkv"), CONFIG)
    assert (tmp_path / "again.mkv").read_bytes() == coded.read_bytes()
    assert run("decode", coded, tmp_path / "out.mkv").returncode == 0
    here, there = list(tinct.open(str(coded))), list(tinct.open(str(tmp_path / "out.mkv")))
    assert_same_frames([replace(f, info=here[0].info) for f in there], here)
    assert mean_psnr(here, source) == pytest.approx(report.psnr[0].mean_db, abs=0.01)


@pytest.mark.slow
def test_the_qps_of_a_bitrate_are_told_nearly_as_they_were(
    coded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each frame's QP is within 2 of what the file says; the decoder shows what the encoder saw."""
    source, steered = coded.with_name("source.mkv"), tmp_path / "a.mkv"
    encode, spent = IntraEncoder.encode, {}

    def spy(coder: IntraEncoder, planes: Planes, pts: int, qp: int) -> list[Packet]:
        if planes[0].shape[0] == 144:  # in the samples too, before the video itself is coded
            spent[pts] = qp
        return encode(coder, planes, pts, qp)

    monkeypatch.setattr(IntraEncoder, "encode", spy)
    # coded once, with a QP that is steered, as from a pipe
    monkeypatch.setattr(RateSearch, "start", lambda search, plan: plan)
    report = tinct.encode(str(source), str(steered), replace(CONFIG, bitrate_kbps=200.0))
    rows = list(zip(*json.loads(read_attachments(steered)["tinct.json"])["qps"], strict=True))
    assert rows[0][0] == 0
    assert 1 < len(rows) < 12
    keys = set(find_key_frames(str(steered)))
    assert set(range(0, 40, 8)) <= keys < set(spent)
    for pts, qp in spent.items():
        _, key_qp, other_qp = [row for row in rows if row[0] <= pts][-1]
        assert abs(qp - (key_qp if pts in keys else other_qp)) <= 2, pts
    measured = mean_psnr(list(tinct.open(str(steered))), list(tinct.open(str(source))))
    assert measured == pytest.approx(report.psnr[0].mean_db, abs=1e-6)


def test_the_network_gains_on_a_real_clip(coded: Path, tmp_path: Path) -> None:
    """Of frames between key frames luma must gain 1.5 dB, not 8; colour must lose nothing."""

    def leave_out_network(manifest: dict[str, Any]) -> dict[str, Any]:
        network = ("colouriser", "network", "qps", "plain", "strengths")
        left = {name: value for name, value in manifest.items() if name not in network}
        return left | {"tinct": 2 if "interpolated" in manifest else 1}

    change_manifest(coded, tmp_path / "none.mkv", leave_out_network)
    between = slice(1, 8)
    source = list(tinct.open(str(coded.with_name("source.mkv"))))[between]
    with_it = list(tinct.open(str(coded)))[between]
    without = list(tinct.open(str(tmp_path / "none.mkv")))[between]
    for plane, least in (("y", 1.5), ("cb", -0.05), ("cr", -0.05)):
        gain = mean_psnr(with_it, source, plane) - mean_psnr(without, source, plane)
        assert least < gain < 8, plane


@pytest.mark.slow
def test_a_file_of_a_network_that_is_not_here_is_refused(coded: Path, tmp_path: Path) -> None:
    other = {"network": ["fast", "0123456789abcdef"]}
    change_manifest(coded, tmp_path / "other.mkv", lambda manifest: manifest | other)
    said = read_message(run("decode", tmp_path / "other.mkv", tmp_path / "out.mkv"), 2)
    assert "fast-0123456789abcdef" in said
    assert not (tmp_path / "out.mkv").exists()


# None takes a key out.
LIES: list[dict[str, object]] = [
    {"network": None},
    {"network": ["fast"]},
    {"network": ["slow", "0" * 16]},
    {"network": ["in-band", "0" * 16]},
    {"network": [["fast"], "0" * 16]},
    {"network": ["fast", "0" * 15 + "G"]},
    {"colouriser": "none"},
    {"plain": [[], []]},
    {"plain": [[3, 1], [], []]},
    {"plain": {"y": []}},
    {"plain": [[1.5], [], []]},
    {"qps": None},
    {"qps": [[], [], []]},
    {"qps": [[0], [26]]},
    {"qps": [[0], [26], [52]]},
    {"qps": [[0, 3], [26], [40, 41]]},
    {"qps": [[3, 0], [26, 27], [40, 41]]},
    {"qps": [[0], [26], [40.5]]},
    {"qps": [[0, 26, 40]]},
]


@pytest.mark.slow
@pytest.mark.parametrize("lie", LIES, ids=str)
def test_lies_in_the_manifest_are_refused(
    coded: Path, tmp_path: Path, lie: dict[str, object]
) -> None:
    def tell(manifest: dict[str, Any]) -> dict[str, Any]:
        changed = {**manifest, **lie}
        return {key: value for key, value in changed.items() if value is not None}

    change_manifest(coded, tmp_path / "lie.mkv", tell)
    assert "damaged tinct.json" in read_message(run("info", tmp_path / "lie.mkv"), 2)


def test_a_cut_out_part_shows_what_the_whole_shows(coded: Path) -> None:
    whole = [f for f in tinct.open(str(coded)) if 20 <= f.pts < 30]
    start = whole[0].pts_seconds
    part = list(tinct.open(str(coded), start_seconds=start, duration_seconds=10 / 30))
    assert len(part) == 10
    assert_same_frames([replace(f, pts=f.pts + 20, info=whole[0].info) for f in part], whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("track", "number", "touched"),
    [("luma", 12, range(9, 16)), ("colour", 2, range(9, 40))],
    ids=["luma", "colour"],
)
def test_a_lost_packet_costs_its_group_alone(
    coded: Path, tmp_path: Path, track: str, number: int, touched: range
) -> None:
    """Frame 12's luma, or the colour of key frame 16, from which later key frames are predicted."""
    lost = tmp_path / "lost.mkv"
    remux(coded, lost, packet=lambda name, n, data: None if (name, n) == (track, number) else data)
    found, whole = list(tinct.open(str(lost))), list(tinct.open(str(coded)))
    assert [f.pts for f in found] == [f.pts for f in whole]
    same = {
        n
        for n, (a, b) in enumerate(zip(found, whole, strict=True))
        if np.array_equal(a.y, b.y) and np.array_equal(a.cb, b.cb)
    }
    assert same >= set(range(len(whole))) - set(touched)
    assert all(measure_psnr(found[n].y, whole[n].y) > 25 for n in touched)
