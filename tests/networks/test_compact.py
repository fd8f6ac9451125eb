"""The colouriser `compact`: one graph in two libraries, its size, its weights, what it makes of real and of hostile files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_same_frames, attached, one_line, psnr, remux, run, sample_clip
from synthetic import clip, info

import tinct
from tinct.bitstream.hevc import IntraEncoder, Packet
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.decoder.restorer import Restorer
from tinct.errors import CodecError
from tinct.media.planes import Planes
from tinct.motion.flow import track
from tinct.motion.references import References, in_band_reference
from tinct.motion.views import KeyView, LumaView
from tinct.networks.compact import WEIGHTS, Runner, load_network
from tinct.networks.compact_config import CompactConfig, read_weights, write_weights
from tinct.networks.interface import none


def random_weights(config: CompactConfig, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        name: random.normal(0, 0.2, shape).astype(np.float32)
        for name, shape in config.shapes.items()
    }


def random_references(
    config: CompactConfig, height: int, width: int, bit_depth: int = 8
) -> References:
    random = np.random.default_rng(1)
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    luma = random.integers(0, 1 << bit_depth, (config.luma_sources, height, width)).astype(dtype)
    shape = (config.chroma_sources, 2, (height + 1) // 2, (width + 1) // 2)
    return References(
        luma, random.integers(0, 1 << bit_depth, shape).astype(dtype), (3, 5), (26, 41)
    )


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_both_libraries_compute_the_same_graph(second: bool, bit_depth: int) -> None:
    torch = pytest.importorskip("torch")
    from tinct.networks.trainable.compact import Compact, cells

    config = CompactConfig(width=8, depth=2, second=second)
    weights, given = random_weights(config), random_references(config, 24, 32, bit_depth)
    peak = (1 << bit_depth) - 1
    network = Compact(config)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    luma, chroma = (
        torch.from_numpy(part.astype(np.float32))[None] / peak
        for part in (given.luma, given.chroma)
    )
    with torch.no_grad():
        y, colour = network(
            cells(luma, 4), cells(chroma, 2), torch.from_numpy(given.conditions)[None]
        )
    y = torch.pixel_shuffle(y, 4)[0, 0].numpy() * peak
    colour = torch.pixel_shuffle(colour.flatten(1, 2), 2)[0].numpy() * peak
    for found, wanted in zip(
        Runner(config, weights, (24, 32), bit_depth)(given), (y, *colour), strict=True
    ):
        assert found.dtype == given.luma.dtype
        assert np.abs(found - np.clip(wanted, 0, peak)).max() < 0.51  # rounded to integers
        assert found.std() > 5


@pytest.mark.parametrize(("name", "most"), [("fast", 2000), ("best", 10_000), ("in-band", 10_000)])
def test_the_networks_keep_to_their_budget(name: str, most: int) -> None:
    """Multiply-accumulates for a sample of luma, all passes together; all files are under 1 MB."""
    network = load_network(name)
    assert most / 2 < sum(config.macs_per_pixel for config, _ in network.passes) <= most
    assert sum(path.stat().st_size for path in WEIGHTS.glob("*.safetensors")) < 1_000_000


def test_sizes_that_are_no_multiple_of_four_are_padded_and_cropped() -> None:
    config = CompactConfig(width=4, depth=1)
    weights = random_weights(config)
    given = random_references(config, 21, 27)
    y, cb, cr = Runner(config, weights, (21, 27), 8)(given)
    assert y.shape == (21, 27)
    assert cb.shape == cr.shape == (11, 14)
    luma = np.pad(given.luma, ((0, 0), (0, 3), (0, 1)), mode="edge")
    chroma = np.pad(given.chroma, ((0, 0), (0, 0), (0, 1), (0, 0)), mode="edge")
    whole = Runner(config, weights, (24, 28), 8)(
        References(luma, chroma, given.distances, given.qps)
    )
    assert np.array_equal(whole[0][:21, :27], y)


@pytest.mark.parametrize(
    ("index", "ends", "near"), [(0, (0, 2), (0, 1)), (3, (1, 5), (2, 4)), (6, (4, 6), (5, 6))]
)
def test_in_band_a_frame_is_restored_from_two_on_either_side(
    index: int, ends: tuple[int, int], near: tuple[int, int]
) -> None:
    """Flat pictures, whose level says which one a source is: nothing moves in them."""
    views = [
        KeyView(
            LumaView(np.full((32, 32), n, np.uint8), 8, n), *np.full((2, 16, 16), 10 + n, np.uint8)
        )
        for n in range(7)
    ]
    laid = in_band_reference(views, index)
    assert [int(y.mean()) for y in laid.luma] == [index, index, *ends, *ends, *near]
    assert [int(c.mean()) - 10 for c in laid.chroma] == [index, *ends, *ends, *near]
    assert laid.distances == (max(1, index - ends[0]), max(1, ends[1] - index))


def test_a_network_is_told_what_each_frame_was_coded_at() -> None:
    """Key frames and the others; a time before the first counts as the first."""
    told: list[tuple[list[int], list[int]]] = []

    def spy(luma, keys, pool):  # type: ignore[no-untyped-def]
        told.append(([key.luma.qp for key in keys], [view.qp for view in luma]))
        return none(luma, keys, pool)

    with Restorer(
        info(), "chroma", colouriser=spy, qps=[(1, 20, 40), (3, 21, 41), (5, 22, 42)]
    ) as restorer:
        for n, (y, cb, cr) in enumerate(clip(7)):
            if n in (0, 4):
                restorer.push(COLOUR, n, (np.concatenate((cb, cr)),))
            restorer.push(LUMA, n, (y,))
        restorer.flush()
    assert told == [([20, 21], [40, 40, 41]), ([21], [42, 42])]


def test_a_key_frame_without_its_colour_is_still_as_fine_as_it_was_coded() -> None:
    told: list[int] = []

    def spy(luma, keys, pool):  # type: ignore[no-untyped-def]
        told.extend(view.qp for view in luma)
        return none(luma, keys, pool)

    with Restorer(info(), "chroma", colouriser=spy, qps=[(0, 20, 40)], lost_keys={2}) as restorer:
        for n, (y, cb, cr) in enumerate(clip(5)):
            if n == 0:
                restorer.push(COLOUR, n, (np.concatenate((cb, cr)),))
            restorer.push(LUMA, n, (y,))
        restorer.flush()
    assert told == [40, 20, 40, 40]


def test_conditions_are_distances_and_qps() -> None:
    laid = References(np.zeros(0), np.zeros(0), (2, 16), (22, 42))
    assert laid.conditions.tolist() == [0.25, 1.0, -1.0, 1.0]


def test_weights_come_back_and_others_are_refused(tmp_path: Path) -> None:
    config, path = CompactConfig(width=4, depth=1), tmp_path / "a.safetensors"
    weights = random_weights(config)
    write_weights(path, config, weights)
    found_config, found = read_weights(path)
    assert found_config == config
    for name, value in weights.items():
        assert np.array_equal(found[name], value)
    for damaged in (
        {**weights, "when.weight": weights["when.weight"] * np.float32(np.inf)},
        {**weights, "enter.bias": weights["enter.bias"][:-1]},
        {name: value for name, value in weights.items() if name != "leave.bias"},
    ):
        write_weights(path, config, damaged)
        with pytest.raises(CodecError, match="expected weights"):
            read_weights(path)
    path.write_bytes(b"PK\x03\x04 not safetensors")
    with pytest.raises(CodecError, match="found another file"):
        read_weights(path)


def test_motion_is_tracked_away_from_the_key_and_stands_still_where_the_picture_does() -> None:
    pictures = [LumaView(y, 8, n) for n, (y, _, _) in enumerate(clip(9, 128, 96))]
    flows = track(pictures[1:], pictures[0])
    for n, flow in enumerate(flows, 1):
        inner = flow[24:-24, 24:-24].astype(np.float32)
        assert np.median(inner[..., 0]) == pytest.approx(-1.5 * n, abs=0.6)
        assert np.median(inner[..., 1]) == pytest.approx(-0.5 * n, abs=0.6)
    noise = np.random.default_rng(0).normal(0, 4, pictures[0].y.shape)
    noisy = LumaView(np.clip(pictures[0].y + noise, 0, 255).astype(np.uint8), 8, 1)
    assert not track([noisy], pictures[0])[0].any()


def test_the_encoder_passes_the_network_by_where_it_does_harm() -> None:
    """A colouriser that makes luma better and one chroma plane worse: of that plane the prior is shown, in this group alone."""
    pictures = clip(7)
    truth = dict(enumerate(pictures))

    def harmful(luma, keys, pool):  # type: ignore[no-untyped-def]
        done = none(luma, keys, pool)
        for view, future in zip(luma, done, strict=True):
            _, cb, cr = future.result()
            replaced = (truth[view.pts][0], np.full_like(cb, 7) if view.pts < 3 else cb, cr)
            future._result = replaced  # type: ignore[attr-defined]
        return done

    from synthetic import frames

    from tinct.encoder.cost import judge_by

    about = info()
    judge = judge_by({f.pts: f for f in frames(pictures, about)})
    with Restorer(about, "chroma", colouriser=harmful, judge=judge) as restorer:
        shown = []
        for n, (y, cb, cr) in enumerate(pictures):
            shown += restorer.push(COLOUR, n, (np.concatenate((cb, cr)),)) if n % 3 == 0 else []
            shown += restorer.push(LUMA, n, (y // 2,))
        shown += restorer.flush()
    assert restorer.plain == (set(), {0}, set())
    assert all(frame.cb.mean() > 50 for frame in shown)
    assert np.array_equal(shown[1].y, pictures[1][0])
    assert not np.array_equal(shown[0].y, pictures[0][0])  # a key frame is shown as it was coded


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames of a real clip, key frames 8 apart and 12 QP finer."""
    folder = tmp_path_factory.mktemp("compact")
    tinct.decode(
        str(sample_clip("carphone_pristine.mp4")), str(folder / "source.mkv"), duration_seconds=1.33
    )
    tinct.encode(str(folder / "source.mkv"), str(folder / "coded.mkv"), CONFIG)
    return folder / "coded.mkv"


