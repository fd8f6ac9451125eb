"""How long a training may take, and what it reports after each step."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The length of a training: either a number of `steps` or a number of `seconds`."""

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        assert (self.steps is None) != (self.seconds is None)

    @classmethod
    def parse(cls, text: str, samples: int) -> "Budget":
        """Parse --adapt: "300" seconds, "2000steps", or "50epochs" of `samples` steps each."""
        if text.endswith("steps"):
            return cls(steps=int(text.removesuffix("steps")))
        if text.endswith("epochs"):
            return cls(steps=int(text.removesuffix("epochs")) * samples)
        return cls(seconds=float(text))

    def spent(self, steps: int, seconds: float) -> float:
        """Return the share of the budget that is spent after `steps` and `seconds`: 0 to 1."""
        part = steps / self.steps if self.steps is not None else seconds / (self.seconds or 1.0)
        return min(part, 1.0)


@dataclass(frozen=True)
class Step:
    """The report of one step: the share of the budget spent, and each loss before its weight.

    `watched_db` is the PSNR in dB of the watched pictures, measured now and then: for the GAN,
    R'G'B' of the held-out frame; for `compact`, the planes of crops spread over the video.
    """

    number: int
    spent: float
    terms: dict[str, float]
    watched_db: float | None = None
