"""A video file to a Tinct file: the plan carried out group by group, the decoder's own view measured on the way.

`plan` decides on samples, `keyframes` cuts groups, `tracks` codes at the QPs of `ratecontrol`, `restore` shows what the
decoder will, `container` muxes.
"""

import tempfile
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinct.bitstream.container import Spool, in_coding_order
from tinct.bitstream.hevc import HevcDecoder, HevcSettings, coded_shape
from tinct.bitstream.manifest import (
    ATTACHMENT_BYTES,
    COLOUR,
    LUMA,
    Layout,
    Manifest,
    write_manifest,
)
from tinct.bitstream.qp import key_qp, other_qp
from tinct.config import EncodeConfig
from tinct.decoder.restorer import Restorer
from tinct.encoder.coder import NOTED_QP_STEP, _ahead
from tinct.encoder.cost import Cost, judge_by
from tinct.encoder.keyframes import Group, groups
from tinct.encoder.plan import Plan, _Coded
from tinct.encoder.rate import RateControl, with_x265_rate
from tinct.encoder.tracks import PictureTrack, colour_track, luma_planes
from tinct.encoder.view import MAX_VIEWS, Errors
from tinct.errors import CodecError
from tinct.frames import Frame, VideoInfo
from tinct.media.planes import Planes
from tinct.motion.shots import look
from tinct.networks.interface import Around, Colouriser, Judge, none
from tinct.networks.weights import hash_of
from tinct.psnr import plane_errors, squared_error

if TYPE_CHECKING:
    from tinct.adapt.budget import Step
    from tinct.adapt.compact_update import Crops, Tuned
    from tinct.adapt.gan_update import KeyFrames, Tuition, Update
    from tinct.motion.references import References
    from tinct.networks.compact import Network


