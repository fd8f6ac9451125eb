"""What FFmpeg knows of a stream and PyAV has no attribute for: chroma's place, and the crop.

Matroska has a field for each, so they are read from the track's entry that FFmpeg would write. (Its
log says both too, but a log that Python hears can stop a process of many threads for good.)
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace

import av
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream

from tinct.frames import Frame, VideoInfo
from tinct.media.ebml import (
    CHROMA_ACROSS,
    CHROMA_DOWN,
    CHROMA_PLACES,
    PICTURE_COLOUR,
    SEGMENT,
    TRACK,
    TRACKS,
    VIDEO,
    find_element,
    parse_elements,
)

_CROPS = {"left": 0x54CC, "right": 0x54DD, "top": 0x54BB, "bottom": 0x54AA}
_PLACES = {place: location for location, place in CHROMA_PLACES.items()}


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Samples of luma that a container hides at each side, even at the left and the top."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0

    def crop_frame(self, frame: Frame, info: VideoInfo) -> Frame:
        """Return the part of a frame that is shown; `info` is of the video as shown."""
        if self == Crop():
            return frame
        luma, chroma = (
            (slice(top, top + height), slice(left, left + width))
            for top, left, (height, width) in (
                (self.top, self.left, (info.height, info.width)),
                (self.top // 2, self.left // 2, info.chroma_shape),
            )
        )
        y, cb, cr = (
            np.ascontiguousarray(plane[part])
            for plane, part in ((frame.y, luma), (frame.cb, chroma), (frame.cr, chroma))
        )
        return replace(frame, y=y, cb=cb, cr=cr, info=info)


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is read of a video stream; `chroma_location` is None for "left" and where none is."""

    chroma_location: str | None
    crop: Crop


def describe_stream(stream: VideoStream) -> Description:
    """Return what FFmpeg says of a stream of an open file.

    A stream of a codec that Matroska has no name for counts as without either.
    """
    fields = _read_fields(stream)
    sides = {side: _read_number(fields, identity) for side, identity in _CROPS.items()}
    # chroma lies at every second sample
    crop = Crop(**sides | {side: sides[side] // 2 * 2 for side in ("left", "top")})
    colour = dict(parse_elements(fields.get(PICTURE_COLOUR, b"")))
    place = _read_number(colour, CHROMA_ACROSS), _read_number(colour, CHROMA_DOWN)
    return Description(chroma_location=_PLACES.get(place), crop=crop)


def _read_fields(stream: VideoStream) -> dict[int, bytes]:
    """Return the fields of a picture track by identity, from a header made in memory."""
    header = io.BytesIO()
    # Matroska has no name of its own for pixels without a codec, and takes them only if told to
    options = {"allow_raw_vfw": "1"}
    try:
        with av.open(header, "w", format="matroska", options=options) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (FFmpegError, ValueError):
        return {}
    video = find_element(header, (SEGMENT, TRACKS, TRACK, VIDEO))
    return dict(parse_elements(header.getvalue()[video.start : video.end]))


def _read_number(fields: Mapping[int, bytes], identity: int) -> int:
    return int.from_bytes(fields.get(identity, b""), "big")
