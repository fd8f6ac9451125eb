"""The decoder's view: what a decoder will show of the packets so far, measured against the source.

It runs the decoder's own code (`decoder.restorer`), so that what is measured is what is shown.
"""

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from tinct.bitstream.decoding import PictureDecoder
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.bitstream.pictures import Packet
from tinct.bitstream.schema import Layout
from tinct.bitstream.spools import Spool, merge_spools
from tinct.bitstream.strengths import Strengths
from tinct.decoder.levels import Levels
from tinct.decoder.postfilter import PostFilter
from tinct.decoder.restorer import PENDING_FRAMES, Restorer
from tinct.encoder.coder import Coder
from tinct.encoder.late import find_late
from tinct.encoder.plan import TrackPackets
from tinct.encoder.strengths import choose_strengths
from tinct.errors import CodecError
from tinct.frames import Frame, VideoInfo
from tinct.media.planes import Planes
from tinct.motion.interpolation import interpolate_frame
from tinct.motion.views import KeyView
from tinct.networks.interface import (
    Colouriser,
    InBandColouriser,
    Interpolator,
    propagate_group,
)
from tinct.psnr import Psnr, plane_errors, squared_error

Watch = Callable[[Frame, Frame], None]  # takes a frame of the source, and what is shown of it


@dataclass
class PlaneErrors:
    """Mean squared errors of Y, Cb and Cr in 8-bit levels, frame by frame."""

    planes: tuple["array[float]", "array[float]", "array[float]"] = field(
        default_factory=lambda: (array("d"), array("d"), array("d"))
    )

    def append(self, errors: tuple[float, float, float]) -> None:
        for plane, error in zip(self.planes, errors, strict=True):
            plane.append(error)

    def __len__(self) -> int:
        return len(self.planes[0])

    @property
    def means(self) -> tuple[float, float, float]:
        y, cb, cr = (float(np.mean(plane)) for plane in self.planes)
        return y, cb, cr

    def psnr(self) -> tuple[Psnr, Psnr, Psnr]:
        y, cb, cr = map(Psnr.of, self.planes)
        return y, cb, cr


@dataclass(frozen=True)
class Shown:
    """What a view came to: errors by frame, and how what the network gives is shown."""

    errors: PlaneErrors
    post_filter: PostFilter


