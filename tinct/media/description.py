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

from tinct.frames import CHROMA_LOCATIONS, Frame, VideoInfo
from tinct.media.ebml import SEGMENT, TRACK, TRACKS, VIDEO, find_element, parse_elements

_CROPS = {"left": 0x54CC, "right": 0x54DD, "top": 0x54BB, "bottom": 0x54AA}
_COLOUR, _SITE_ACROSS, _SITE_DOWN = 0x55B0, 0x55B7, 0x55B8
# Chroma's place by Matroska's two numbers for it: across 1 is left and 2 the centre, down 1 is the
# top, 2 the centre and 3 the bottom.
_SITES = {(2, 2): "center", (1, 1): "topleft", (2, 1): "top", (1, 3): "bottomleft"}
_SITES |= {(2, 3): "bottom"}
assert set(_SITES.values()) == set(CHROMA_LOCATIONS)


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
    colour = dict(parse_elements(fields.get(_COLOUR, b"")))
    site = _read_number(colour, _SITE_ACROSS), _read_number(colour, _SITE_DOWN)
    return Description(chroma_location=_SITES.get(site), crop=crop)


def _read_fields(stream: VideoStream) -> dict[int, bytes]:
    """Return the fields of a picture track by identity, from a header made in memory."""
    header = io.BytesIO()
    # pixels without a codec have no name of Matroska's own either
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
