"""The base layer: planes to HEVC packets and back, through x265 and libavcodec (PyAV). `container` stores the packets.

One plane makes a 4:0:0 picture, three make 4:2:0. Pictures are padded by replication to what x265 takes; `HevcDecoder`
returns them padded, and whoever knows the true size crops.
"""

import dataclasses
import math
import os
import re
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import av
import numpy as np
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.frame import PictureType

from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.media.planes import Planes, colour_range, from_av_frame, pixel_format, to_av_frame

MIN_HEIGHT, MIN_WIDTH = (
    16,
    18,
)  # pixels; x265 refuses less than 16, and at 16 wide see `_size_options`
REORDER_DELAY = 2  # pictures by which x265's B pictures put off decoding
CODED_MARGIN = 128  # pixels that a coded picture, its rows aligned, may be larger a side than what is shown of it
_opening = threading.Lock()  # x265 fills tables of the whole process at first
MAX_OPEN_ENCODERS = 4  # of one all-intra track
# What a structure is, in x265's words. Parameter sets and everything else are the same for all.
STRUCTURES: dict[str, str] = {
    "intra": "keyint=1",
    "intra-main": "keyint=2:bframes=0:rc-lookahead=0:scenecut=0:open-gop=0",  # x265 calls keyint=1 Rext, which hardware refuses
    "low-delay": "keyint=250:bframes=0",
    "random-access": "keyint=250",
    "colour": "keyint=-1:bframes=0:rc-lookahead=0:scenecut=0:open-gop=0",  # IDR pictures only where `encode(idr=True)` asks
}


@dataclass(frozen=True)
class Packet:
    """One coded picture: Annex B bytes without repeated parameter sets; times in ticks of the video's time base."""

    data: bytes
    pts: int
    dts: int
    keyframe: bool


@dataclass(frozen=True)
class HevcSettings:
    """Everything x265 is told. Exactly one of `qp`, `crf` and `bitrate_kbps` is set."""

    structure: str  # a key of STRUCTURES
    info: VideoInfo
    qp: int | None = None
    crf: float | None = None
    bitrate_kbps: float | None = None
    preset: str = "medium"
    tune: str = "psnr"
    chroma_qp_offset: int = 0  # -12 to 12, of Cb and Cr alike; only the lab's anchors have one

    def x265_params(self, shape: tuple[int, int]) -> str:
        """For pictures of (height, width). `info=0` drops 2,275 bytes of text per intra frame.

        Of the threads only frame-threads change the bytes.
        """
        rate = {"qp": self.qp, "crf": self.crf, "bitrate": self.bitrate_kbps}
        chosen = [f"{name}={value}" for name, value in rate.items() if value is not None]
        assert len(chosen) == 1, rate
        fixed = ["aq-mode=0", "ipratio=1"] if self.qp is not None else []
        common = ["frame-threads=1", "info=0", "log-level=none"]
        offset = self.chroma_qp_offset
        common += [f"cbqpoffs={offset}", f"crqpoffs={offset}"] if offset else []
        hdr = (
            [f"master-display={self.info.hdr.master_display}"]
            if self.info.hdr.master_display
            else []
        )
        hdr += [f"max-cll={self.info.hdr.max_cll}"] if self.info.hdr.max_cll else []
        return ":".join(
            chosen + fixed + common + [STRUCTURES[self.structure]] + hdr + _size_options(shape)
        )


def _size_options(shape: tuple[int, int]) -> list[str]:
    """What x265 4 must be told for small pictures of (height, width), found with valgrind, MALLOC_PERTURB_ and gdb.

    Its lookahead takes from a queue without a lock, and crashes where threads decide faster than that; its weighted
    prediction reads unset memory where there is one row of coding tree units; its cutree writes beyond a row of fewer than
    four blocks. All of it reads unset memory where a picture is just as wide as a coding tree unit, and 16 cannot be
    halved: nothing is coded 16 wide.
    """
    height, width = shape
    options = (
        ["pools=none", "weightp=0"] if min(height, width) <= 64 else [f"pools={os.cpu_count()}"]
    )
    if width in (32, 64):
        options.append(f"ctu={width // 2}")
    if width <= 48:
        options.append("cutree=0")
    return options


