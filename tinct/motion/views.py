"""Pictures as motion looks at them: one luma plane, or a key frame's luma and colour."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

FULL_FLOW_AREA = (
    640 * 360
)  # luma samples; larger pictures are matched at half the resolution, at no measured loss
MIDDLE_QP = 32  # of luma whose QP nobody asks for


@dataclass(frozen=True)
class LumaView:
    """One luma plane as propagation looks at it: `y` [H, W] of `bit_depth` bits, `pts` in ticks, about the `qp` it was coded at."""

    y: np.ndarray
    bit_depth: int
    pts: int
    qp: int = MIDDLE_QP

    @cached_property
    def full(self) -> np.ndarray:
        """8-bit luma, [H, W]."""
        return self.y if self.bit_depth == 8 else (self.y >> (self.bit_depth - 8)).astype(np.uint8)

    @cached_property
    def half(self) -> np.ndarray:
        """8-bit luma at chroma resolution, [ceil(H/2), ceil(W/2)]."""
        height, width = self.y.shape
        return cv2.resize(
            self.full, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA
        )

    @property
    def matched(self) -> np.ndarray:
        """The plane that optical flow is computed on."""
        return self.full if self.y.size <= FULL_FLOW_AREA else self.half


@dataclass(frozen=True)
class KeyView:
    """A key frame: its luma and its colour, `cb` and `cr` [h, w], uint8 or uint16."""

    luma: LumaView
    cb: np.ndarray
    cr: np.ndarray

    @cached_property
    def picture(self) -> np.ndarray:
        """Luma, Cb and Cr at chroma resolution, [h, w, 3] float32: what is warped."""
        return cv2.merge(
            (self.luma.half, self.cb, self.cr) if self.luma.bit_depth == 8 else self._deep()
        ).astype(np.float32)

    def _deep(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.luma.half.astype(np.uint16), self.cb, self.cr
