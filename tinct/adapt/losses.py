"""What training minimises: the terms of the paper's mixed loss and of its rivals', plain functions, and VGG-19 for one of them.

Equations 5 to 10 of the paper. Pictures are [N, 3, H, W]; each function says their range.
"""

import torch
from torch import Tensor
from torch.nn import functional

WEIGHTS = {"gan": 1.0, "mse": 100.0, "content": 1000.0, "colour": 100.0}  # Equation 10
OUTPUT_GAIN, TARGET_GAIN = 0.062, 0.065  # theta of Equation 9
BLUR_VARIANCE = 3.0  # Equation 8 prints 2 sigma where a Gaussian has 2 sigma squared, so sigma is read as the variance
BLUR_RADIUS = 10  # pixels: 21 taps, beyond which nothing is left of the Gaussian


def gan_loss(fake_logits: Tensor) -> Tensor:
    """-log D(G(Y)), the mean over patches (Equation 5)."""
    return functional.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log D(X) - log(1 - D(G(Y))), the mean over patches: what the discriminator minimises (Goodfellow et al., 2014)."""
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()


def least_squares(logits: Tensor, wanted: float) -> Tensor:
    """How far a discriminator is from saying `wanted`, 1 for real (Mao et al., 2017)."""
    return functional.mse_loss(logits, torch.full_like(logits, wanted))


def least_squares_judge(real: Tensor, fake: Tensor) -> Tensor:
    """What a least-squares discriminator minimises."""
    return (least_squares(real, 1.0) + least_squares(fake, 0.0)) / 2


def mse_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of pictures in [-1, 1], the generator's own range (Equation 6)."""
    return functional.mse_loss(output, target)


def content_loss(output_features: Tensor, target_features: Tensor) -> Tensor:
    """Mean absolute difference of VGG-19 features (Equation 7)."""
    return functional.l1_loss(output_features, target_features)


def colour_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the blurred pictures in [0, 1] (Equations 8 and 9).

    The two gains differ: the loss is least where the output is 4.8 % brighter than the target.
    """
    return functional.mse_loss(blur(output, OUTPUT_GAIN), blur(target, TARGET_GAIN))


def blur(picture: Tensor, gain: float) -> Tensor:
    """`gain` times the Gaussian exp(-(k^2 + l^2) / (2 * 3)) over 21 x 21 pixels, edges repeated (Equation 8)."""
    taps = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, dtype=picture.dtype, device=picture.device)
    row = torch.exp(-(taps**2) / (2 * BLUR_VARIANCE))
    channels = picture.shape[1]
    padded = functional.pad(picture, (BLUR_RADIUS,) * 4, mode="replicate")
    across = functional.conv2d(
        padded, row.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels
    )
    return gain * functional.conv2d(
        across, row.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels
    )
