"""Hints of colour: where the coarse colour that was sent with a frame differs from what is carried
to it, the frame takes the hint.

A hand that enters between two key frames has no colour that could be carried to it.
"""

import cv2
import numpy as np

WINDOW = 5  # chroma samples a side of the window over which both are compared
# Distance of their means in the plane of Cb and Cr, in 8-bit levels, up to which what was carried
# is kept, since a hint has coding noise; from twice that on the hint is taken.
TOLERANCE = 4.0

Chroma = tuple[np.ndarray, np.ndarray]


def take_hint(carried: Chroma, hint: Chroma, *, bit_depth: int) -> Chroma:
    """Return Cb and Cr [h, w] of a frame, in the type of `carried`, corrected by its hint."""
    tolerance = TOLERANCE * (1 << (bit_depth - 8))
    differences = [
        cv2.subtract(coarse, plane, dtype=cv2.CV_32F)
        for plane, coarse in zip(carried, hint, strict=True)
    ]
    distance = cv2.magnitude(*(cv2.blur(each, (WINDOW, WINDOW)) for each in differences))
    share = np.clip(distance / tolerance - 1, 0, 1)
    cb, cr = (
        np.rint(plane + share * difference).astype(plane.dtype)
        for plane, difference in zip(carried, differences, strict=True)
    )
    return cb, cr
