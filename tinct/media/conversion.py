"""Conversion of FFmpeg's decoded pictures to 4:2:0 frames of 8 or 10 bit; `source` decodes them.

Common 4:2:0 and grey formats are copied sample by sample, all others pass through swscale.
"""

import av
import numpy as np
from av.video.reformatter import Interpolation

from tinct.colour import BT709
from tinct.frames import Frame, VideoInfo
from tinct.media.planes import from_av_frame, pixel_format, view_rows

# Bit depth of formats that are copied from memory as they are, never converted by swscale, which
# stretches the range of gray.
_PLANAR = {
    "yuv420p": 8,
    "yuvj420p": 8,
    "yuva420p": 8,
    "gray": 8,
    "nv12": 8,
    "yuv420p10le": 10,
    "yuva420p10le": 10,
    "gray10le": 10,
}
_UNSPECIFIED = 2  # H.273
_OPAQUE = 255  # alpha by its highest 8 bits: more are often scaled from 8
TRANSPARENCY_NOTE = "transparency is left out"


def is_rgb(pixels: av.VideoFormat) -> bool:
    """Return whether a pixel format is RGB, directly or by a palette."""
    return bool(pixels.is_rgb or pixels.has_palette)


def is_grey(pixels: av.VideoFormat) -> bool:
    """Return whether a pixel format has luma alone, with or without transparency."""
    return pixels.name.startswith(("gray", "mono", "ya"))


def describe_conversion(pixels: av.VideoFormat, info: VideoInfo) -> list[str]:
    """Return notes for the user on what the conversion from a pixel format changes."""
    notes = []
    name = pixels.name
    if name not in _PLANAR:
        target = "gray" if is_grey(pixels) else "4:2:0"
        matrix = ""
        if is_rgb(pixels):
            matrix = f" by the matrix of {'BT.709' if info.colour.matrix == BT709 else 'BT.601'}"
        notes.append(f"{name} is converted to {info.bit_depth}-bit {target}{matrix}")
    return notes


def has_transparency(raw: av.VideoFrame) -> bool:
    """Return whether a picture has a pixel that is not opaque.

    FFmpeg decodes GIF and others to pixels with alpha, whether the picture uses it or not. Alpha in
    floating point, which no video has, counts as not opaque.
    """
    if raw.format.has_palette:
        colours = view_rows(raw.planes[0], np.dtype(np.uint8))[: raw.height, : raw.width]
        alphas = np.frombuffer(bytes(raw.planes[1]), np.uint32) >> 24
        return bool(alphas[colours].min() < _OPAQUE)
    parts = raw.format.components
    if not parts[-1].is_alpha:
        return False
    size = 1 if parts[-1].bits <= 8 else 2 if parts[-1].bits <= 16 else 4
    dtype = np.dtype(f"{'>' if raw.format.is_big_endian else '<'}u{size}")
    rows = view_rows(raw.planes[-1], dtype)[: raw.height]
    if len(raw.planes) == 1:  # packed: alpha is the first or the last sample of a pixel
        count = len(parts)
        first = 0 if raw.format.name.startswith("a") else count - 1
        rows = rows[:, first : count * raw.width : count]
    return bool(rows[:, : raw.width].min() < _OPAQUE << parts[-1].bits - 8)


def to_frame(raw: av.VideoFrame, pts: int, info: VideoInfo) -> Frame:
    """Convert a decoded picture to a frame shown at tick `pts`."""
    if _PLANAR.get(raw.format.name) != info.bit_depth:
        raw = _reformat(raw, info)
    y, cb, cr = _copy_planes(raw, info)
    return Frame(y, cb, cr, pts=pts, info=info)


def _reformat(raw: av.VideoFrame, info: VideoInfo) -> av.VideoFrame:
    name = pixel_format(info.bit_depth, grey=is_grey(raw.format))
    quality = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
    # One thread: with more, swscale's rows differ from run to run at odd heights (met with 17x33
    # in FFmpeg 8).
    if is_rgb(raw.format):
        return raw.reformat(
            format=name,
            src_color_range=2,  # RGB itself is always full range
            dst_color_range=1,
            dst_colorspace=1 if info.colour.matrix == BT709 else 5,  # 5: swscale's BT.601
            interpolation=quality,
            threads=1,
        )
    same = 2 if info.colour.full_range or is_grey(raw.format) else 1
    # Samples move and no colour changes: swscale, which refuses matrices that it does not know,
    # need not be told.
    raw.colorspace = raw.color_primaries = raw.color_trc = _UNSPECIFIED
    return raw.reformat(
        format=name, src_color_range=same, dst_color_range=same, interpolation=quality, threads=1
    )


def _copy_planes(raw: av.VideoFrame, info: VideoInfo) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Y, Cb and Cr of a picture in one of the planar formats; grey has neutral chroma."""
    if is_grey(raw.format):
        (y,) = from_av_frame(raw)
        neutral = np.full(info.chroma_shape, 128 << (info.bit_depth - 8), y.dtype)
        return y, neutral, neutral.copy()
    if raw.format.name == "nv12":
        height, width = info.chroma_shape
        pairs = view_rows(raw.planes[1], np.dtype(np.uint8))[:height, : 2 * width]
        y = view_rows(raw.planes[0], pairs.dtype)[: info.height, : info.width].copy()
        return y, pairs[:, 0::2].copy(), pairs[:, 1::2].copy()
    y, cb, cr = from_av_frame(raw)[:3]  # a fourth plane is transparency
    return y, cb, cr