class HevcEncoder:
    """One x265 instance; packets come out a few pictures late, `flush` gives the rest.

    `header` is the track's Annex B parameter sets, the same for every QP.
    """

    def __init__(self, settings: HevcSettings, shape: tuple[int, int], *, grey: bool) -> None:
        self._info = settings.info
        self.shape = coded_shape(shape, grey=grey)
        context = av.CodecContext.create("libx265", "w")
        assert isinstance(context, av.VideoCodecContext)
        context.height, context.width = self.shape
        self._format = pixel_format(settings.info.bit_depth, grey=grey)
        context.pix_fmt = self._format
        context.time_base = settings.info.time_base
        context.framerate = settings.info.mean_rate
        context.flags |= Flags.global_header
        tags = settings.info.colour
        context.color_primaries, context.color_trc, context.colorspace = (
            tags.primaries,
            tags.transfer,
            tags.matrix,
        )
        context.color_range = colour_range(tags.full_range)
        context.sample_aspect_ratio = settings.info.sample_aspect_ratio
        context.options = {
            "preset": settings.preset,
            "forced-idr": "1",
            "x265-params": settings.x265_params(self.shape),
        }
        if settings.tune != "none":
            context.options = {**context.options, "tune": settings.tune}
        try:
            with _opening:
                context.open()
        except FFmpegError as error:
            raise CodecError(
                f"x265 refused {context.width}x{context.height} {self._format}: {error}"
            ) from error
        self._context = context
        self._count = 0  # pictures taken
        self._repeated = context.extradata or b""
        self.header, self._messages = split_header(self._repeated)

    def encode(self, planes: Planes, pts: int, *, idr: bool = False) -> list[Packet]:
        picture = to_av_frame(planes, self._format, self.shape)
        picture.pts = pts
        picture.time_base = self._info.time_base
        picture.pict_type = PictureType.I if idr else PictureType.NONE
        self._count += 1
        return [self._packet(p) for p in self._context.encode(picture)]

    def flush(self) -> list[Packet]:
        return [self._packet(p) for p in self._context.encode(None)]

    def _packet(self, packet: av.Packet) -> Packet:
        data = bytes(packet).removeprefix(
            self._repeated
        )  # x265 writes them again with every intra picture of `intra`
        if packet.is_keyframe:
            data = self._messages + data
        assert packet.pts is not None
        # of a video shorter than its delay x265 gives memory that was never set; two pictures have no other order
        dts = packet.pts if self._count <= REORDER_DELAY else packet.dts
        assert dts is not None
        return Packet(data, packet.pts, dts, bool(packet.is_keyframe))


class IntraEncoder:
    """All-intra coding with a QP per frame: an x265 instance for each QP in use, since its packets need no others."""

    def __init__(self, settings: HevcSettings, shape: tuple[int, int], *, grey: bool) -> None:
        self._settings, self._source_shape, self._grey = settings, shape, grey
        self._encoders: dict[int, HevcEncoder] = {}
        self._order: deque[int] = deque()  # pts in coding order
        self._ready: dict[int, Packet] = {}
        assert settings.qp is not None
        self.header = self._encoder(settings.qp).header
        self.shape = self._encoder(settings.qp).shape

    def encode(self, planes: Planes, pts: int, qp: int) -> list[Packet]:
        self._order.append(pts)
        closed = self._make_room(qp)
        return self._in_order(closed + self._encoder(qp).encode(planes, pts, idr=True))

    def flush(self) -> list[Packet]:
        packets = [p for encoder in self._encoders.values() for p in encoder.flush()]
        return self._in_order(packets)

    def _make_room(self, qp: int) -> list[Packet]:
        """Close the longest open encoder where a new QP would make too many (each holds several pictures)."""
        if qp in self._encoders or len(self._encoders) < MAX_OPEN_ENCODERS:
            return []
        return self._encoders.pop(next(iter(self._encoders))).flush()

    def _encoder(self, qp: int) -> HevcEncoder:
        if qp not in self._encoders:
            settings = dataclasses.replace(self._settings, qp=qp)
            self._encoders[qp] = HevcEncoder(settings, self._source_shape, grey=self._grey)
        return self._encoders[qp]

    def _in_order(self, packets: Iterable[Packet]) -> list[Packet]:
        self._ready.update((p.pts, p) for p in packets)
        done = []
        while self._order and self._order[0] in self._ready:
            done.append(self._ready.pop(self._order.popleft()))
        return done


@dataclass(frozen=True)
class PictureKind:
    """What every picture of a track has in common; `pixels` is FFmpeg's name of their format."""

    width: int
    height: int
    pixels: str

    @classmethod
    def of(cls, picture: "av.VideoFrame | av.VideoCodecContext") -> "PictureKind":
        return cls(
            picture.width, picture.height, picture.format.name if picture.format is not None else ""
        )


