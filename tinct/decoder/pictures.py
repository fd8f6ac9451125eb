"""Packets of all tracks to decoded pictures; `entry` reads the packets."""

from collections.abc import Iterable, Iterator

from av.video.stream import VideoStream

from tinct.bitstream.container import find_track_base
from tinct.bitstream.decoding import PictureDecoder
from tinct.bitstream.manifest import COLOUR
from tinct.bitstream.pictures import PictureKind
from tinct.decoder.entry import TrackPacket, TrackPicture
from tinct.decoder.losses import LossLog


def open_decoder(track: VideoStream, name: str) -> PictureDecoder:
    """Return the decoder of a track, which is called `name`."""
    context = track.codec_context
    return PictureDecoder(
        context.extradata,
        base=find_track_base(track),
        # frame threads would hold colour back behind the luma that waits for it
        low_delay=name == COLOUR,
        kind=PictureKind.of(context),
    )


def decode_pictures(
    packets: Iterable[TrackPacket], decoders: dict[str, PictureDecoder], losses: LossLog
) -> Iterator[TrackPicture]:
    """Yield the decoded pictures of all tracks; add each packet of the colour track to `losses`."""
    for packet in packets:
        pictures = decoders[packet.track].decode(packet.data, packet.pts)
        if packet.track == COLOUR:  # whose pictures have no delay
            losses.add_key(packet.pts, is_decoded=bool(pictures))
        for pts, planes in pictures:
            yield packet.track, pts, planes
    for track, decoder in decoders.items():
        for pts, planes in decoder.flush():
            yield track, pts, planes
