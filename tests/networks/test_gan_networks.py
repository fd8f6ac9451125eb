"""The paper's networks and losses, held to its tables and to values computed by hand."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from tinct.adapt import losses, vgg19
from tinct.errors import CodecError
from tinct.networks.gan_config import GanConfig
from tinct.networks.trainable.gan import (
    Discriminator,
    Generator,
    MultiResBlock,
    ResidualBlock,
    SelfAttention,
    fold,
)


def shapes_of(network: nn.Module, *inputs: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """Return (width, height, channels) of every part, by the names of Table 1.

    They are those of a part's output, but of the input for D1 to D4, as in the table.
    """
    shapes = {}
    for letter in "MAPDC":
        for number, part in enumerate(getattr(network, letter, ()), start=1):

            def note(
                _: nn.Module, given: tuple, out: torch.Tensor, name: str = f"{letter}{number}"
            ) -> None:
                _, channels, height, width = (given[0] if name.startswith("D") else out).shape
                shapes[name] = (width, height, channels)

            part.register_forward_hook(note)
    with torch.no_grad():
        network(*inputs)
    return shapes


@pytest.mark.slow
@pytest.mark.parametrize("channels", [8, 64])
def test_feature_sizes_are_those_of_table_1(channels: int) -> None:
    w, h, c = 96, 64, channels
    config = GanConfig(c)
    found = shapes_of(Generator(config), torch.zeros(1, 1, h, w)) | shapes_of(
        Discriminator(c), torch.zeros(1, 3, h, w), torch.zeros(1, 1, h, w)
    )
    table = {f"{letter}1": (w, h, c) for letter in "PMA"}
    table |= {f"{letter}2": (w // 2, h // 2, c) for letter in "PMA"}
    table |= {f"{letter}3": (w // 4, h // 4, 2 * c) for letter in "PMA"}
    table |= {f"{letter}4": (w // 8, h // 8, 2 * c) for letter in "PMA"}
    table |= {
        "D1": (w // 8, h // 8, 4 * c),
        "D2": (w // 4, h // 4, 4 * c),
        "D3": (w // 2, h // 2, 2 * c),
        "D4": (w, h, 2 * c),
    }
    table |= {
        "C1": (w // 2, h // 2, c),
        "C2": (w // 4, h // 4, c),
        "C3": (w // 8, h // 8, c),
        "C4": (w // 8, h // 8, c),
    }
    table |= {"C5": (w // 8, h // 8, 1)}
    assert found == table


@pytest.mark.parametrize(("channels", "parameters"), [(8, 35_346), (16, 140_755), (64, 2_238_859)])
def test_parameter_counts(channels: int, parameters: int) -> None:
    assert sum(p.numel() for p in Generator(GanConfig(channels)).parameters()) == parameters


def test_blocks_have_the_parameters_that_the_figures_draw() -> None:
    """Counted by hand.

    3x3 chains of C/6, C/3 and the rest with a 1x1 beside (Figure 3); 3x3 with a 1x1 beside
    (Figure 4).
    """

    def weights(block: nn.Module) -> int:
        return sum(m.weight.numel() for m in block.modules() if isinstance(m, nn.Conv2d))

    assert weights(MultiResBlock(10, 18)) == 9 * (10 * 3 + 3 * 6 + 6 * 9) + 10 * 18
    assert weights(ResidualBlock(16)) == 10 * 16 * 16
    assert weights(Generator(GanConfig(16)).P[3]) == 4 * 10 * 32 * 32


def test_the_long_residual_connection_adds_its_input() -> None:
    torch.manual_seed(0)
    with_it, without = (
        Generator(GanConfig(8, residual=kind)).eval().P[0] for kind in ("global", "original")
    )
    without.load_state_dict(with_it.state_dict())
    x = torch.randn(1, 8, 5, 7)
    assert torch.equal(with_it(x), without(x) + x)


def test_attention_is_equation_4() -> None:
    """The same as the equation written out with the whole attention map, in double precision."""
    torch.manual_seed(1)
    attention = SelfAttention(16).double()
    x = torch.randn(2, 16, 6, 9, dtype=torch.float64)
    assert torch.equal(attention(x), x), "lambda is 0 at first"
    with torch.no_grad():
        attention.weight.fill_(0.7)
        f, g, h = (
            part.weight.flatten(1) @ x.flatten(2)
            for part in (attention.f, attention.g, attention.h)
        )
        g, h = (
            nn.functional.max_pool2d(part.view(2, -1, 6, 9), 2, ceil_mode=True).flatten(2)
            for part in (g, h)
        )
        seen = h @ torch.softmax(f.transpose(1, 2) @ g, dim=-1).transpose(1, 2)
        assert torch.allclose(attention(x), x + 0.7 * seen.reshape(x.shape), atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 33), (40, 24)])
def test_any_size_comes_out_as_it_went_in_and_within_range(height: int, width: int) -> None:
    torch.manual_seed(2)
    out = Generator(GanConfig(8)).eval()(torch.rand(1, 1, height, width) * 2 - 1)
    assert out.shape == (1, 3, height, width)
    assert out.abs().max() <= 1


@pytest.mark.slow
def test_folding_batch_norm_changes_no_picture() -> None:
    torch.manual_seed(3)
    generator = Generator(GanConfig(8))
    for _ in range(3):  # moves the statistics away from those of a new network
        generator(torch.randn(2, 1, 32, 32))
    generator.eval()
    folded = fold(generator)
    luma = torch.rand(1, 1, 30, 44) * 2 - 1
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert torch.allclose(generator(luma), folded(luma), atol=1e-5)


def test_a_conditional_discriminator_sees_the_luma() -> None:
    torch.manual_seed(4)
    rgb, dark, bright = (
        torch.randn(1, 3, 32, 32),
        torch.zeros(1, 1, 32, 32),
        torch.ones(1, 1, 32, 32),
    )
    blind, seeing = (Discriminator(8, conditional=on).eval() for on in (False, True))
    assert torch.equal(blind(rgb, dark), blind(rgb, bright))
    assert not torch.equal(seeing(rgb, dark), seeing(rgb, bright))


def test_gan_losses_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)]])  # D says 1/2 and 3/4
    assert losses.gan_loss(logits).item() == pytest.approx(-(math.log(1 / 2) + math.log(3 / 4)) / 2)
    real, fake = torch.tensor([[math.log(4)]]), torch.tensor([[-math.log(9)]])  # 4/5 and 1/10
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(
        -math.log(4 / 5) - math.log(9 / 10)
    )


def test_pixel_losses_by_hand() -> None:
    output, target = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.5, 0.25]]]])
    assert losses.mse_loss(output, target).item() == pytest.approx((0.25 + 0.0625) / 2)
    assert losses.content_loss(output, target).item() == pytest.approx((0.5 + 0.25) / 2)


def test_the_blur_is_equation_8() -> None:
    """The same as the two-dimensional formula, sample by sample; and the gains that it sums to."""
    rng = np.random.default_rng(0)
    picture = rng.random((30, 26))
    k = np.arange(-10, 11)
    kernel = 0.062 * np.exp(-(k[:, None] ** 2 / 6 + k[None, :] ** 2 / 6))
    padded = np.pad(picture, 10, mode="edge")
    expected = [
        [float((padded[y : y + 21, x : x + 21] * kernel).sum()) for x in range(26)]
        for y in range(30)
    ]
    found = losses.blur(torch.from_numpy(picture)[None, None], 0.062)[0, 0]
    assert np.allclose(found.numpy(), expected, atol=1e-12)
    ones = torch.ones(1, 3, 4, 4)
    assert losses.blur(ones, losses.OUTPUT_GAIN).mean().item() == pytest.approx(1.169, abs=5e-4)
    assert losses.blur(ones, losses.TARGET_GAIN).mean().item() == pytest.approx(1.225, abs=5e-4)


def test_the_colour_loss_wants_an_output_that_is_4_8_percent_brighter() -> None:
    torch.manual_seed(5)
    target = torch.rand(1, 3, 24, 24, dtype=torch.float64) * 0.9
    at = {
        gain: losses.colour_loss(target * gain, target).item() for gain in (1.0, 0.065 / 0.062, 1.1)
    }
    assert at[0.065 / 0.062] == pytest.approx(0, abs=1e-15)
    assert min(at[1.0], at[1.1]) > 1e-4
    flat = torch.full((1, 3, 8, 8), 0.5)
    assert losses.colour_loss(flat, flat).item() == pytest.approx(
        ((1.169 - 1.225) * 0.5) ** 2, rel=0.02
    )


def expect_hash_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file's hash the expected one from here on."""
    monkeypatch.setattr(vgg19, "VGG19_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.slow
def test_vgg_gives_relu5_4_of_torchvisions_weights(
    vgg_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_hash_of(vgg_file, monkeypatch)
    network = vgg19.load_vgg19(vgg_file)
    torch.manual_seed(7)
    picture = torch.rand(1, 3, 32, 48)
    state = torch.load(vgg_file, weights_only=True)
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    x = (picture - mean[:, None, None]) / deviation[:, None, None]
    numbers = [int(name.split(".")[1]) for name in state if name.startswith("features.")]
    for number in sorted(set(numbers)):
        if number in (5, 10, 19, 28):  # after a pooling layer
            x = nn.functional.max_pool2d(x, 2)
        x = nn.functional.conv2d(
            x, state[f"features.{number}.weight"], state[f"features.{number}.bias"], padding=1
        ).relu()
    assert network(picture).shape == (1, 512, 2, 3)
    assert torch.allclose(network(picture), x, atol=1e-4)
    assert not any(p.requires_grad for p in network.parameters())


def test_another_file_from_the_server_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html>Log in to this network</html>")
    monkeypatch.setattr(vgg19, "VGG19_URL", page.as_uri())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(CodecError, match=r"cannot be fetched .*--vgg19 PATH"):
        vgg19.find_vgg19(None)
    assert not list((tmp_path / "cache" / "tinct").iterdir())


def test_a_failed_download_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vgg19, "VGG19_URL", (tmp_path / "nowhere.pth").as_uri())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(CodecError, match=r"cannot be fetched .*--content-loss none"):
        vgg19.find_vgg19(None)
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_other_weights_than_torchvisions_are_refused(
    vgg_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        CodecError, match=r"SHA-256 dcbb9e9d.*, or train without it: --content-loss none"
    ):
        vgg19.load_vgg19(vgg_file)
    with pytest.raises(
        CodecError, match=r"no such file; .*, or train without it: --content-loss none"
    ):
        vgg19.load_vgg19(tmp_path / "nowhere.pth")
    (tmp_path / "text.pth").write_text("not weights")
    expect_hash_of(tmp_path / "text.pth", monkeypatch)
    with pytest.raises(CodecError, match="something else"):
        vgg19.load_vgg19(tmp_path / "text.pth")
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "part.pth")
    expect_hash_of(tmp_path / "part.pth", monkeypatch)
    with pytest.raises(CodecError, match="other names or shapes"):
        vgg19.load_vgg19(tmp_path / "part.pth")
