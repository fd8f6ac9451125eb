"""What is measured of each decoded frame: one function and one row of METRICS for each metric.

A function takes a `Pair`: a frame of the source, the decoded one, and the pair before them. It
returns one number, NaN where the metric is not defined (flicker of a first frame, MS-SSIM of a
small picture). `aggregates` makes one number of a clip's frames.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from importlib.util import find_spec
from typing import Any, Literal

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from tinct import colour
from tinct.frames import Frame
from tinct.psnr import PERFECT_DB, PLANE_WEIGHTS, squared_error

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
SSIM_WINDOW = 11  # pixels: the Gaussian of sigma 1.5 cut at 3.5 sigma, as in Wang et al. 2004
SSIM_SIGMA = 1.5
BLOCK_SIDE = 16  # pixels; blocks of at least half of it stand alone at the right and bottom edges
VMAF_SIDE = 32  # pixels: the smallest of four scales has to hold a filter
Plane = Literal["y", "cb", "cr"]


@dataclass(frozen=True)
class Pair:
    """A frame of the source and the decoded one, with their neighbours.

    `before` is the previous pair, `after` the source's next frame; None at the video's ends.
    """

    source: Frame
    decoded: Frame
    before: "Pair | None" = None
    after: Frame | None = None

    @cached_property
    def squared_errors(self) -> dict[Plane, float]:
        """Mean squared error of each plane, in squared 8-bit levels."""
        depth = self.source.info.bit_depth
        return {plane: squared_error(*self.planes(plane), depth) for plane in ("y", "cb", "cr")}

    @cached_property
    def rgb(self) -> tuple[np.ndarray, np.ndarray]:
        """Source and decoded frame as 8-bit R'G'B' [H, W, 3]."""
        return self.source.rgb(), self.decoded.rgb()

    @cached_property
    def colour_difference(self) -> np.ndarray:
        """CIEDE2000 of each pixel, [H, W].

        At half size its mean would be 10 % smaller: averaging pixels hides noise of luma.
        """
        source, decoded = (_convert_to_lab(rgb) for rgb in self.rgb)
        return deltaE_ciede2000(source, decoded, channel_axis=-1)

    def planes(self, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
        """Return one plane of the source and of the decoded frame."""
        return getattr(self.source, plane), getattr(self.decoded, plane)


def psnr(pair: Pair, plane: Plane) -> float:
    """Return the PSNR of one plane, in dB."""
    return _psnr(pair.squared_errors[plane])


def psnr_yuv611(pair: Pair) -> float:
    """Return (6 Y + U + V) / 8 of the planes' PSNR, in dB."""
    return float(np.dot(PLANE_WEIGHTS, [_psnr(error) for error in pair.squared_errors.values()]))


def psnr_rgb(pair: Pair) -> float:
    """Return the PSNR of 8-bit R'G'B', all three components together, in dB."""
    source, decoded = pair.rgb
    return _psnr(cv2.norm(source, decoded, cv2.NORM_L2SQR) / source.size)


def ssim(pair: Pair, plane: Plane) -> float:
    """Return the structural similarity of one plane, 0 to 1 (Wang et al. 2004, Gaussian window)."""
    source, decoded = (p.astype(np.float32) for p in pair.planes(plane))
    if min(source.shape) < SSIM_WINDOW:
        return np.nan
    return float(
        structural_similarity(
            source,
            decoded,
            data_range=_peak(pair),
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
        )
    )


def ms_ssim(pair: Pair) -> float:
    """Return the multi-scale similarity of luma, 0 to 1 (Wang, Simoncelli and Bovik 2003).

    Five scales need 176 pixels a side. scikit-image has no multi-scale form; that of torchmetrics
    takes 1.5 s for a picture of 1280x720 on two cores, and the tests compare this one with it.
    """
    source: np.ndarray
    decoded: np.ndarray
    source, decoded = (p.astype(np.float32) for p in pair.planes("y"))
    if min(source.shape) < SSIM_WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1):
        return np.nan
    product = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        similarity, contrast = _similarity(source, decoded, peak=_peak(pair))
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        product *= max(similarity if last else contrast, 0.0) ** weight
        source, decoded = _halve(source), _halve(decoded)
    return product


def ciede2000(pair: Pair) -> float:
    """Return the mean colour difference (Sharma, Wu and Dalal 2005)."""
    return float(pair.colour_difference.mean())


def ciede2000_p95(pair: Pair) -> float:
    """Return the colour difference that 95 % of the pixels stay under."""
    return float(np.percentile(pair.colour_difference, 95))


