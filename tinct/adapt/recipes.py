"""The constants of the GAN's training: the paper's recipe, and one that suits a CPU.

`objectives` weighs the losses by them; `gan` trains by the rest.
"""

from dataclasses import dataclass, replace
from typing import Any

from tinct.adapt import losses
from tinct.config import LOSSES


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The constants of a training; by default the paper's, or the plainest where it is silent.

    Names and values are hashed in checkpoints. "Judge" there means the discriminator.
    """

    learning_rate: float = 2e-4  # of the generator
    judge_rate: float = 2e-4  # of the discriminator
    beta1: float = 0.5  # of Adam
    crop: int = 256  # luma samples a side
    # Weights of Equation 10; 0 leaves a term out.
    gan: float = losses.WEIGHTS["gan"]
    mse: float = losses.WEIGHTS["mse"]
    content: float = losses.WEIGHTS["content"]
    colour: float = losses.WEIGHTS["colour"]
    norm: bool = True  # batch norm in the generator
    conditional: bool = False  # whether the discriminator is given luma beside the colours
    decay: bool = False  # whether the generator's rate falls to 0 along a cosine
    averaging: float = 0.0  # decay of the running mean of the weights; 0 keeps the last weights
    keeps_best: bool = False  # the weights best on the held-out frame: key frames are overfitted
    judge_every: int = 1  # steps from one with the discriminator to the next
    seed: int = 0

    def has_gan_step(self, step: int) -> bool:
        """Return whether a step has a GAN loss: every `judge_every` steps; always if no other."""
        return step % self.judge_every == 0 or not (self.mse or self.content or self.colour)

    def with_only(self, terms: set[str]) -> "Recipe":
        """Return the recipe with the weights of all other terms set to 0."""
        left_out: dict[str, Any] = {term: 0.0 for term in LOSSES if term not in terms}
        return replace(self, **left_out)


PAPER = Recipe()
CPU = Recipe(
    learning_rate=3e-3, crop=512, decay=True, averaging=0.99, keeps_best=True, judge_every=4
)
RECIPES = {"paper": PAPER, "cpu": CPU}
