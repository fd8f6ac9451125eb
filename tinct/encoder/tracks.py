"""The tracks of a file: pictures of luma, of key frames' colour or of whole frames to packets.

`bitstream.base` codes one picture after the other; here is what each track of a layout holds, and
at which QP. `coder` feeds the tracks.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from tinct.bitstream.base import BASES, IntraEncoder, PictureEncoder
from tinct.bitstream.codecs import ENTRY_SECONDS, BaseSettings
from tinct.bitstream.manifest import IDR_SECONDS
from tinct.bitstream.pictures import Packet, stack_chroma
from tinct.bitstream.qp import MAX_QP, chroma_qp, key_qp, other_qp
from tinct.bitstream.segments import SegmentEncoder
from tinct.encoder.keyframes import Group
from tinct.encoder.plan import Plan
from tinct.frames import Frame, Hdr, VideoInfo
from tinct.media.planes import Planes

COLOUR_QP_DRIFT = 3  # QP steps that key frames may move before the colour track starts anew
# Of hints of colour from the chroma QP of the nominal one. At 12 they have too much coding noise.
HINT_QP_OFFSET = 6
LEAST_QP_OFFSET = -12  # that codecs have; a key boost beyond 30 asks for less
KEY_HINT_WINDOW = 17  # samples a side that share the hint of a key frame, which has better colour


class PictureTrack:
    """One track of pictures, with a QP for each frame where the structure allows it."""

    def __init__(self, settings: BaseSettings, info: VideoInfo, *, grey: bool) -> None:
        self._coder = _open_encoder(settings, info, grey=grey)
        self.header = self._coder.header
        self._entries = EntryClock(info)

    def encode(self, planes: Planes, pts: int, qp: int) -> list[Packet]:
        """Return the packets that are ready; `qp` counts where each frame may have its own."""
        if isinstance(self._coder, PictureEncoder):
            return self._coder.encode(planes, pts, idr=self._entries.is_due(pts))
        return self._coder.encode(planes, pts, qp)

    def flush(self) -> list[Packet]:
        return self._coder.flush()


def _open_encoder(
    settings: BaseSettings, info: VideoInfo, *, grey: bool
) -> PictureEncoder | IntraEncoder | SegmentEncoder:
    """Return what codes the pictures of a track by the row of its base codec."""
    shape, base = (info.height, info.width), BASES[settings.base]
    is_intra = settings.structure in ("intra", "intra-main") and settings.qp is not None
    if base.make_command is not None:
        return SegmentEncoder(settings, shape, grey=grey)
    if is_intra and base.has_own_qps:
        return IntraEncoder(settings, shape, grey=grey)
    return PictureEncoder(settings, shape, grey=grey)


class EntryClock:
    """Says where frames at a variable rate need an entry point, of which libraries count frames.

    The next frame is taken to come as late as this one did.
    """

    def __init__(self, info: VideoInfo) -> None:
        self._is_needed = info.frame_rate is None
        self._most = ENTRY_SECONDS / info.time_base  # ticks
        self._entry = self._before = 0

    def is_due(self, pts: int) -> bool:
        """Return whether the frame at `pts`, the next in order of time, is to be an entry point."""
        following = 2 * pts - self._before
        self._before = pts
        if not self._is_needed or following - self._entry <= self._most:
            return False
        self._entry = pts
        return True


class ChromaTrack:
    """The colour of key frames, Cb above Cr, each predicted from the key frame before it.

    It is track 2 of layout `chroma`. `colour_qp` is its QP while key frames' luma is at `key_qp`.
    """

    def __init__(
        self, settings: BaseSettings, info: VideoInfo, *, key_qp: int, colour_qp: int
    ) -> None:
        self._settings, self._info = settings, info
        self._offset = colour_qp - chroma_qp(key_qp)
        self._key_qp = key_qp
        self._coder = self._new_coder(key_qp)
        self._idr_pts: int | None = None
        self.header = self._coder.header

    def encode(self, group: Group, key_qp: int) -> list[Packet]:
        """Code the colour of the group's first frame, whose luma is coded at `key_qp`."""
        frame = group.frames[0]
        packets: list[Packet] = []
        if abs(key_qp - self._key_qp) >= COLOUR_QP_DRIFT:
            packets = self._coder.flush()
            self._coder, self._key_qp, self._idr_pts = self._new_coder(key_qp), key_qp, None
        idr = self._idr_pts is None or self._is_idr_due(group.frames[-1].pts - self._idr_pts)
        if idr:
            self._idr_pts = frame.pts
        return packets + self._coder.encode((stack_chroma(frame.cb, frame.cr),), frame.pts, idr=idr)

    def flush(self) -> list[Packet]:
        return self._coder.flush()

    def _is_idr_due(self, ticks: int) -> bool:
        """Return whether the next key frame would come too late for a new entry point."""
        return float(ticks * self._info.time_base) >= IDR_SECONDS

    def _new_coder(self, key_qp: int) -> PictureEncoder:
        height, width = self._info.chroma_shape
        qp = min(max(chroma_qp(key_qp) + self._offset, 0), MAX_QP)
        return PictureEncoder(replace(self._settings, qp=qp), (2 * height, width), grey=True)