CONFIG = tinct.EncodeConfig(
    colour="track", colouriser="compact", key_boost=12, group=8, adapt="off"
)


def test_the_file_decodes_elsewhere_to_what_the_encoder_saw(coded: Path, tmp_path: Path) -> None:
    source = list(tinct.open(str(coded.with_name("source.mkv"))))
    report = tinct.encode(str(coded.with_name("source.mkv")), str(tmp_path / "again.mkv"), CONFIG)
    assert (tmp_path / "again.mkv").read_bytes() == coded.read_bytes()
    assert run("decode", coded, tmp_path / "out.mkv").returncode == 0
    here, there = list(tinct.open(str(coded))), list(tinct.open(str(tmp_path / "out.mkv")))
    assert_same_frames([replace(f, info=here[0].info) for f in there], here)
    measured = float(np.mean([psnr(a.y, b.y) for a, b in zip(here, source, strict=True)]))
    assert measured == pytest.approx(report.psnr[0].mean_db, abs=0.01)


def test_qps_that_a_bitrate_steers_are_told_nearly_as_they_were(
    coded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each frame is coded within 2 of what the file says, and the decoder shows what the encoder saw."""
    source, steered = coded.with_name("source.mkv"), tmp_path / "a.mkv"
    encode, spent = IntraEncoder.encode, {}

    def spy(coder: IntraEncoder, planes: Planes, pts: int, qp: int) -> list[Packet]:
        if planes[0].shape[0] == 144:  # in the samples too, before the video itself is coded
            spent[pts] = qp
        return encode(coder, planes, pts, qp)

    monkeypatch.setattr(IntraEncoder, "encode", spy)
    report = tinct.encode(str(source), str(steered), replace(CONFIG, bitrate_kbps=200.0))
    rows = list(zip(*json.loads(attached(steered)["tinct.json"])["qps"], strict=True))
    assert rows[0][0] == 0
    assert 1 < len(rows) < 12
    keys = set(range(0, 40, 8)) | {39}
    for pts, qp in spent.items():
        _, of_keys, of_others = [row for row in rows if row[0] <= pts][-1]
        assert abs(qp - (of_keys if pts in keys else of_others)) <= 2, pts
    measured = [
        psnr(a.y, b.y)
        for a, b in zip(tinct.open(str(steered)), tinct.open(str(source)), strict=True)
    ]
    assert float(np.mean(measured)) == pytest.approx(report.psnr[0].mean_db, abs=1e-6)


def test_the_network_is_worth_its_name_on_a_real_clip(coded: Path, tmp_path: Path) -> None:
    """Frames between key frames, with it and without: luma must gain 1.5 dB, not 8; colour must lose nothing."""
    source = list(tinct.open(str(coded.with_name("source.mkv"))))
    with_it, without = list(tinct.open(str(coded))), tmp_path / "none.mkv"
    manifest = json.loads(attached(coded)["tinct.json"])
    bare = {
        name: value
        for name, value in manifest.items()
        if name not in ("colouriser", "network", "qps", "plain")
    }
    remux(
        coded,
        without,
        attachments=lambda name, data: [(name, json.dumps(bare, separators=(",", ":")).encode())],
    )
    for plane, least in (("y", 1.5), ("cb", -0.05), ("cr", -0.05)):
        before, after = (
            np.mean(
                [
                    psnr(getattr(a, plane), getattr(b, plane))
                    for a, b in zip(shown, source, strict=True)
                ][1:8]
            )
            for shown in (list(tinct.open(str(without))), with_it)
        )
        assert least < after - before < 8, plane


def test_a_file_of_a_network_that_is_not_here_is_refused(coded: Path, tmp_path: Path) -> None:
    def changed(name: str, data: bytes) -> list[tuple[str, bytes]]:
        manifest = json.loads(data)
        manifest["network"][1] = "0123456789abcdef"
        return [(name, json.dumps(manifest, separators=(",", ":")).encode())]

    remux(coded, tmp_path / "other.mkv", attachments=changed)
    said = one_line(run("decode", tmp_path / "other.mkv", tmp_path / "out.mkv"), 2)
    assert "fast-0123456789abcdef" in said
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize(
    "changes",
    [{"network": None}, {"network": ["fast"]}, {"network": ["slow", "0" * 16]}, {"network": ["fast", "0" * 15 + "G"]},
     {"colouriser": "none"}, {"plain": [[], []]}, {"plain": [[3, 1], [], []]}, {"plain": {"y": []}}, {"plain": [[1.5], [], []]},
     {"qps": None}, {"qps": [[], [], []]}, {"qps": [[0], [26]]}, {"qps": [[0], [26], [52]]}, {"qps": [[0, 3], [26], [40, 41]]},
     {"qps": [[3, 0], [26, 27], [40, 41]]}, {"qps": [[0], [26], [40.5]]}, {"qps": [[0, 26, 40]]}],
    ids=str,
)  # fmt: skip
def test_lies_in_the_manifest_are_refused(
    coded: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    def changed(name: str, data: bytes) -> list[tuple[str, bytes]]:
        manifest = {
            key: value
            for key, value in {**json.loads(data), **changes}.items()
            if value is not None
        }
        return [(name, json.dumps(manifest).encode())]

    remux(coded, tmp_path / "lie.mkv", attachments=changed)
    assert "damaged tinct.json" in one_line(run("info", tmp_path / "lie.mkv"), 2)


def test_a_cut_in_the_middle_shows_what_the_whole_shows(coded: Path) -> None:
    whole = [f for f in tinct.open(str(coded)) if 20 <= f.pts < 30]
    part = list(
        tinct.open(str(coded), start_seconds=whole[0].pts_seconds, duration_seconds=10 / 30)
    )
    assert len(part) == 10
    assert_same_frames([replace(f, pts=f.pts + 20, info=whole[0].info) for f in part], whole)


@pytest.mark.parametrize("track", ["luma", "colour"])
def test_a_lost_packet_costs_its_group_alone(coded: Path, tmp_path: Path, track: str) -> None:
    """Frame 12's luma, or the colour of key frame 16, which two groups need."""
    number = {"luma": 12, "colour": 2}[track]
    touched = {"luma": range(9, 16), "colour": range(9, 40)}[
        track
    ]  # later key frames are predicted from the lost one
    remux(
        coded,
        tmp_path / "lost.mkv",
        packet=lambda name, n, data: None if (name, n) == (track, number) else data,
    )
    found = list(tinct.open(str(tmp_path / "lost.mkv")))
    whole = list(tinct.open(str(coded)))
    assert [f.pts for f in found] == [f.pts for f in whole]
    same = [
        n
        for n, (a, b) in enumerate(zip(found, whole, strict=True))
        if np.array_equal(a.y, b.y) and np.array_equal(a.cb, b.cb)
    ]
    assert set(same) >= set(range(len(whole))) - set(touched)
    assert all(psnr(found[n].y, whole[n].y) > 25 for n in touched)
