"""The files of an encode as they are typed: which are inputs, and what the outputs are called.

`encoder.batch` names the outputs.
"""

from pathlib import Path

from tinct.errors import CodecError

STDIN = "-"


def pair_names(
    names: list[str], *, out: str | None, suffix: str, overwrite: bool
) -> list[tuple[str, str]]:
    """Return each input with its output, which may be typed, or left out with this `suffix`.

    Raise CodecError for names that say neither.
    """
    from tinct.encoder.batch import pair_files

    if out is None and len(names) == 2 and not _are_inputs(names[1]):
        source, target = names
        _refuse_folders([source], out=target)
        _refuse_twin(source, Path(target), overwrite=overwrite)
        return [(source, target)]
    if STDIN in names:
        raise CodecError("expected a name for what comes from stdin: tinct encode - talk.mkv")
    _refuse_folders(names, out=out or "OUT")
    folder = None if out is None else Path(out)
    pairs = pair_files([Path(name) for name in names], folder, suffix=suffix)
    return [(str(source), str(target)) for source, target in pairs]


def _are_inputs(second: str) -> bool:
    """Return whether the second of two names is an input too: a video that is no output's name."""
    from tinct.encoder.batch import SUFFIXES
    from tinct.encoder.formats import OUTPUT_SUFFIXES

    path = Path(second)
    suffix = path.suffix.lower()
    return suffix in SUFFIXES and suffix not in OUTPUT_SUFFIXES and path.is_file()


def _refuse_folders(names: list[str], *, out: str) -> None:
    for name in names:
        if name != STDIN and Path(name).is_dir():
            raise CodecError(
                f"expected a video, found a folder at {name}; name a file in it, "
                f"or take all of them: tinct batch {name} {out}"
            )


def _refuse_twin(source: str, target: Path, *, overwrite: bool) -> None:
    """Refuse an output that exists and may be meant as an input, as where a shell made both names.

    Other outputs that exist are refused where it is known what they are.
    """
    is_twin = target.suffix.lower() == Path(source).suffix.lower() and target.is_file()
    is_same = is_twin and Path(source).exists() and target.samefile(source)
    if is_twin and not is_same and not target.is_symlink() and not overwrite:
        raise CodecError(
            f"expected a new name for the output, found {target}, which exists; "
            "--out FOLDER encodes both files, --overwrite replaces the second"
        )