class View:
    """Decodes packets as they come, restores them as the decoder will, and measures them.

    `expect` hands in each frame of the source before its packets; `show` takes packets. `watch` is
    told of every frame shown. `coded_errors` are those of in-band pictures before a network. Use as
    a context manager: its threads end with it.
    """

    def __init__(
        self, info: VideoInfo, layout: Layout, coder: Coder, *, watch: Watch | None = None
    ) -> None:
        self._info, self._layout, self._coder, self._watch = info, layout, coder, watch
        self._stack = ExitStack()
        self._decoders: dict[str, PictureDecoder] = {}
        self._measures_coded = False
        self._reread_pts = -1  # latest frame of the source that was read a second time
        self.originals: dict[int, Frame] = {}  # by time: coded, but not yet restored
        self.errors, self.coded_errors = PlaneErrors(), PlaneErrors()
        self.post_filter = PostFilter()

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def restore_with(
        self,
        colouriser: Colouriser = propagate_group,
        *,
        interpolate: Interpolator = interpolate_frame,
        around: InBandColouriser | None = None,
        judges: bool = False,
    ) -> None:
        """Restore with another network from here on; the one before lets go of its memory.

        With `judges` each group is compared with its original, with the network and without.
        """
        self._stack.close()
        self._measures_coded, self._interpolate = around is not None, interpolate
        self._levels = Levels(self._coder.base)
        restorer = Restorer(
            self._info,
            self._layout,
            colouriser=colouriser,
            around=around,
            levels=self._levels,
            open_keys=self._coder.open_keys,
            qps=self._coder.qps,
            judge=self._choose_strengths if judges else None,
            interpolated=self._coder.interpolated,
            interpolate=interpolate,
            inspect=self._send_late if self._coder.may_send_late else None,
            has_hints=self._coder.has_hints,
            most_pending=0 if self._coder.waits_for_view else PENDING_FRAMES,
        )
        self._restorer = self._stack.enter_context(restorer)
        self.post_filter = restorer.post_filter

    def open_tracks(self) -> None:
        """Open a decoder for each track of the coder, in the tracks' order."""
        self._decoders = {spool.name: _decoder_of(spool) for spool in self._coder.spools}

    def expect(self, original: Frame) -> None:
        self.originals[original.pts] = original

    def show(self, tracks: TrackPackets) -> None:
        """Decode packets of some tracks, and measure every frame that is restored by now."""
        for name, packets in tracks:
            for packet in packets:
                self._show(name, self._decode(name, packet))

    def flush(self) -> None:
        """Show the rest, when every track has ended."""
        for name, decoder in self._decoders.items():
            self._show(name, decoder.flush())
        self._compare(list(self._restorer.flush()))
        assert not self.originals, f"{len(self.originals)} frames were coded but not restored"

    def show_again(
        self,
        frames: Iterator[Frame],
        colouriser: Colouriser,
        *,
        interpolate: Interpolator = interpolate_frame,
        judges: bool = False,
    ) -> Iterator[tuple[int, int | None]]:
        """Measure all that was coded once more, with another network; yield how far that is.

        `frames` are those of the source, read a second time.
        """
        self.errors = PlaneErrors()
        self.restore_with(colouriser, interpolate=interpolate, judges=judges)
        self.open_tracks()
        for name, packet in merge_spools(self._coder.spools):
            pictures = self._decode(name, packet)
            self._read_originals(pictures, frames)
            self._show(name, pictures)
            yield len(self.errors), self._coder.frames
        for name, decoder in self._decoders.items():
            pictures = decoder.flush()
            self._read_originals(pictures, frames)
            self._show(name, pictures)
        self._compare(list(self._restorer.flush()))
        yield self._coder.frames, self._coder.frames

    @property
    def shown(self) -> Shown:
        return Shown(self.errors, self.post_filter)

    def return_to(self, shown: Shown) -> None:
        """Take back what was measured before, where a network is not kept."""
        self.errors, self.post_filter = shown.errors, shown.post_filter

    def _read_originals(self, pictures: list[tuple[int, Planes]], frames: Iterator[Frame]) -> None:
        """Read the source up to the latest of `pictures`; both tracks come in order of time."""
        for pts, _ in pictures:
            while self._reread_pts < pts:
                original = next(frames, None)
                if original is None or original.pts > pts:
                    raise CodecError(
                        "expected the same video when it is read again, found another; "
                        "let it rest while it is coded"
                    )
                self.expect(original)
                self._reread_pts = original.pts

    def _choose_strengths(
        self,
        times: Sequence[int],
        restored: Sequence[Planes],
        prior: Sequence[Planes],
        *,
        current: Sequence[Strengths],
    ) -> list[Strengths]:
        """Choose the post-filter's strengths for some frames, see `decoder.postfilter.Judge`."""
        return choose_strengths(
            [self.originals[pts] for pts in times],
            restored,
            prior,
            current=current,
            shares_network=self._measures_coded,
            bits=8 * self._coder.size_bytes / max(self._coder.frames, 1) * len(times),
        )

    def _decode(self, name: str, packet: Packet) -> list[tuple[int, Planes]]:
        if name == LUMA:
            self._levels.note(packet.data, packet.pts, is_entry=packet.keyframe)
        return self._decoders[name].decode(packet.data, packet.pts)

    def _show(self, name: str, pictures: list[tuple[int, Planes]]) -> None:
        for pts, planes in pictures:
            if self._measures_coded:
                self.coded_errors.append(_coded_errors(self.originals[pts], planes))
            self._compare(self._restorer.push(name, pts, planes))

    def _send_late(
        self, shown: Sequence[KeyView], times: Sequence[int], keys: Collection[int]
    ) -> list[tuple[int, Planes]]:
        """Send frames after all that interpolation makes too badly; return their planes by time."""
        late = find_late(
            shown,
            times,
            keys=keys,
            originals=self.originals,
            usual_db=self._coder.expected_luma_db,
            interpolate=self._interpolate,
        )
        return [(pts, self._coder.send_late(self.originals[pts])) for pts in late]

    def _compare(self, restored: list[Frame]) -> None:
        if restored:
            self._coder.write_late(restored[-1].pts)
        for frame in restored:
            original = self.originals.pop(frame.pts)
            if self._watch is not None:
                self._watch(original, frame)
            self.errors.append(plane_errors(original, frame))


def _decoder_of(spool: Spool) -> PictureDecoder:
    return PictureDecoder(spool.header, base=spool.base, low_delay=spool.name == COLOUR)


def _coded_errors(original: Frame, planes: Planes) -> tuple[float, float, float]:
    """Return the errors of a picture as it was coded, which may be padded."""
    pairs = zip((original.y, original.cb, original.cr), planes, strict=True)
    y, cb, cr = (squared_error(a, b, original.info.bit_depth) for a, b in pairs)
    return y, cb, cr
