"""What a colouriser does in one encode: its part in the decoder's view, and what it learns.

`colourisers` says which part a configuration asks for; `session` brings it on. Training itself is
in `tinct.adapt`, which is imported where it is used: PyTorch takes seconds to load.
"""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tinct.config import EncodeConfig
from tinct.decoder.postfilter import PostFilter
from tinct.encoder.coder import Coder
from tinct.encoder.cost import BITS_WORTH, Cost
from tinct.encoder.plan import Plan
from tinct.encoder.view import PlaneErrors, View
from tinct.errors import CodecError
from tinct.frames import Frame, VideoInfo
from tinct.networks.gan_config import GanConfig

if TYPE_CHECKING:
    from tinct.adapt.budget import Step
    from tinct.adapt.crops import CropCollector
    from tinct.adapt.gan_update import KeyFrameCollector, TrainingSetup
    from tinct.motion.references import References
    from tinct.networks.compact import Network

Progress = Iterator[tuple[int, int | None]]  # frames done, frames in all


class Part:
    """The part of `none`: frames are propagated, nothing is learnt.

    The manifest names `network` (one that ships), `generator` (one of the video's own) and `rank`
    (of a small update), and the file has the bytes `update`, each where there is one. In-band,
    `saved_share` is the share of a plain file's bits that a network saves, kept or not.
    """

    network: "Network | None" = None
    generator: GanConfig | None = None
    rank: int | None = None
    update: bytes | None = None
    saved_share: float | None = None

    def __init__(self, info: VideoInfo, plan: Plan, config: EncodeConfig) -> None:
        self._info, self._plan, self._config = info, plan, config

    @property
    def is_used(self) -> bool:
        """Return whether the file needs the colouriser, which may not pay or have nothing to do."""
        return False

    def start(self, view: View, coder: Coder) -> None:
        """Choose what restores the view's frames."""
        self._view, self._coder = view, coder
        view.restore_with()

    def watch(self, original: Frame, shown: Frame) -> None:
        """Look at a frame of the source and at what the decoder shows of it."""

    def settle(self, manifest_bytes: Callable[[], int]) -> None:
        """Decide, once all is coded, whether the colouriser is worth `manifest_bytes`."""

    def adapt(self, frames: Iterator[Frame], training: "Callable[[Step], None] | None") -> Progress:
        """Learn from the video, read again in `frames`; yield how far the view is."""
        yield from ()

    def _cost(self, errors: PlaneErrors) -> Cost:
        """Return the cost of the whole video with these errors, without an update."""
        return Cost(8 * self._coder.size_bytes / self._coder.frames, errors.means)

    @property
    def _size(self) -> tuple[int, int]:
        return self._info.height, self._info.width


class BlindPart(Part):
    """The part of `compact` where nothing that was coded is looked at: the network is used."""

    def __init__(self, info: VideoInfo, plan: Plan, config: EncodeConfig) -> None:
        from tinct.networks.compact import load_network

        super().__init__(info, plan, config)
        self.network = load_network(plan.network)

    @property
    def is_used(self) -> bool:
        return True


class CompactPart(Part):
    """The part of `compact`: a network that ships restores, and may learn a small change."""

    def __init__(self, info: VideoInfo, plan: Plan, config: EncodeConfig, *, learns: bool) -> None:
        super().__init__(info, plan, config)
        self._learns = learns
        self._crops: CropCollector | None = None

    @property
    def is_used(self) -> bool:
        return True

    def start(self, view: View, coder: Coder) -> None:
        from tinct.networks.compact import (
            load_network,
            make_compact_colouriser,
            make_interpolator,
        )

        self._view, self._coder = view, coder
        self.network = load_network(self._plan.network)
        if self._learns:
            from tinct.adapt.crops import CropCollector

            self._crops = CropCollector()
        look = self._cut_crop if self._learns else None
        colouriser = make_compact_colouriser(
            self.network, self._size, self._info.bit_depth, watch=look
        )
        self._interpolate = make_interpolator(self.network, self._size, self._info.bit_depth)
        view.restore_with(colouriser, interpolate=self._interpolate, judges=True)

    def watch(self, original: Frame, shown: Frame) -> None:
        if self._crops is not None:
            self._crops.keep(shown.pts)

    def _cut_crop(self, pts: int, references: "References") -> None:
        """Collect a crop of what the network is given; called from any thread."""
        assert self._crops is not None
        self._crops.cut(self._view.originals[pts], references)

    def adapt(self, frames: Iterator[Frame], training: "Callable[[Step], None] | None") -> Progress:
        """Keep the update only if what it saves is worth its bits on the whole video."""
        if self._crops is None:
            return
        from tinct.adapt.compact_update import choose_rank, parse_budget, train_update
        from tinct.networks.compact import make_compact_colouriser

        assert self.network is not None
        crops, self._crops = self._crops.list_crops(), None
        rank = choose_rank(self._coder.size_bytes, (self._info.width, self._info.height))
        if rank == 0 or not crops:
            return
        error_per_bit = self._plan.slope / self._coder.frames
        assert self._config.adapt is not None, "not resolved"
        update = train_update(
            self.network,
            crops,
            (1 << self._info.bit_depth) - 1,
            rank=rank,
            budget=parse_budget(self._config.adapt, self._coder.frames, len(crops)),
            error_per_bit=error_per_bit,
            progress=training,
        )
        del crops  # a hundred megabytes
        before = self._view.shown
        colouriser = make_compact_colouriser(update.network, self._size, self._info.bit_depth)
        yield from self._view.show_again(
            frames, colouriser, interpolate=self._interpolate, judges=True
        )
        saved = -self._cost(self._view.errors).log_distortion(self._cost(before.errors))
        if saved > error_per_bit * 8 * len(update.data):
            self.rank, self.update = update.rank, update.data
        else:
            self._view.return_to(before)


