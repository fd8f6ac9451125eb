"""Each metric against another implementation: torchmetrics, scikit-image, or plain NumPy."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio
from synthetic import draw_clip, make_frames, make_info
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure as torch_ms_ssim,
)
from torchmetrics.functional.image import structural_similarity_index_measure as torch_ssim
from vmaf_torch import VMAF

from tinct.evaluation.metrics import METRICS, Pair, measure
from tinct.frames import Frame, VideoInfo

INFO = make_info(208, 192, frame_count=2, duration_seconds=0.08)


def picture(seed: int, noise: float, info: VideoInfo = INFO) -> Frame:
    """Smooth shapes with noise on them; two of one seed differ by the noise alone."""
    rows, columns = np.mgrid[: info.height, : info.width]
    unit = 4 if info.bit_depth == 10 else 1
    random = np.random.default_rng(1000 * seed + round(10 * noise))

    def plane(step: int, low: float, span: float) -> np.ndarray:
        waves = (
            np.sin(columns[::step, ::step] / (9 + seed)) * np.cos(rows[::step, ::step] / 13) / 2
            + 0.5
        )
        values = low + span * waves + random.normal(0, noise, waves.shape)
        return np.clip(np.round(values * unit), 0, 256 * unit - 1).astype(
            np.uint8 if unit == 1 else np.uint16
        )

    return Frame(plane(1, 40, 160), plane(2, 100, 50), plane(2, 90, 60), seed, info)


@pytest.fixture
def pair() -> Pair:
    return Pair(picture(1, 0), picture(1, 6), Pair(picture(0, 0), picture(0, 4)))


def value(name: str, pair: Pair) -> float:
    return METRICS[name].measure(pair)


PLANES = {"y": "y", "u": "cb", "v": "cr"}


@pytest.mark.parametrize("letter", PLANES)
def test_psnr(pair: Pair, letter: str) -> None:
    source, decoded = pair.planes(PLANES[letter])  # type: ignore[arg-type]
    expected = peak_signal_noise_ratio(source, decoded, data_range=255)
    assert value(f"psnr_{letter}", pair) == pytest.approx(expected, abs=1e-9)


def test_psnr_of_ten_bits_counts_in_levels_of_eight() -> None:
    info = replace(INFO, bit_depth=10)
    deep = Pair(picture(1, 0, info), picture(1, 6, info))
    expected = peak_signal_noise_ratio(deep.source.y, deep.decoded.y, data_range=1020)
    assert value("psnr_y", deep) == pytest.approx(expected, abs=1e-9)


def test_psnr_yuv611_and_rgb(pair: Pair) -> None:
    parts = [value(f"psnr_{letter}", pair) for letter in "yuv"]
    assert value("psnr_yuv611", pair) == pytest.approx((6 * parts[0] + parts[1] + parts[2]) / 8)
    expected = peak_signal_noise_ratio(pair.source.rgb(), pair.decoded.rgb(), data_range=255)
    assert value("psnr_rgb", pair) == pytest.approx(expected, abs=1e-9)


def test_the_same_picture_is_perfect() -> None:
    same = Pair(picture(1, 0), picture(1, 0), Pair(picture(0, 0), picture(0, 0)))
    perfect = {
        "psnr": 100,
        "ssim": 1,
        "ms": 1,
        "ciede2000": 0,
        "flicker": 0,
    }  # VMAF of a picture and itself is not quite 100
    for name in METRICS:
        if (kind := name.split("_")[0]) in perfect:
            assert value(name, same) == pytest.approx(perfect[kind], abs=1e-6), name


def tensor(plane: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(plane.astype(np.float64))[None, None]


@pytest.mark.parametrize("letter", PLANES)
def test_ssim(pair: Pair, letter: str) -> None:
    source, decoded = map(tensor, pair.planes(PLANES[letter]))  # type: ignore[arg-type]
    full = torch_ssim(decoded, source, data_range=255.0, return_full_image=True)[1]
    expected = float(
        full[..., 5:-5, 5:-5].mean()
    )  # as its authors do, without windows that reach over the edge
    assert value(f"ssim_{letter}", pair) == pytest.approx(expected, abs=1e-5)
    assert 0.3 < expected < 0.98


def test_ms_ssim(pair: Pair) -> None:
    source, decoded = map(tensor, pair.planes("y"))
    expected = float(torch_ms_ssim(decoded, source, data_range=255.0))
    assert value("ms_ssim_y", pair) == pytest.approx(expected, abs=1e-5)
    assert 0.8 < expected < 0.999


def test_small_pictures_have_no_ms_ssim_and_tiny_ones_no_ssim() -> None:
    small, tiny = (
        Pair(*(picture(1, noise, replace(INFO, width=side, height=side)) for noise in (0, 6)))
        for side in (128, 8)
    )
    assert math.isnan(value("ms_ssim_y", small))
    assert value("ssim_y", small) > 0.3
    assert math.isnan(value("ssim_y", tiny))


def test_flicker(pair: Pair) -> None:
    assert pair.before is not None
    for letter, plane in PLANES.items():
        changes = []
        for side in ("source", "decoded"):
            now, before = (
                getattr(getattr(p, side), plane).astype(float) for p in (pair, pair.before)
            )
            changes.append(now - before)
        assert value(f"flicker_{letter}", pair) == pytest.approx(
            np.abs(changes[1] - changes[0]).mean()
        )
    assert math.isnan(value("flicker_y", pair.before))


def test_colourfulness(pair: Pair) -> None:
    red, green, blue = (pair.decoded.rgb()[..., i].astype(float).ravel() for i in range(3))
    rg, yb = red - green, (red + green) / 2 - blue
    expected = math.sqrt(np.var(rg) + np.var(yb)) + 0.3 * math.sqrt(
        np.mean(rg) ** 2 + np.mean(yb) ** 2
    )
    assert value("colourfulness", pair) == pytest.approx(expected, rel=1e-4)
    assert value("colourfulness_source", pair) != value("colourfulness", pair)


def ciede2000(one: np.ndarray, other: np.ndarray) -> float:
    """Sharma, Wu and Dalal 2005, equations 2 to 22, one colour at a time."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean_c = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    g = 0.5 * (1 - math.sqrt(mean_c**7 / (mean_c**7 + 25**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    delta_h = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = (h1 + h2) / 2 + (180 if abs(h1 - h2) > 180 else 0)
    t = 1 - 0.17 * math.cos(math.radians(mean_h - 30)) + 0.24 * math.cos(math.radians(2 * mean_h))
    t += 0.32 * math.cos(math.radians(3 * mean_h + 6)) - 0.20 * math.cos(
        math.radians(4 * mean_h - 63)
    )
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / math.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    rotation = -math.sin(math.radians(60 * math.exp(-(((mean_h - 275) / 25) ** 2)))) * 2
    rotation *= math.sqrt(mean_c**7 / (mean_c**7 + 25**7))
    light, chroma, hue = (l2 - l1) / s_l, (c2 - c1) / s_c, delta_h / s_h
    return math.sqrt(light**2 + chroma**2 + hue**2 + rotation * chroma * hue)


