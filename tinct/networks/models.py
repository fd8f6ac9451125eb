"""A network that ships as an object, for programs: `tinct.load_network`.

`compact` runs the same networks in encoder and decoder.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from tinct.errors import CodecError, OptionError
from tinct.frames import Frame
from tinct.media.planes import Planes
from tinct.motion.references import find_pyramid_level
from tinct.motion.views import MIDDLE_QP, KeyView, LumaView
from tinct.networks import compact
from tinct.networks.compact_config import SHIPPED_NETWORKS, CompactConfig

if TYPE_CHECKING:
    import torch

Plane: TypeAlias = Union[np.ndarray, "torch.Tensor"]
Picture: TypeAlias = Frame | tuple[Plane, Plane, Plane]  # Y [H, W], Cb and Cr [h, w]
Restored: TypeAlias = tuple[Any, Any, Any]  # the same, in the kind that was given
MAX_QP = 51  # of HEVC's scale
BIT_DEPTHS = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 10}


def load_network(name: str) -> "RestorationNetwork":
    """Return the network that ships by this name, as `RestorationNetwork` describes them.

    Raise OptionError for another name.
    """
    if name not in SHIPPED_NETWORKS:
        raise OptionError("network", f"one of {', '.join(SHIPPED_NETWORKS)}", repr(name))
    return RestorationNetwork(name)


class RestorationNetwork:
    """A trained network, run on the processor by OpenVINO, without PyTorch.

        network = tinct.load_network("fast")
        restored = network.restore_between(luma, before=first, after=last)  # [(Y, Cb, Cr), ...]

    `fast` and `best` give frames between two key frames their colour and finer luma:
    `restore_between`. `fast-av1` and `best-av1` (for AV1), `fast-hevc`, `best-hevc` and the older
    `in-band` (for HEVC) restore pictures that were coded with their colour: `restore`. They mix
    each sample from pictures that optical flow has moved onto it, so they take no training of their
    own on a video.

    Planes are 4:2:0, Y [H, W], Cb and Cr [ceil(H/2), ceil(W/2)], in uint8, or with 0 to 1023 in
    uint16. They are NumPy arrays or tensors of PyTorch, and what comes back is of the same kind.
    """

    def __init__(self, name: str) -> None:
        self._row, self._network = SHIPPED_NETWORKS[name], compact.load_network(name)
        self.name, self.identity = name, self._network.identity
        self._make_colouriser = cache(partial(compact.make_compact_colouriser, self._network))
        self._make_in_band = cache(partial(compact.make_in_band_colouriser, self._network))

    def __repr__(self) -> str:
        work = "coded pictures" if self.is_in_band else "frames between key frames"
        return (
            f"<tinct network {self.name!r} for {work}: {self.parameters:,} parameters, "
            f"{self.macs_per_pixel:,.0f} MAC a pixel>"
        )

    @property
    def is_in_band(self) -> bool:
        """Whether it restores pictures that were coded with their colour."""
        return self._row.in_band

    @property
    def configs(self) -> list[CompactConfig]:
        """Width, depth and kind of each pass over a frame."""
        return [config for config, _ in self._network.passes]

    @property
    def parameters(self) -> int:
        """The number of weights and biases of all passes."""
        weights = [tensors for _, tensors in self._network.passes]
        return sum(tensor.size for tensors in weights for tensor in tensors.values())

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates for one luma sample, of all passes together; motion comes on top."""
        return sum(config.macs_per_pixel for config in self.configs)

    def restore_between(
        self,
        luma: Sequence[Plane] | Plane,
        before: Picture,
        after: Picture | None = None,
        *,
        qp: int = MIDDLE_QP,
        key_qp: int | None = None,
    ) -> list[Restored]:
        """Return Y, Cb and Cr of the frames between the key frames `before` and `after`.

        `luma` has their luma in order of time, [T, H, W] or T planes [H, W]. Without `after` colour
        comes from `before` alone, as where a cut follows. `qp` is about that at which luma was
        coded, 0 to 51, and `key_qp` that of the key frames' luma, where it is another. Raise
        CodecError for another kind of network and for planes that do not fit.
        """
        if self.is_in_band:
            raise CodecError(
                f"expected fast or best for frames between key frames, found {self.name}"
            )
        views = [_view_luma(plane, pts=pts, qp=qp) for pts, plane in enumerate(luma, 1)]
        if not views:
            return []
        key_qp = qp if key_qp is None else key_qp
        keys = [_view_picture(before, pts=0, qp=key_qp)]
        if after is not None:
            keys.append(_view_picture(after, pts=len(views) + 1, qp=key_qp))
        _check_alike([*views, *(key.luma for key in keys)])
        colourise = self._make_colouriser(views[0].y.shape, views[0].bit_depth)
        with ThreadPoolExecutor() as pool:
            restored = colourise(views, keys, pool, wanted=range(len(views)))
            return _collect(restored, like=luma[0])

    def restore(
        self,
        pictures: Sequence[Picture],
        *,
        qp: int = MIDDLE_QP,
        levels: Sequence[int] | None = None,
    ) -> list[Restored]:
        """Return Y, Cb and Cr of decoded `pictures`, which begin at an entry point of their codec.

        They are in order of time; each is restored from itself and those around it, which AV1
        codes as a pyramid of 8: every second one is coarser than its neighbours. HEVC's are no
        regular pyramid: `levels` say how coarse each picture is, 0 for those that are shown later
        than all before them in the stream, 1 for others that pictures are predicted from, else 2.
        `qp` is about that at which they were coded, on HEVC's scale. Raise CodecError for another
        kind of network and for planes that do not fit.
        """
        if not self.is_in_band:
            raise CodecError(f"expected a network for pictures, found {self.name}")
        if levels is None:
            levels = [find_pyramid_level(place) for place in range(len(pictures))]
        if len(levels) != len(pictures):
            raise OptionError("levels", f"{len(pictures)}, one a picture", str(len(levels)))
        views = [
            _view_picture(picture, pts=pts, qp=qp, level=level)
            for pts, (picture, level) in enumerate(zip(pictures, levels, strict=True))
        ]
        if not views:
            return []
        _check_alike([view.luma for view in views])
        first = views[0].luma
        colouriser = self._make_in_band(first.y.shape, first.bit_depth)
        with ThreadPoolExecutor() as pool:
            restored = [
                colouriser.start_frame(views, index, pool=pool) for index in range(len(views))
            ]
            given = pictures[0]
            return _collect(restored, like=given.y if isinstance(given, Frame) else given[0])

    def to_torch(self) -> "list[torch.nn.Module]":
        """Return a PyTorch module of each pass, with its weights: to look at, or to train on.

        `tinct.networks.trainable.compact.Compact` says what they take. Needs PyTorch.
        """
        from tinct.networks.trainable.compact import load_compact

        return [load_compact(config, weights) for config, weights in self._network.passes]


