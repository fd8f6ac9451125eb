"""Views: one luma plane, or a key frame's luma and colour, as motion search takes them.

`flow` computes motion between views, `prior` and `references` move their pictures along it.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

# Luma samples. Larger pictures are searched at half the resolution, at no measured loss.
FULL_FLOW_AREA = 640 * 360
MIDDLE_QP = 32  # stands for the QP of luma where no network asks for it


@dataclass(frozen=True)
class LumaView:
    """The decoded luma of one frame.

    `y` is [H, W], uint8 with a `bit_depth` of 8 and uint16 with more. `pts` is the time in ticks,
    `qp` about the QP that the plane was coded at, 0 to 51. `distances` are the frames to the key
    frames before and after it where some frames of the group are interpolated, else None. `hint` is
    the coarse Cb and Cr that was sent with the frame, [ceil(H / 2), ceil(W / 2)] each, if any.
    `level` is 0 for the frames that an in-band track codes finest, and 1 or more for coarser ones.
    """

    y: np.ndarray
    bit_depth: int
    pts: int
    qp: int = MIDDLE_QP
    distances: tuple[int, int] | None = None
    hint: tuple[np.ndarray, np.ndarray] | None = None
    level: int = 0

    @cached_property
    def full(self) -> np.ndarray:
        """Luma as uint8 [H, W]."""
        return self.y if self.bit_depth == 8 else (self.y >> (self.bit_depth - 8)).astype(np.uint8)

    @cached_property
    def half(self) -> np.ndarray:
        """Luma at chroma resolution, uint8 [ceil(H / 2), ceil(W / 2)]."""
        height, width = self.y.shape
        return cv2.resize(
            self.full, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA
        )

    @property
    def matched(self) -> np.ndarray:
        """The plane that optical flow is computed on: `full`, or `half` of a large picture."""
        return self.full if self.y.size <= FULL_FLOW_AREA else self.half


@dataclass(frozen=True)
class KeyView:
    """The decoded luma and colour of one frame, usually of a key frame.

    `cb` and `cr` are [ceil(H / 2), ceil(W / 2)] in the type of the luma.
    """

    luma: LumaView
    cb: np.ndarray
    cr: np.ndarray

    @cached_property
    def picture(self) -> np.ndarray:
        """Y, Cb and Cr at chroma resolution, float32 [h, w, 3].

        Luma is in 8-bit levels, chroma in levels of the video's bit depth.
        """
        luma = self.luma.half.astype(self.cb.dtype, copy=False)
        return cv2.merge((luma, self.cb, self.cr)).astype(np.float32)
