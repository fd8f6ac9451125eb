"""Damage: what a reader of a file counts as lost. `video` fills it in, `inspection` reports it."""

from collections import deque
from dataclasses import dataclass


@dataclass
class Damage:
    """Counts of what was lost; an undamaged file has none.

    `packets` were missing, useless or did not decode. `concealed_frames` repeat the frame before,
    or have no colour of their own group; `missing_frames` are not shown at all. `broken_checksums`
    belong to parts of the file of a few seconds each that changed after they were written; such a
    part may decode without an error to wrong pictures.
    """

    packets: int = 0
    concealed_frames: int = 0
    missing_frames: int = 0
    broken_checksums: int = 0

    def __bool__(self) -> bool:
        return bool(
            self.packets or self.concealed_frames or self.missing_frames or self.broken_checksums
        )

    def __str__(self) -> str:
        return (
            f"{self.packets} packets are lost or did not decode, "
            f"{self.concealed_frames} frames were concealed, "
            f"{self.missing_frames} frames are missing at the end, "
            f"{self.broken_checksums} checksums do not hold"
        )


class KeyFrameLog:
    """Key frames met in one decoding of a file.

    `count` is their number, `lost_times` are the times of those whose colour does not decode, and
    `keyless_frames` counts the frames of their groups, which take colour from further away.
    """

    def __init__(self) -> None:
        self.count = 0
        self.lost_times: set[int] = set()
        self.keyless_frames = 0
        self._ahead: deque[tuple[int, bool]] = deque()  # decoded before their frames are shown
        self._is_decoded = True

    def add(self, pts: int, *, is_decoded: bool) -> None:
        """Take the next key frame of the colour track."""
        self.count += 1
        self._ahead.append((pts, is_decoded))
        if not is_decoded:
            self.lost_times.add(pts)

    def count_frame(self, pts: int) -> None:
        """Count a frame that is shown if its key frame is lost; frames come in order of time."""
        while self._ahead and self._ahead[0][0] <= pts:
            _, self._is_decoded = self._ahead.popleft()
        self.keyless_frames += not self._is_decoded
