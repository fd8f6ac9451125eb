"""A coloured picture laid onto the grey frame that it names: by features where it is cropped or shifted, then by dense flow.

`pictures` reads it, `mixing` carries its colour to other frames.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from tinct.colour import from_rgb
from tinct.colouring.mixing import DETAIL_FLOOR, DOUBT, Reference, mismatch, variance
from tinct.colouring.pictures import Picture, read_picture
from tinct.errors import CodecError
from tinct.frames import Frame
from tinct.motion.flow import motion, scaled_flow, warp
from tinct.motion.views import LumaView

FEATURE_SIDE = 960  # pixels of the longer side on which features are looked for
FEATURES = 4000
CONTRASTS = (0.04, 0.01)  # of corners, tried in turn: dark and soft footage has few
RATIO = 0.75  # of the best match's distance to the second best's (Lowe 2004)
INLIER_PIXELS = 4.0
FEWEST_INLIERS = 12
SCALES = (0.1, 10.0)  # of a picture against the frame, a side
JUDGED_SIDE = 160  # pixels of the longer side on which a match is judged: a few pixels off do not matter there
JUDGED_WINDOW = 15
FLAT = 4.0  # squared 8-bit levels; below it is coding noise: there both look the same
NEEDED_MATCH = 0.5  # see docs/colourise.md: pictures of the frame reach 0.9 and more, foreign ones less than 0.3
BETTER = 0.01  # of a match, that a way by features has to gain on the picture as it is
EXACT = 0.98  # at full size: nothing is left to move
SAME_SHAPE = 0.02  # sides' ratios within which a picture may be the whole frame, scaled


@dataclass(frozen=True)
class Registered:
    """`match` from 0 (foreign) to 1 (the frame itself), `covered` the share of the frame that the picture speaks for."""

    reference: Reference
    match: float
    covered: float
    way: str  # how it was laid


@dataclass(frozen=True)
class _Laid:
    """A picture at the frame's size: R'G'B' [H, W, 3], what of it counts [H, W], how it got there."""

    rgb: np.ndarray
    weight: np.ndarray
    way: str


def register(picture: Picture, frame: Frame, number: int, name: str) -> Registered:
    """Lay a picture onto frame `number`. Raises CodecError where it is of something else."""
    luma = LumaView(frame.y, frame.info.bit_depth, frame.pts)
    if isinstance(picture, Frame):
        return _as_it_is(picture, frame, luma, number, name)
    rgb, weight = read_picture(picture, name)
    best: tuple[float, _Laid, np.ndarray] | None = None
    for laid in _candidates(rgb, weight, luma.full):
        shown = from_rgb(laid.rgb, frame.info)[0]
        match = similarity(luma.full, shown, laid.weight)
        if best is None or match > best[0] + BETTER:
            best = match, laid, shown
    if best is None or best[0] < NEEDED_MATCH:
        found = "no common features" if best is None else f"a match of {best[0]:.0%}"
        raise CodecError(
            f"expected {name} to show frame {number}, found {found}; name the frame that it shows"
        )
    match, laid, shown = best
    laid, shown = _refined(laid, shown, luma, frame)
    chroma = from_rgb(laid.rgb, frame.info)[1]
    half = LumaView(np.rint(shown).clip(0, 255).astype(np.uint8), 8, 0).half.astype(np.float32)
    small = cv2.resize(laid.weight, half.shape[::-1], interpolation=cv2.INTER_AREA)
    own = luma.half.astype(np.float32)
    trust = 1 / (
        1 + DOUBT * mismatch(own, np.where(small > 0, half, own)) / (variance(own) + DETAIL_FLOOR)
    )
    return Registered(
        Reference(number, luma, chroma, small * trust), match, float(laid.weight.mean()), laid.way
    )


def similarity(own: np.ndarray, shown: np.ndarray, weight: np.ndarray) -> float:
    """How alike two lumas [H, W] look where `weight` is, 0 to 1, whatever their brightness and contrast: correlation in windows."""
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


def _as_it_is(picture: Frame, frame: Frame, luma: LumaView, number: int, name: str) -> Registered:
    """A frame of a video, whose chroma is taken without a way through R'G'B'."""
    size, wanted = ((f.info.width, f.info.height) for f in (picture, frame))
    if size != wanted:
        raise CodecError(
            f"expected a frame of {wanted[0]}x{wanted[1]} for {name}, found {size[0]}x{size[1]}; give a picture to have it scaled"
        )
    match = similarity(
        luma.full,
        LumaView(picture.y, picture.info.bit_depth, 0).full,
        np.ones(frame.y.shape, np.float32),
    )
    if match < NEEDED_MATCH:
        raise CodecError(
            f"expected {name} to show frame {number}, found a match of {match:.0%}; name the frame that it shows"
        )
    unit = 1 << (picture.info.bit_depth - 8)
    colour = np.dstack((picture.cb, picture.cr)).astype(np.float32) / unit - np.array(128)
    return Registered(
        Reference(number, luma, colour, np.ones(colour.shape[:2], np.float32)),
        match,
        1.0,
        "as it is",
    )


