"""Registration of a coloured picture onto the grey frame that it shows.

Features find where a cropped or shifted picture lies in the frame, dense flow moves what is left.
`pictures` reads the picture, `propagation` carries its colour to other frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from tinct.colour import from_rgb
from tinct.colouring.blending import (
    DETAIL_FLOOR,
    DOUBT,
    Reference,
    measure_mismatch,
    measure_variance,
)
from tinct.colouring.chroma import MIDDLE, stack_chroma
from tinct.colouring.pictures import Picture, read_picture
from tinct.errors import CodecError
from tinct.frames import Frame
from tinct.motion.flow import estimate_flow, scale_flow, warp
from tinct.motion.views import LumaView

FEATURE_SIDE = 960  # pixels of the longer side on which features are found
FEATURES = 4000
CONTRASTS = (0.04, 0.01)  # SIFT's thresholds, tried in turn: dark and soft footage has few features
RATIO = 0.75  # of the best match's distance to the second best's (Lowe 2004)
INLIER_PIXELS = 4.0
FEWEST_INLIERS = 12
SCALES = (0.1, 10.0)  # smallest and largest scale from a picture to the frame
JUDGED_SIDE = 160  # pixels of the longer side on which similarity is measured: some pixels off pass
JUDGED_WINDOW = 15  # pixels a side, over which lumas are correlated
FLAT = 4.0  # squared 8-bit levels of coding noise: two flat areas count as alike
NEEDED_MATCH = 0.5  # docs/colourise.md: pictures of the frame reach 0.9, others less than 0.3
BETTER = 0.01  # match that a placement has to gain over the one before it
EXACT = 0.98  # share of the detail shown from which dense flow is not tried
SAME_SHAPE = 0.02  # difference in log aspect ratio up to which a picture may be the whole frame


@dataclass(frozen=True)
class Registration:
    """A registered picture and how well it fits.

    `match` is from 0 (another picture) to 1 (the frame itself), `covered` the share of the frame
    that the picture shows, `way` how it was placed, in words.
    """

    reference: Reference
    match: float
    covered: float
    way: str


@dataclass(frozen=True)
class _Placement:
    """A picture placed on the frame: R'G'B' [H, W, 3], its weight [H, W], how it was placed."""

    rgb: np.ndarray
    weight: np.ndarray
    way: str


def register(picture: Picture, frame: Frame, *, number: int, name: str) -> Registration:
    """Register a picture onto frame `number`. Raise CodecError where it shows something else."""
    if isinstance(picture, Frame):
        return _register_frame(picture, frame, number=number, name=name)
    luma = LumaView(frame.y, frame.info.bit_depth, frame.pts)
    rgb, weight = read_picture(picture, name)
    best: tuple[float, _Placement, np.ndarray] | None = None
    for placement in _propose_placements(rgb, weight, luma.full):
        shown = from_rgb(placement.rgb, frame.info)[0]
        match = measure_similarity(luma.full, shown, placement.weight)
        if best is None or match > best[0] + BETTER:
            best = match, placement, shown
    _check_match(None if best is None else best[0], number, name)
    assert best is not None
    match, placement, shown = best
    placement, shown = _refine_by_flow(placement, shown, frame)
    chroma = from_rgb(placement.rgb, frame.info)[1]
    half = _view_luma(shown).half.astype(np.float32)
    small = cv2.resize(placement.weight, half.shape[::-1], interpolation=cv2.INTER_AREA)
    own = luma.half.astype(np.float32)
    mismatch = measure_mismatch(own, np.where(small > 0, half, own))
    trust = 1 / (1 + DOUBT * mismatch / (measure_variance(own) + DETAIL_FLOOR))
    reference = Reference(number, luma, colour=chroma, weight=small * trust)
    return Registration(reference, match, covered=float(placement.weight.mean()), way=placement.way)