class _Coding:
    """The encode of one video under way: encoders, spools, and the decoder's own view of what has been coded."""

    def __init__(
        self, info: VideoInfo, plan: Plan, config: EncodeConfig, folder: Path, *, tunes: bool
    ) -> None:
        self._info, self._plan, self._config, self._tunes = info, plan, config, tunes
        self._stack = ExitStack()
        self._viewing = self._stack.enter_context(ExitStack())
        self._plain: tuple[set[int], ...] = ()
        self._folder = folder
        self.frames = 0
        self.errors: Errors = (array("d"), array("d"), array("d"))
        self.spools: list[Spool] = []
        self._restores_in_band = plan.layout == "in-band" and plan.colouriser == "compact"
        self._as_coded: Errors = (
            array("d"),
            array("d"),
            array("d"),
        )  # of in-band pictures, before a network
        self._decoders: dict[str, HevcDecoder] = {}
        self._open_keys: set[int] = set()
        self._qps: list[tuple[int, int, int]] = []
        self._keys = 0
        self._originals: dict[int, Frame] = {}  # by time: coded, but not yet restored
        self._network: Network | None = None
        self._key_frames: KeyFrames | None = None
        self._key_times: set[int] = set()
        self._crops: Crops | None = None
        self._reviewed = -1  # latest pts of the originals that were read once more
        self._update: Update | None = None
        self._tuned: Tuned | None = None

    def __enter__(self) -> "_Coding":
        colouriser: Colouriser = none
        around: Around | None = None
        judge: Judge | None = None
        shape = (self._info.height, self._info.width)
        if self._plan.colouriser == "compact":
            from tinct.networks.compact import load_network

            self._network = load_network(self._plan.network)
        if self._network is not None and self._restores_in_band:
            from tinct.networks.compact import in_band

            around, judge = (
                in_band(self._network, shape, self._info.bit_depth),
                judge_by(self._originals),
            )
        elif self._network is not None:
            from tinct.networks.compact import compact

            watch = None
            if self._tunes:
                from tinct.adapt.compact_update import Crops

                self._crops, watch = Crops(), self._see
            colouriser = compact(self._network, shape, self._info.bit_depth, watch)
            judge = judge_by(self._originals)
        if self._plan.colouriser == "gan":
            from tinct.adapt.gan_update import KeyFrames

            self._key_frames = KeyFrames(self._info)
        self._view_with(judge, colouriser, around)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, frames: Iterator[Frame]) -> Iterator[tuple[int, int | None]]:
        """Code the whole video; yields how far it is. The decoder's view is taken beside the coding, on a thread."""
        with ThreadPoolExecutor(1) as viewer:
            views: deque[Future[None]] = deque()
            for tracks in self._coded(frames):
                for name, packets in tracks:
                    self._spool(name).write(packets)
                views.append(viewer.submit(self._view, tracks))
                while len(views) > MAX_VIEWS:
                    views.popleft().result()
                yield len(self.errors[0]), self._info.frame_count
            for view in views:
                view.result()
        for name, decoder in self._decoders.items():
            self._show(name, decoder.flush())
        self._compare(self._restorer.flush())
        yield len(self.errors[0]), self._info.frame_count
        assert not self._originals, f"{len(self._originals)} frames were coded but not restored"
        if self._restores_in_band:
            self._keep_what_pays()

    def adapt(
        self,
        tuition: "Tuition | None",
        frames: Iterator[Frame],
        training: "Callable[[Step], None] | None",
    ) -> Iterator[tuple[int, int | None]]:
        """Train on the video where that is asked for, then take the decoder's view again; yields how far that is.

        `frames` are those of the video once more.
        """
        if tuition is not None:
            yield from self._train(tuition, frames, training)
        elif self._crops is not None:
            yield from self._tune(self._crops, frames, training)

    def _train(
        self, tuition: "Tuition", frames: Iterator[Frame], training: "Callable[[Step], None] | None"
    ) -> Iterator[tuple[int, int | None]]:
        from tinct.adapt.gan_update import coded, trained
        from tinct.networks.gan import gan

        assert self._key_frames is not None
        group = self._config.group
        if isinstance(group, int) and self.frames < group:
            raise CodecError(
                f"expected a video of at least one group of {group} frames to train on, found {self.frames}"
            )
        if self._keys == self.frames:
            return  # cuts all along: there is nothing for a network to make
        samples, self._key_frames = self._key_frames.samples(), None
        generator, steps = trained(tuition, samples, training)
        price = self._plan.slope / self.frames
        update = self._update = coded(
            generator,
            tuition.config,
            samples,
            error_per_bit=price,
            steps=steps,
            device=tuition.device,
        )
        yield from self._view_again(gan(update.config, update.weights, self._info), None, frames)

    def _tune(
        self, crops: "Crops", frames: Iterator[Frame], training: "Callable[[Step], None] | None"
    ) -> Iterator[tuple[int, int | None]]:
        """Keep the update only if what it saves is worth its bits on the whole video."""
        from tinct.adapt.compact_update import budget_of, rank_for, tune
        from tinct.networks.compact import compact

        assert self._network is not None
        found, self._crops = crops.all(), None
        rank = rank_for(
            sum(spool.size_bytes for spool in self.spools), (self._info.width, self._info.height)
        )
        if rank == 0 or not found:
            return
        error_per_bit = self._plan.slope / self.frames
        budget = budget_of(self._config.adapt, self.frames, len(found))
        peak = (1 << self._info.bit_depth) - 1
        tuned = tune(
            self._network,
            found,
            peak,
            rank=rank,
            budget=budget,
            error_per_bit=error_per_bit,
            progress=training,
        )
        del found, crops  # a hundred megabytes
        before = (self._plain, self.errors)
        self.errors = (array("d"), array("d"), array("d"))
        colouriser = compact(
            tuned.network, (self._info.height, self._info.width), self._info.bit_depth
        )
        yield from self._view_again(colouriser, judge_by(self._originals), frames)
        saved = -self._cost(self.errors).log_distortion(self._cost(before[1]))
        if saved > error_per_bit * 8 * len(tuned.data):
            self._tuned = tuned
        else:
            self._plain, self.errors = before

    def _cost(self, errors: Errors) -> Cost:
        """Of the whole video with these errors, without an update."""
        y, cb, cr = (float(np.mean(plane)) for plane in errors)
        return Cost(8 * sum(spool.size_bytes for spool in self.spools) / self.frames, (y, cb, cr))

    def _keep_what_pays(self) -> None:
        """In-band, keep the network only if what it saves is worth the bytes that say so, a part of the file as it came out."""
        assert self._plan.plain is not None
        assert len(self._as_coded[0]) == self.frames
        with_it = (self._network, self._plain, self.errors)
        cost, size = self._cost(self.errors), self._manifest_bytes()
        self._network, self._plain, self.errors = None, (), self._as_coded
        without = self._cost(self.errors)
        part = 8 * (size - self._manifest_bytes()) / (without.bits * self.frames)
        if (
            self._config.colouriser == "compact"
            or -cost.log_distortion(without) > self._plan.slope * self._plan.plain.bits * part
        ):
            self._network, self._plain, self.errors = with_it

    def _manifest_bytes(self) -> int:
        manifest = self.manifest()
        return 0 if manifest is None else len(write_manifest(manifest)) + ATTACHMENT_BYTES

    def _view_again(
        self, colouriser: Colouriser, judge: Judge | None, frames: Iterator[Frame]
    ) -> Iterator[tuple[int, int | None]]:
        """What the decoder shows of the packets that are there, with another network."""
        for errors in self.errors:
            del errors[:]
        self._view_with(judge, colouriser)
        self._decoders = {
            spool.name: HevcDecoder(spool.header, low_delay=spool.name == COLOUR)
            for spool in self.spools
        }
        for name, packet in in_coding_order(self.spools):
            self._show_again(name, self._decoders[name].decode(packet.data, packet.pts), frames)
            yield len(self.errors[0]), self.frames
        for name, decoder in self._decoders.items():
            self._show_again(name, decoder.flush(), frames)
        self._compare(self._restorer.flush())
        yield self.frames, self.frames

    def _view_with(
        self, judge: Judge | None, colouriser: Colouriser, around: Around | None = None
    ) -> None:
        """The decoder's view from here on; the one before lets go of its network."""
        self._viewing.close()
        restorer = Restorer(
            self._info, self._plan.layout,
            colouriser=colouriser, around=around, open_keys=self._open_keys, qps=self._qps, judge=judge,
        )  # fmt: skip
        self._restorer = self._viewing.enter_context(restorer)
        self._plain = restorer.plain

    def _show_again(
        self, name: str, pictures: list[tuple[int, Planes]], frames: Iterator[Frame]
    ) -> None:
        for pts, _ in pictures:
            while self._reviewed < pts:  # both tracks' pictures come in order of time
                original = next(frames, None)
                if original is None or original.pts > pts:
                    raise CodecError(
                        "expected the same video when it is read again, found another; let it rest while it is coded"
                    )
                self._originals[original.pts] = original
                self._reviewed = original.pts
        self._show(name, pictures)

    def _see(self, pts: int, references: "References") -> None:
        assert self._crops is not None
        self._crops.see(self._originals[pts], references)

    @property
    def layout(self) -> Layout:
        """The plan's; but `full` where every frame turned out a key frame leaves one whole track: that is in-band."""
        all_keys = self._plan.layout == "full" and self._spool(LUMA).size_bytes == 0
        return "in-band" if all_keys else self._plan.layout

    @property
    def colouriser(self) -> str:
        """The plan's, unless there was nothing for it to do or it did not pay."""
        absent = {"gan": self._update is None, "compact": self._network is None}
        return "none" if absent.get(self._plan.colouriser, False) else self._plan.colouriser

    @property
    def update(self) -> bytes | None:
        """`update.bin`, where there is one."""
        learnt = self._update if self._update is not None else self._tuned
        return learnt.data if learnt is not None else None

    def tracks(self) -> list[Spool]:
        return (
            self.spools
            if self.layout == self._plan.layout
            else [replace(self._spool(COLOUR), name=LUMA)]
        )

    def manifest(self) -> Manifest | None:
        """None for plain HEVC, which has no need of one."""
        info = self._info
        shape = (info.height, info.width)
        if (
            self.layout == "in-band"
            and self._network is None
            and coded_shape(shape, grey=False) == shape
        ):
            return None
        keys = self._keys if self.layout != "in-band" else 0
        return Manifest(
            (info.width, info.height), self.frames, keys, self.layout, info.frame_rate, tuple(sorted(self._open_keys)),
            self.colouriser,
            (self._network.name, self._network.identity) if self._network is not None else None,
            tuple(self._qps) if self._network is not None else (),
            self._update.config if self._update is not None else None,
            self._tuned.rank if self._tuned is not None else None,
            hash_of(self.update) if self.update is not None else None,
            tuple(tuple(sorted(times)) for times in self._plain),
        )  # fmt: skip

    def _coded(self, frames: Iterator[Frame]) -> Iterator[_Coded]:
        """Packets by track, as they come."""
        settings = HevcSettings(
            self._config.structure, self._info, qp=self._plan.qp, preset=self._config.x265_preset, tune=self._config.x265_tune
        )  # fmt: skip
        # between intra pictures x265 has to keep to a bitrate itself; a CRF is its own in any case
        x265_rates = self._config.structure != "intra" or self._config.crf is not None
        rated = with_x265_rate(settings, self._config, self._plan) if x265_rates else settings
        rate = RateControl(
            self._config,
            self._plan,
            self._info,
            lambda: sum(spool.size_bytes for spool in self.spools),
        )
        if self._plan.layout == "in-band":
            yield from self._coded_in_band(frames, rated, rate)
        else:
            yield from self._coded_tracks(frames, rated, settings, rate)

    def _coded_in_band(
        self, frames: Iterator[Frame], settings: HevcSettings, rate: RateControl
    ) -> Iterator[_Coded]:
        coder = PictureTrack(settings, self._info, grey=False)
        self._open(LUMA, coder.header)
        nominal = self._plan.qp if self._config.crf is None else round(self._config.crf)
        self._qps.append((0, nominal, nominal))
        for frame in frames:
            self._count(frame)
            yield [
                (LUMA, coder.encode((frame.y, frame.cb, frame.cr), frame.pts, rate.qp(self.frames)))
            ]
        yield [(LUMA, coder.flush())]

    def _coded_tracks(
        self,
        frames: Iterator[Frame],
        luma_settings: HevcSettings,
        settings: HevcSettings,
        rate: RateControl,
    ) -> Iterator[_Coded]:
        plan, config, info = self._plan, self._config, self._info
        boost = plan.key_boost
        if config.compatible and config.structure == "intra":
            luma_settings = replace(luma_settings, structure="intra-main")
        luma = PictureTrack(luma_settings, info, grey=not config.compatible)
        colour = colour_track(settings, plan, info)
        self._open(LUMA, luma.header)
        self._open(COLOUR, colour.header)
        for group in _ahead(groups(look(frames), plan.spacing)):
            self._mark(group)
            for position, frame in enumerate(group.frames):
                self._count(frame)
                qp = rate.qp(self.frames)
                of_keys, of_others = key_qp(qp, boost), other_qp(qp, boost)
                self._note_qps(frame.pts, of_keys, of_others)
                packets: _Coded = []
                if position == 0:
                    packets.append((COLOUR, colour.encode(group, of_keys)))
                if position > 0 or plan.layout == "chroma":
                    own_qp = of_keys if position == 0 else of_others
                    packets.append(
                        (
                            LUMA,
                            luma.encode(luma_planes(frame, config.compatible), frame.pts, own_qp),
                        )
                    )
                yield packets
        yield [(COLOUR, colour.flush()), (LUMA, luma.flush())]

    def _mark(self, group: Group) -> None:
        self._keys += 1
        self._key_times.add(group.frames[0].pts)
        if not group.closed and len(group.frames) > 1:
            self._open_keys.add(group.frames[0].pts)

    def _note_qps(self, pts: int, of_keys: int, of_others: int) -> None:
        if self._network is None:
            return
        if (
            not self._qps
            or max(abs(of_keys - self._qps[-1][1]), abs(of_others - self._qps[-1][2]))
            >= NOTED_QP_STEP
        ):
            self._qps.append((pts, of_keys, of_others))

    def _count(self, frame: Frame) -> None:
        self._originals[frame.pts] = frame
        self.frames += 1

    def _open(self, name: str, header: bytes) -> None:
        file = self._stack.enter_context(tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115  vanishes with the process
        self.spools.append(Spool(name, header, file))
        self._decoders[name] = HevcDecoder(header, low_delay=name == COLOUR)

    def _spool(self, name: str) -> Spool:
        return next(spool for spool in self.spools if spool.name == name)

    def _view(self, tracks: _Coded) -> None:
        for name, packets in tracks:
            for packet in packets:
                self._show(name, self._decoders[name].decode(packet.data, packet.pts))

    def _show(self, name: str, pictures: list[tuple[int, Planes]]) -> None:
        for pts, planes in pictures:
            if self._restores_in_band:
                original = self._originals[pts]
                sent = (original.y, original.cb, original.cr)
                for errors, a, b in zip(self._as_coded, sent, planes, strict=True):
                    errors.append(squared_error(a, b, self._info.bit_depth))
            self._compare(self._restorer.push(name, pts, planes))

    def _compare(self, restored: list[Frame]) -> None:
        for frame in restored:
            original = self._originals.pop(frame.pts)
            if self._key_frames is not None:
                self._key_frames.add(original, frame.y, key=frame.pts in self._key_times)
            if self._crops is not None:
                self._crops.take(frame.pts)
            for plane, error in zip(self.errors, plane_errors(original, frame), strict=True):
                plane.append(error)
