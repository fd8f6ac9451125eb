"""What of a file was lost, as its reader counts it."""

from dataclasses import dataclass


@dataclass
class Damage:
    """What was not whole: packets that are lost, of no use, or did not decode; frames that repeat the one before, or are grey, or
    missing; parts of the file, of a few seconds each, that are not as they were written. Those may show as pictures that decode
    without a word but are wrong.
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
            f"{self.packets} packets are lost or did not decode, {self.concealed_frames} frames were concealed, "
            f"{self.missing_frames} frames are missing at the end, {self.broken_checksums} checksums do not hold"
        )
