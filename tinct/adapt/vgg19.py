"""VGG-19, whose features the content loss compares (Equation 7), and the file of its weights."""

import hashlib
import os
import shutil
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import IO

import torch
from torch import Tensor, nn

from tinct.errors import CodecError
from tinct.files import AtomicOutput

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VGG19_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
VGG19_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
WITHOUT_VGG19 = "or train without it: --content-loss none"
FETCH_SECONDS = 20.0  # without an answer from the server
# Outputs of the convolutions of each block; 2x2 max pooling lies between two blocks.
VGG19_BLOCKS = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)


class Vgg19(nn.Module):
    """VGG-19 up to relu5_4: pictures in [0, 1] to features [N, 512, H/16, W/16].

    Keys of its state dict are torchvision's.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for block in VGG19_BLOCKS:
            if layers:
                layers.append(nn.MaxPool2d(2))
            for outputs in block:
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, picture: Tensor) -> Tensor:
        return self.features((picture - self.get_buffer("mean")) / self.get_buffer("std"))


def find_vgg19(path: Path | None) -> Vgg19:
    """Return VGG-19 with ImageNet's weights: from `path`, else the cache, else downloaded.

    Raises CodecError, naming the alternatives, where they cannot be had.
    """
    if path is not None:
        return load_vgg19(path)
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = root / "tinct" / Path(VGG19_URL).name
    if cache.is_file():
        return load_vgg19(cache)
    try:
        with urllib.request.urlopen(VGG19_URL, timeout=FETCH_SECONDS) as answer:
            return _save_vgg19(answer, cache)
    except (OSError, HTTPException, CodecError) as error:
        raise CodecError(
            f"the content loss needs VGG-19's ImageNet weights, and {VGG19_URL} cannot be fetched "
            f"({error}): get that file and name it with --vgg19 PATH, {WITHOUT_VGG19}"
        ) from error


def _save_vgg19(answer: IO[bytes], cache: Path) -> Vgg19:
    """Write a download to `cache` and load it; a wrong file is not kept."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with AtomicOutput(cache) as output:
        with output.path.open("wb") as file:
            shutil.copyfileobj(answer, file)
        network = load_vgg19(output.path)
        output.publish()
    return network


def load_vgg19(path: Path) -> Vgg19:
    """Return VGG-19 with the weights of torchvision's file, read as tensors only.

    Raises CodecError where the file is missing, is another one, or has other shapes.
    """
    if not path.is_file():
        raise CodecError(
            f"expected VGG-19 weights in {path}, found no such file; "
            f"fetch {VGG19_URL}, {WITHOUT_VGG19}"
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != VGG19_SHA256:
        raise CodecError(
            f"expected torchvision's VGG-19 weights in {path}, SHA-256 {VGG19_SHA256[:8]}..., "
            f"found {found[:8]}...; fetch {VGG19_URL} again, {WITHOUT_VGG19}"
        )
    network = Vgg19()
    expected = network.state_dict()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise CodecError(
            f"expected a PyTorch file of VGG-19 weights in {path}, found something else; "
            f"fetch {VGG19_URL}"
        ) from error
    if not isinstance(state, Mapping) or any(
        not isinstance(state.get(name), Tensor) or state[name].shape != weight.shape
        for name, weight in expected.items()
    ):
        raise CodecError(
            f"expected torchvision's VGG-19 weights in {path}, found other names or shapes; "
            f"fetch {VGG19_URL}"
        )
    network.load_state_dict({name: state[name] for name in expected})  # without its classifier
    return network.eval()