class HevcDecoder:
    """Packets of one track to (pts, planes), in display order.

    `damaged` counts packets that gave an error, a broken picture, one of another size or format than `kind`, or one that is not
    later than the one before. After `flush`, `unanswered` are those that gave nothing without a word: damage too, unless they lead
    in to a picture at which the track was entered. With `low_delay`, as colour is decoded, pictures that are broken or predicted
    from a broken one are left out: colour is better propagated from a key frame that is whole.
    """

    def __init__(
        self, header: bytes | None, *, low_delay: bool = False, kind: PictureKind | None = None
    ) -> None:
        context = av.CodecContext.create("hevc", "r")
        assert isinstance(context, av.VideoCodecContext)
        context.extradata = header
        context.thread_type = "SLICE" if low_delay else "AUTO"  # frame threads hold pictures back
        options = (
            {"err_detect": "explode"} if low_delay else {}
        )  # a picture whose reference is lost is then an error
        if kind is not None:
            options["max_pixels"] = str((kind.height + CODED_MARGIN) * (kind.width + CODED_MARGIN))
        context.options = options
        if not low_delay:
            context.flags |= (
                Flags.output_corrupt
            )  # else nothing that is predicted from a lost picture is shown
        self._context, self._kind, self._only_sound = context, kind, low_delay
        self._sound = True  # what is decoded now stands on nothing broken
        self._begun = False  # there has been a picture that stands alone
        self._last_pts = -math.inf
        self.damaged = 0
        self.unanswered = 0

    def decode(self, data: bytes, pts: int) -> list[tuple[int, Planes]]:
        # copied: to let go of Python's own bytes a frame thread needs the interpreter, which a closing decoder keeps from it
        packet = av.Packet(len(data))
        packet.update(data)
        packet.pts = pts
        self.unanswered += 1
        return self._pictures(packet)

    def flush(self) -> list[tuple[int, Planes]]:
        return self._pictures(None)

    def _pictures(self, packet: av.Packet | None) -> list[tuple[int, Planes]]:
        try:
            pictures = self._context.decode(packet)
        except FFmpegError:  # of many kinds; all say that this packet does not decode
            self.damaged += 1
            self.unanswered -= packet is not None
            self._sound = False
            return []
        self.unanswered -= len(pictures)
        return [
            (f.pts, from_av_frame(f)) for f in pictures if f.pts is not None and self._is_good(f)
        ]

    def _is_good(self, picture: av.VideoFrame) -> bool:
        """Whether a picture is of use; counts damage."""
        assert picture.pts is not None
        fits = self._kind is None or self._kind == PictureKind.of(picture)
        in_order = picture.pts > self._last_pts
        self._sound = (
            fits and in_order and not picture.is_corrupt and (self._sound or picture.key_frame)
        )
        self.damaged += (
            not self._sound if self._only_sound else picture.is_corrupt or not fits or not in_order
        )
        if in_order:
            self._last_pts = picture.pts
        self._begun = self._begun or picture.key_frame or self._sound
        return fits and in_order and self._begun and (self._sound or not self._only_sound)


def code_pictures(
    pictures: Sequence[Planes], settings: HevcSettings, *, grey: bool
) -> list[tuple[float, Planes]]:
    """Each picture's bits and what decodes from them, padded as coded."""
    height, width = pictures[0][0].shape
    encoder = HevcEncoder(settings, (height, width), grey=grey)
    decoder = HevcDecoder(encoder.header)
    packets = [
        p for i, picture in enumerate(pictures) for p in encoder.encode(picture, i, idr=i == 0)
    ] + encoder.flush()
    decoded = dict(d for p in packets for d in decoder.decode(p.data, p.pts))
    decoded.update(decoder.flush())
    bits = {p.pts: 8.0 * len(p.data) for p in packets}
    return [(bits[i], decoded[i]) for i in range(len(pictures))]


def split_header(header: bytes) -> tuple[bytes, bytes]:
    """VPS, SPS and PPS of x265's Annex B header (NAL unit types 32 to 34, ITU-T H.265 table 7-1), and the rest of it.

    The rest are HDR10 messages. x265 writes them here alone and Matroska has no room for them, so they go with key pictures.
    """
    units = [b"\0\0\0\1" + unit for unit in re.split(rb"\x00?\x00\x00\x01", header)[1:]]
    sets = [unit for unit in units if 32 <= (unit[4] >> 1) & 63 <= 34]
    return b"".join(sets), b"".join(unit for unit in units if unit not in sets)


def coded_shape(shape: tuple[int, int], *, grey: bool) -> tuple[int, int]:
    """Height and width that x265 takes for a picture of `shape`: at least 16 x 18, and even where there is chroma."""
    step = 1 if grey else 2
    height, width = (
        max(least, (side + step - 1) // step * step)
        for side, least in zip(shape, (MIN_HEIGHT, MIN_WIDTH), strict=True)
    )
    return height, width


def stack_chroma(cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """Cb above Cr: one gray picture, [2 h, w]."""
    return np.concatenate((cb, cr))


def unstack_chroma(picture: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of `stack_chroma` for chroma planes of `shape`, after padding has been added by `HevcEncoder`."""
    height, width = shape
    return picture[:height, :width].copy(), picture[height : 2 * height, :width].copy()
