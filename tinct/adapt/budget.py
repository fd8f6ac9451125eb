"""How long a training may take, and what each of its steps reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """How long to train: whichever of `steps` and `seconds` is given."""

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        assert (self.steps is None) != (self.seconds is None)

    @classmethod
    def parse(cls, text: str, samples: int) -> "Budget":
        """What --adapt says: "300" seconds, "2000steps", "50epochs" of `samples` steps each."""
        if text.endswith("steps"):
            return cls(steps=int(text.removesuffix("steps")))
        if text.endswith("epochs"):
            return cls(steps=int(text.removesuffix("epochs")) * samples)
        return cls(seconds=float(text))

    def spent(self, steps: int, seconds: float) -> float:
        """0 to 1."""
        part = steps / self.steps if self.steps is not None else seconds / (self.seconds or 1.0)
        return min(part, 1.0)


@dataclass(frozen=True)
class Step:
    """What is said of a step: the part of the budget that is spent, each term of the loss before its weight, and now and then
    the PSNR in dB of pictures that are watched: of the paper's GAN, R'G'B' of the held-out one."""

    number: int
    spent: float
    terms: dict[str, float]
    watched_db: float | None = None
