"""Where outputs go: what may be written to, and the hidden name under which a file grows until it is whole."""

import os
from pathlib import Path

from tinct.errors import CodecError


def temporary_path(destination: Path) -> Path:
    """Where a file is written before it is renamed to `destination`: hidden, in the same folder, one per process."""
    name = destination.name.encode()[:200].decode(errors="ignore")  # file names end at 255 bytes
    return destination.with_name(f".{name}.{os.getpid()}.tinct-part")


def check_output(destination: str, source: str, *, overwrite: bool) -> None:
    """Refuse an output that cannot be written, is the input, or exists and may not be replaced."""
    if destination == "-":
        return
    target = Path(destination)
    folder = target.absolute().parent
    if not folder.is_dir():
        raise CodecError(f"expected the folder {folder} to exist; make it first")
    if not os.access(folder, os.W_OK):
        raise CodecError(f"expected to write in {folder}, found no permission; choose another folder")
    if target.is_dir() or not target.exists():
        return
    if not target.is_file():
        raise CodecError(f"expected a file name for the output, found something else at {target}")
    if source != "-" and Path(source).exists() and target.samefile(source):
        raise CodecError(f"expected an output other than the input, found {target} for both")
    if not overwrite:
        raise CodecError(f"expected no file at {target}, found one; use --overwrite to replace it")