def measure_similarity(own: np.ndarray, shown: np.ndarray, weight: np.ndarray) -> float:
    """Return how alike two lumas [H, W] look where `weight` is set, 0 to 1: correlation in windows.

    Brightness and contrast do not count.
    """
    scale = JUDGED_SIDE / max(own.shape)
    size = (max(1, round(own.shape[1] * scale)), max(1, round(own.shape[0] * scale)))
    a, b, w = (
        cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for plane in (own, shown, weight)
    )

    def blur(plane: np.ndarray) -> np.ndarray:
        return cv2.blur(plane, (JUDGED_WINDOW, JUDGED_WINDOW))

    mean_a, mean_b = blur(a), blur(b)
    common = blur(a * b) - mean_a * mean_b + FLAT
    var_a, var_b = (
        np.maximum(blur(p * p) - m * m, 0) + FLAT for p, m in ((a, mean_a), (b, mean_b))
    )
    inside = w > 0.5
    if inside.mean() < 0.02:
        return 0.0
    return float(max(0.0, common[inside].sum() / np.sqrt(var_a * var_b)[inside].sum()))


def _check_match(match: float | None, number: int, name: str) -> None:
    """Raise CodecError where a picture does not match its frame; None is no placement at all."""
    if match is None or match < NEEDED_MATCH:
        found = "no common features" if match is None else f"a match of {match:.0%}"
        raise CodecError(
            f"expected {name} to show frame {number}, found {found}; name the frame that it shows"
        )


def _register_frame(picture: Frame, frame: Frame, *, number: int, name: str) -> Registration:
    """Register a decoded frame: its chroma is taken over without a conversion to R'G'B'."""
    size, wanted = ((f.info.width, f.info.height) for f in (picture, frame))
    if size != wanted:
        raise CodecError(
            f"expected a frame of {wanted[0]}x{wanted[1]} for {name}, found {size[0]}x{size[1]}; "
            "give a picture to have it scaled"
        )
    luma = LumaView(frame.y, frame.info.bit_depth, frame.pts)
    shown = LumaView(picture.y, picture.info.bit_depth, 0).full
    match = measure_similarity(luma.full, shown, np.ones(frame.y.shape, np.float32))
    _check_match(match, number, name)
    colour = stack_chroma(picture) - MIDDLE
    weight = np.ones(colour.shape[:2], np.float32)
    reference = Reference(number, luma, colour=colour, weight=weight)
    return Registration(reference, match, covered=1.0, way="as it is")


def _view_luma(plane: np.ndarray) -> LumaView:
    """Return float luma [H, W] in 8-bit levels, rounded, as a view."""
    return LumaView(np.rint(plane).clip(0, 255).astype(np.uint8), 8, 0)


def _propose_placements(
    rgb: np.ndarray, weight: np.ndarray, own: np.ndarray
) -> Iterator[_Placement]:
    """Yield placements to choose from: the whole frame if the shape allows it, then by features."""
    height, width = own.shape
    size = f"{rgb.shape[1]}x{rgb.shape[0]}"
    if rgb.shape[:2] == own.shape:
        yield _Placement(rgb, weight, "as it is")
    elif abs(np.log(rgb.shape[1] * height / (rgb.shape[0] * width))) <= SAME_SHAPE:
        scale = _scale_centres(width / rgb.shape[1], height / rgb.shape[0])
        yield _Placement(*_warp_picture(rgb, weight, scale, shape=own.shape), f"scaled from {size}")
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    for contrast in CONTRASTS:
        affine = _estimate_affine(grey, own, contrast)
        if affine is not None:
            placed = _warp_picture(rgb, weight, affine, shape=own.shape)
            yield _Placement(*placed, f"by features from {size}")
            return


def _scale_centres(x: float, y: float) -> np.ndarray:
    """Return the affine map of pixel centres [2, 3] that scales a picture's area by x and y."""
    scale = np.array([[x, 0, 0], [0, y, 0]])
    return np.column_stack([scale[:, :2], scale[:, :2] @ (0.5, 0.5) - 0.5 + scale[:, 2]])


