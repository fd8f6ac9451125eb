"""Packets of a track to pictures, by libavcodec or dav1d through PyAV; `base` is the other way."""

import math

import av
from av.codec.context import Flags
from av.error import FFmpegError

from tinct.bitstream.codecs import BaseCodec
from tinct.bitstream.hevc import HEVC
from tinct.bitstream.pictures import PictureKind
from tinct.media.planes import Planes, from_av_frame

# Pixels by which a coded picture, padded to whole blocks, may exceed the shown one, for each side.
CODED_MARGIN = 128


class PictureDecoder:
    """Decodes the packets of one track to (pts, planes), in display order, padded as coded.

    `damaged` counts errors of the decoder and pictures that are broken, differ from `kind` in size
    or format, or are not later than the picture before. `pictureless` counts packets that gave
    neither a picture nor an error, final after `flush`: these are damage too, unless they precede
    the first picture that can be decoded where decoding began within a track.

    `base` is what coded the track, and `header` its parameter sets: with them grey pictures have
    one plane, whatever FFmpeg makes of them. With `low_delay`, which the colour track uses,
    pictures that are broken or predicted from a broken one are left out: it is better to propagate
    colour from an intact key frame.
    """

    def __init__(
        self,
        header: bytes | None,
        *,
        base: BaseCodec = HEVC,
        low_delay: bool = False,
        kind: PictureKind | None = None,
    ) -> None:
        context = av.CodecContext.create(base.decoder, "r")
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
        self._planes = 1 if base.hides_grey(header or b"") else None  # None: all there are
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
            (f.pts, from_av_frame(f, self._planes))
            for f in pictures
            if f.pts is not None and self._is_usable(f)
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
