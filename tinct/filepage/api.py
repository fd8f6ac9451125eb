"""`write_page`: a file to an HTML page on its bits, frames, quality and pictures.

`figures` computes it, `page` draws it.
"""

from pathlib import Path

from tinct.decoder.damage import Damage
from tinct.errors import CodecError
from tinct.filepage.figures import measure_file
from tinct.filepage.page import make_page
from tinct.files import AtomicOutput, check_output
from tinct.frames import Progress


def write_page(
    path: str,
    destination: str,
    *,
    source: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Damage:
    """Write the page of the video `path` to `destination`, whole or not at all.

    With `source` it has each frame's quality. Returns the damage of the file.
    """
    for given in (path, source) if source is not None else (path,):
        check_output(destination, given, overwrite=overwrite)
    figures = measure_file(path, source, progress=progress)
    target = Path(destination)
    try:
        with AtomicOutput(target, replaces=overwrite) as growing:
            growing.path.write_text(make_page(figures, source), encoding="utf-8")
            growing.publish()
    except OSError as error:
        raise CodecError(
            f"expected to write {target}, found {error.strerror or error}; "
            "check the folder and its free space"
        ) from error
    return figures.damage
