"""Shots of real clips to make samples of: a few frames, scaled and cut to a window, in 8 bit."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import cv2
import numpy as np

from tinct.errors import CodecError
from tinct.frames import Frame
from tinct.media.source import open_source
from tinct.motion.shots import scan_frames

CROP = 160  # luma samples a side; training takes smaller squares from anywhere in it
WINDOW = (320, 480)  # height and width of what is coded, at most


def read_shot(path: str, random: np.random.Generator, length: int) -> list[Frame]:
    """Read at most `length` frames of one shot, scaled and cut to a window, at a random place.

    Raises CodecError where the clip is too small or damaged there.
    """
    source = open_source(path)
    total = source.info.frame_count or length
    first = int(random.integers(0, max(1, total - length)))
    height, width = source.info.height, source.info.width
    smaller = min(height, width)
    scales = [s for s in (1, 2, 3, 4) if smaller / s >= CROP + 16 and smaller / s <= 800] or [1]
    scale = int(random.choice(scales))
    size = (width // scale // 8 * 8, height // scale // 8 * 8)
    window = (min(WINDOW[0], size[1]), min(WINDOW[1], size[0]))
    if min(window) < CROP:
        raise CodecError(f"expected at least {CROP}x{CROP} pixels, found {width}x{height}")
    corner = [
        int(random.integers(0, (whole - part) // 8 + 1)) * 8
        for whole, part in zip(size[::-1], window, strict=True)
    ]
    shot, part = [], source.start_at(first)
    for scanned in scan_frames(islice(iter(part), length)):
        if scanned.starts_shot:
            break
        shot.append(_scale_and_cut(scanned.frame, size, window, corner=corner))
    if part.damaged:  # frames near a lost packet may decode without an error, but are no originals
        raise CodecError(
            "expected a clip that decodes, "
            f"found packets that are lost or do not in {path}; get the file again"
        )
    return shot


def _scale_and_cut(
    frame: Frame, size: tuple[int, int], window: tuple[int, int], *, corner: Sequence[int]
) -> Frame:
    """Scale a frame to `size` (width, height), and cut a `window` (height, width) out; 8 bit.

    `corner` is the window's first row and column.
    """
    planes = []
    for plane, part in ((frame.y, 1), (frame.cb, 2), (frame.cr, 2)):
        plane_8 = plane if frame.info.bit_depth == 8 else (plane >> 2).astype(np.uint8)
        plane_size = (size[0] // part, size[1] // part)
        scaled = cv2.resize(plane_8, plane_size, interpolation=cv2.INTER_AREA)
        rows, columns = (
            slice(first // part, (first + length) // part)
            for first, length in zip(corner, window, strict=True)
        )
        planes.append(np.ascontiguousarray(scaled[rows, columns]))
    y, cb, cr = planes
    info = replace(frame.info, width=window[1], height=window[0], bit_depth=8)
    return Frame(y=y, cb=cb, cr=cr, pts=frame.pts, info=info)
