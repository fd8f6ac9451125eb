"""What is measured of each decoded frame: one function and one row of METRICS for each metric.

A function takes a `Pair`, the source's frame and the decoded one with the pair before it, and gives one number, NaN where the
metric is not defined (flicker of a first frame, MS-SSIM of a small picture).
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

MS_SSIM_WEIGHTS = (
    0.0448,
    0.2856,
    0.3001,
    0.2363,
    0.1333,
)  # Wang, Simoncelli and Bovik 2003, section 3.2
SSIM_WINDOW = 11  # pixels: the Gaussian of sigma 1.5 cut at 3.5 sigma, as in Wang et al. 2004
SSIM_SIGMA = 1.5
VMAF_SIDE = 32  # pixels; of four scales the last has to hold a filter
Plane = Literal["y", "cb", "cr"]


@dataclass(frozen=True)
class Pair:
    """A frame of the source and the decoded one; the pair before them and the source's frame after them, None at the ends."""

    source: Frame
    decoded: Frame
    before: "Pair | None" = None
    after: Frame | None = None

    @cached_property
    def squared_errors(self) -> dict[Plane, float]:
        """Mean squared error of each plane in 8-bit levels."""
        depth = self.source.info.bit_depth
        return {plane: squared_error(*self.planes(plane), depth) for plane in ("y", "cb", "cr")}

    @cached_property
    def rgb(self) -> tuple[np.ndarray, np.ndarray]:
        return self.source.rgb(), self.decoded.rgb()

    @cached_property
    def colour_difference(self) -> np.ndarray:
        """CIEDE2000 of each pixel, [H, W]. At half size its mean is 10 % smaller: averaging hides noise of luma."""
        return deltaE_ciede2000(*(_lab(rgb) for rgb in self.rgb), channel_axis=-1)

    def planes(self, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
        return getattr(self.source, plane), getattr(self.decoded, plane)


def psnr(pair: Pair, plane: Plane) -> float:
    """dB of one plane."""
    return _psnr(pair.squared_errors[plane])


def psnr_yuv611(pair: Pair) -> float:
    """dB: (6 Y + U + V) / 8 of the planes' PSNR."""
    return float(np.dot(PLANE_WEIGHTS, [_psnr(error) for error in pair.squared_errors.values()]))


def psnr_rgb(pair: Pair) -> float:
    """dB of 8-bit R'G'B', all three together."""
    source, decoded = pair.rgb
    return _psnr(cv2.norm(source, decoded, cv2.NORM_L2SQR) / source.size)


def ssim(pair: Pair, plane: Plane) -> float:
    """Structural similarity of one plane, Gaussian window (Wang et al. 2004), 0 to 1."""
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
    """Multi-scale structural similarity of luma (Wang, Simoncelli and Bovik 2003), 0 to 1.

    Five scales need 176 pixels a side. scikit-image has no multi-scale form, and that of torchmetrics takes 1.5 s for a
    picture of 1280x720 on two cores; the tests hold this one to it.
    """
    source: np.ndarray
    decoded: np.ndarray
    source, decoded = (p.astype(np.float32) for p in pair.planes("y"))
    if min(source.shape) < SSIM_WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1):
        return np.nan
    product = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        similarity, contrast = _similarity(source, decoded, _peak(pair))
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        product *= max(similarity if last else contrast, 0.0) ** weight
        source, decoded = (
            cv2.resize(
                p[: p.shape[0] // 2 * 2, : p.shape[1] // 2 * 2],
                None,
                fx=0.5,
                fy=0.5,
                interpolation=cv2.INTER_AREA,
            )
            for p in (source, decoded)
        )
    return product


def ciede2000(pair: Pair) -> float:
    """Mean colour difference (Sharma, Wu and Dalal 2005)."""
    return float(pair.colour_difference.mean())


def ciede2000_p95(pair: Pair) -> float:
    """The colour difference that 95 % of the pixels stay under."""
    return float(np.percentile(pair.colour_difference, 95))


def flicker(pair: Pair, plane: Plane) -> float:
    """Mean absolute difference of the change since the frame before, decoded against source, in 8-bit levels."""
    if pair.before is None:
        return np.nan
    source, decoded = (p.astype(np.int16) for p in pair.planes(plane))
    source_before, decoded_before = (p.astype(np.int16) for p in pair.before.planes(plane))
    change = (decoded - decoded_before) - (source - source_before)
    return float(np.abs(change).mean()) * 255 / _peak(pair)


def colourfulness(pair: Pair, of: Literal["source", "decoded"]) -> float:
    """M3 of Hasler and Suesstrunk (see `colour.colourfulness`)."""
    return colour.colourfulness(pair.rgb[of == "decoded"])


def vmaf(pair: Pair) -> float:
    """VMAF 0.6.1 of luma, 0 to 100, by vmaf-torch; it does not see chroma. Of 8-bit levels."""
    from torch import Tensor, cat, from_numpy, inference_mode

    model = _vmaf_model()
    scale = 255 / _peak(pair)

    def tensor(frame: Frame) -> Tensor:
        return from_numpy(frame.y.astype(np.float32) * np.float32(scale))[None, None]

    if min(pair.source.y.shape) < VMAF_SIDE:
        return np.nan
    ends = [None if pair.before is None else pair.before.source, pair.source, pair.after]
    with inference_mode():
        source, decoded = tensor(pair.source), tensor(pair.decoded)
        motion = model.compute_motion2(cat([tensor(frame) for frame in ends if frame is not None]))
        number = 0 if pair.before is None else 1
        detail, fidelity = (
            model.compute_adm_score(source, decoded),
            model.compute_vif_features(source, decoded),
        )
        return float(model.predict(detail, motion[number : number + 1], fidelity))


@cache
def _vmaf_model() -> Any:
    from vmaf_torch import VMAF

    return VMAF(clip_score=True)


@dataclass(frozen=True)
class Metric:
    """`better` is +1 where more is better, -1 where less is, 0 where it is no quality: then there is no Bjøntegaard delta."""

    title: str
    unit: str
    better: Literal[1, 0, -1]
    measure: Callable[[Pair], float]


METRICS: dict[str, Metric] = {
    "psnr_yuv611": Metric("PSNR (6Y+U+V)/8", "dB", 1, psnr_yuv611),
    "psnr_y": Metric("PSNR Y", "dB", 1, partial(psnr, plane="y")),
    "psnr_u": Metric("PSNR U", "dB", 1, partial(psnr, plane="cb")),
    "psnr_v": Metric("PSNR V", "dB", 1, partial(psnr, plane="cr")),
    "psnr_rgb": Metric("PSNR RGB", "dB", 1, psnr_rgb),
    "ssim_y": Metric("SSIM Y", "", 1, partial(ssim, plane="y")),
    "ssim_u": Metric("SSIM U", "", 1, partial(ssim, plane="cb")),
    "ssim_v": Metric("SSIM V", "", 1, partial(ssim, plane="cr")),
    "ms_ssim_y": Metric("MS-SSIM Y", "", 1, ms_ssim),
    "ciede2000": Metric("CIEDE2000", "ΔE", -1, ciede2000),
    "ciede2000_p95": Metric("CIEDE2000, 95th percentile", "ΔE", -1, ciede2000_p95),
    "flicker_y": Metric("flicker Y", "levels", -1, partial(flicker, plane="y")),
    "flicker_u": Metric("flicker U", "levels", -1, partial(flicker, plane="cb")),
    "flicker_v": Metric("flicker V", "levels", -1, partial(flicker, plane="cr")),
    "colourfulness": Metric("colourfulness", "M3", 0, partial(colourfulness, of="decoded")),
    "colourfulness_source": Metric(
        "colourfulness of the source", "M3", 0, partial(colourfulness, of="source")
    ),
}
if find_spec("vmaf_torch") is not None:  # the extra tinct[vmaf]
    METRICS["vmaf"] = Metric("VMAF", "", 1, vmaf)


def pairs(source: Iterable[Frame], decoded: Iterable[Frame]) -> Iterator[Pair]:
    """Frame by frame; each holds its neighbours, and no more than that. Raises ValueError where one side is longer."""
    held: Pair | None = None
    for ours, theirs in zip(source, decoded, strict=True):
        if held is None:
            held = Pair(ours, theirs)
            continue
        yield replace(held, after=ours)
        held = Pair(ours, theirs, Pair(held.source, held.decoded))
    if held is not None:
        yield held


def measure(
    source: Iterable[Frame],
    decoded: Iterable[Frame],
    names: Sequence[str] = tuple(METRICS),
    *,
    threads: int = 1,
) -> dict[str, list[float]]:
    """The series of each metric, one number a frame; `threads` frames at a time."""
    series: dict[str, list[float]] = {name: [] for name in names}

    def keep(values: list[float]) -> None:
        for name, value in zip(names, values, strict=True):
            series[name].append(value)

    with ThreadPoolExecutor(threads) as pool:
        coming: deque[Future[list[float]]] = deque()
        for pair in pairs(source, decoded):
            coming.append(
                pool.submit(lambda pair: [METRICS[name].measure(pair) for name in names], pair)
            )
            if len(coming) > threads:
                keep(coming.popleft().result())
        for values in coming:
            keep(values.result())
    return series


def leave_threads_to_us() -> None:
    """Libraries that start threads of their own, beside ours and those of other workers, wait for one another."""
    cv2.setNumThreads(1)
    if "vmaf" in METRICS:
        from torch import set_num_threads

        set_num_threads(1)


def _psnr(squared: float) -> float:
    return float(min(10 * np.log10(255**2 / max(squared, 1e-20)), PERFECT_DB))


def _peak(pair: Pair) -> float:
    return float((1 << pair.source.info.bit_depth) - 1)


def _lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (sRGB, D65) as float32."""
    return rgb2lab(rgb.astype(np.float32) / 255)


def _similarity(a: np.ndarray, b: np.ndarray, peak: float) -> tuple[float, float]:
    """SSIM and its contrast-structure term, means over the windows that lie inside the picture."""
    radius = SSIM_WINDOW // 2

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (SSIM_WINDOW, SSIM_WINDOW), SSIM_SIGMA)[
            radius:-radius, radius:-radius
        ]

    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_a, mean_b = blur(a), blur(b)
    variances = blur(a * a) + blur(b * b) - mean_a**2 - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    contrast = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luminance * contrast).mean()), float(contrast.mean())
