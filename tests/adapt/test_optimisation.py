"""The parts of a step that all trainings share, by hand."""

import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from tinct.adapt.optimisation import average_weights, check_loss, cosine_decay, descend
from tinct.errors import CodecError


def test_the_decay_is_half_a_cosine() -> None:
    assert [cosine_decay(share) for share in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    assert cosine_decay(25, 100) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_a_loss_that_is_not_finite_is_named_with_its_step() -> None:
    assert check_loss(torch.tensor(0.5), 7, advice="stop") == 0.5
    with pytest.raises(CodecError, match="found inf at step 7; stop"):
        check_loss(torch.tensor(math.inf), 7, advice="stop")
    with pytest.raises(CodecError, match="found nan in its term gan at step 7; stop"):
        check_loss(torch.tensor(math.nan), 7, advice="stop", term="gan")


@pytest.mark.parametrize(("max_norm", "moved"), [(None, (6.0, 8.0)), (5.0, (3.0, 4.0))])
def test_gradients_are_clipped_to_a_total_norm(
    max_norm: float | None, moved: tuple[float, float]
) -> None:
    weights = nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.SGD([weights], lr=1.0)
    loss = -(weights * torch.tensor([6.0, 8.0])).sum()
    descend(loss, optimiser, [weights], max_gradient_norm=max_norm)
    assert weights.tolist() == pytest.approx(moved, rel=1e-5)


def test_the_running_mean_forgets_the_first_steps_soon_and_copies_integers() -> None:
    network = nn.BatchNorm1d(1)
    mean = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    with torch.no_grad():
        network.weight.fill_(10)
        network.num_batches_tracked.fill_(5)
    average_weights(mean, network, 0.99, step=0)
    assert mean["weight"].item() == pytest.approx(9)  # a tenth of 0, nine tenths of 10
    assert mean["num_batches_tracked"].item() == 5
    average_weights(mean, network, 0.5, step=1000)
    assert mean["weight"].item() == pytest.approx(9.5)
