"""Working data of a colouring in a temporary file, so that memory does not grow with the video."""

import tempfile
from collections.abc import Hashable
from pathlib import Path

import numpy as np

from tinct.colouring.blending import Reference
from tinct.colouring.tracking import TrackedFlow
from tinct.errors import CodecError
from tinct.motion.views import LumaView


class ScratchFile:
    """Arrays by key in a file without a name, which vanishes with the process.

    `folder` is where the file lies; without it, the system's folder for temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by `__exit__`
        self._entries: dict[Hashable, tuple[int, int]] = {}  # offset in bytes, number of arrays

    def __enter__(self) -> "ScratchFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, key: Hashable, *arrays: np.ndarray) -> None:
        """Append arrays under `key`. Raise CodecError where the disk is full."""
        try:
            self._entries[key] = (self._file.seek(0, 2), len(arrays))
            for array in arrays:
                np.save(self._file, array, allow_pickle=False)
        except OSError as error:
            raise CodecError(
                f'expected room for working data, found "{error.strerror or error}"; '
                "free some space"
            ) from error

    def get(self, key: Hashable) -> list[np.ndarray]:
        """Return the arrays last put under `key`."""
        offset, count = self._entries[key]
        self._file.seek(offset)
        return [np.load(self._file, allow_pickle=False) for _ in range(count)]


def store_reference(scratch: ScratchFile, reference: Reference) -> None:
    """Store a reference by its frame's number; colour as float16, weight in 8 bits."""
    luma = reference.luma
    arrays = (
        np.array([luma.bit_depth, luma.pts]),
        luma.y,
        reference.colour.astype(np.float16),
        np.rint(reference.weight * 255).astype(np.uint8),
    )
    scratch.put(reference.number, *arrays)


def load_reference(scratch: ScratchFile, number: int) -> Reference:
    """Return the reference of frame `number`."""
    (depth, pts), y, colour, weight = scratch.get(number)
    return Reference(
        number,
        LumaView(y, int(depth), int(pts)),
        colour=colour.astype(np.float32),
        weight=weight.astype(np.float32) / 255,
    )


def store_flow(scratch: ScratchFile, frames: tuple[int, int], tracked: TrackedFlow) -> None:
    """Store a tracked flow by its `frames`: the reference's number and the tracked frame's."""
    flow = np.empty(0, np.float16) if tracked.flow is None else tracked.flow.astype(np.float16)
    scratch.put(frames, flow, tracked.luma)


def load_flow(scratch: ScratchFile, frames: tuple[int, int]) -> TrackedFlow:
    """Return the tracked flow of `frames`, as `store_flow` has them."""
    flow, luma = scratch.get(frames)
    return TrackedFlow(flow.astype(np.float32) if flow.size else None, luma)
