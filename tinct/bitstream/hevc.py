"""HEVC, the base codec: planes to packets by x265 and back by libavcodec, both through PyAV.

One plane is coded as a 4:0:0 picture, three as 4:2:0. Other folders import `base`, which has these
classes under neutral names; `container` stores the packets.
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
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.frame import PictureType

from tinct.bitstream.pictures import Packet, PictureKind
from tinct.errors import CodecError
from tinct.frames import CHROMA_LOCATIONS, ColourTags, VideoInfo
from tinct.media.planes import Planes, colour_range, from_av_frame, pixel_format, to_av_frame

CODEC_NAME = "hevc"  # FFmpeg's name of the decoder, and of the format of Annex B bytes
# FFmpeg's names of the pixel formats that a track may have.
PIXEL_FORMATS = ("gray", "gray10le", "yuv420p", "yuvj420p", "yuv420p10le")
# Pixels: x265 refuses sides below 16; for the width of 16 see `_choose_size_options`.
MIN_HEIGHT, MIN_WIDTH = 16, 18
REORDER_DELAY = 2  # pictures by which B pictures delay decoding in x265
# Pixels by which a coded picture, padded to whole blocks, may exceed the shown one, for each side.
CODED_MARGIN = 128
MAX_OPEN_ENCODERS = 4  # of one all-intra track
# Options of x265 for each structure. All others, and the parameter sets, are the same for all.
_NO_REORDERING = "bframes=0:rc-lookahead=0:scenecut=0:open-gop=0"
STRUCTURES: dict[str, str] = {
    "intra": "keyint=1",
    # x265 signals the Rext profile for keyint=1, which hardware decoders refuse
    "intra-main": f"keyint=2:{_NO_REORDERING}",
    "low-delay": "keyint=250:bframes=0",
    "random-access": "keyint=250",
    # IDR pictures come only where `encode(idr=True)` asks for them
    "colour": f"keyint=-1:{_NO_REORDERING}",
}

# Highest code numbers of H.273 that x265 takes, by field of ColourTags; 3 is reserved in each.
MAX_TAGS = {"primaries": 12, "transfer": 18, "matrix": 15}

_opening = threading.Lock()  # the first x265 instance fills tables that the whole process shares


@dataclass(frozen=True, kw_only=True)
class HevcSettings:
    """Settings of x265. Exactly one of `qp`, `crf` and `bitrate_kbps` is set.

    `structure` is a key of STRUCTURES. `chroma_qp_offset`, -12 to 12, applies to Cb and Cr.
    """

    structure: str
    info: VideoInfo
    qp: int | None = None
    crf: float | None = None
    bitrate_kbps: float | None = None
    preset: str = "medium"
    tune: str = "psnr"
    chroma_qp_offset: int = 0

    def format_x265_params(self, shape: tuple[int, int]) -> str:
        """Return the value of `x265-params` for pictures of `shape` (height, width)."""
        rate = {"qp": self.qp, "crf": self.crf, "bitrate": self.bitrate_kbps}
        options = [f"{name}={value}" for name, value in rate.items() if value is not None]
        assert len(options) == 1, rate
        if self.qp is not None:
            options += ["aq-mode=0", "ipratio=1"]
        # Of all threads only frame threads change the bytes. `info=0` leaves out 2,275 bytes of
        # text for each intra picture.
        options += ["frame-threads=1", "info=0", "log-level=none"]
        if offset := self.chroma_qp_offset:
            options += [f"cbqpoffs={offset}", f"crqpoffs={offset}"]
        options.append(STRUCTURES[self.structure])
        if self.info.hdr.master_display:
            options.append(f"master-display={self.info.hdr.master_display}")
        if self.info.hdr.max_cll:
            options.append(f"max-cll={self.info.hdr.max_cll}")
        return ":".join(options + _choose_size_options(shape))


def _choose_size_options(shape: tuple[int, int]) -> list[str]:
    """Return options that work around faults of x265 4 in small pictures of `shape`.

    The faults were found with valgrind, MALLOC_PERTURB_ and gdb. The lookahead takes from a queue
    without a lock, and crashes where threads finish small pictures too fast. Weighted prediction
    reads uninitialised memory where a picture has one row of coding tree units (CTUs). The cutree
    writes beyond a row of fewer than four blocks. All of x265 reads uninitialised memory where a
    picture is as wide as one CTU; the CTU is halved there. A CTU of 16 cannot be halved, so that
    no picture is coded 16 wide.
    """
    height, width = shape
    if min(height, width) <= 64:
        options = ["pools=none", "weightp=0"]
    else:
        options = [f"pools={os.cpu_count()}"]
    if width in (32, 64):
        options.append(f"ctu={width // 2}")
    if width <= 48:
        options.append("cutree=0")
    return options


def drop_unknown_tags(colour: ColourTags) -> tuple[ColourTags, list[str]]:
    """Return the tags that x265 takes, others as "unspecified", and notes for users on these."""
    tags = {"primaries": colour.primaries, "transfer": colour.transfer, "matrix": colour.matrix}
    notes = []
    for kind, code in tags.items():
        if code == 3 or not 0 <= code <= MAX_TAGS[kind]:
            notes.append(f"the colour tag {kind} = {code} is left out: x265 does not know it")
            tags[kind] = 2
    return ColourTags(**tags, full_range=colour.full_range), notes


class HevcEncoder:
    """One x265 instance, for pictures of `shape` (height, width), padded to `self.shape`.

    Packets come out a few pictures late; `flush` returns the last ones. `header` is the track's
    parameter sets in Annex B form, the same for every QP. Raises CodecError where x265 refuses
    the settings.
    """

    def __init__(self, settings: HevcSettings, shape: tuple[int, int], *, grey: bool) -> None:
        self._info = settings.info
        self.shape = coded_shape(shape, grey=grey)
        self._format = pixel_format(settings.info.bit_depth, grey=grey)
        context = self._make_context(settings)
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

    def _make_context(self, settings: HevcSettings) -> av.VideoCodecContext:
        info = settings.info
        colour, _ = drop_unknown_tags(info.colour)
        context = av.CodecContext.create("libx265", "w")
        assert isinstance(context, av.VideoCodecContext)
        context.height, context.width = self.shape
        context.pix_fmt = self._format
        context.time_base = info.time_base
        context.framerate = info.mean_rate
        context.flags |= Flags.global_header
        context.color_primaries = colour.primaries
        context.color_trc = colour.transfer
        context.colorspace = colour.matrix
        context.color_range = colour_range(colour.full_range)
        context.sample_aspect_ratio = info.sample_aspect_ratio
        options = {
            "preset": settings.preset,
            "forced-idr": "1",
            "x265-params": settings.format_x265_params(self.shape) + self._place_chroma(),
        }
        if settings.tune != "none":
            options["tune"] = settings.tune
        context.options = options
        return context

    def _place_chroma(self) -> str:
        """Return the option that says where chroma lies; grey pictures have none."""
        location = self._info.chroma_location
        is_said = location is not None and not self._format.startswith("gray")
        return f":chromaloc={CHROMA_LOCATIONS[location]}" if is_said and location else ""

    def encode(self, planes: Planes, pts: int, *, idr: bool = False) -> list[Packet]:
        """Code one picture, as an IDR picture with `idr`. Return the packets that are ready."""
        picture = to_av_frame(planes, self._format, self.shape)
        picture.pts = pts
        picture.time_base = self._info.time_base
        picture.pict_type = PictureType.I if idr else PictureType.NONE
        self._count += 1
        return [self._to_packet(p) for p in self._context.encode(picture)]

    def flush(self) -> list[Packet]:
        return [self._to_packet(p) for p in self._context.encode(None)]

    def _to_packet(self, packet: av.Packet) -> Packet:
        # x265 repeats the header in every intra picture of structure `intra`
        data = bytes(packet).removeprefix(self._repeated)
        if packet.is_keyframe:
            data = self._messages + data
        assert packet.pts is not None
        # x265 returns uninitialised decoding times for videos shorter than its delay; one or two
        # pictures are decoded in the order in which they are shown
        dts = packet.pts if self._count <= REORDER_DELAY else packet.dts
        assert dts is not None
        return Packet(data=data, pts=packet.pts, dts=dts, keyframe=bool(packet.is_keyframe))


class IntraEncoder:
    """All-intra coding with a QP for each picture: one x265 instance for each QP in use.

    Packets come in the order of the pictures. `header` and `shape` are those of `HevcEncoder`.
    """

    def __init__(self, settings: HevcSettings, shape: tuple[int, int], *, grey: bool) -> None:
        self._settings, self._source_shape, self._grey = settings, shape, grey
        self._encoders: dict[int, HevcEncoder] = {}
        self._order: deque[int] = deque()  # pts in coding order
        self._ready: dict[int, Packet] = {}
        assert settings.qp is not None
        self.header = self._get_encoder(settings.qp).header
        self.shape = self._get_encoder(settings.qp).shape

    def encode(self, planes: Planes, pts: int, qp: int) -> list[Packet]:
        """Code one picture at `qp`. Return the packets that are ready and next in order."""
        self._order.append(pts)
        closed = self._make_room(qp)
        return self._pop_ordered(closed + self._get_encoder(qp).encode(planes, pts, idr=True))

    def flush(self) -> list[Packet]:
        packets = [p for encoder in self._encoders.values() for p in encoder.flush()]
        return self._pop_ordered(packets)

    def _make_room(self, qp: int) -> list[Packet]:
        """Close the oldest encoder where one for `qp` would be one too many; return its packets.

        Each open encoder holds several pictures in memory.
        """
        if qp in self._encoders or len(self._encoders) < MAX_OPEN_ENCODERS:
            return []
        return self._encoders.pop(next(iter(self._encoders))).flush()

    def _get_encoder(self, qp: int) -> HevcEncoder:
        if qp not in self._encoders:
            settings = dataclasses.replace(self._settings, qp=qp)
            self._encoders[qp] = HevcEncoder(settings, self._source_shape, grey=self._grey)
        return self._encoders[qp]

    def _pop_ordered(self, packets: Iterable[Packet]) -> list[Packet]:
        """Add `packets` to those that wait; return those that are next in order."""
        self._ready.update((p.pts, p) for p in packets)
        ordered = []
        while self._order and self._order[0] in self._ready:
            ordered.append(self._ready.pop(self._order.popleft()))
        return ordered


class HevcDecoder:
    """Decodes the packets of one track to (pts, planes), in display order, padded as coded.

    `damaged` counts errors of the decoder and pictures that are broken, differ from `kind` in size
    or format, or are not later than the picture before. `pictureless` counts packets that gave
    neither a picture nor an error, final after `flush`: these are damage too, unless they precede
    the first picture that can be decoded where decoding began within a track.

    With `low_delay`, which the colour track uses, pictures that are broken or predicted from a
    broken one are left out: it is better to propagate colour from an intact key frame.
    """

    def __init__(
        self, header: bytes | None, *, low_delay: bool = False, kind: PictureKind | None = None
    ) -> None:
        context = av.CodecContext.create(CODEC_NAME, "r")
        assert isinstance(context, av.VideoCodecContext)
        context.extradata = header
        context.thread_type = "SLICE" if low_delay else "AUTO"  # frame threads delay pictures
        # `explode` makes a missing reference picture an error
        options = {"err_detect": "explode"} if low_delay else {}
        if kind is not None:
            options["max_pixels"] = str((kind.height + CODED_MARGIN) * (kind.width + CODED_MARGIN))
        context.options = options
        if not low_delay:
            # without it libavcodec drops all pictures that are predicted from a lost one
            context.flags |= Flags.output_corrupt
        self._context, self._kind, self._drops_broken = context, kind, low_delay
        self._is_intact = True  # no picture since the last key frame was broken
        self._has_begun = False  # a picture that needs no others has been decoded
        self._last_pts = -math.inf
        self.damaged = 0
        self.pictureless = 0

    def decode(self, data: bytes, pts: int) -> list[tuple[int, Planes]]:
        # The data are copied: a frame thread needs the interpreter's lock to release Python's own
        # bytes, and a decoder that is being closed holds that lock while it waits for the thread.
        packet = av.Packet(len(data))
        packet.update(data)
        packet.pts = pts
        self.pictureless += 1
        return self._decode_packet(packet)

    def flush(self) -> list[tuple[int, Planes]]:
        return self._decode_packet(None)

    def _decode_packet(self, packet: av.Packet | None) -> list[tuple[int, Planes]]:
        try:
            pictures = self._context.decode(packet)
        except FFmpegError:  # one of many kinds; each means that the packet cannot be decoded
            self.damaged += 1
            self.pictureless -= packet is not None
            self._is_intact = False
            return []
        self.pictureless -= len(pictures)
        return [
            (f.pts, from_av_frame(f)) for f in pictures if f.pts is not None and self._is_usable(f)
        ]

    def _is_usable(self, picture: av.VideoFrame) -> bool:
        """Return whether a picture is to be shown, and count damage."""
        assert picture.pts is not None
        fits = self._kind is None or self._kind == PictureKind.of(picture)
        in_order = picture.pts > self._last_pts
        is_whole = fits and in_order and not picture.is_corrupt
        self._is_intact = is_whole and (self._is_intact or bool(picture.key_frame))
        self.damaged += not (self._is_intact if self._drops_broken else is_whole)
        if in_order:
            self._last_pts = picture.pts
        self._has_begun = self._has_begun or bool(picture.key_frame) or self._is_intact
        is_shown = self._is_intact or not self._drops_broken
        return fits and in_order and self._has_begun and is_shown


def encode_pictures(
    pictures: Sequence[Planes], settings: HevcSettings, *, grey: bool
) -> list[tuple[float, Planes]]:
    """Return each picture's size in bits and the picture decoded from them, padded as coded."""
    coded = code_pictures(pictures, settings, grey=grey)
    return [(8.0 * len(packet.data), planes) for packet, planes in coded]


