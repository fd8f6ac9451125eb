"""`tinct.Writer`: frames one by one to a Tinct file, as a program makes them.

    write ──► queue ──► `encode` on a thread

The queue is short: who writes waits for the encoder, and memory does not grow with the video.
"""

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from fractions import Fraction
from functools import partial
from numbers import Integral
from types import TracebackType
from typing import Self

from tinct.config import EncodeConfig
from tinct.encoder.api import EncodeReport, encode
from tinct.encoder.formats import EncodeFormat
from tinct.errors import CodecError, OptionError
from tinct.limits import MAX_PIXELS, MAX_SIDE
from tinct.media.arrays import FrameLike, Picture, copy_picture, read_rate
from tinct.media.file_objects import Output

QUEUED_FRAMES = 4


class Writer:
    """Write frames one by one to a file or a binary file object, in a format as `encode` has it.

        with tinct.Writer("talk.mkv", 1280, 720, rate=25) as writer:
            for rgb in pictures:  # NumPy or PyTorch, uint8 [720, 1280, 3]
                writer.write(rgb)
        print(writer.report.size_bytes)

    `width` and `height` are in pixels, `rate` in frames a second. The file appears whole when the
    writer is closed; where an exception leaves the `with` block there is none, and a file object
    gets nothing. Choices are made on the first frames, and nothing is trained: the file is that of
    `encode` with the same frames. Raise CodecError for bad options, and for an output that cannot
    be written.
    """

    def __init__(
        self,
        output: Output,
        width: int,
        height: int,
        *,
        rate: float | Fraction,
        config: EncodeConfig = EncodeConfig(),
        format: EncodeFormat | None = None,
        overwrite: bool = False,
    ) -> None:
        for name, side in (("width", width), ("height", height)):
            if not isinstance(side, Integral) or not 1 <= int(side) <= MAX_SIDE:
                raise OptionError(name, f"1 to {MAX_SIDE} pixels", f"{side}")
        if width * height > MAX_PIXELS:
            raise OptionError("width", f"at most {MAX_PIXELS:,} pixels", f"{width}x{height}")
        self.width, self.height, self.rate = int(width), int(height), read_rate(rate)
        self._report: EncodeReport | None = None
        self._count, self._pixels = 0, ""  # of the first frame
        self._feed = _Feed()
        self._encoding: Future[EncodeReport] = Future()
        run = partial(encode, self._feed, output, config, rate=self.rate, format=format)
        run = partial(run, overwrite=overwrite)
        arguments = (self._encoding, self._feed, run)  # not the writer, which may be forgotten
        self._thread = threading.Thread(target=_run, args=arguments, daemon=True)
        self._thread.start()
        weakref.finalize(self, _forget, self._feed, self._thread)
        self._feed.is_wanted.wait()
        self._raise_early_end()

    def __repr__(self) -> str:
        state = "closed" if self._feed.is_over else "open"
        size = f"{self.width}x{self.height}, {float(self.rate):g} frames/s"
        return f"<tinct.Writer {size}, {self._count} frames written, {state}>"

    @property
    def report(self) -> EncodeReport:
        """What the encode did, once the writer is closed. Raise CodecError before."""
        if self._report is None:
            raise CodecError("expected a report after `close`, found the writer still open")
        return self._report

    def write(self, frame: FrameLike) -> None:
        """Write a copy of a frame: R'G'B' or planes, see `tinct.encode`.

        It waits until the encoder has room. Raise CodecError for what is no frame, for another size
        or type than the first one's, after `close`, and for what stopped the encoder.
        """
        if self._feed.is_over:
            self._raise_early_end()
            raise CodecError("expected a writer that is open, found it closed")
        picture = copy_picture(frame)
        width, height, pixels = picture.kind
        self._pixels = self._pixels or pixels
        if picture.kind != (self.width, self.height, self._pixels):
            raise CodecError(
                f"expected a frame of {self.width}x{self.height} {self._pixels}, "
                f"found {width}x{height} {pixels}"
            )
        self._feed.put(picture)
        self._count += 1
        self._raise_early_end()

    def close(self) -> EncodeReport:
        """Encode what is left, publish the file and return the report; a second call returns it.

        Raise CodecError for what stopped the encoder, and where no frame was written.
        """
        if self._report is None:
            self._feed.end()
            self._thread.join()
            self._report = self._encoding.result()
        return self._report

    def abort(self) -> None:
        """Stop and leave no file."""
        self._feed.drop()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and not self._feed.is_over:
            self.close()
        else:
            self.abort()

    def _raise_early_end(self) -> None:
        """Raise what ended the encoder before the last frame, if anything did."""
        if self._encoding.done():
            self._feed.drop()
            self._encoding.result()


class _Dropped(CodecError):
    """The writer was aborted."""


class _Feed:
    """Pictures from the thread that writes to the one that encodes."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Picture | None] = queue.Queue(QUEUED_FRAMES)
        self._is_dropped = threading.Event()
        self.is_wanted = threading.Event()  # the encoder has begun to read, or has ended
        self.is_over = False

    def put(self, picture: Picture | None) -> None:
        """Wait for room and add a picture; None is the end. Do nothing where nobody reads."""
        while not self._is_dropped.is_set():
            try:
                self._queue.put(picture, timeout=0.1)
                return
            except queue.Full:
                continue

    def end(self) -> None:
        """Say that no more pictures come."""
        if not self.is_over:
            self.is_over = True
            self.put(None)

    def drop(self) -> None:
        """Make the encoder stop without a file."""
        self.is_over = True
        self._is_dropped.set()

    def close(self) -> None:
        """Say that the encoder has ended: nobody reads any more."""
        self._is_dropped.set()
        self.is_wanted.set()

    def __iter__(self) -> Iterator[Picture]:
        self.is_wanted.set()
        while True:
            if self._is_dropped.is_set():
                raise _Dropped("expected a writer that is open, found it aborted")
            try:
                picture = self._queue.get(timeout=0.1)
            except queue.Empty:
                continue
            if picture is None:
                return
            yield picture


def _forget(feed: _Feed, thread: threading.Thread) -> None:
    """Stop a writer that nobody holds any more: it leaves no file."""
    feed.drop()
    if thread is not threading.current_thread():
        thread.join()


def _run(encoding: "Future[EncodeReport]", feed: _Feed, run: Callable[[], EncodeReport]) -> None:
    """Encode what comes; the thread's work."""
    try:
        report = run()
    except BaseException as error:  # noqa: BLE001  it is raised in the thread that writes
        encoding.set_exception(error)
    else:
        encoding.set_result(report)
    finally:
        feed.close()
