"""Where outputs go: what may be written to, and the hidden name under which a file grows until it is whole."""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tinct.errors import CodecError
from tinct.interrupt import held_back

GROWING = ".tinct-part"  # how the names of files end that are not whole


class Growing:
    """A file, or a folder, at a hidden `path` beside its destination until it is whole: `publish` gives it its name.

    With `replaces` off that name has to be free when it is published.

    It is locked while its process lives, however that ends, so whatever can be locked is stale: the next output into the
    same folder removes it. Use as a context manager: what is not published is removed. Raises OSError where nothing can be made.
    """

    def __init__(self, destination: Path, *, folder: bool = False, replaces: bool = True) -> None:
        self._destination = destination = destination.absolute()  # "." has no name
        self._replaces = replaces or (
            folder and destination.is_dir()
        )  # an empty folder is taken in any case
        remove_stale(destination.parent)
        name = os.fsencode(destination.name)[:200].decode(
            errors="ignore"
        )  # file names end at 255 bytes
        self._lock: int | None = None
        try:
            with held_back():  # else a file could be made that nobody knows of
                while self._lock is None:
                    self.path = destination.with_name(f".{name}.{secrets.token_hex(4)}{GROWING}")
                    self._lock = _made(self.path, folder=folder)
        except KeyboardInterrupt:
            self.drop()
            raise

    def publish(self) -> None:
        """Put it in its destination's place, which may be a file, or an empty folder for a folder.

        Raises FileExistsError where something has appeared there since: it is another's.
        """
        if not self._replaces and os.path.lexists(self._destination):
            raise FileExistsError(
                errno.EEXIST,
                "a file that has appeared there since; it is kept",
                str(self._destination),
            )
        os.replace(self.path, self._destination)

    def drop(self) -> None:
        """Remove it, unless it is published."""
        if self._lock is not None:
            _remove(self.path)
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()


def remove_stale(folder: Path) -> None:
    """Remove what a process that is gone has left behind; never what one that lives has locked."""
    for path in folder.glob(f".*{GROWING}"):
        with contextlib.suppress(
            OSError
        ):  # it is locked, gone by now, another user's, or cannot be locked there
            opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(opened)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """While it lasts, no other process works in a folder that two would spoil. Raises CodecError where one is there already."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(opened)
        raise CodecError(
            f"expected nobody at work in {folder}, found another run there; wait for it, or name another"
        ) from error
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(opened)


def _made(path: Path, *, folder: bool) -> int | None:
    """A new file or folder, opened and locked; None where somebody took it for stale before it was."""
    if folder:
        path.mkdir()
        try:
            opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
    else:
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    with contextlib.suppress(
        OSError
    ):  # a file system without locks: it is never taken for stale there either
        fcntl.flock(opened, fcntl.LOCK_EX)
    if path.exists():
        return opened
    os.close(opened)
    return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def identity(path: str) -> tuple[int, ...] | None:
    """What tells a file from another one, or from itself when it has been written to; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # the latter of a NUL character
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def check_output(destination: str, source: str, *, overwrite: bool) -> None:
    """Refuse an output that cannot be written, is the input, or exists and may not be replaced."""
    if destination == "-":
        return
    if "\0" in destination:
        raise CodecError(
            f"expected a file name for the output, found a NUL character in {destination!r}"
        )
    target = Path(destination)
    folder = target.absolute().parent
    if not folder.is_dir():
        raise CodecError(f"expected the folder {folder} to exist; make it first")
    if not os.access(folder, os.W_OK):
        raise CodecError(
            f"expected to write in {folder}, found no permission; choose another folder"
        )
    if target.is_symlink() and not overwrite:
        raise CodecError(
            f"expected no file at {target}, found a symbolic link; --overwrite replaces the link, not what it points to"
        )
    if target.is_symlink() or target.is_dir() or not target.exists():
        return
    if not target.is_file():
        raise CodecError(f"expected a file name for the output, found a pipe or device at {target}")
    if source != "-" and Path(source).exists() and target.samefile(source):
        raise CodecError(f"expected an output other than the input, found {target} for both")
    if not overwrite:
        raise CodecError(f"expected no file at {target}, found one; use --overwrite to replace it")