class FullTrack:
    """Whole key frames, 4:2:0, intra: track 2 of layout `full`."""

    def __init__(self, settings: BaseSettings, info: VideoInfo) -> None:
        self._coder = PictureTrack(settings, info, grey=False)
        self.header = self._coder.header

    def encode(self, group: Group, key_qp: int) -> list[Packet]:
        """Code the group's first frame."""
        frame = group.frames[0]
        return self._coder.encode((frame.y, frame.cb, frame.cr), frame.pts, key_qp)

    def flush(self) -> list[Packet]:
        return self._coder.flush()


def open_colour_track(
    settings: BaseSettings, plan: Plan, info: VideoInfo
) -> ChromaTrack | FullTrack:
    """Return the track of the plan's layout that colour goes into."""
    if plan.row.whole_keys:
        return FullTrack(settings, info)
    # HDR metadata stands in the luma track alone
    bare = replace(settings, structure="colour", info=replace(info, hdr=Hdr()))
    return ChromaTrack(bare, info, key_qp=key_qp(plan.qp, plan.key_boost), colour_qp=plan.colour_qp)


@dataclass(frozen=True, kw_only=True)
class LumaForm:
    """What the luma track of a layout with a colour track codes beside Y.

    With `hints` that is coarse colour, at the same QP with any key `boost`, though luma between key
    frames is coarser with a higher one. `compatible` tracks are 4:2:0 of the Main profile.
    """

    hints: bool = False
    boost: int = 0
    compatible: bool = False

    @property
    def is_grey(self) -> bool:
        return not (self.hints or self.compatible)

    def adapt(self, settings: BaseSettings) -> BaseSettings:
        """Return the settings of the track."""
        if self.compatible and settings.structure == "intra":
            settings = replace(settings, structure="intra-main")
        if not self.hints:
            return settings
        offset = max(HINT_QP_OFFSET - other_qp(0, self.boost), LEAST_QP_OFFSET)
        return replace(settings, chroma_qp_offset=offset)

    def list_planes(self, frame: Frame, *, is_key: bool) -> Planes:
        """Return Y of a frame, with its Cb and Cr, or grey ones, where the track is 4:2:0."""
        if self.is_grey:
            return (frame.y,)
        if self.hints and not is_key:
            return frame.y, frame.cb, frame.cr
        if self.hints:
            window = (KEY_HINT_WINDOW, KEY_HINT_WINDOW)
            return frame.y, cv2.blur(frame.cb, window), cv2.blur(frame.cr, window)
        flat = np.full(frame.info.chroma_shape, 1 << (frame.info.bit_depth - 1), frame.y.dtype)
        return frame.y, flat, flat
