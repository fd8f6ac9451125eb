"""The losses of the GANs, as plain functions; `objectives` weighs and adds them.

Equations 5 to 10 of the paper, and the least-squares loss of its baselines. Pictures are
[N, 3, H, W]; each function states their range.
"""

import torch
from torch import Tensor
from torch.nn import functional

WEIGHTS = {"gan": 1.0, "mse": 100.0, "content": 1000.0, "colour": 100.0}  # Equation 10
OUTPUT_GAIN, TARGET_GAIN = 0.062, 0.065  # theta of Equation 9
# Equation 8 prints 2 sigma where a Gaussian has 2 sigma squared: sigma is read as the variance.
BLUR_VARIANCE = 3.0
BLUR_RADIUS = 10  # pixels: 21 taps; the Gaussian is negligible beyond them


def gan_loss(fake_logits: Tensor) -> Tensor:
    """Return -log D(G(Y)), the mean over patches (Equation 5)."""
    return functional.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return -log D(X) - log(1 - D(G(Y))), the mean over patches (Goodfellow et al., 2014)."""
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()


def least_squares_loss(logits: Tensor, label: float) -> Tensor:
    """Return (D - `label`)^2, the mean over patches: label 1 is real, 0 fake (Mao et al., 2017)."""
    return functional.mse_loss(logits, torch.full_like(logits, label))


def least_squares_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return ((D(X) - 1)^2 + D(G(Y))^2) / 2, the mean over patches (Mao et al., 2017)."""
    return (least_squares_loss(real_logits, 1.0) + least_squares_loss(fake_logits, 0.0)) / 2


def mse_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of pictures in [-1, 1], the generator's range (Equation 6)."""
    return functional.mse_loss(output, target)


def content_loss(output_features: Tensor, target_features: Tensor) -> Tensor:
    """Return the mean absolute difference of VGG-19 features (Equation 7)."""
    return functional.l1_loss(output_features, target_features)


def colour_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference of the blurred pictures in [0, 1] (Equations 8 and 9).

    The two gains differ: the loss is least where the output is 4.8 % brighter than the target.
    """
    return functional.mse_loss(blur(output, OUTPUT_GAIN), blur(target, TARGET_GAIN))


def blur(picture: Tensor, gain: float) -> Tensor:
    """Filter with `gain` times exp(-(k^2 + l^2) / (2 * 3)) over 21 x 21 pixels (Equation 8).

    Edges are replicated. The kernel is not normalised: it sums to about 18.9 times `gain`.
    """
    taps = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, dtype=picture.dtype, device=picture.device)
    row = torch.exp(-(taps**2) / (2 * BLUR_VARIANCE))
    channels = picture.shape[1]
    padded = functional.pad(picture, (BLUR_RADIUS,) * 4, mode="replicate")
    horizontal = row.view(1, 1, 1, -1).expand(channels, -1, -1, -1)
    vertical = row.view(1, 1, -1, 1).expand(channels, -1, -1, -1)
    rows = functional.conv2d(padded, horizontal, groups=channels)
    return gain * functional.conv2d(rows, vertical, groups=channels)
