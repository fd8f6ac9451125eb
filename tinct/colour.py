"""Matrices, ranges and chroma sampling as pure functions on arrays; which tags a file carries is for `video.py`.

Chroma is taken as left-sited (MPEG-2, the default of H.264 and HEVC): level with the even columns of luma, half-way
between two rows. It is interpolated bilinearly, edges repeated.
"""

import cv2
import numpy as np

from tinct.frames import ColourTags, Frame, VideoInfo

BT709 = 1
BT601 = 6  # 5 names the same matrix for 625-line video
# (Kr, Kb) of H.273 MatrixCoefficients; 10 (constant luminance) is shown by the matrix of 9, as players do
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}


def matrix_or_default(matrix: int, height: int) -> int:
    """The matrix to use where a file names none that we know: BT.709 from 720 lines on, BT.601 below."""
    if matrix in _LUMA_WEIGHTS:
        return matrix
    return BT709 if height >= 720 else BT601


def to_rgb(frame: Frame, *, keep_luma: bool = False) -> np.ndarray:
    """8-bit R'G'B' [H, W, 3] of an 8- or 10-bit frame, rounded and clipped.

    With `keep_luma` a colour out of range is made fainter until it fits: luma, where that is in range, can be told to the bit.
    """
    return _rgb(frame, 255, keep_luma).astype(np.uint8)


def to_rgb16(frame: Frame, *, keep_luma: bool = False) -> np.ndarray:
    """16-bit R'G'B' [H, W, 3], 65535 for white, so that nothing of a 10-bit frame is lost."""
    return _rgb(frame, 65535, keep_luma).astype(np.uint16)


def from_rgb(rgb: np.ndarray, info: VideoInfo) -> tuple[np.ndarray, np.ndarray]:
    """Luma [H, W], and chroma [ceil(H/2), ceil(W/2), 2] about 0, of 8-bit R'G'B' [H, W, 3] by a video's matrix and range.

    Both float32 in 8-bit levels. Chroma is such that, interpolated as `to_rgb` does, it gives the picture back.
    """
    matrix = _ycbcr_to_rgb(info.colour, info.height, 8, 255)
    inverse = np.linalg.inv(matrix[:, :3])
    offset = inverse @ (0.5 - matrix[:, 3])
    planes = cv2.transform(
        rgb.astype(np.float32), np.column_stack([inverse, offset]).astype(np.float32)
    )
    return planes[..., 0], subsample_chroma(planes[..., 1:] - np.float32(128))


def subsample_chroma(chroma: np.ndarray) -> np.ndarray:
    """Both chroma planes at luma size to 4:2:0, float32: [H, W, 2] -> [ceil(H/2), ceil(W/2), 2]; undoes `upsample_chroma`."""
    edge = cv2.BORDER_REPLICATE
    # columns about the even ones, pairs of rows
    halved = cv2.sepFilter2D(
        chroma, cv2.CV_32F, np.array([0.25, 0.5, 0.25]), np.array([0, 0.5, 0.5]), borderType=edge
    )[::2, ::2]
    # up and down again, a sample is 3/4 itself and 1/8 each neighbour: this sharpens by as much
    sharpen = np.array([-1, 8, -1]) / 6
    return cv2.sepFilter2D(
        np.ascontiguousarray(halved), cv2.CV_32F, sharpen, sharpen, borderType=edge
    )


def upsample_chroma(chroma: np.ndarray, height: int, width: int) -> np.ndarray:
    """A chroma plane at luma size as float32: [ceil(H/2), ceil(W/2)] -> [H, W]."""
    # luma pixel (x, y) looks up chroma (x / 2, y / 2 - 1/4); quarters are exact in OpenCV's fixed point
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
    """[3, 4]: (Y, Cb, Cr, 1) to R'G'B', all from -1 to 1 over the whole range of codes, chroma at luma size; not clipped."""
    half = ((1 << info.bit_depth) - 1) / 2
    matrix = _ycbcr_to_rgb(info.colour, info.height, info.bit_depth, 2).astype(np.float64)
    linear = matrix[:, :3] * half
    return np.column_stack([linear, linear.sum(axis=1) + matrix[:, 3] - 0.5 - 1])


def colourfulness(rgb: np.ndarray) -> float:
    """Hasler and Suesstrunk 2003, equation for M3, of 8-bit R'G'B' [H, W, 3]: 0 is grey, 59 "quite colourful"."""
    red, green, blue = (rgb[..., i].astype(np.float32) for i in range(3))
    opponents = np.stack([(red - green).ravel(), ((red + green) / 2 - blue).ravel()])
    return float(np.hypot(*opponents.std(axis=1)) + 0.3 * np.hypot(*opponents.mean(axis=1)))


def _rgb(frame: Frame, peak: int, keep_luma: bool) -> np.ndarray:
    info = frame.info
    planes = [frame.y.astype(np.float32)]
    planes += [upsample_chroma(chroma, info.height, info.width) for chroma in (frame.cb, frame.cr)]
    matrix = _ycbcr_to_rgb(info.colour, info.height, info.bit_depth, peak)
    if keep_luma:
        planes = _fitting(planes, matrix, peak, 128 << (info.bit_depth - 8))
    rgb = cv2.transform(cv2.merge(planes), matrix)
    return np.clip(
        rgb, 0, peak + 0.5, out=rgb
    )  # half a level is already in the matrix: truncation rounds


def _fitting(
    planes: list[np.ndarray], matrix: np.ndarray, peak: int, middle: int
) -> list[np.ndarray]:
    """The planes with chroma drawn towards grey just far enough for R'G'B' to lie in 0..peak."""
    y, *chroma = planes
    grey = y * matrix[0, 0] + np.float32(
        matrix[0] @ (0, middle, middle, 1) - 0.5
    )  # R' = G' = B' without chroma
    scale = np.ones_like(y)
    for row in matrix:
        away = row[1] * (chroma[0] - middle) + row[2] * (chroma[1] - middle)
        room = np.where(away > 0, peak - grey, grey)
        scale = np.minimum(scale, np.maximum(room, 0) / np.maximum(np.abs(away), 1e-6))
    return [y, *((plane - middle) * scale + middle for plane in chroma)]


def _ycbcr_to_rgb(colour: ColourTags, height: int, bit_depth: int, peak: int) -> np.ndarray:
    """[3, 4]: code values (Y, Cb, Cr, 1) to R'G'B' of 0..peak plus a half. A range that nobody names is limited."""
    kr, kb = _LUMA_WEIGHTS[matrix_or_default(colour.matrix, height)]
    kg = 1 - kr - kb
    unit = 1 << (bit_depth - 8)
    top = (1 << bit_depth) - 1
    black, luma_span, chroma_span = (
        (0, top, top) if colour.full_range else (16 * unit, 219 * unit, 224 * unit)
    )
    from_unit = np.array(
        [
            [1, 0, 2 * (1 - kr)],
            [1, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1, 2 * (1 - kb), 0],
        ]
    )
    linear = peak * from_unit / np.array([luma_span, chroma_span, chroma_span])
    offset = 0.5 - linear @ np.array([black, 128 * unit, 128 * unit])
    return np.column_stack([linear, offset]).astype(np.float32)
