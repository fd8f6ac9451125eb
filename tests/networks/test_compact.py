"""The networks of `compact`: one graph in two libraries, their size, their weights, the table."""

import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from synthetic import draw_clip, make_frames, make_info

from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.config import NetworkName
from tinct.decoder.losses import LossLog
from tinct.decoder.restorer import Restorer
from tinct.encoder.cost import judge_by
from tinct.errors import CodecError
from tinct.media.planes import Planes
from tinct.motion.references import References
from tinct.networks.compact import Runner, load_network
from tinct.networks.compact_config import (
    SHIPPED_FOLDER,
    SHIPPED_NETWORKS,
    CompactConfig,
    Kind,
    read_weights,
    write_weights,
)
from tinct.networks.interface import propagate_group


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
    chroma = random.integers(0, 1 << bit_depth, shape).astype(dtype)
    return References(luma, chroma, distances=(3, 5), qps=(26, 41))


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_both_libraries_compute_the_same_graph(kind: Kind, bit_depth: int) -> None:
    torch = pytest.importorskip("torch")
    from tinct.networks.trainable.compact import Compact, unshuffle

    config = CompactConfig(width=8, depth=2, kind=kind)
    weights, given = random_weights(config), random_references(config, 24, 32, bit_depth)
    peak = (1 << bit_depth) - 1
    network = Compact(config)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    luma, chroma = (
        torch.from_numpy(part.astype(np.float32))[None] / peak
        for part in (given.luma, given.chroma)
    )
    conditions = torch.from_numpy(given.conditions)[None]
    with torch.no_grad():
        y, colour = network(unshuffle(luma, 4), unshuffle(chroma, 2), conditions)
    y = torch.pixel_shuffle(y, 4)[0, 0].numpy() * peak
    colour = torch.pixel_shuffle(colour.flatten(1, 2), 2)[0].numpy() * peak
    planes = Runner(config, weights, size=(24, 32), bit_depth=bit_depth)(given)
    for found, wanted in zip(planes, (y, *colour), strict=True):
        assert found.dtype == given.luma.dtype
        assert np.abs(found - np.clip(wanted, 0, peak)).max() < 0.51  # rounded to integers
        assert found.std() > 5


def test_sizes_that_are_no_multiple_of_four_are_padded_and_cropped() -> None:
    config = CompactConfig(width=4, depth=1)
    weights = random_weights(config)
    given = random_references(config, 21, 27)
    y, cb, cr = Runner(config, weights, size=(21, 27), bit_depth=8)(given)
    assert y.shape == (21, 27)
    assert cb.shape == cr.shape == (11, 14)
    luma = np.pad(given.luma, ((0, 0), (0, 3), (0, 1)), mode="edge")
    chroma = np.pad(given.chroma, ((0, 0), (0, 0), (0, 1), (0, 0)), mode="edge")
    padded = References(luma, chroma, distances=given.distances, qps=given.qps)
    whole = Runner(config, weights, size=(24, 28), bit_depth=8)(padded)
    assert np.array_equal(whole[0][:21, :27], y)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("fast", 2000),
        ("best", 10_000),
        ("in-band", 10_000),
        ("fast-av1", 2002),
        ("best-av1", 10_000),
        ("fast-hevc", 2002),
        ("best-hevc", 10_000),
    ],
)
def test_the_networks_keep_to_their_budget(name: str, most: int) -> None:
    """Multiply-accumulates a luma sample, all passes together; all files are under 2 MB."""
    network = load_network(name)
    assert most / 2 < sum(config.macs_per_pixel for config, _ in network.passes) <= most
    assert sum(path.stat().st_size for path in SHIPPED_FOLDER.glob("*.safetensors")) < 2_000_000


@pytest.mark.parametrize(
    ("name", "size", "passes", "in_band"),
    [
        ("fast", "fast", ("first",), False),
        ("best", "best", ("first", "second"), False),
        ("in-band", "best", ("in-band",), True),
        ("fast-av1", "fast", ("fast-av1",), True),
        ("best-av1", "best", ("best-av1",), True),
        ("fast-hevc", "fast", ("fast-hevc",), True),
        ("best-hevc", "best", ("best-hevc",), True),
    ],
)
def test_a_shipped_network_is_one_row(
    name: str, size: str, passes: tuple[str, ...], in_band: bool
) -> None:
    """The names and passes are part of the format: no row changes."""
    row = SHIPPED_NETWORKS[name]
    assert (row.name, row.size, row.passes, row.in_band) == (name, size, passes, in_band)
    assert [path.name for path in row.paths] == [f"{stem}.safetensors" for stem in passes]
    kinds = {"in-band": ["second"]} | {
        f"{of}-{base}": [kind]
        for of, kind in (("fast", "near"), ("best", "pyramid"))
        for base in ("av1", "hevc")
    }
    expected = kinds.get(name, ["first", "second"][: len(passes)])
    assert [config.kind for config, _ in load_network(name).passes] == expected


