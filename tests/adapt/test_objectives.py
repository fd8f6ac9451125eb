"""The losses of the generators of Table 7, computed by hand, and their resumed training."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from test_gan_training import RECIPE, are_equal, samples
from torch import nn

from tinct.adapt.budget import Budget
from tinct.adapt.gan import Training
from tinct.adapt.objectives import CycleGan, Objective, build_objective
from tinct.networks.gan_config import GanConfig, GeneratorKind

KINDS: list[GeneratorKind] = ["pix2pix", "pix2pix-attention", "pix2pixhd", "cyclegan"]


def build(kind: GeneratorKind) -> Objective:
    torch.manual_seed(0)
    config = GanConfig(6, kind)
    return build_objective(config, RECIPE, to_rgb=torch.eye(3, 4), content=None).eval()


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Return luma and R'G'B' of noise in [-1, 1]."""
    random = torch.Generator().manual_seed(1)
    luma = torch.rand(1, 1, 64, 64, generator=random) * 2 - 1
    return luma, torch.rand(1, 3, 64, 64, generator=random) * 2 - 1


def softplus(x: torch.Tensor) -> torch.Tensor:
    return torch.log1p(torch.exp(x))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["pix2pix", "pix2pix-attention"])
def test_pix2pix_is_a_conditional_gan_and_100_times_l1(kind: GeneratorKind) -> None:
    objective, (luma, target) = build(kind), pictures()
    output, terms = objective.generator_terms(luma, target, gan=True)
    fake, real = (
        objective.discriminator(torch.cat([picture, luma], dim=1))[0]
        for picture in (output, target)
    )
    assert {name: weight for name, (weight, _) in terms.items()} == {"l1": 100, "gan": 1}
    assert terms["l1"][1].item() == pytest.approx((output - target).abs().mean().item())
    assert terms["gan"][1].item() == pytest.approx(softplus(-fake).mean().item(), rel=1e-4)
    against = objective.discriminator_terms(luma, target, output)["discriminator"].item()
    assert against == pytest.approx(
        (softplus(-real).mean() + softplus(fake).mean()).item(), rel=1e-4
    )


@torch.no_grad()
def test_pix2pixhd_compares_features_at_two_scales() -> None:
    objective, (luma, target) = build("pix2pixhd"), pictures()
    output, terms = objective.generator_terms(luma, target, gan=True)
    gan = features = against = 0.0
    for discriminator, scale in zip(objective.discriminator.children(), (1, 2), strict=True):
        scaled = [
            nn.functional.avg_pool2d(torch.cat([picture, luma], dim=1), scale)
            for picture in (output, target)
        ]
        (fake, fake_features), (real, real_features) = (
            discriminator(picture) for picture in scaled
        )
        gan += ((fake - 1) ** 2).mean().item()
        features += sum(
            (f - r).abs().mean().item() for f, r in zip(fake_features, real_features, strict=True)
        )
        against += (((real - 1) ** 2).mean() + (fake**2).mean()).item() / 2
    assert {name: weight for name, (weight, _) in terms.items()} == {"gan": 1, "features": 10}
    assert terms["gan"][1].item() == pytest.approx(gan, rel=1e-4)
    assert terms["features"][1].item() == pytest.approx(features, rel=1e-4)
    found = objective.discriminator_terms(luma, target, output)["discriminator"].item()
    assert found == pytest.approx(against, rel=1e-4)


@torch.no_grad()
def test_cyclegan_goes_there_and_back_and_leaves_colours_as_they_are() -> None:
    objective, (luma, target) = build("cyclegan"), pictures()
    assert isinstance(objective, CycleGan)
    output, terms = objective.generator_terms(luma, target, gan=True)
    grey, (of_colour, of_grey) = objective.back(target), objective.discriminator.children()
    cycle = (objective.back(output) - luma).abs().mean() + (
        objective.generator(grey) - target
    ).abs().mean()
    identity = (objective.generator(target) - target).abs().mean() + (
        objective.back(luma) - luma
    ).abs().mean()
    gan = ((of_colour(output)[0] - 1) ** 2).mean() + ((of_grey(grey)[0] - 1) ** 2).mean()
    assert {name: weight for name, (weight, _) in terms.items()} == {
        "gan": 1,
        "cycle": 10,
        "identity": 5,
    }
    for name, value in (("gan", gan), ("cycle", cycle), ("identity", identity)):
        assert terms[name][1].item() == pytest.approx(value.item(), rel=1e-4)


def test_weights_begin_as_their_papers_say_and_half_of_the_deepest_features_are_dropped() -> None:
    objective = build("pix2pix")
    weights = torch.cat(
        [
            m.weight.flatten()
            for m in objective.modules()
            if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
        ]
    )
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    dropped = [any(isinstance(part, nn.Dropout) for part in up) for up in objective.generator.up]
    assert dropped == [False] * 5 + [True] * 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_goes_on_ends_as_one_that_was_not_stopped(
    kind: GeneratorKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout and pools of earlier pictures, which a step draws from, are resumed too."""
    monkeypatch.setattr("tinct.adapt.objectives.POOL_SIZE", 2)
    config = GanConfig(6, kind)
    whole = Training(samples(), config, RECIPE).run(Budget(steps=8)).state_dict()
    Training(samples(), config, RECIPE).run(Budget(steps=5), checkpoint=tmp_path / "run.ckpt")
    resumed = Training(samples(), config, RECIPE)
    after = resumed.run(Budget(steps=8), checkpoint=tmp_path / "run.ckpt").state_dict()
    assert are_equal(after, whole)
