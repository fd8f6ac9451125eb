"""Networks that ship as objects: what they restore, on arrays and tensors, and what they refuse."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import measure_psnr
from synthetic import draw_clip, make_frames, make_info

import tinct
from tinct.media.planes import from_av_frame
from tinct.networks.compact_config import SHIPPED_NETWORKS

PLANES = draw_clip(9)
LUMA = [y for y, _, _ in PLANES[1:8]]


@pytest.mark.parametrize("name", SHIPPED_NETWORKS)
def test_every_network_says_how_large_it_is(name: str) -> None:
    network = tinct.load_network(name)
    assert network.parameters == sum(
        np.prod(shape) for config in network.configs for shape in config.shapes.values()
    )
    assert f"{network.parameters:,} parameters" in repr(network)
    assert len(network.identity) == len(tinct.load_network("fast").identity)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fast", "best"])
def test_colour_between_key_frames_is_that_of_the_scene(name: str) -> None:
    network = tinct.load_network(name)
    restored = network.restore_between(LUMA, before=PLANES[0], after=PLANES[8])
    alone = network.restore_between(LUMA, before=PLANES[0])
    assert len(restored) == len(alone) == 7
    for frames, least_db in ((restored, 28), (alone, 20)):
        for ours, true in zip(frames, PLANES[1:8], strict=True):
            assert [plane.shape for plane in ours] == [plane.shape for plane in true]
            assert min(map(measure_psnr, ours[1:], true[1:])) > least_db
    grey = np.full_like(PLANES[4][2], 128)
    assert measure_psnr(restored[3][2], PLANES[4][2]) > 5 + measure_psnr(grey, PLANES[4][2])


@pytest.mark.slow
def test_tensors_give_tensors() -> None:
    torch = pytest.importorskip("torch")
    network = tinct.load_network("fast")
    expected = network.restore_between(LUMA, before=PLANES[0], after=PLANES[8])
    ends = [tuple(map(torch.from_numpy, PLANES[n])) for n in (0, 8)]
    found = network.restore_between(
        torch.stack([torch.from_numpy(y) for y in LUMA]), before=ends[0], after=ends[1]
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert all(isinstance(plane, torch.Tensor) for plane in ours)
        assert all(np.array_equal(a.numpy(), b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("bit_depth", [8, 10])
@pytest.mark.parametrize("name", ["in-band", "fast-av1", "best-av1", "best-hevc"])
def test_coded_pictures_stay_what_they_are(name: str, bit_depth: int) -> None:
    planes = draw_clip(5, bit_depth=bit_depth)
    frames = make_frames(planes, make_info(bit_depth=bit_depth))
    restored = tinct.load_network(name).restore(frames)
    assert len(restored) == 5
    for ours, true in zip(restored, planes, strict=True):
        assert [plane.dtype for plane in ours] == [plane.dtype for plane in true]
        assert measure_psnr(ours[0], true[0], (1 << bit_depth) - 1) > 30


@pytest.mark.slow
def test_coded_pictures_become_what_the_decoder_shows(clip_path: Path, tmp_path: Path) -> None:
    config = tinct.EncodeConfig(base="av1", colouriser="compact", search="off", qp=27)
    tinct.encode(clip_path, tmp_path / "a.mkv", config)
    with av.open(str(tmp_path / "a.mkv")) as container:
        padded = [from_av_frame(frame) for frame in container.decode(video=0)]
    coded = [(y[:48, :64], cb[:24, :32], cr[:24, :32]) for y, cb, cr in padded]
    restored = tinct.load_network("fast-av1").restore(coded, qp=27)
    for ours, shown, before in zip(restored, tinct.open(tmp_path / "a.mkv"), coded, strict=True):
        assert not np.array_equal(ours[0], before[0])
        for plane, true in zip(ours, (shown.y, shown.cb, shown.cr), strict=True):
            assert np.array_equal(plane, true)


def test_a_qp_beyond_the_scale_is_refused() -> None:
    for qps in ({"qp": 52}, {"key_qp": -1}, {"qp": 27.5}):
        with pytest.raises(tinct.OptionError, match="qp: expected 0 to 51"):
            tinct.load_network("fast").restore_between(LUMA, before=PLANES[0], **qps)


@pytest.mark.slow
def test_modules_of_pytorch_have_the_weights() -> None:
    pytest.importorskip("torch")
    network = tinct.load_network("best")
    modules = network.to_torch()
    sizes = [sum(p.numel() for p in module.parameters()) for module in modules]
    assert len(sizes) == 2
    assert sum(sizes) == network.parameters


def test_nothing_in_gives_nothing_out() -> None:
    assert tinct.load_network("fast").restore_between([], before=PLANES[0]) == []
    assert tinct.load_network("fast-av1").restore([]) == []


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(tinct.OptionError) as caught:
        tinct.load_network("slow")
    assert caught.value.option == "network"
    assert "fast-av1" in caught.value.expected


@pytest.mark.parametrize(
    ("luma", "before", "message"),
    [
        ([LUMA[0][:20]], PLANES[0], "expected planes of one size and type"),
        ([LUMA[0].astype(np.uint16)], PLANES[0], "64x48, 10 bit and 64x48, 8 bit"),
        ([LUMA[0] / 255], PLANES[0], r"found float64 \[48, 64\]"),
        ([[1, 2]], PLANES[0], "found list"),
        (LUMA, PLANES[0][:2], "expected planes Y, Cb and Cr, found 2"),
        (LUMA, (LUMA[0], LUMA[0], LUMA[0]), "expected Cb and Cr of 32x24 in the type of Y"),
    ],
)
def test_planes_that_do_not_fit_are_refused(luma: Any, before: Any, message: str) -> None:
    with pytest.raises(tinct.CodecError, match=message):
        tinct.load_network("fast").restore_between(luma, before=before)


def test_a_network_of_another_kind_is_refused() -> None:
    with pytest.raises(tinct.CodecError, match="found fast-av1"):
        tinct.load_network("fast-av1").restore_between(LUMA, before=PLANES[0])
    with pytest.raises(tinct.CodecError, match=r"found fast$"):
        tinct.load_network("fast").restore(PLANES)
