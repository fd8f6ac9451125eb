"""Arrays put away in a file, so that memory does not grow with a video; it vanishes with the process."""

import tempfile
from collections.abc import Hashable
from pathlib import Path

import numpy as np

from tinct.errors import CodecError


class Shelf:
    """Rows of arrays by key. `folder` is where the file lies, the system's own place for such files unless given."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed with the shelf
        self._places: dict[
            Hashable, tuple[int, int]
        ] = {}  # where each row begins, and of how many arrays

    def __enter__(self) -> "Shelf":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, key: Hashable, *arrays: np.ndarray) -> None:
        try:
            self._places[key] = (self._file.seek(0, 2), len(arrays))
            for array in arrays:
                np.save(self._file, array, allow_pickle=False)
        except OSError as error:
            raise CodecError(
                f'expected room for working data, found "{error.strerror or error}"; free some space'
            ) from error

    def get(self, key: Hashable) -> list[np.ndarray]:
        place, count = self._places[key]
        self._file.seek(place)
        return [np.load(self._file, allow_pickle=False) for _ in range(count)]
