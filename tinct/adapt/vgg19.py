"""VGG-19 for the content loss (Equation 7): where its weights are found, and that they are the right ones."""

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
from tinct.files import Growing

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VGG19_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
VGG19_SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
WITHOUT_VGG19 = "or train without it: --content-loss none"
FETCH_SECONDS = 20.0  # without a word from the server
VGG19_WIDTHS = (
    64,
    64,
    0,
    128,
    128,
    0,
    256,
    256,
    256,
    256,
    0,
    512,
    512,
    512,
    512,
    0,
    512,
    512,
    512,
    512,
)  # 0: 2x2 max pool


class Vgg19(nn.Module):
    """VGG-19 up to relu5_4: pictures in [0, 1] to features [N, 512, H/16, W/16]. State-dict keys are torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for following in VGG19_WIDTHS:
            if following:
                layers += [nn.Conv2d(width, following, 3, padding=1), nn.ReLU()]
                width = following
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, picture: Tensor) -> Tensor:
        return self.features((picture - self.get_buffer("mean")) / self.get_buffer("std"))


def find_vgg19(path: Path | None) -> Vgg19:
    """VGG-19 with ImageNet's weights: of the file that is named, else of the cache, else fetched into it.

    Raises CodecError, naming the ways out, where they cannot be had.
    """
    if path is not None:
        return load_vgg19(path)
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "tinct"
        / Path(VGG19_URL).name
    )
    if not cache.is_file():
        try:
            with urllib.request.urlopen(VGG19_URL, timeout=FETCH_SECONDS) as answer:
                return _kept(answer, cache)
        except (OSError, HTTPException, CodecError) as error:
            raise CodecError(
                f"the content loss needs VGG-19's ImageNet weights, and {VGG19_URL} cannot be fetched ({error}): "
                f"get that file and name it with --vgg19 PATH, {WITHOUT_VGG19}"
            ) from error
    return load_vgg19(cache)


def _kept(answer: IO[bytes], cache: Path) -> Vgg19:
    """The network of a file that is being fetched, which stays only if it is the right one."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with Growing(cache) as growing:
        with growing.path.open("wb") as file:
            shutil.copyfileobj(answer, file)
        network = load_vgg19(growing.path)
        growing.publish()
    return network


def load_vgg19(path: Path) -> Vgg19:
    """The network with the weights of torchvision's file.

    Raises CodecError where the file is missing, another one, or not of these shapes. Only tensors are read from it.
    """
    if not path.is_file():
        raise CodecError(
            f"expected VGG-19 weights in {path}, found no such file; fetch {VGG19_URL}, {WITHOUT_VGG19}"
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != VGG19_SHA256:
        raise CodecError(
            f"expected torchvision's VGG-19 weights in {path}, SHA-256 {VGG19_SHA256[:8]}..., found {found[:8]}...; "
            f"fetch {VGG19_URL} again, {WITHOUT_VGG19}"
        )
    network = Vgg19()
    wanted = network.state_dict()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise CodecError(
            f"expected a PyTorch file of VGG-19 weights in {path}, found something else; fetch {VGG19_URL}"
        ) from error
    if not isinstance(state, Mapping) or any(
        not isinstance(state.get(name), Tensor) or state[name].shape != weight.shape
        for name, weight in wanted.items()
    ):
        raise CodecError(
            f"expected torchvision's VGG-19 weights in {path}, found other names or shapes; fetch {VGG19_URL}"
        )
    network.load_state_dict(
        {name: state[name] for name in wanted}
    )  # those of the classifier stay behind
    return network.eval()