def _to_array(plane: Plane) -> np.ndarray:
    """Return a plane as an array; a tensor of PyTorch comes to the processor."""
    found: Any = plane
    if hasattr(found, "detach"):
        found = found.detach().cpu().numpy()
    if not isinstance(found, np.ndarray):
        raise CodecError(f"expected a plane [H, W], found {type(found).__name__}")
    if found.ndim != 2 or found.dtype not in BIT_DEPTHS:
        kind = f"{found.dtype} {list(found.shape)}"
        raise CodecError(f"expected a plane [H, W] in uint8 or uint16, found {kind}")
    return found


def _view_luma(plane: Plane, *, pts: int, qp: int, level: int = 0) -> LumaView:
    y = _to_array(plane)
    if not isinstance(qp, Integral) or not 0 <= int(qp) <= MAX_QP:
        raise OptionError("qp", f"0 to {MAX_QP}", str(qp))
    return LumaView(y, BIT_DEPTHS[y.dtype], pts, qp=qp, level=level)


def _view_picture(picture: Picture, *, pts: int, qp: int, level: int = 0) -> KeyView:
    planes = (picture.y, picture.cb, picture.cr) if isinstance(picture, Frame) else picture
    if len(planes) != 3:
        raise CodecError(f"expected planes Y, Cb and Cr, found {len(planes)}")
    cb, cr = map(_to_array, planes[1:])
    view = KeyView(_view_luma(planes[0], pts=pts, qp=qp, level=level), cb, cr)
    height, width = view.luma.y.shape
    half = ((height + 1) // 2, (width + 1) // 2)
    if not cb.shape == cr.shape == half or not cb.dtype == cr.dtype == view.luma.y.dtype:
        raise CodecError(
            f"expected Cb and Cr of {half[1]}x{half[0]} in the type of Y, "
            f"found {cb.dtype} {list(cb.shape)} and {cr.dtype} {list(cr.shape)}"
        )
    return view


def _check_alike(views: Sequence[LumaView]) -> None:
    found = sorted({f"{view.y.shape[1]}x{view.y.shape[0]}, {view.bit_depth} bit" for view in views})
    if len(found) > 1:
        raise CodecError(f"expected planes of one size and type, found {' and '.join(found)}")


def _collect(restored: Iterable[Future[Planes]], *, like: Plane) -> list[Restored]:
    """Wait for planes and return them as arrays, or as tensors where `like` is one."""
    frames = [task.result() for task in list(restored)]
    make_tensor = getattr(like, "new_tensor", lambda plane: plane)
    return [(make_tensor(y), make_tensor(cb), make_tensor(cr)) for y, cb, cr in frames]