class InBandPart(Part):
    """The part of `compact` in-band: a network restores the pictures that were coded."""

    @property
    def is_used(self) -> bool:
        return self.network is not None

    def start(self, view: View, coder: Coder) -> None:
        from tinct.networks.compact import load_network, make_in_band_colouriser

        self._view, self._coder = view, coder
        self.network = load_network(self._plan.network)
        around = make_in_band_colouriser(self.network, self._size, self._info.bit_depth)
        view.restore_with(around=around, judges=True)

    def settle(self, manifest_bytes: Callable[[], int]) -> None:
        """Keep the network if what it saves is worth the bytes that say so, or if it was named."""
        view = self._view
        assert len(view.coded_errors) == self._coder.frames
        network, shown, size = self.network, view.shown, manifest_bytes()
        cost = self._cost(view.errors)
        self.network, view.errors, view.post_filter = None, view.coded_errors, PostFilter()
        without = self._cost(view.errors)
        share = 8 * (size - manifest_bytes()) / (without.bits * self._coder.frames)
        self.saved_share = 1 - (1 + share) * math.exp(cost.log_distortion(without) / BITS_WORTH)
        if self.saved_share > 0 or self._config.colouriser != "auto":
            self.network = network
            view.return_to(shown)


class GanPart(Part):
    """The part of `gan`: a generator is trained on the video's key frames and sent in the file."""

    def __init__(
        self, info: VideoInfo, plan: Plan, config: EncodeConfig, *, setup: "TrainingSetup"
    ) -> None:
        super().__init__(info, plan, config)
        self._setup = setup
        self._key_frames: KeyFrameCollector | None = None

    @property
    def is_used(self) -> bool:
        return self.update is not None

    def start(self, view: View, coder: Coder) -> None:
        from tinct.adapt.gan_update import KeyFrameCollector

        super().start(view, coder)
        self._key_frames = KeyFrameCollector(self._info)

    def watch(self, original: Frame, shown: Frame) -> None:
        if self._key_frames is not None:
            is_key = shown.pts in self._coder.key_times
            self._key_frames.add(original, shown.y, key=is_key)

    def adapt(self, frames: Iterator[Frame], training: "Callable[[Step], None] | None") -> Progress:
        from tinct.adapt.gan_update import encode_generator, train_generator
        from tinct.networks.gan import make_gan_colouriser

        assert self._key_frames is not None
        group, count = self._config.group, self._coder.frames
        if isinstance(group, int) and count < group:
            raise CodecError(
                f"expected a video of at least one group of {group} frames to train on, "
                f"found {count}"
            )
        if self._coder.keys == count:
            return  # every frame is a key frame: a network has nothing to make
        samples, self._key_frames = self._key_frames.build_samples(), None
        generator, steps, left = train_generator(self._setup, samples, training)
        update = encode_generator(
            generator,
            self._setup.config,
            samples,
            error_per_bit=self._plan.slope / count,
            steps=steps,
            budget=left,
            device=self._setup.device,
        )
        self.generator, self.update = update.config, update.data
        colouriser = make_gan_colouriser(update.config, update.weights, self._info)
        yield from self._view.show_again(frames, colouriser)