def test_ciede2000_written_out_gives_the_published_values() -> None:
    """Check pairs 1, 7 and 25 of Sharma's table: blue's rotation, opposite hues, a yellow-green."""
    assert ciede2000(
        np.array([50, 2.6772, -79.7751]), np.array([50, 0, -82.7485])
    ) == pytest.approx(2.0425, abs=1e-4)
    assert ciede2000(np.array([50, 0, 0]), np.array([50, -1, 2])) == pytest.approx(2.3669, abs=1e-4)
    assert ciede2000(
        np.array([60.2574, -34.0099, 36.2677]), np.array([60.4626, -34.1751, 39.4387])
    ) == pytest.approx(1.2644, abs=1e-4)


def test_ciede2000(pair: Pair) -> None:
    source, decoded = (rgb2lab(frame.rgb()).reshape(-1, 3) for frame in (pair.source, pair.decoded))
    differences = [ciede2000(a, b) for a, b in zip(source, decoded, strict=True)]
    assert value("ciede2000", pair) == pytest.approx(np.mean(differences), rel=1e-4)
    assert value("ciede2000_p95", pair) == pytest.approx(np.percentile(differences, 95), rel=1e-4)
    assert 2 < np.mean(differences) < 8


def pair_of_differences(differences: np.ndarray) -> Pair:
    """Return a pair whose colour difference at each pixel is given."""
    height, width = differences.shape
    about = make_info(width, height)
    frame = Frame(
        np.zeros((height, width), np.uint8), *np.zeros((2, *about.chroma_shape), np.uint8), 0, about
    )
    pair = Pair(frame, frame)
    pair.__dict__["colour_difference"] = differences
    return pair


