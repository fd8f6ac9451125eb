"""Videos that a colouring writes: the coloured one and, if asked for, a map of confidence."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import cv2
import numpy as np

from tinct.colouring.chroma import make_grey_frame
from tinct.colouring.propagation import ColouredFrame
from tinct.frames import ColourTags, Frame, Hdr, VideoInfo
from tinct.media.movie_codecs import Coding
from tinct.media.sink import Sink, open_sink


@dataclass(frozen=True)
class ColourOutputs:
    """Open sinks of the coloured video and of the confidence map (see `open_outputs`)."""

    video: Sink
    confidence: Sink | None

    def write(self, coloured: ColouredFrame) -> None:
        """Write one frame to each output."""
        self.video.write(coloured.frame)
        if self.confidence is not None:
            self.confidence.write(_draw_trust(coloured))

    def finish(self) -> None:
        """Complete all outputs before one appears: they appear together or not at all."""
        self.video.finish()
        if self.confidence is not None:
            self.confidence.finish()


@contextmanager
def open_outputs(
    info: VideoInfo,
    movie: tuple[str, Coding],
    confidence: str | None,
    *,
    source: str,
    overwrite: bool,
) -> Iterator[ColourOutputs]:
    """Open the outputs of a video with this `info`; sound and tags come from the file `source`.

    `movie` is the name of the coloured one and how it is coded.

    They appear when the context ends, and are removed when an exception passes through.
    """
    with ExitStack() as stack:
        destination, coding = movie
        video = open_sink(
            destination, info, source, keep_luma=True, coding=coding, overwrite=overwrite
        )
        stack.enter_context(video)
        trust = None
        if confidence is not None:
            trust = open_sink(confidence, _describe_map(info), overwrite=overwrite)
            stack.enter_context(trust)
        yield ColourOutputs(video, trust)


def _describe_map(info: VideoInfo) -> VideoInfo:
    """Return the properties of the confidence map: 8 bit, full range."""
    return replace(info, bit_depth=8, colour=ColourTags(full_range=True), hdr=Hdr())


def _draw_trust(coloured: ColouredFrame) -> Frame:
    """Return trust as a grey frame, 255 for 1."""
    info = _describe_map(coloured.frame.info)
    trust = cv2.resize(coloured.trust, (info.width, info.height), interpolation=cv2.INTER_LINEAR)
    return make_grey_frame(np.rint(trust * 255).astype(np.uint8), coloured.frame.pts, info)
