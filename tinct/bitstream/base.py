"""The base codecs: their table, and planes to packets by one of them; `decoding` is the way back.

A row says what a codec is, see `codecs`. `segments` has the pictures coded by a program instead,
where a row has one; `spools` stores the packets.
"""

import dataclasses
import threading
from collections import deque
from collections.abc import Iterable, Sequence

import av
from av.codec.codec import UnknownCodecError
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.frame import PictureType

from tinct.bitstream.av1 import AV1
from tinct.bitstream.avc import AVC
from tinct.bitstream.codecs import BaseCodec, BaseSettings, Shape
from tinct.bitstream.decoding import PictureDecoder
from tinct.bitstream.hevc import HEVC
from tinct.bitstream.hm import HM
from tinct.bitstream.pictures import Packet
from tinct.errors import CodecError
from tinct.frames import ColourTags
from tinct.media.planes import Planes, colour_range, pixel_format, to_av_frame

BASES = {row.name: row for row in (HEVC, AVC, AV1, HM)}
REORDER_DELAY = 2  # pictures by which B pictures delay decoding in x265
MAX_OPEN_ENCODERS = 4  # of one all-intra track

_opening = threading.Lock()  # the first x265 instance fills tables that the whole process shares


def find_base(coded_as: str) -> BaseCodec | None:
    """Return the row of what FFmpeg calls `coded_as`, if any."""
    return next((row for row in BASES.values() if row.coded_as == coded_as), None)


def drop_unknown_tags(colour: ColourTags, base: BaseCodec) -> tuple[ColourTags, list[str]]:
    """Return the tags that a codec takes, others as "unspecified", and notes for users on these."""
    tags = {"primaries": colour.primaries, "transfer": colour.transfer, "matrix": colour.matrix}
    notes = []
    for kind, code in tags.items():
        if code not in base.tags[kind]:
            found = f"the colour tag {kind} = {code}"
            notes.append(f"{found} is left out: {base.maker} does not know it")
            tags[kind] = 2
    return ColourTags(**tags, full_range=colour.full_range), notes


def coded_shape(shape: Shape, *, grey: bool, base: BaseCodec = HEVC) -> Shape:
    """Return the height and width to which a picture of `shape` is padded.

    They are at least the codec's smallest, and even unless the picture is `grey`.
    """
    step = 1 if grey else 2
    height, width = (
        max(least, (side + step - 1) // step * step)
        for side, least in zip(shape, base.least, strict=True)
    )
    return height, width


class PictureEncoder:
    """One instance of a library, for pictures of `shape` (height, width), padded to `self.shape`.

    Packets come out a few pictures late; `flush` returns the last ones. `header` is the track's
    parameter sets, of HEVC and H.264 in Annex B form, the same for every QP. Raises CodecError
    where the library refuses the settings.
    """

    def __init__(self, settings: BaseSettings, shape: Shape, *, grey: bool) -> None:
        self._info, self._base = settings.info, BASES[settings.base]
        self.shape = coded_shape(shape, grey=grey, base=self._base)
        self._format = pixel_format(settings.info.bit_depth, grey=grey)
        context = self._make_context(settings, grey=grey)
        try:
            with _opening:
                context.open()
        except FFmpegError as error:
            raise CodecError(
                f"{self._base.maker} refused {context.width}x{context.height} {self._format}: "
                f"{error}"
            ) from error
        self._context = context
        self._count = 0  # pictures taken
        self._repeated = context.extradata or b""
        self.header, self._messages = self._base.split_header(self._repeated)
        if grey:
            colour, _ = drop_unknown_tags(settings.info.colour, self._base)
            self.header = self._base.complete_header(self.header, colour)

    def _make_context(self, settings: BaseSettings, *, grey: bool) -> av.VideoCodecContext:
        info = settings.info
        colour, _ = drop_unknown_tags(info.colour, self._base)
        try:
            context = av.CodecContext.create(self._base.library, "w")
        except UnknownCodecError as error:
            raise CodecError(
                f"expected {self._base.maker} for --base {self._base.name}, this PyAV has no "
                f"encoder {self._base.library}; get one that has: pip install --force-reinstall av"
            ) from error
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
        context.options = self._base.make_options(settings, self.shape, grey=grey)
        return context

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
        data = self._base.clean(bytes(packet).removeprefix(self._repeated))
        if packet.is_keyframe:
            data = self._messages + data
        assert packet.pts is not None
        # x265 returns uninitialised decoding times for videos shorter than its delay; one or two
        # pictures are decoded in the order in which they are shown
        dts = packet.pts if self._count <= REORDER_DELAY else packet.dts
        assert dts is not None
        return Packet(data=data, pts=packet.pts, dts=dts, keyframe=bool(packet.is_keyframe))


class IntraEncoder:
    """All-intra coding with a QP for each picture: one instance of a library for each QP in use.

    Packets come in the order of the pictures. `header` and `shape` are those of `PictureEncoder`.
    """

    def __init__(self, settings: BaseSettings, shape: Shape, *, grey: bool) -> None:
        assert BASES[settings.base].has_own_qps
        self._settings, self._source_shape, self._grey = settings, shape, grey
        self._encoders: dict[int, PictureEncoder] = {}
        self._order: deque[int] = deque()  # pts in coding order
        self._ready: dict[int, Packet] = {}
        assert settings.qp is not None
        self.header = b""
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

    def _get_encoder(self, qp: int) -> PictureEncoder:
        if qp not in self._encoders:
            settings = dataclasses.replace(self._settings, qp=qp)
            encoder = PictureEncoder(settings, self._source_shape, grey=self._grey)
            assert not self.header or encoder.header == self.header, "headers tell the QP"
            self._encoders[qp] = encoder
        return self._encoders[qp]

    def _pop_ordered(self, packets: Iterable[Packet]) -> list[Packet]:
        """Add `packets` to those that wait; return those that are next in order."""
        self._ready.update((p.pts, p) for p in packets)
        ordered = []
        while self._order and self._order[0] in self._ready:
            ordered.append(self._ready.pop(self._order.popleft()))
        return ordered


def encode_pictures(
    pictures: Sequence[Planes], settings: BaseSettings, *, grey: bool
) -> list[tuple[float, Planes]]:
    """Return each picture's size in bits and the picture decoded from them, padded as coded."""
    coded = code_pictures(pictures, settings, grey=grey)
    return [(8.0 * len(packet.data), planes) for packet, planes in coded]


def code_pictures(
    pictures: Sequence[Planes], settings: BaseSettings, *, grey: bool
) -> list[tuple[Packet, Planes]]:
    """Return each picture's packet and the picture decoded from it, padded as coded.

    Times count from 0.
    """
    height, width = pictures[0][0].shape
    encoder = PictureEncoder(settings, (height, width), grey=grey)
    packets: list[Packet] = []
    for number, picture in enumerate(pictures):
        packets += encoder.encode(picture, number, idr=number == 0)
    packets += encoder.flush()
    decoder = PictureDecoder(encoder.header, base=BASES[settings.base])
    decoded = dict(d for p in packets for d in decoder.decode(p.data, p.pts))
    decoded.update(decoder.flush())
    coded = {p.pts: p for p in packets}
    return [(coded[number], decoded[number]) for number in range(len(pictures))]
