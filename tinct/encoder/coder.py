"""Frames to packets: every track of the plan's layout, group by group, spooled on disk.

`tracks` codes the pictures of one track, `rate` gives the QPs; `view` shows what decodes.
"""

import tempfile
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeVar

from tinct.bitstream.base import BASES, code_pictures
from tinct.bitstream.codecs import BaseCodec, BaseSettings
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.bitstream.pictures import Packet
from tinct.bitstream.qp import key_qp, other_qp
from tinct.bitstream.spools import Spool
from tinct.config import EncodeConfig
from tinct.encoder.keyframes import Group, cut_groups
from tinct.encoder.plan import Plan, TrackPackets
from tinct.encoder.rate import RateControl, with_own_rate
from tinct.encoder.sending import choose_sent
from tinct.encoder.settings import base_settings
from tinct.encoder.tracks import LumaForm, PictureTrack, open_colour_track
from tinct.frames import Frame, VideoInfo
from tinct.limits import MAX_OPEN_GROUPS, MAX_QP_CHANGES
from tinct.media.planes import Planes
from tinct.motion.shots import scan_frames
from tinct.psnr import Psnr

_T = TypeVar("_T")
NOTED_QP_STEP = 3  # a steered QP moves by 1 every few frames: smaller changes are not noted


class Coder:
    """Codes one video and keeps what the manifest and the decoder's view must know of it.

    `frames` and `keys` count what has been coded; `key_times` are the times of key frames, and
    `open_keys` those whose group is open. `qps` (time, QP of key frames, QP of the others) are what
    a network is told of the luma, from each time on. `interpolated` are the times of frames that
    are not sent. Use as a context manager: the spools vanish with it.
    """

    def __init__(self, info: VideoInfo, plan: Plan, config: EncodeConfig, *, folder: Path) -> None:
        self._info, self._plan, self._config, self._folder = info, plan, config, folder
        self._form = LumaForm(hints=plan.hints, boost=plan.key_boost, compatible=config.compatible)
        self._stack = ExitStack()
        self.spools: list[Spool] = []
        self.frames = self.keys = 0
        self._pictures = self._packets = 0  # handed to libraries, given by them
        self.is_done = False  # whether the view has seen all that was coded
        self.key_times: set[int] = set()
        self.open_keys: set[int] = set()
        self.qps: list[tuple[int, int, int]] = []
        self.interpolated: list[int] = []
        self._interpolated_qps: list[int] = []  # at which each of them would be sent
        self._late: list[Packet] = []  # of the group that the view is looking at
        self._late_count = 0
        self._decided_pts = -1  # up to which the view has looked at all frames
        self._unsent = threading.Lock()  # held while one of these two lists changes

    def __enter__(self) -> "Coder":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def is_grey(self) -> bool:
        """Return whether the luma track is 4:0:0."""
        return self._form.is_grey

    @property
    def has_hints(self) -> bool:
        """Return whether the luma track has coarse colour."""
        return self._form.hints

    @property
    def size_bytes(self) -> int:
        """Return the bytes of all packets so far."""
        return sum(spool.size_bytes for spool in self.spools)

    @property
    def expected_bytes(self) -> int:
        """Return about the bytes of all frames so far: of packets, and of those still to come.

        Libraries give packets some pictures late. Of frames left out as many are sent late as of
        those that the view has seen.
        """
        under_way = (self._pictures - self._packets) * self.size_bytes // max(1, self._packets)
        decided = bisect_right(self.interpolated, self._decided_pts)
        pending = len(self.interpolated) - decided
        late = self.spool(LUMA).late_bytes
        looked_at = self._late_count + decided
        return self.size_bytes + under_way + (pending * late // looked_at if late else 0)

    @property
    def base(self) -> BaseCodec:
        return BASES[self._config.base]

    def spool(self, name: str) -> Spool:
        return next(spool for spool in self.spools if spool.name == name)

    def code(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame | None, TrackPackets]]:
        """Code the video; yield each frame with the packets that are ready by then."""
        settings = base_settings(self._config, self._info, qp=self._plan.qp, folder=self._folder)
        # the library has to keep to a bitrate itself where pictures depend on each other
        base, config = self.base, self._config
        by_library = not (config.is_intra and base.has_own_qps) or config.crf is not None
        rated = with_own_rate(settings, config, self._plan) if by_library else settings
        if self._plan.row.has_colour_track:
            coded = self._code_tracks(frames, rated, settings)
        else:
            coded = self._code_in_band(frames, rated)
        for frame, tracks in coded:
            for name, packets in tracks:
                self.spool(name).write(packets)
                self._packets += len(packets)
            yield frame, tracks

    def _code_in_band(
        self, frames: Iterator[Frame], settings: BaseSettings
    ) -> Iterator[tuple[Frame | None, TrackPackets]]:
        track = PictureTrack(settings, self._info, grey=False)
        self._open(LUMA, track.header)
        rate = self._rate_control()
        nominal = self._plan.qp
        if settings.crf is not None:
            nominal = BASES[settings.base].find_nominal_qp(settings.crf, settings.structure)
        self.qps.append((0, nominal, nominal))
        for frame in frames:
            self.frames += 1
            planes, qp = (frame.y, frame.cb, frame.cr), rate.qp(self.frames)
            self._pictures += 1
            yield frame, [(LUMA, track.encode(planes, frame.pts, qp))]
        yield None, [(LUMA, track.flush())]

    def _code_tracks(
        self, frames: Iterator[Frame], luma_settings: BaseSettings, settings: BaseSettings
    ) -> Iterator[tuple[Frame | None, TrackPackets]]:
        self._luma_settings = self._form.adapt(luma_settings)
        luma = PictureTrack(self._luma_settings, self._info, grey=self._form.is_grey)
        colour = open_colour_track(settings, self._plan, self._info)
        self._open(LUMA, luma.header, takes_late=self.may_send_late)
        self._open(COLOUR, colour.header)
        rate = self._rate_control()
        groups = self._choose_frames(frames)
        for group, sent in groups if self._config.is_blind else _read_ahead(groups):
            self._count_key(group)
            for position, frame in enumerate(group.frames):
                self.frames += 1
                of_keys, of_others = self._qps_at(rate.qp(self.frames))
                self._note_qps(frame.pts, of_keys, of_others)
                if position not in sent:
                    self._leave_out(frame.pts, of_others)
                    yield frame, []
                    continue
                tracks: TrackPackets = []
                if position == 0:
                    tracks.append((COLOUR, colour.encode(group, of_keys)))
                if position > 0 or not self._plan.row.whole_keys:
                    own_qp = of_keys if position == 0 else of_others
                    planes = self._form.list_planes(frame, is_key=position == 0)
                    tracks.append((LUMA, luma.encode(planes, frame.pts, own_qp)))
                self._pictures += len(tracks)
                yield frame, tracks
            del group, frame  # before the next group is read, so that no more than one is held
        yield None, [(COLOUR, colour.flush()), (LUMA, luma.flush())]

    def _choose_frames(self, frames: Iterator[Frame]) -> Iterator[tuple[Group, frozenset[int]]]:
        """Return the groups of a video, each with the indices of the frames that are sent."""
        scanned = scan_frames(frames, most_samples=self._plan.most_samples)
        groups = cut_groups(scanned, self._plan.spacing)
        # a loop would hold a group while the next one is read, as `map` does not
        return map(self._choose_in, groups)

    def _choose_in(self, group: Group) -> tuple[Group, frozenset[int]]:
        return group, choose_sent(group, self._plan.sending)

    def _leave_out(self, pts: int, qp: int) -> None:
        """Note a frame that is not sent, and the QP at which it would be."""
        with self._unsent:
            self.interpolated.append(pts)
            self._interpolated_qps.append(qp)

    def send_late(self, frame: Frame) -> Planes:
        """Code a frame that was left out; return its planes as they decode, padded as coded.

        Called from any thread; frames come group by group.
        """
        with self._unsent:
            index = bisect_left(self.interpolated, frame.pts)
            assert self.interpolated[index] == frame.pts, "a frame that was sent already"
            del self.interpolated[index]
            qp = self._interpolated_qps.pop(index)
        settings = replace(self._luma_settings, qp=qp)
        planes = self._form.list_planes(frame, is_key=False)
        ((packet, decoded),) = code_pictures([planes], settings, grey=self._form.is_grey)
        self._late.append(replace(packet, pts=frame.pts, dts=frame.pts))
        return decoded

    @property
    def may_send_late(self) -> bool:
        """Return whether frames that were left out may still be sent."""
        return not (self._plan.sending.is_full or self.is_done or self._config.is_blind)

    @property
    def waits_for_view(self) -> bool:
        """Return whether frames that are sent late count in the QPs of those that follow."""
        is_steered = self._config.bitrate_kbps is not None and self._plan.rate_qp is None
        return self.may_send_late and is_steered

    @property
    def expected_luma_db(self) -> float:
        """Return about the PSNR-Y that the QP promises: that of the base codec on samples."""
        assert self._plan.plain is not None, "decided without samples"
        return Psnr.of([self._plan.plain.error[0]]).mean_db

    def write_late(self, until_pts: int) -> None:
        """Write the packets of `send_late`, when those of all frames up to a time are there."""
        for packet in sorted(self._late, key=lambda packet: packet.pts):
            self.spool(LUMA).write_late(packet)
        self._late_count += len(self._late)
        self._late.clear()
        self._decided_pts = until_pts

    def _rate_control(self) -> RateControl:
        return RateControl(
            self._config, self._plan, self._info, spent_bytes=lambda: self.expected_bytes
        )

    def _qps_at(self, qp: int) -> tuple[int, int]:
        """Return the QPs of key frames and of the others at nominal `qp`."""
        return key_qp(qp, self._plan.key_boost), other_qp(qp, self._plan.key_boost)

    def _count_key(self, group: Group) -> None:
        self.keys += 1
        self.key_times.add(group.frames[0].pts)
        is_open = not group.closed and len(group.frames) > 1
        # Beyond the limit the next shot's colour is mixed in, by the view as by the decoder.
        if is_open and len(self.open_keys) < MAX_OPEN_GROUPS:
            self.open_keys.add(group.frames[0].pts)

    def _note_qps(self, pts: int, of_keys: int, of_others: int) -> None:
        if not self._plan.has_shipped_network or len(self.qps) >= MAX_QP_CHANGES:
            return
        if self.qps:
            _, last_keys, last_others = self.qps[-1]
            if max(abs(of_keys - last_keys), abs(of_others - last_others)) < NOTED_QP_STEP:
                return
        self.qps.append((pts, of_keys, of_others))

    def _open(self, name: str, header: bytes, *, takes_late: bool = False) -> None:
        late_file = self._open_file() if takes_late else None
        file = self._open_file()
        self.spools.append(Spool(name, header, self.base, file=file, late_file=late_file))

    def _open_file(self) -> IO[bytes]:
        # the file has no name, so that it vanishes with the process
        return self._stack.enter_context(tempfile.TemporaryFile(dir=self._folder))


def _read_ahead(groups: Iterator[_T]) -> Iterator[_T]:
    """Yield the same groups; the next one is read and cut on a thread while this one is coded."""
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(next, groups, None)
        while (group := following.result()) is not None:
            following = reader.submit(next, groups, None)
            yield group