@pytest.mark.parametrize(
    ("shape", "wrong", "expected"),
    [
        ((48, 48), (slice(16, 32), slice(32, 48)), 8.0),  # one block
        ((48, 48), (slice(20, 24), slice(36, 44)), 1.0),  # an eighth of one block
        ((48, 48), (slice(24, 40), slice(16, 32)), 4.0),  # half of each of two
        ((24, 40), (slice(16, 24), slice(32, 40)), 8.0),  # what is left over, 8 pixels a side
        ((16, 39), (slice(0, 16), slice(32, 39)), 8 * 7 / 23),  # 7 columns join the block before
        ((23, 16), (slice(16, 23), slice(0, 16)), 8 * 7 / 23),  # 7 rows do too
        ((5, 6), (slice(0, 5), slice(0, 3)), 4.0),  # a picture smaller than a block is one
    ],
)
def test_worst_block(shape: tuple[int, int], wrong: tuple[slice, slice], expected: float) -> None:
    """All pixels but those of one place are right; these differ by 8."""
    differences = np.zeros(shape)
    differences[wrong] = 8
    assert value("worst_block", pair_of_differences(differences)) == pytest.approx(expected)


def test_worst_block_of_pictures_is_the_wrong_one() -> None:
    about = make_info(48, 32)
    grey, wrong = np.full((32, 48), 128, np.uint8), np.full((32, 48), 128, np.uint8)
    wrong[16:32, 16:32] = 90
    chroma = np.full(about.chroma_shape, 128, np.uint8)
    pair = Pair(Frame(grey, chroma, chroma, 0, about), Frame(wrong, chroma, chroma, 0, about))
    colours = (rgb2lab(frame.rgb())[20, 20] for frame in (pair.source, pair.decoded))
    assert value("worst_block", pair) == pytest.approx(ciede2000(*colours), rel=1e-4)
    assert value("ciede2000", pair) == pytest.approx(value("worst_block", pair) / 6, rel=1e-4)


def test_vmaf_of_frames_is_that_of_the_video() -> None:
    """The whole video in one piece, as vmaf-torch means it: motion looks at both neighbours."""
    source, decoded = ([picture(seed, noise) for seed in (90, 91, 93, 94)] for noise in (0, 5))
    stacks = [
        torch.from_numpy(np.stack([f.y for f in frames]).astype(np.float32))[:, None]
        for frames in (source, decoded)
    ]
    expected = VMAF(clip_score=True).compute_vmaf_score(*stacks).ravel().tolist()
    found = measure(source, decoded, ["vmaf"])["vmaf"]
    assert found == pytest.approx(expected, abs=1e-3)
    assert len(set(found)) == 4
    assert min(found) > 0
    assert max(found) < 100


def test_series_have_a_value_for_each_frame() -> None:
    source, decoded = ([picture(seed, noise) for seed in (0, 1, 2)] for noise in (0, 5))
    series = measure(source, decoded)
    assert set(series) == set(METRICS)
    assert {len(values) for values in series.values()} == {3}
    assert math.isnan(series["flicker_u"][0])
    assert series["flicker_u"][2] > 0
    with pytest.raises(ValueError, match="shorter"):
        measure(source, decoded[:2])


def test_threads_change_no_number() -> None:
    source, decoded = (make_frames(draw_clip(7, 48, 32), make_info(48, 32)) for _ in range(2))
    decoded = [
        replace(frame, y=np.roll(frame.y, 1 + number, axis=1))
        for number, frame in enumerate(decoded)
    ]
    alone, beside = (measure(source, decoded, threads=threads) for threads in (1, 3))
    assert str(alone) == str(beside)  # as text: no NaN equals another
    assert len(set(alone["psnr_y"])) > 1
