"""Conversion between Y'CbCr 4:2:0 and R'G'B' on arrays; `media.probe` reads a file's colour tags.

Chroma is taken as left-sited (MPEG-2, the default of H.264 and HEVC): level with the even columns
of luma, half-way between two rows. It is interpolated bilinearly, edges repeated.
"""

import cv2
import numpy as np

from tinct.errors import CodecError
from tinct.frames import ColourTags, Frame, VideoInfo

BT709 = 1
BT601 = 6  # 5 names the same matrix for 625-line video
YCGCO = 8
DERIVED = (12, 13)  # from the primaries
# Matrices whose R'G'B' no matrix gives: H.273 says names by code.
NO_RGB = {11: "SMPTE ST 2085", 14: "ICtCp", 15: "IPT-C2", 16: "YCgCo-Re", 17: "YCgCo-Ro"}
# (Kr, Kb) of H.273 MatrixCoefficients; constant luminance (10, 13) uses the matrix of 9 or 12, as
# players do.
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}


# Chromaticities x and y of red, green, blue and white by H.273 ColourPrimaries.
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}


def choose_matrix(matrix: int, height: int) -> int:
    """Return `matrix` if it is known, else BT.709 for 720 lines or more, BT.601 below."""
    if matrix in _LUMA_WEIGHTS or matrix == YCGCO or matrix in DERIVED:
        return matrix
    return BT709 if height >= 720 else BT601


def _unit_rows(colour: ColourTags, height: int) -> np.ndarray:
    """Return the matrix [3, 3] from Y, 0 to 1, and Cb and Cr, -1/2 to 1/2, to R'G'B' of 0 to 1.

    H.273, 8.3. Raises CodecError where R'G'B' is no linear function of them.
    """
    if colour.matrix in NO_RGB:
        raise CodecError(
            "expected a colour matrix that R'G'B' can be computed of, "
            f"found {NO_RGB[colour.matrix]}; an output in .mkv, .mp4 or .y4m keeps it as it is"
        )
    matrix = choose_matrix(colour.matrix, height)
    if matrix == YCGCO:
        return np.array([[1.0, -1, 1], [1, 1, 0], [1, -1, -1]])
    kr, kb = _derive_weights(colour) if matrix in DERIVED else _LUMA_WEIGHTS[matrix]
    kg = 1 - kr - kb
    return np.array(
        [
            [1, 0, 2 * (1 - kr)],
            [1, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1, 2 * (1 - kb), 0],
        ]
    )


def _derive_weights(colour: ColourTags) -> tuple[float, float]:
    """Return Kr and Kb of a matrix that follows from the primaries, H.273, equations 32 to 37.

    They are BT.709's where the primaries are not known.
    """
    places = _PRIMARIES.get(colour.primaries, _PRIMARIES[BT709])
    *points, white = (np.array([x, y, 1 - x - y]) for x, y in places)
    scale = np.linalg.solve(np.column_stack(points), white / white[1])
    red, _, blue = (float(point[1] * part) for point, part in zip(points, scale, strict=True))
    return red, blue


def to_rgb(frame: Frame, *, keep_luma: bool = False) -> np.ndarray:
    """Return 8-bit R'G'B' [H, W, 3] of an 8- or 10-bit frame, rounded and clipped.

    With `keep_luma` a colour out of range is desaturated until it fits, so that luma that is in
    range can be recovered to the bit.
    """
    return _convert_to_rgb(frame, 255, keep_luma).astype(np.uint8)


def to_rgb16(frame: Frame, *, keep_luma: bool = False) -> np.ndarray:
    """Return 16-bit R'G'B' [H, W, 3], 65535 for white, so that a 10-bit frame loses nothing."""
    return _convert_to_rgb(frame, 65535, keep_luma).astype(np.uint16)


def from_rgb(rgb: np.ndarray, info: VideoInfo) -> tuple[np.ndarray, np.ndarray]:
    """Convert 8-bit R'G'B' [H, W, 3] by a video's matrix and range.

    Returns luma [H, W] and chroma [ceil(H/2), ceil(W/2), 2] about 0, both float32 in 8-bit levels.
    Chroma is sampled so that interpolation as in `to_rgb` gives the picture back.
    """
    matrix = _rgb_matrix(info.colour, info.height, bit_depth=8, peak=255)
    inverse = np.linalg.inv(matrix[:, :3])
    offset = inverse @ (0.5 - matrix[:, 3])
    planes = cv2.transform(
        rgb.astype(np.float32), np.column_stack([inverse, offset]).astype(np.float32)
    )
    return planes[..., 0], subsample_chroma(planes[..., 1:] - np.float32(128))


