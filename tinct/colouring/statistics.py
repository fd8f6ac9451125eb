"""Statistics of coloured frames: trust, colourfulness and flicker, and thumbnails for `page`."""

from array import array
from collections.abc import Collection
from dataclasses import replace

import cv2
import numpy as np

from tinct.colour import choose_matrix, colourfulness
from tinct.colouring.chroma import stack_chroma
from tinct.colouring.propagation import ColouredFrame
from tinct.frames import Frame, VideoInfo
from tinct.motion.flow import estimate_flow, warp
from tinct.motion.views import LumaView
from tinct.page import encode_webp

MEASURED_SIDE = 160  # pixels of the longer side of the copy that is measured and shown
THUMBNAILS = 16  # evenly spread, beside those of references
MOST_REFERENCES = 24  # references with a thumbnail
QUALITY = 80  # of thumbnails, WebP


class ColourStatistics:
    """Collects three numbers a frame, and the thumbnails.

    `flicker` is the mean change of Cb and Cr along motion from the frame before, in 8-bit levels, 0
    where a shot starts: without true colour there is nothing else to compare with.
    """

    def __init__(
        self, info: VideoInfo, references: Collection[int], starts: Collection[int]
    ) -> None:
        self.trust, self.colourfulness, self.flicker = array("d"), array("d"), array("d")
        self.thumbnails: dict[int, bytes] = {}  # WebP files by frame number
        self._starts = frozenset(starts)
        self._info = _describe_copy(info)
        last = (info.frame_count or 1) - 1
        spread = np.linspace(0, last, THUMBNAILS).round().astype(int).tolist()
        self._shown = {*spread, *sorted(references)[:MOST_REFERENCES]}
        self._before: Frame | None = None

    def add(self, coloured: ColouredFrame) -> None:
        """Measure the next frame."""
        number = len(self.trust)
        small = self._shrink(coloured.frame)
        rgb = small.rgb()
        if number in self._shown:
            self.thumbnails[number] = encode_webp(rgb, QUALITY)
        before = None if number in self._starts else self._before
        self.flicker.append(0.0 if before is None else _measure_flicker(small, before))
        self.trust.append(float(coloured.trust.mean()))
        self.colourfulness.append(colourfulness(rgb))
        self._before = small

    def _shrink(self, frame: Frame) -> Frame:
        info = self._info
        shapes = ((info.height, info.width), info.chroma_shape, info.chroma_shape)
        y, cb, cr = (
            cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA)
            for plane, shape in zip((frame.y, frame.cb, frame.cr), shapes, strict=True)
        )
        return Frame(y, cb, cr, pts=frame.pts, info=info)


def _describe_copy(info: VideoInfo) -> VideoInfo:
    """Return the properties of the small copy."""
    scale = min(1.0, MEASURED_SIDE / max(info.width, info.height))
    # The default matrix depends on the height, so it is that of the full size.
    matrix = choose_matrix(info.colour.matrix, info.height)
    return replace(
        info,
        width=max(2, round(info.width * scale)),
        height=max(2, round(info.height * scale)),
        colour=replace(info.colour, matrix=matrix),
    )


def _measure_flicker(frame: Frame, before: Frame) -> float:
    """Return the mean absolute change of chroma along the motion of luma, in 8-bit levels."""
    now, then = (LumaView(f.y, f.info.bit_depth, f.pts) for f in (frame, before))
    flow = estimate_flow(now, then)
    chroma, chroma_before = stack_chroma(frame), stack_chroma(before)
    moved = chroma_before if flow is None else warp(chroma_before, flow)
    return float(np.abs(chroma - moved).mean())