def code_pictures(
    pictures: Sequence[Planes], settings: HevcSettings, *, grey: bool
) -> list[tuple[Packet, Planes]]:
    """Return each picture's packet and the picture decoded from it, padded as coded.

    Times count from 0.
    """
    height, width = pictures[0][0].shape
    encoder = HevcEncoder(settings, (height, width), grey=grey)
    packets: list[Packet] = []
    for number, picture in enumerate(pictures):
        packets += encoder.encode(picture, number, idr=number == 0)
    packets += encoder.flush()
    decoder = HevcDecoder(encoder.header)
    decoded = dict(d for p in packets for d in decoder.decode(p.data, p.pts))
    decoded.update(decoder.flush())
    coded = {p.pts: p for p in packets}
    return [(coded[number], decoded[number]) for number in range(len(pictures))]


def split_header(header: bytes) -> tuple[bytes, bytes]:
    """Split x265's Annex B header into VPS, SPS and PPS, and all other NAL units.

    Parameter sets have NAL unit types 32 to 34 (ITU-T H.265 table 7-1). The others are HDR10
    messages: x265 writes them only here and Matroska has no place for them, so that they are
    stored with key pictures.
    """
    units = [b"\0\0\0\1" + unit for unit in re.split(rb"\x00?\x00\x00\x01", header)[1:]]
    sets = [unit for unit in units if 32 <= (unit[4] >> 1) & 63 <= 34]
    return b"".join(sets), b"".join(unit for unit in units if unit not in sets)


def coded_shape(shape: tuple[int, int], *, grey: bool) -> tuple[int, int]:
    """Return the height and width to which a picture of `shape` is padded for x265.

    They are at least 16 x 18, and even unless the picture is `grey`.
    """
    step = 1 if grey else 2
    height, width = (
        max(least, (side + step - 1) // step * step)
        for side, least in zip(shape, (MIN_HEIGHT, MIN_WIDTH), strict=True)
    )
    return height, width