def subsample_chroma(chroma: np.ndarray) -> np.ndarray:
    """Reduce both chroma planes from luma size to 4:2:0, float32; undoes `upsample_chroma`.

    [H, W, 2] -> [ceil(H/2), ceil(W/2), 2]
    """
    edge = cv2.BORDER_REPLICATE
    # Filters are centred on even columns and between the rows of a pair.
    halved = cv2.sepFilter2D(
        chroma, cv2.CV_32F, np.array([0.25, 0.5, 0.25]), np.array([0, 0.5, 0.5]), borderType=edge
    )[::2, ::2]
    # Upsampling and halving leave a sample as 3/4 itself and 1/8 each neighbour; this undoes it.
    sharpen = np.array([-1, 8, -1]) / 6
    return cv2.sepFilter2D(
        np.ascontiguousarray(halved), cv2.CV_32F, sharpen, sharpen, borderType=edge
    )


def upsample_chroma(chroma: np.ndarray, height: int, width: int) -> np.ndarray:
    """Interpolate a chroma plane to luma size, float32: [ceil(H/2), ceil(W/2)] -> [H, W]."""
    # Luma pixel (x, y) samples chroma at (x / 2, y / 2 - 1/4); quarters are exact in OpenCV's
    # fixed point.
    lookup = np.array([[0.5, 0, 0], [0, 0.5, -0.25]], dtype=np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        chroma.astype(np.float32),
        lookup,
        (width, height),
        flags=flags,
        borderMode=cv2.BORDER_REPLICATE,
    )


def unit_matrix(info: VideoInfo) -> np.ndarray:
    """Return the matrix [3, 4] from (Y, Cb, Cr, 1) to R'G'B', chroma at luma size.

    All values run from -1 to 1 over the whole range of codes. The result is not clipped.
    """
    half = ((1 << info.bit_depth) - 1) / 2
    codes = _rgb_matrix(info.colour, info.height, bit_depth=info.bit_depth, peak=2)
    matrix = codes.astype(np.float64)
    linear = matrix[:, :3] * half
    return np.column_stack([linear, linear.sum(axis=1) + matrix[:, 3] - 0.5 - 1])


def colourfulness(rgb: np.ndarray) -> float:
    """Return the colourfulness of 8-bit R'G'B' [H, W, 3]: 0 is grey, 59 "quite colourful".

    Hasler and Suesstrunk 2003, equation for M3.
    """
    red, green, blue = (rgb[..., i].astype(np.float32) for i in range(3))
    opponents = np.stack([(red - green).ravel(), ((red + green) / 2 - blue).ravel()])
    return float(np.hypot(*opponents.std(axis=1)) + 0.3 * np.hypot(*opponents.mean(axis=1)))


def _convert_to_rgb(frame: Frame, peak: int, keep_luma: bool) -> np.ndarray:
    """Return R'G'B' [H, W, 3] of 0..peak plus a half as float32, so that truncation rounds."""
    info = frame.info
    planes = [frame.y.astype(np.float32)]
    planes += [upsample_chroma(chroma, info.height, info.width) for chroma in (frame.cb, frame.cr)]
    matrix = _rgb_matrix(info.colour, info.height, bit_depth=info.bit_depth, peak=peak)
    if keep_luma:
        planes = _desaturate(planes, matrix, peak=peak, middle=128 << (info.bit_depth - 8))
    rgb = cv2.transform(cv2.merge(planes), matrix)
    return np.clip(rgb, 0, peak + 0.5, out=rgb)


def _desaturate(
    planes: list[np.ndarray], matrix: np.ndarray, *, peak: int, middle: int
) -> list[np.ndarray]:
    """Move chroma towards grey (`middle`) just far enough for R'G'B' to lie in 0..peak."""
    y, *chroma = planes
    # R' = G' = B' without chroma.
    grey = y * matrix[0, 0] + np.float32(matrix[0] @ (0, middle, middle, 1) - 0.5)
    scale = np.ones_like(y)
    for row in matrix:
        away = row[1] * (chroma[0] - middle) + row[2] * (chroma[1] - middle)
        room = np.where(away > 0, peak - grey, grey)
        scale = np.minimum(scale, np.maximum(room, 0) / np.maximum(np.abs(away), 1e-6))
    return [y, *((plane - middle) * scale + middle for plane in chroma)]


def _rgb_matrix(colour: ColourTags, height: int, *, bit_depth: int, peak: int) -> np.ndarray:
    """Return the matrix [3, 4] from code values (Y, Cb, Cr, 1) to R'G'B' of 0..peak plus a half.

    An unspecified range is taken as limited.
    """
    unit = 1 << (bit_depth - 8)
    top = (1 << bit_depth) - 1
    black, luma_span, chroma_span = (
        (0, top, top) if colour.full_range else (16 * unit, 219 * unit, 224 * unit)
    )
    from_unit = _unit_rows(colour, height)
    linear = peak * from_unit / np.array([luma_span, chroma_span, chroma_span])
    offset = 0.5 - linear @ np.array([black, 128 * unit, 128 * unit])
    return np.column_stack([linear, offset]).astype(np.float32)
