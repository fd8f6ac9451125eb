"""Output files: what may be written to, and the hidden name that a file has until it is whole."""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tinct.errors import CodecError, FileError
from tinct.interrupt import defer_interrupts

PART_SUFFIX = ".tinct-part"  # ends the names of files that are not whole
MAX_NAME_BYTES = 200  # taken from the destination's name; file names end at 255 bytes


class AtomicOutput:
    """A file or folder that is written at a hidden `path` beside its destination.

    `publish` gives it the destination's name; with `replaces` off that name must be free by then.
    Use it as a context manager: what is not published is removed. Raises OSError where nothing
    can be made.

    The output is locked while its process lives. Whatever can be locked is therefore stale, and
    the next output into the same folder removes it.
    """

    def __init__(self, destination: Path, *, folder: bool = False, replaces: bool = True) -> None:
        self._destination = destination = destination.absolute()  # "." has no name
        # An empty folder may be replaced in any case.
        self._replaces = replaces or (folder and destination.is_dir())
        remove_stale(destination.parent)
        name = os.fsencode(destination.name)[:MAX_NAME_BYTES].decode(errors="ignore")
        self._lock: int | None = None
        try:
            # An interrupt between making the file and keeping its name would leave it behind.
            with defer_interrupts():
                while self._lock is None:
                    token = secrets.token_hex(4)
                    self.path = destination.with_name(f".{name}.{token}{PART_SUFFIX}")
                    self._lock = _make_locked(self.path, folder=folder)
        except KeyboardInterrupt:
            self.drop()
            raise

    def publish(self) -> None:
        """Move the output to its destination, which may be a file, or for a folder an empty one.

        Raises FileExistsError where something that may not be replaced has appeared there.
        """
        if not self._replaces and os.path.lexists(self._destination):
            raise FileExistsError(
                errno.EEXIST,
                "a file that has appeared there since; it is kept",
                str(self._destination),
            )
        os.replace(self.path, self._destination)

    def drop(self) -> None:
        """Remove the output, unless it is published."""
        if self._lock is not None:
            _remove(self.path)
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()


def remove_stale(folder: Path) -> None:
    """Remove unfinished outputs of processes that are gone; those of live processes are locked."""
    for path in folder.glob(f".*{PART_SUFFIX}"):
        # The path may be locked, gone by now, another user's, or on a file system without locks.
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder. Raises CodecError where one works in it already."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise CodecError(
            f"expected nobody at work in {folder}, found another run there; "
            "wait for it, or name another"
        ) from error
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(descriptor)


def _make_locked(path: Path, *, folder: bool) -> int | None:
    """Make a file or folder and lock it; return its descriptor.

    Returns None where another process took it for stale and removed it before it was locked.
    """
    if folder:
        path.mkdir()
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
    else:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    # Where a file system has no locks, nothing on it is taken for stale either.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if path.exists():
        return descriptor
    os.close(descriptor)
    return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def identify_file(path: str) -> tuple[int, ...] | None:
    """Return numbers that change when another file, or other content, takes a path.

    Returns None where there is no file.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL character in the path
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def check_output(destination: str, source: str, *, overwrite: bool) -> None:
    """Refuse an output that cannot be written, is the input, or exists and may not be replaced."""
    if destination == "-":
        return
    if "\0" in destination:
        found = f"a NUL character in {destination!r}"
        raise FileError(destination, "a file name for the output", found)
    target = Path(destination)
    folder = target.absolute().parent
    if not folder.is_dir():
        raise FileError(
            destination, f"the folder {folder} to exist", found="", advice="make it first"
        )
    if not os.access(folder, os.W_OK):
        raise FileError(
            destination,
            f"to write in {folder}",
            found="no permission",
            advice="choose another folder",
        )
    if target.is_symlink() and not overwrite:
        raise FileError(
            destination,
            f"no file at {target}",
            found="a symbolic link",
            advice="--overwrite replaces the link, not what it points to",
        )
    if target.is_symlink() or target.is_dir() or not target.exists():
        return
    if not target.is_file():
        found = f"a pipe or device at {target}"
        raise FileError(destination, "a file name for the output", found)
    if source != "-" and Path(source).exists() and target.samefile(source):
        raise FileError(destination, "an output other than the input", f"{target} for both")
    if not overwrite:
        raise FileError(
            destination,
            f"no file at {target}",
            found="one",
            advice="use --overwrite to replace it",
        )
