"""Inputs and outputs as programs name them: a path, or a binary file object.

A video is read several times and at several places, and an output appears whole or not at all. So
a file object lies in a temporary file meanwhile, in the folder of the system (`TMPDIR`): it need
not be seekable, and memory does not grow with it.
"""

import io
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Literal, Protocol, cast, get_args, runtime_checkable

from tinct.errors import CodecError, FileError, OptionError

PREFIX = "tinct-file-object-"  # of the temporary folder, so that messages tell what it was


@runtime_checkable
class Readable(Protocol):
    """A binary file object that is read: `read(n)` returns at most n bytes, none at its end."""

    def read(self, n: int = -1, /) -> bytes: ...


@runtime_checkable
class Writable(Protocol):
    """A binary file object that is written."""

    def write(self, data: bytes, /) -> object: ...


Format = Literal["mkv", "mp4", "mov", "webm", "y4m"]  # of a video that a file object gets
FilePath = str | os.PathLike[str]
Input = FilePath | Readable
Output = FilePath | Writable


@contextmanager
def hold_input(source: Input) -> Iterator[str]:
    """Yield the path of an input; a file object is copied to a temporary file meanwhile.

    A seekable file object is read from its start, another from where it stands. Raise CodecError
    for what is neither a path nor a binary file object.
    """
    if isinstance(source, str | os.PathLike):
        yield os.fspath(source)
        return
    if not isinstance(source, Readable):
        raise CodecError(
            f"expected a path or a binary file object to read, found {_describe_type(source)}"
        )
    if (path := _find_path(source)) is not None:
        yield path
        return
    with TemporaryDirectory(prefix=PREFIX) as folder:
        copy = Path(folder) / "input"
        _copy_input(source, copy)
        yield str(copy)


@contextmanager
def hold_output(destination: Output, suffix: str) -> Iterator[str]:
    """Yield the path that an output is written to, ending in `suffix` for a file object.

    The file object gets the whole file at the end, and nothing where an exception passes through.
    """
    if isinstance(destination, str | os.PathLike):
        yield os.fspath(destination)
        return
    _check_writable(destination)
    with TemporaryDirectory(prefix=PREFIX) as folder:
        path = Path(folder) / f"output{suffix}"
        yield str(path)
        _copy_output(path, destination)


def name_file(file: Input | Output) -> str:
    """Return what messages and reports call a file: its path, a file object's name, or its type."""
    if isinstance(file, str | os.PathLike):
        return os.fspath(file)
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else f"<{type(file).__name__}>"


def choose_suffix(
    destination: Output,
    format: str | None,
    *,
    formats: Collection[str] = get_args(Format),
    usual: str = "",
) -> str:
    """Return the suffix of an output that is a file object, such as ".mp4".

    It is that of `format`, which is one of `formats`, else that of the file object's name, else
    the `usual` one; "" for a path, whose own name says it. Raise OptionError where nothing says it,
    or two do.
    """
    if isinstance(destination, str | os.PathLike):
        if format is not None:
            raise OptionError("format", "none beside a path, whose suffix says it", repr(format))
        return ""
    _check_writable(destination)
    if format is not None:
        if format not in formats:
            raise OptionError("format", f"one of {', '.join(formats)}", repr(format))
        return f".{format}"
    if not (suffix := Path(name_file(destination)).suffix or usual):
        raise OptionError("format", 'one for a file object, such as "mp4"', "none")
    return suffix


def _check_writable(file: Writable) -> None:
    """Raise CodecError for what is no file object, FileError for one of text."""
    if not isinstance(file, Writable):
        raise CodecError(
            f"expected a path or a binary file object to write, found {_describe_type(file)}"
        )
    try:
        file.write(b"")
    except TypeError as error:
        raise FileError(
            name_file(file), "a binary file object", "one of text", advice='open it with "wb"'
        ) from error
    except (OSError, ValueError) as error:
        found = "one that is closed, or opened to read"
        raise FileError(
            name_file(file), "to write the file object", found, advice='open it with "wb"'
        ) from error


def _describe_type(value: object) -> str:
    advice = "; wrap it in io.BytesIO" if isinstance(value, bytes | bytearray) else ""
    return f"{type(value).__name__}{advice}"


def _find_path(file: Readable) -> str | None:
    """Return the path of a file object that is an open file of the disk, for which no copy is made.

    Only Python's own: others, such as GzipFile, name a file that holds something else.
    """
    if not isinstance(file, io.BufferedReader | io.BufferedRandom | io.FileIO):
        return None
    name = file.name
    with suppress(OSError, ValueError):
        if isinstance(name, str | os.PathLike) and os.path.isfile(name):
            if file.writable():
                file.flush()
            if os.path.samestat(os.fstat(file.fileno()), os.stat(name)):
                return os.fspath(name)
    return None


def _copy_input(file: Readable, target: Path) -> None:
    """Copy all that a file object holds. Raise FileError where it gives text or an error."""
    name = name_file(file)
    try:
        if getattr(file, "seekable", lambda: False)():
            cast("BinaryIO", file).seek(0)
        with target.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
    except TypeError as error:
        raise FileError(
            name, "a binary file object", "one of text", advice='open it with "rb"'
        ) from error
    except OSError as error:
        found = f'"{error.strerror or error}"'
        raise FileError(name, "to read the file object to its end", found) from error


def _copy_output(source: Path, file: Writable) -> None:
    """Write a whole file to a file object. Raise FileError where that refuses it."""
    try:
        with source.open("rb") as whole:
            shutil.copyfileobj(whole, file, 1 << 20)
    except OSError as error:
        found = f'"{error.strerror or error}"'
        raise FileError(name_file(file), "to write the file object", found) from error
