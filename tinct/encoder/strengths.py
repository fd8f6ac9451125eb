"""Strengths of the post-filter: those that bring a network's planes nearest to the originals.

Least squares over the frames of one place, and taken only where they are worth their bits.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinct.bitstream.strengths import LEAST, MAX_SHARE, MOST, UNIT, Strengths
from tinct.decoder.postfilter import filter_plane, mix_planes, smooth_lines, smooth_within_edges
from tinct.encoder.cost import BITS_WORTH, FLAT_ERROR
from tinct.frames import Frame
from tinct.media.planes import Planes
from tinct.psnr import PLANE_WEIGHTS, squared_error

CHANGE_BITS, PLAIN_BITS = 8 * 7, 8 * 2  # of a change and of a plain place in a manifest
RIDGE = 1e-3  # of the mean square of what a filter changes: filters that change next to nothing
MOST_FRAMES = 8  # that strengths are found on, spread over those of a place


def choose_strengths(
    originals: Sequence[Frame],
    restored: Sequence[Planes],
    prior: Sequence[Planes],
    *,
    current: Sequence[Strengths],
    shares_network: bool,
    bits: float,
) -> list[Strengths]:
    """Return the strengths of Y, Cb and Cr for the frames of one place.

    `restored` are their planes after the network, `prior` those without it, `current` the strengths
    that hold so far. `shares_network` allows a share of the network that is not 0 or 1. `bits` are
    those of the frames: what is chosen has to be worth its own.
    """
    step = -(-len(originals) // MOST_FRAMES)
    depth = originals[0].info.bit_depth
    chosen = []
    for plane, weight in enumerate(PLANE_WEIGHTS):
        frames = [
            (_planes_of(original)[plane], with_it[plane], without[plane])
            for original, with_it, without in zip(originals, restored, prior, strict=True)
        ]
        if shares_network:
            shares: Sequence[int] = range(MAX_SHARE + 1)
        else:
            shares = [min((UNIT, 0), key=lambda share: _measure(frames, Strengths(share), depth))]
        some = frames[step // 2 :: step]
        found = _fit(some, shares, depth)
        kept = replace(
            current[plane], network=min(max(current[plane].network, shares[0]), shares[-1])
        )
        options = {found: CHANGE_BITS, replace(kept, network=0): PLAIN_BITS, kept: 0}
        errors = [max(_measure(some, one, depth), FLAT_ERROR) for one in options]
        spent = [
            bits * weight * math.log(error) / BITS_WORTH + more
            for error, more in zip(errors, options.values(), strict=True)
        ]
        chosen.append(list(options)[int(np.argmin(spent))])
    return chosen


PlaneFrames = Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]  # original, restored, prior


def _planes_of(frame: Frame) -> Planes:
    return frame.y, frame.cb, frame.cr


def _measure(frames: PlaneFrames, strengths: Strengths, depth: int) -> float:
    """Return the mean squared error of what is shown, in 8-bit levels."""
    errors = [
        squared_error(original, filter_plane(restored, prior, strengths, depth=depth), depth)
        for original, restored, prior in frames
    ]
    return float(np.mean(errors))


def _fit(frames: PlaneFrames, shares: Sequence[int], depth: int) -> Strengths:
    """Return the strengths of least squares: first the network's share, then the smoothing."""
    share = shares[0]
    if len(shares) > 1:
        equations = []
        for original, restored, prior in frames:
            change = restored - prior.astype(np.float32)
            changes = [change, *_list_changes(restored, depth)]
            equations.append((original - prior.astype(np.float32), changes))
        share = min(max(round(UNIT * _solve(equations)[0]), shares[0]), shares[-1])
    mixed = [mix_planes(restored, prior, share, depth=depth) for _, restored, prior in frames]
    smoothing = _solve(
        [
            (original - plane.astype(np.float32), _list_changes(plane, depth))
            for (original, _, _), plane in zip(frames, mixed, strict=True)
        ]
    )
    edges, rows, columns = (min(max(round(UNIT * one), LEAST), MOST) for one in smoothing)
    return Strengths(network=share, edges=edges, rows=rows, columns=columns)


def _list_changes(plane: np.ndarray, depth: int) -> list[np.ndarray]:
    """Return what each smoothing filter changes in a plane."""
    smooth = (smooth_within_edges(plane, depth=depth), *smooth_lines(plane))
    return [one - plane.astype(np.float32) for one in smooth]


def _solve(equations: Sequence[tuple[np.ndarray, list[np.ndarray]]]) -> np.ndarray:
    """Return the weights of changes that together come nearest to what is missing, float64."""
    count = len(equations[0][1])
    products, right = np.zeros((count, count)), np.zeros(count)
    for missing, changes in equations:
        columns = np.stack([change.ravel() for change in changes]).astype(np.float64)
        products += columns @ columns.T
        right += columns @ missing.ravel().astype(np.float64)
    size = sum(missing.size for missing, _ in equations)
    ridge = np.diag(RIDGE * np.diag(products) + 1e-6 * size)
    return np.linalg.solve(products + ridge, right)
