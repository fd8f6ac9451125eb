"""Output of decoded video to a file, a folder of PNGs or stdout, which appears whole or not at all.

`writers` has the formats; `source` is the other direction.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from av.error import FFmpegError

from tinct.errors import CodecError, FileError
from tinct.files import AtomicOutput
from tinct.frames import Frame, VideoInfo
from tinct.media.containers import CONTAINERS
from tinct.media.demux import describe_error, open_input
from tinct.media.movie_codecs import Coding, choose_codec
from tinct.media.writers import MovieWriter, PngWriter, Writer, Y4mWriter

# Errors that the folder or the disk of an output gives.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT}
_DISK_ERRORS |= {errno.EIO, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOTDIR}
SUFFIXES = (*CONTAINERS, ".y4m")
USUAL = Coding()
PNG_FOLDER = "a folder for PNGs"  # what is expected of an output without a suffix
_T = TypeVar("_T")


def open_sink(
    path: str,
    info: VideoInfo,
    extras_from: str | None = None,
    *,
    start_seconds: float = 0.0,
    duration_seconds: float | None = None,
    names: Iterable[int] | None = None,
    keep_luma: bool = False,
    coding: Coding = USUAL,
    overwrite: bool = False,
) -> "Sink":
    """Open an output for decoded frames, which are written with the times that they carry.

    The suffix of `path` gives the format; without one it is a folder of PNGs, and "-" is stdout.
    `coding` says which codec and quality a movie has.
    `extras_from` names the file whose sound, subtitles and tags are passed through, trimmed as
    given; a pipe ("-") has none.

    PNGs are numbered from 0 unless `names` has their numbers; with `keep_luma` colours that R'G'B'
    cannot show are desaturated, not clipped, so that they keep their luma. A file that exists when
    the new one is whole is replaced only with `overwrite`.
    """
    extras_from = None if extras_from == "-" else extras_from
    check_coding(path, coding)
    if path == "-":
        return Sink(
            None,
            lambda _: Y4mWriter(_open_stdout(), info, _describe_omissions(extras_from)),
            "stdout",
        )
    destination = Path(path)
    suffix = destination.suffix.lower()
    folder = path.endswith(("/", os.sep)) or destination.is_dir() or not suffix
    _check_destination(path, folder=folder)

    def make_writer(temporary: Path) -> Writer:
        if folder:
            numbers = count() if names is None else iter(names)
            omitted = _describe_omissions(extras_from)
            return PngWriter(temporary, info, omitted, names=numbers, keep_luma=keep_luma)
        if suffix in CONTAINERS:
            return MovieWriter(
                temporary,
                suffix,
                info,
                coding=coding,
                extras_from=extras_from,
                start_seconds=start_seconds,
                duration_seconds=duration_seconds,
            )
        return Y4mWriter(temporary.open("wb"), info, _describe_omissions(extras_from))

    def make_output() -> AtomicOutput:
        return AtomicOutput(destination, folder=folder, replaces=overwrite)

    return Sink(make_output, make_writer, path)


def check_coding(path: str, coding: Coding) -> None:
    """Refuse a codec or a quality that an output of this name does not have."""
    suffix = Path(path).suffix.lower()
    if suffix in CONTAINERS and not Path(path).is_dir():
        choose_codec(coding, CONTAINERS[suffix])
    elif coding != USUAL:
        flag = "--crf" if coding.codec is None else "--codec"
        movies = ", ".join(CONTAINERS)
        raise CodecError(f"{flag}: expected an output ending in {movies}, found {path}")


def _check_destination(path: str, *, folder: bool) -> None:
    """Refuse a name that is no output, or a folder that cannot take PNGs."""
    destination = Path(path)
    suffixes = ", ".join(SUFFIXES)
    if not folder and destination.suffix.lower() not in SUFFIXES:
        raise FileError(path, f"a name ending in {suffixes}, or a folder for PNGs", path)
    parent = destination.absolute().parent
    if not parent.is_dir():
        raise FileError(path, f"the folder {parent} to exist", found="", advice="make it first")
    if not folder:
        return
    if destination.is_symlink():
        found = f"a symbolic link at {path}"
        raise FileError(path, PNG_FOLDER, found, advice="name the folder itself")
    if destination.exists() and not destination.is_dir():
        advice = f"a video's name ends in {suffixes}"
        raise FileError(path, PNG_FOLDER, f"a file at {path}", advice=advice)
    if destination.exists() and any(destination.iterdir()):
        expected = "a new or an empty folder for PNGs"
        raise FileError(path, expected, f"files in {path}", advice="name another")


def _describe_omissions(path: str | None) -> list[str]:
    """Return a note on streams of a file that an output of pictures alone leaves out."""
    if path is None:
        return []
    with open_input(path) as container:
        kinds = {stream.type for stream in container.streams} & {"audio", "subtitle"}
    if not kinds:
        return []
    return [f"{' and '.join(sorted(kinds))} left out: this output holds pictures only"]


def _open_stdout() -> BinaryIO:
    if sys.__stdout__ is None:  # closed before we began: its number may be another file's by now
        raise CodecError("expected to write to stdout, found it closed; name a file")
    # A copy of the descriptor: if the reader goes away, only we get the error, not Python at exit.
    return open(os.dup(sys.__stdout__.fileno()), "wb")


class Sink:
    """Frames to one destination, which appear there when `close` is done, or not at all.

    As a context manager it closes, or aborts when an exception passes through. `notes` tell the
    user what the output does not keep. `make_output` is None for stdout.
    """

    def __init__(
        self,
        make_output: Callable[[], AtomicOutput] | None,
        make_writer: Callable[[Path], Writer],
        name: str,
    ) -> None:
        self._name, self._is_on_disk, self._is_finished = name, make_output is not None, False
        self._output: AtomicOutput | None = None
        self._writer: Writer | None = None
        if make_output is not None:
            self._output = self._guard(make_output)
        path = self._output.path if self._output is not None else Path()
        self._writer = self._guard(lambda: make_writer(path))
        self.notes = self._writer.notes

    def write(self, frame: Frame) -> None:
        """Write a frame; raises CodecError where the output cannot take it."""
        assert self._writer is not None, "written after close"
        writer = self._writer
        self._guard(lambda: writer.write(frame))

    def finish(self) -> None:
        """Make the output whole without publishing it: two outputs appear both or not at all."""
        assert self._writer is not None, "finished after close"
        if not self._is_finished:
            self._guard(self._writer.close)
            self._is_finished = True

    def close(self) -> None:
        """Finish the output and publish it."""
        if self._writer is not None:
            self.finish()
            if self._output is not None:
                self._guard(self._output.publish)
                self._output.drop()
            self._writer = None

    def abort(self) -> None:
        """Remove what was written."""
        if self._writer is not None:
            self._writer.drop()
            self._writer = None
        if self._output is not None:
            self._output.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _guard(self, step: Callable[[], _T]) -> _T:
        """Run a step; if anything interrupts it, remove what was written."""
        done = False
        try:
            result = step()
            done = True
            return result
        except (FFmpegError, OSError) as error:
            is_of_disk = self._is_on_disk and error.errno in _DISK_ERRORS
            advice = "; check the folder and its free space" if is_of_disk else ""
            raise CodecError(
                f'expected to write {self._name}, found "{describe_error(error)}"{advice}'
            ) from error
        finally:
            if not done:
                self.abort()