def worst_block(pair: Pair) -> float:
    """Return the largest mean colour difference over blocks of 16x16 pixels.

    What is left over at the right and bottom edges is a block of its own where it is 8 pixels or
    wider; less is joined to the block before it, since its mean would be that of a few pixels.
    """
    difference = pair.colour_difference
    rows, columns = map(_find_block_edges, difference.shape)
    sums = np.add.reduceat(difference.astype(np.float64), rows, axis=0)
    sums = np.add.reduceat(sums, columns, axis=1)
    heights, widths = (
        np.diff(edges, append=side)
        for edges, side in zip((rows, columns), difference.shape, strict=True)
    )
    return float((sums / np.outer(heights, widths)).max())


def flicker(pair: Pair, plane: Plane) -> float:
    """Return how differently the two videos change from the frame before, in 8-bit levels.

    That is the mean absolute difference of the decoded plane's change and the source's.
    """
    if pair.before is None:
        return np.nan
    source, decoded = (p.astype(np.int16) for p in pair.planes(plane))
    source_before, decoded_before = (p.astype(np.int16) for p in pair.before.planes(plane))
    change = (decoded - decoded_before) - (source - source_before)
    return float(np.abs(change).mean()) * 255 / _peak(pair)


def colourfulness(pair: Pair, of: Literal["source", "decoded"]) -> float:
    """Return M3 of Hasler and Suesstrunk (see `colour.colourfulness`) of one side of the pair."""
    source, decoded = pair.rgb
    return colour.colourfulness({"source": source, "decoded": decoded}[of])


def vmaf(pair: Pair) -> float:
    """Return VMAF 0.6.1, 0 to 100, by vmaf-torch; it looks at luma alone, in 8-bit levels."""
    from torch import Tensor, cat, from_numpy, inference_mode

    model = _load_vmaf()
    scale = 255 / _peak(pair)

    def make_tensor(frame: Frame) -> Tensor:
        return from_numpy(frame.y.astype(np.float32) * np.float32(scale))[None, None]

    if min(pair.source.y.shape) < VMAF_SIDE:
        return np.nan
    before = None if pair.before is None else pair.before.source
    neighbours = [make_tensor(f) for f in (before, pair.source, pair.after) if f is not None]
    with inference_mode():
        source, decoded = make_tensor(pair.source), make_tensor(pair.decoded)
        motion = model.compute_motion2(cat(neighbours))
        number = 0 if before is None else 1
        detail = model.compute_adm_score(source, decoded)
        fidelity = model.compute_vif_features(source, decoded)
        return float(model.predict(detail, motion[number : number + 1], fidelity))


@cache
def _load_vmaf() -> Any:
    from vmaf_torch import VMAF

    return VMAF(clip_score=True)


@dataclass(frozen=True)
class Metric:
    """A row of METRICS: its name for readers, its unit and its function.

    `better` is +1 where more is better, -1 where less is, 0 where the metric is no quality and so
    has no Bjøntegaard delta.
    """

    title: str
    unit: str
    better: Literal[1, 0, -1]
    measure: Callable[[Pair], float]


def _quality(title: str, unit: str, measure: Callable[[Pair], float]) -> Metric:
    return Metric(title, unit, better=1, measure=measure)


def _difference(title: str, unit: str, measure: Callable[[Pair], float]) -> Metric:
    return Metric(title, unit, better=-1, measure=measure)


def _property(title: str, unit: str, measure: Callable[[Pair], float]) -> Metric:
    return Metric(title, unit, better=0, measure=measure)


METRICS: dict[str, Metric] = {
    "psnr_yuv611": _quality("PSNR (6Y+U+V)/8", "dB", psnr_yuv611),
    "psnr_y": _quality("PSNR Y", "dB", partial(psnr, plane="y")),
    "psnr_u": _quality("PSNR U", "dB", partial(psnr, plane="cb")),
    "psnr_v": _quality("PSNR V", "dB", partial(psnr, plane="cr")),
    "psnr_rgb": _quality("PSNR RGB", "dB", psnr_rgb),
    "ssim_y": _quality("SSIM Y", "", partial(ssim, plane="y")),
    "ssim_u": _quality("SSIM U", "", partial(ssim, plane="cb")),
    "ssim_v": _quality("SSIM V", "", partial(ssim, plane="cr")),
    "ms_ssim_y": _quality("MS-SSIM Y", "", ms_ssim),
    "ciede2000": _difference("CIEDE2000", "ΔE", ciede2000),
    "ciede2000_p95": _difference("CIEDE2000, 95th percentile", "ΔE", ciede2000_p95),
    "worst_block": _difference("worst block, CIEDE2000", "ΔE", worst_block),
    "flicker_y": _difference("flicker Y", "levels", partial(flicker, plane="y")),
    "flicker_u": _difference("flicker U", "levels", partial(flicker, plane="cb")),
    "flicker_v": _difference("flicker V", "levels", partial(flicker, plane="cr")),
    "colourfulness": _property("colourfulness", "M3", partial(colourfulness, of="decoded")),
    "colourfulness_source": _property(
        "colourfulness of the source", "M3", partial(colourfulness, of="source")
    ),
}
if find_spec("vmaf_torch") is not None:  # the extra tinct[vmaf]
    METRICS["vmaf"] = _quality("VMAF", "", vmaf)


