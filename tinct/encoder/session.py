"""One encode under way: the coder, the decoder's view beside it, and the colouriser's part."""

from array import array
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tinct.bitstream.base import coded_shape
from tinct.bitstream.codecs import Shape
from tinct.bitstream.layouts import IN_BAND, LAYOUTS, LayoutRow
from tinct.bitstream.manifest import ATTACHMENT_BYTES, COLOUR, LUMA, Manifest, write_manifest
from tinct.bitstream.muxer import mux
from tinct.bitstream.short_manifest import TAG_BYTES, write_short
from tinct.bitstream.spools import Spool
from tinct.decoder.postfilter import PostFilter
from tinct.encoder.adaptation import Part
from tinct.encoder.coder import Coder
from tinct.encoder.plan import Plan
from tinct.encoder.view import View
from tinct.frames import Frame, VideoInfo
from tinct.media.containers import MATROSKA, Container
from tinct.networks.weights import hash_weights
from tinct.psnr import Psnr

if TYPE_CHECKING:
    from tinct.adapt.budget import Step

MAX_VIEWS = 8  # frames that the view may lag behind the coder


class Session:
    """Codes a video with its plan, and holds what the file and the report are made of.

    A blind session has no `view`. Use as a context manager: temporary files and threads end
    with it.
    """

    def __init__(
        self,
        info: VideoInfo,
        plan: Plan,
        *,
        coder: Coder,
        part: Part,
        container: Container = MATROSKA,
        is_blind: bool = False,
    ) -> None:
        self._info, self._plan, self.coder, self.part = info, plan, coder, part
        self.view = None if is_blind else View(info, plan.layout, coder, watch=part.watch)
        self._container, self._stack = container, ExitStack()

    def __enter__(self) -> "Session":
        self._stack.enter_context(self.coder)
        if self.view is not None:
            self._stack.enter_context(self.view)
            self.part.start(self.view, self.coder)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, frames: Iterator[Frame]) -> Iterator[tuple[int, int | None]]:
        """Code the whole video; yield frames done and frames in all."""
        if self.view is not None:
            return self._run_viewed(frames, self.view)
        return ((self.coder.frames, self._info.frame_count) for _ in self.coder.code(frames))

    def _run_viewed(self, frames: Iterator[Frame], view: View) -> Iterator[tuple[int, int | None]]:
        """Yield how far the view is, on a thread beside the coder."""
        with ThreadPoolExecutor(1) as viewer:
            views: deque[Future[None]] = deque()
            lag = 0 if self.coder.waits_for_view else MAX_VIEWS
            for number, (frame, tracks) in enumerate(self.coder.code(frames)):
                if number == 0:
                    view.open_tracks()
                if frame is not None:
                    view.expect(frame)
                views.append(viewer.submit(view.show, tracks))
                while len(views) > lag:
                    views.popleft().result()
                yield len(view.errors), self._info.frame_count
            for future in views:
                future.result()
        view.flush()
        self.coder.is_done = True
        yield len(view.errors), self._info.frame_count
        self.part.settle(self._manifest_bytes)

    def adapt(
        self, frames: Iterator[Frame], training: "Callable[[Step], None] | None"
    ) -> Iterator[tuple[int, int | None]]:
        """Let the colouriser learn from the video, of which `frames` is a second reading."""
        yield from self.part.adapt(frames, training)

    @property
    def psnr(self) -> tuple[Psnr, Psnr, Psnr] | None:
        """Return the PSNR of Y, Cb and Cr as the view measured it."""
        return None if self.view is None else self.view.errors.psnr()

    @property
    def row(self) -> LayoutRow:
        """Return the layout of the file.

        It is the plan's, but where every frame became a whole key frame one track holds them all.
        """
        planned = LAYOUTS[self._plan.layout]
        only_keys = planned.whole_keys and self.coder.spool(LUMA).size_bytes == 0
        return IN_BAND if only_keys else planned

    @property
    def colouriser(self) -> str:
        """Return the name of the plan's colouriser, `none` where the file does not need it."""
        return self._plan.colouriser if self.part.is_used else "none"

    def tracks(self) -> list[Spool]:
        if self.row.name == self._plan.layout:
            return self.coder.spools
        return [replace(self.coder.spool(COLOUR), name=LUMA)]

    def final_plan(self) -> Plan:
        """Return the plan with the layout and colouriser that the file has in the end."""
        return replace(self._plan, layout=self.row.name, colouriser=self.colouriser)

    def write(self, path: Path, source: str | None) -> list[str]:
        """Write the file, with sound and texts of `source`; return notes on what was left out."""
        return mux(
            path,
            self._info,
            self.tracks(),
            manifest=self.manifest(),
            source=source,
            update=self.part.update,
            container=self._container,
        )

    def describe_padding(self) -> list[str]:
        """Return a note where a file without a manifest cannot say what of its pictures to show."""
        if self._is_whole or self._container is MATROSKA:
            return []
        (height, width), info = self._coded_shape, self._info
        return [f"{info.width}x{info.height} is padded to {width}x{height}"]

    def manifest(self) -> Manifest | None:
        """Return the manifest; None for a plain video, which has no need of one."""
        info, part, coder = self._info, self.part, self.coder
        shown_with = PostFilter() if self.view is None else self.view.post_filter
        has_room = self._container is MATROSKA
        is_plain = not self.row.has_colour_track and part.network is None
        if is_plain and (self._is_whole or not has_room):
            return None
        return Manifest(
            size=(info.width, info.height),
            frames=coder.frames,
            keys=coder.keys if self.row.has_colour_track else 0,
            layout=self.row.name,
            rate=info.frame_rate,
            open=tuple(sorted(coder.open_keys)),
            colouriser=self.colouriser,
            network=(part.network.name, part.network.identity) if part.network else None,
            qps=tuple(coder.qps) if part.network else (),
            generator=part.generator,
            rank=part.rank,
            update=hash_weights(part.update) if part.update is not None else None,
            plain=tuple(tuple(sorted(times)) for times in shown_with.plain),
            strengths=tuple(map(tuple, shown_with.changes)),
            interpolated=array("q", self.coder.interpolated),
            hints=coder.has_hints and self.row.has_colour_track,
        )

    @property
    def _is_whole(self) -> bool:
        """Return whether in-band pictures are coded without padding."""
        return self._coded_shape == (self._info.height, self._info.width)

    @property
    def _coded_shape(self) -> Shape:
        """Return height and width of pictures as the base codec takes them, with their colour."""
        shape, base = (self._info.height, self._info.width), self.coder.spool(LUMA).base
        return coded_shape(shape, grey=False, base=base)

    def _manifest_bytes(self) -> int:
        manifest = self.manifest()
        if manifest is None:
            return 0
        if (short := write_short(manifest, self._coded_shape)) is not None:
            return len(short) + TAG_BYTES
        return len(write_manifest(manifest)) + ATTACHMENT_BYTES
