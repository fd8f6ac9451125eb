"""How long a training may take, with all that it causes, and what it reports after each step."""

import time
from dataclasses import dataclass

from tinct.moments import parse_seconds

# Of the seconds of a budget: what is kept for viewing again, and what a training has at least.
VIEW_SHARE, TRAINING_SHARE = 0.15, 0.5
# A search may take as many measurements as the training took steps, and these at least: a
# measurement costs about a step.
LEAST_MEASUREMENTS = 40


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
        seconds = parse_seconds(text)
        assert seconds is not None, text
        return cls(seconds=seconds)

    def spent(self, steps: int, seconds: float) -> float:
        """Return the share of the budget that is spent after `steps` and `seconds`: 0 to 1."""
        part = steps / self.steps if self.steps is not None else seconds / (self.seconds or 1.0)
        return min(part, 1.0)

    def split(self, search_seconds: float) -> tuple["Budget", "Budget"]:
        """Return the training's budget, and that of the search for bits behind it.

        The search is expected to take `search_seconds`. Of steps both parts follow from the number
        alone, so that the same video always gives the same file.
        """
        if self.seconds is None:
            assert self.steps is not None
            return self, Budget(steps=max(self.steps, LEAST_MEASUREMENTS))
        both = self.seconds * (1 - VIEW_SHARE)
        training = max(both - search_seconds, self.seconds * TRAINING_SHARE)
        return Budget(seconds=training), Budget(seconds=both - training)


class Limit:
    """Counts measurements against a budget, from the moment it is made; None is no limit."""

    def __init__(self, budget: Budget | None = None) -> None:
        self._budget, self._began, self.count = budget, time.monotonic(), 0

    @property
    def is_late(self) -> bool:
        """Return whether the time is over, where it is bounded."""
        seconds = time.monotonic() - self._began
        return self._budget is not None and self._budget.spent(0, seconds) >= 1

    def allows(self, count: int = 1) -> bool:
        """Return whether there is room for `count` more."""
        if self._budget is None:
            return True
        seconds = time.monotonic() - self._began
        wanted = self.count + count
        expected = seconds * wanted / self.count if self.count else seconds
        return self._budget.spent(wanted - 1, expected) < 1


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

    def text(self) -> str:
        """Return the losses as a note of a few words."""
        terms = " ".join(
            f"{name} {value:.{3 if value >= 0.1 else 4}f}" for name, value in self.terms.items()
        )
        return f"step {self.number}: {terms}"