def _estimate_affine(grey: np.ndarray, own: np.ndarray, contrast: float) -> np.ndarray | None:
    """Return the affine map [2, 3] from a picture to the frame; None if too few features agree."""
    (there, theirs), (here, ours) = _find_features(grey, contrast), _find_features(own, contrast)
    if theirs is None or ours is None or min(len(theirs), len(ours)) < FEWEST_INLIERS:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(theirs, ours, k=2)
    good = [
        pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance
    ]
    if len(good) < FEWEST_INLIERS:
        return None
    cv2.setRNGSeed(0)  # the same pictures give the same map
    affine, inliers = cv2.estimateAffine2D(
        there[[match.queryIdx for match in good]],
        here[[match.trainIdx for match in good]],
        method=cv2.RANSAC,
        ransacReprojThreshold=INLIER_PIXELS * max(1.0, max(own.shape) / FEATURE_SIDE),
        maxIters=5000,
    )
    if affine is None or int(np.count_nonzero(inliers)) < FEWEST_INLIERS:
        return None
    scales = np.linalg.svd(affine[:, :2], compute_uv=False)
    return affine if SCALES[0] <= scales.min() and scales.max() <= SCALES[1] else None


def _find_features(plane: np.ndarray, contrast: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Return SIFT features: places (x, y) in the plane's pixels [n, 2], descriptors [n, 128]."""
    scale = min(1.0, FEATURE_SIDE / max(plane.shape))
    small = plane
    if scale < 1:
        small = cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sift = cv2.SIFT.create(FEATURES, contrastThreshold=contrast)
    points, descriptors = sift.detectAndCompute(small, None)
    return np.array([point.pt for point in points], np.float32).reshape(-1, 2) / scale, descriptors


def _warp_picture(
    rgb: np.ndarray, weight: np.ndarray, affine: np.ndarray, *, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return picture and weight warped by an affine map to `shape` (height, width).

    A picture that the map makes smaller is reduced first, so that it does not alias.
    """
    shrink = min(1.0, float(np.linalg.svd(affine[:, :2], compute_uv=False).max()))
    if shrink < 1:
        size = (max(1, round(rgb.shape[1] * shrink)), max(1, round(rgb.shape[0] * shrink)))
        back = _scale_centres(rgb.shape[1] / size[0], rgb.shape[0] / size[1])
        linear = affine[:, :2]
        affine = np.column_stack([linear @ back[:, :2], linear @ back[:, 2] + affine[:, 2]])
        rgb, weight = (
            cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (rgb, weight)
        )
    size = (shape[1], shape[0])
    edge = cv2.BORDER_REPLICATE
    warped = cv2.warpAffine(rgb, affine, size, flags=cv2.INTER_CUBIC, borderMode=edge)
    return warped, cv2.warpAffine(weight, affine, size, flags=cv2.INTER_LINEAR)


def _refine_by_flow(
    placement: _Placement, shown: np.ndarray, frame: Frame
) -> tuple[_Placement, np.ndarray]:
    """Move a placed picture and its luma by dense flow, where that makes it more like the frame."""
    luma = LumaView(frame.y, frame.info.bit_depth, frame.pts)
    own = luma.full.astype(np.float32)
    before = _measure_residue(own, shown, placement.weight)
    if before < 1 - EXACT:
        return placement, shown
    # The frame stands in beyond the picture's edge: there is nothing to search for there.
    flow = estimate_flow(luma, _view_luma(np.where(placement.weight > 0, shown, own)))
    if flow is None:
        return placement, shown
    flow = scale_flow(flow, own.shape)
    rgb, weight = warp(placement.rgb, flow), warp(placement.weight, flow)
    moved_luma = from_rgb(rgb, frame.info)[0]
    if _measure_residue(own, moved_luma, weight) < before:
        return _Placement(rgb, weight, f"{placement.way} and flow"), moved_luma
    return placement, shown


def _measure_residue(own: np.ndarray, shown: np.ndarray, weight: np.ndarray) -> float:
    """Return the share of the frame's local variance that the picture does not explain.

    Brightness and contrast do not count.
    """
    inside = weight > 0.5
    mismatch = measure_mismatch(own, np.where(inside, shown, own))[inside].mean()
    return float(mismatch / (measure_variance(own)[inside].mean() + 1))