def pair_frames(source: Iterable[Frame], decoded: Iterable[Frame]) -> Iterator[Pair]:
    """Yield the pair of each frame with its neighbours, holding no more frames than those.

    Raise ValueError where one side is longer.
    """
    held: Pair | None = None
    for original, shown in zip(source, decoded, strict=True):
        if held is None:
            held = Pair(original, shown)
            continue
        yield replace(held, after=original)
        held = Pair(original, shown, Pair(held.source, held.decoded))
    if held is not None:
        yield held


# What a sweep may measure: everything, or what takes a tenth of the time.
METRIC_SETS = {
    "all": tuple(METRICS),
    "psnr": tuple(name for name in METRICS if name.startswith("psnr")),
}


def measure(
    source: Iterable[Frame],
    decoded: Iterable[Frame],
    names: Sequence[str] = tuple(METRICS),
    *,
    threads: int = 1,
) -> dict[str, list[float]]:
    """Return the series of each metric, one number a frame, measuring `threads` frames at a time.

    Raise ValueError where one side is longer.
    """
    series: dict[str, list[float]] = {name: [] for name in names}

    def measure_frame(pair: Pair) -> list[float]:
        return [METRICS[name].measure(pair) for name in names]

    def append(values: list[float]) -> None:
        for name, value in zip(names, values, strict=True):
            series[name].append(value)

    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[list[float]]] = deque()
        for pair in pair_frames(source, decoded):
            pending.append(pool.submit(measure_frame, pair))
            if len(pending) > threads:
                append(pending.popleft().result())
        for values in pending:
            append(values.result())
    return series


def limit_library_threads() -> None:
    """Keep libraries from starting threads of their own beside those of `measure`.

    With several workers on one machine all those threads would wait for one another.
    """
    cv2.setNumThreads(1)
    if "vmaf" in METRICS:
        from torch import set_num_threads

        set_num_threads(1)


def _psnr(squared: float) -> float:
    """Return the PSNR, in dB, of a mean squared error in squared 8-bit levels."""
    return float(min(10 * np.log10(255**2 / max(squared, 1e-20)), PERFECT_DB))


def _peak(pair: Pair) -> float:
    """Return the largest sample value at the pair's bit depth."""
    return float((1 << pair.source.info.bit_depth) - 1)


def _convert_to_lab(rgb: np.ndarray) -> np.ndarray:
    """Return CIE L*a*b* (sRGB, D65) as float32."""
    return rgb2lab(rgb.astype(np.float32) / 255)


def _find_block_edges(side: int) -> np.ndarray:
    """Return where the blocks of BLOCK_SIDE begin along a side of `side` pixels."""
    edges = np.arange(0, side, BLOCK_SIDE)
    is_narrow = len(edges) > 1 and side - edges[-1] < BLOCK_SIDE // 2
    return edges[:-1] if is_narrow else edges


def _halve(plane: np.ndarray) -> np.ndarray:
    """Return a plane at half size, without an odd last row or column."""
    height, width = plane.shape
    even = plane[: height // 2 * 2, : width // 2 * 2]
    return cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def _similarity(a: np.ndarray, b: np.ndarray, *, peak: float) -> tuple[float, float]:
    """Return SSIM and its contrast-structure term, means over windows inside the picture."""
    radius = SSIM_WINDOW // 2
    inside = slice(radius, -radius)

    def blur(x: np.ndarray) -> np.ndarray:
        blurred = cv2.GaussianBlur(x, (SSIM_WINDOW, SSIM_WINDOW), SSIM_SIGMA)
        return blurred[inside, inside]

    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_a, mean_b = blur(a), blur(b)
    variances = blur(a * a) + blur(b * b) - mean_a**2 - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    contrast = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luminance * contrast).mean()), float(contrast.mean())