def _candidates(rgb: np.ndarray, weight: np.ndarray, own: np.ndarray) -> list[_Laid]:
    """Ways to lay the picture, to be judged by what comes out."""
    height, width = own.shape
    ways = []
    if abs(np.log(rgb.shape[1] * height / (rgb.shape[0] * width))) <= SAME_SHAPE:
        same = rgb.shape[:2] == own.shape
        scale = np.array([[width / rgb.shape[1], 0, 0], [0, height / rgb.shape[0], 0]])
        way = "as it is" if same else f"scaled from {rgb.shape[1]}x{rgb.shape[0]}"
        ways.append(
            _Laid(rgb, weight, way) if same else _laid(rgb, weight, _centred(scale), own.shape, way)
        )
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    affine = next(
        (found for contrast in CONTRASTS if (found := _affine(grey, own, contrast)) is not None),
        None,
    )
    if affine is not None:
        ways.append(
            _laid(rgb, weight, affine, own.shape, f"by features from {rgb.shape[1]}x{rgb.shape[0]}")
        )
    return ways


def _centred(scale: np.ndarray) -> np.ndarray:
    """The map of pixel centres that goes with a map of the picture's corners, [2, 3]."""
    return np.column_stack([scale[:, :2], scale[:, :2] @ (0.5, 0.5) - 0.5 + scale[:, 2]])


def _affine(grey: np.ndarray, own: np.ndarray, contrast: float) -> np.ndarray | None:
    """Where the picture's pixels lie in the frame, [2, 3]; None where too few features agree."""
    (there, theirs), (here, ours) = _features(grey, contrast), _features(own, contrast)
    if theirs is None or ours is None or min(len(theirs), len(ours)) < FEWEST_INLIERS:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(theirs, ours, k=2)
    good = [
        pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance
    ]
    if len(good) < FEWEST_INLIERS:
        return None
    cv2.setRNGSeed(0)  # the same pictures, the same map
    tolerance = INLIER_PIXELS * max(1.0, max(own.shape) / FEATURE_SIDE)
    affine, inliers = cv2.estimateAffine2D(
        there[[match.queryIdx for match in good]], here[[match.trainIdx for match in good]],
        method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=5000,
    )  # fmt: skip
    if affine is None or int(np.count_nonzero(inliers)) < FEWEST_INLIERS:
        return None
    scales = np.linalg.svd(affine[:, :2], compute_uv=False)
    return affine if SCALES[0] <= scales.min() and scales.max() <= SCALES[1] else None


def _features(plane: np.ndarray, contrast: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Places (x, y) in the plane's own pixels, [n, 2], and what they look like, [n, 128]."""
    scale = min(1.0, FEATURE_SIDE / max(plane.shape))
    small = (
        cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if scale < 1
        else plane
    )
    found, descriptors = cv2.SIFT.create(FEATURES, contrastThreshold=contrast).detectAndCompute(
        small, None
    )
    return np.array([point.pt for point in found], np.float32).reshape(-1, 2) / scale, descriptors


def _laid(
    rgb: np.ndarray, weight: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], way: str
) -> _Laid:
    """The picture through an affine map; made smaller first where much is lost, so that it does not alias."""
    shrink = min(1.0, float(np.linalg.svd(affine[:, :2], compute_uv=False).max()))
    if shrink < 1:
        size = (max(1, round(rgb.shape[1] * shrink)), max(1, round(rgb.shape[0] * shrink)))
        back = _centred(np.array([[rgb.shape[1] / size[0], 0, 0], [0, rgb.shape[0] / size[1], 0]]))
        affine = np.column_stack(
            [affine[:, :2] @ back[:, :2], affine[:, :2] @ back[:, 2] + affine[:, 2]]
        )
        rgb, weight = (
            cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (rgb, weight)
        )
    size = (shape[1], shape[0])
    laid = cv2.warpAffine(rgb, affine, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return _Laid(laid, cv2.warpAffine(weight, affine, size, flags=cv2.INTER_LINEAR), way)


def _refined(
    laid: _Laid, shown: np.ndarray, luma: LumaView, frame: Frame
) -> tuple[_Laid, np.ndarray]:
    """The picture and its luma moved by dense flow, where that makes it more like the frame."""
    own = luma.full.astype(np.float32)
    before = _residue(own, shown, laid.weight)
    if before < 1 - EXACT:
        return laid, shown
    visible = np.where(
        laid.weight > 0, shown, own
    )  # beyond the picture's edge there is nothing to search for
    flow = motion(luma, LumaView(np.rint(visible).clip(0, 255).astype(np.uint8), 8, 0))
    if flow is None:
        return laid, shown
    flow = scaled_flow(flow, own.shape)
    moved = _Laid(warp(laid.rgb, flow), warp(laid.weight, flow), f"{laid.way} and flow")
    moved_luma = from_rgb(moved.rgb, frame.info)[0]
    return (
        (moved, moved_luma) if _residue(own, moved_luma, moved.weight) < before else (laid, shown)
    )


def _residue(own: np.ndarray, shown: np.ndarray, weight: np.ndarray) -> float:
    """Share of the frame's local detail that the picture does not show, brightness and contrast apart."""
    inside = weight > 0.5
    return float(
        mismatch(own, np.where(inside, shown, own))[inside].mean()
        / (variance(own)[inside].mean() + 1)
    )