def test_the_option_has_every_size_of_network_that_ships() -> None:
    assert len(SHIPPED_NETWORKS) == 7
    assert {row.size for row in SHIPPED_NETWORKS.values()} == set(get_args(NetworkName))


def test_a_network_is_told_the_qp_of_each_frame() -> None:
    """Of key frames and of the others; a time before the first row of `qps` counts as the first."""
    told: list[tuple[list[int], list[int]]] = []

    def spy(luma, keys, pool, *, wanted):  # type: ignore[no-untyped-def]
        told.append(([key.luma.qp for key in keys], [view.qp for view in luma]))
        return propagate_group(luma, keys, pool, wanted=wanted)

    qps = [(1, 20, 40), (3, 21, 41), (5, 22, 42)]
    with Restorer(make_info(), "chroma", colouriser=spy, qps=qps) as restorer:
        for n, (y, cb, cr) in enumerate(draw_clip(7)):
            if n in (0, 4):
                restorer.push(COLOUR, n, (np.concatenate((cb, cr)),))
            restorer.push(LUMA, n, (y,))
        list(restorer.flush())
    assert told == [([20, 21], [40, 40, 41]), ([21], [42, 42])]


def test_a_key_frame_without_its_colour_keeps_the_qp_of_a_key_frame() -> None:
    told: list[int] = []

    def spy(luma, keys, pool, *, wanted):  # type: ignore[no-untyped-def]
        told.extend(view.qp for view in luma)
        return propagate_group(luma, keys, pool, wanted=wanted)

    losses, qps = LossLog(), [(0, 20, 40)]
    losses.add_key(2, is_decoded=False)
    with Restorer(make_info(), "chroma", colouriser=spy, qps=qps, losses=losses) as restorer:
        for n, (y, cb, cr) in enumerate(draw_clip(5)):
            if n == 0:
                restorer.push(COLOUR, n, (np.concatenate((cb, cr)),))
            restorer.push(LUMA, n, (y,))
        list(restorer.flush())
    assert told == [40, 20, 40, 40]


def test_the_encoder_leaves_the_network_out_where_it_does_harm() -> None:
    """The colouriser makes luma better, and in the first group one chroma plane worse.

    Of that plane the prior is shown, in this group alone.
    """
    pictures = draw_clip(7)
    truth = dict(enumerate(pictures))

    def harmful(luma, keys, pool, *, wanted):  # type: ignore[no-untyped-def]
        done: list[Future[Planes]] = []
        for view, future in zip(
            luma, propagate_group(luma, keys, pool, wanted=wanted), strict=True
        ):
            _, cb, cr = future.result()
            done.append(Future())
            wrong = np.full_like(cb, 7) if view.pts < 3 else cb
            done[-1].set_result((truth[view.pts][0], wrong, cr))
        return done

    about = make_info()
    judge = judge_by({frame.pts: frame for frame in make_frames(pictures, about)})
    with Restorer(about, "chroma", colouriser=harmful, judge=judge) as restorer:
        finished = []
        for n, (y, cb, cr) in enumerate(pictures):
            if n % 3 == 0:
                finished += restorer.push(COLOUR, n, (np.concatenate((cb, cr)),))
            finished += restorer.push(LUMA, n, (y // 2,))
        finished += restorer.flush()
    assert restorer.post_filter.plain == (set(), {0}, set())
    assert all(frame.cb.mean() > 50 for frame in finished)
    assert np.array_equal(finished[1].y, pictures[1][0])
    assert not np.array_equal(finished[0].y, pictures[0][0])  # a key frame is shown as decoded


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
    with pytest.raises(CodecError, match="found no such file"):
        read_weights(tmp_path / "b.safetensors")


def test_openvino_comes_without_its_converter_and_can_still_convert() -> None:
    """Half of the time that it takes to load would be the converter's."""
    code = (
        "import sys\n"
        "from tinct.networks.runtime import load_openvino\n"
        "openvino = load_openvino()\n"
        "assert not {'openvino.tools.ovc', 'openvino_telemetry'} & set(sys.modules)\n"
        "try:\n"
        "    openvino.convert_model('missing.onnx')\n"
        "except Exception as error:\n"
        "    assert 'missing.onnx' in str(error), error\n"
        "assert 'openvino.tools.ovc' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
