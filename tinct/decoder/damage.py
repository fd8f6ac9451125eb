"""Damage: what a reader of a file counts as lost. `video` fills it in, `inspection` reports it.

`losses` finds the touched frames.
"""

from dataclasses import dataclass


@dataclass
class Damage:
    """Counts of what was lost; an undamaged file has none.

    `packets` were missing, useless or did not decode. `concealed_frames` repeat the frame before,
    or are restored from fewer frames than were sent: most of these look as good as before.
    `missing_frames` are not shown at all. `broken_checksums` belong to parts of the file of a few
    seconds each that changed after they were written; such a part may decode without an error to
    wrong pictures.
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
