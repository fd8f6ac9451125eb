"""What FFmpeg knows of a stream and PyAV has no attribute for: chroma's place, and the crop.

It is read from FFmpeg's own description of the file, at a loud level of its log.
"""

import re
import threading
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

from tinct.frames import CHROMA_LOCATIONS, Frame, VideoInfo

_describing = threading.Lock()  # held while the log is loud


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
    """Return what FFmpeg says of a stream of an open file."""
    container: Any = stream.container
    with _describing:
        av.logging.set_libav_level(av.logging.VERBOSE)
        av.logging.set_level(av.logging.VERBOSE)
        try:
            text = container.dumps_format()
        finally:
            av.logging.set_level(None)
            av.logging.set_libav_level(av.logging.INFO)
    parts = re.split(r"\n\s+Stream #0:(\d+)", text)
    own = dict(zip(parts[1::2], parts[2::2], strict=True)).get(str(stream.index), "")
    words = set(re.split(r"[(), ]+", own.partition("\n")[0]))
    location = next((name for name in CHROMA_LOCATIONS if name in words), None)
    found = re.search(r"\n\s+Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)", own)
    left, right, top, bottom = map(int, found.groups()) if found else (0, 0, 0, 0)
    # chroma lies at every second sample
    crop = Crop(left=left // 2 * 2, right=right, top=top // 2 * 2, bottom=bottom)
    return Description(chroma_location=location, crop=crop)
