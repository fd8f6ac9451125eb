"""A folder of recordings, each encoded to a file of its own.

Outputs that are there already are skipped, so that a call can be repeated.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from tinct.bitstream.container import read_file_manifest
from tinct.config import EncodeConfig
from tinct.encoder.api import EncodeReport, encode
from tinct.encoder.formats import fit_format
from tinct.errors import CodecError
from tinct.workers import Engine, run_tasks

SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".divx", ".dv", ".flv", ".h264", ".h265", ".hevc", ".m2ts"),
    *(".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv"),
    *(".ts", ".vob", ".webm", ".wmv", ".y4m"),
)
OUTPUT_SUFFIX = ".mkv"


@dataclass(frozen=True, kw_only=True)
class FolderReport:
    """What became of each source.

    `encoded` and `skipped` (there already) are outputs; `failed` gives the reason by source.
    `source_bytes` and `size_bytes` count the files encoded now. `notes` say what was converted or
    left out.
    """

    encoded: list[Path]
    skipped: list[Path]
    failed: dict[Path, str]
    source_bytes: int
    size_bytes: int
    notes: list[str]


def encode_folder(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    config: EncodeConfig = EncodeConfig(),
    *,
    jobs: int = 1,
    engine: Engine = "local",
    suffix: str = OUTPUT_SUFFIX,
    progress: Callable[[int, int], None] | None = None,
) -> FolderReport:
    """Encode each video below the folder `source` to a file of the same name below `destination`.

    It is a .mkv, or what `suffix` says. Sources that differ in their suffix alone keep it:
    talk.mp4.mkv and talk.mov.mkv.

    `jobs` files are encoded at a time; `progress` takes files done and files in all. A source that
    cannot be encoded is named in the report; the next call tries it again. Raise CodecError before
    any work for bad options or no videos.
    """
    fit_format(config, Path(f"*{suffix}"))
    if jobs < 1:
        raise CodecError(f"--jobs: expected 1 or more, found {jobs}")
    pairs = _pair_names(Path(source), Path(destination), suffix)
    # an output appears whole or not at all, so one that is there is finished
    skipped = [target for _, target in pairs if target.is_file()]
    left = [(origin, target) for origin, target in pairs if not target.is_file()]
    # absolute, since workers may stand in another folder
    tasks = [(origin.absolute(), target.absolute(), config) for origin, target in left]
    results: dict[int, Encoded | CodecError] = {}
    for number, result in run_tasks(_encode_one, tasks, jobs=jobs, engine=engine):
        results[number] = result
        if progress is not None:
            progress(len(skipped) + len(results), len(pairs))
    ended = [(*left[number], results[number]) for number in sorted(results)]
    return make_folder_report(skipped, ended)


def make_folder_report(
    skipped: list[Path], results: "list[tuple[Path, Path, Encoded | CodecError]]"
) -> FolderReport:
    """Return the report of outputs that were there already, and of what was tried."""
    encoded = {}
    failed = {}
    for origin, target, result in results:
        if isinstance(result, CodecError):
            failed[origin] = str(result)
        else:
            encoded[origin, target] = result
    return FolderReport(
        encoded=[target for _, target in encoded],
        skipped=skipped,
        failed=failed,
        source_bytes=sum(result.source_bytes for result in encoded.values()),
        size_bytes=sum(result.size_bytes for result in encoded.values()),
        notes=[
            f"{origin}: {note}" for (origin, _), result in encoded.items() for note in result.notes
        ],
    )


def pair_files(
    sources: Sequence[Path], folder: Path | None, *, suffix: str = OUTPUT_SUFFIX
) -> list[tuple[Path, Path]]:
    """Return the sources, each with its output beside it or in `folder`, never one of the sources.

    Raise CodecError where two would share a name in the folder.
    """
    names = list(sources)
    if folder is not None:
        if folder.exists() and not folder.is_dir():
            raise CodecError(f"--out: expected a folder, found a file at {folder}; name another")
        names = [folder / source.name for source in sources]
    taken = frozenset(_fold(source.resolve()) for source in sources)
    targets = name_outputs(names, suffix=suffix, taken=taken)
    counts = Counter(map(_fold, targets))
    for source, target in zip(sources, targets, strict=True):
        if counts[_fold(target)] > 1:
            raise CodecError(
                f"expected inputs of different names, found {source} twice or another of its name; "
                "encode them one by one"
            )
    return list(zip(sources, targets, strict=True))


def _pair_names(source: Path, destination: Path, suffix: str) -> list[tuple[Path, Path]]:
    """Return the sources, in order of name, each with its output."""
    if not source.is_dir():
        there = "a file" if source.exists() else "nothing"
        raise CodecError(f"expected a folder of videos, found {there} at {source}")
    if destination.exists() and not destination.is_dir():
        raise CodecError(
            f"expected a folder for the outputs, found a file at {destination}; name another"
        )
    if source.resolve() == destination.resolve():
        raise CodecError(f"expected another folder for the outputs than {source}")
    outputs = destination.resolve()
    inside = source.resolve() in outputs.parents  # then what an earlier call wrote is no source
    found = [
        path
        for path in sorted(source.rglob("*"))
        if _is_video(path, source) and not (inside and outputs in path.resolve().parents)
    ]
    if not found:
        raise CodecError(
            f"expected videos below {source}, found no file named as one ({', '.join(SUFFIXES)})"
        )
    names = name_outputs([path.relative_to(source) for path in found], suffix=suffix)
    return [(path, destination / name) for path, name in zip(found, names, strict=True)]


def name_outputs(
    sources: Sequence[Path], *, suffix: str = OUTPUT_SUFFIX, taken: frozenset[str] = frozenset()
) -> list[Path]:
    """Return the output of each source, beside it.

    Sources that would share a name keep their suffix in it, whether in capitals or not, as some
    disks see no difference: talk.mp4.mkv and talk.mov.mkv. A source that has such a name itself
    gives way in the same way. What is `taken` is nobody's: talk.mkv becomes talk.tinct.mkv.
    """

    def complete(path: Path, stem: str) -> Path:
        plain = path.with_name(stem + suffix)
        is_taken = _fold(plain.resolve()) in taken
        return path.with_name(f"{stem}.tinct{suffix}") if is_taken else plain

    whole = [complete(path, path.name) for path in sources]
    short = [complete(path, path.stem) for path in sources]
    counts = Counter(map(_fold, short))
    twins = {n for n, name in enumerate(short) if counts[_fold(name)] > 1}
    while True:
        long_names = {_fold(whole[n]) for n in twins}
        more = {n for n, name in enumerate(short) if _fold(name) in long_names} - twins
        if not more:
            return [whole[n] if n in twins else short[n] for n in range(len(sources))]
        twins |= more


def _fold(path: Path) -> str:
    """Return what a disk takes for the name that sees no capitals."""
    return str(path).casefold()


def _is_video(path: Path, source: Path) -> bool:
    """Return whether a file is a video by its name; hidden files and folders are not meant."""
    is_hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
    return not is_hidden and path.is_file() and path.suffix.lower() in SUFFIXES


@dataclass(frozen=True)
class Encoded:
    """What there is to report of one file."""

    source_bytes: int
    size_bytes: int
    notes: list[str]


def make_folder(folder: Path) -> None:
    """Make the folder of an output where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CodecError(
            f"expected to make the folder {folder}, found {error.strerror or error}"
        ) from error


def check_source(source: Path) -> None:
    """Refuse what is a Tinct file already."""
    if source.exists() and read_file_manifest(str(source)) is not None:
        raise CodecError("it is a Tinct file already")


def _encode_one(source: Path, target: Path, config: EncodeConfig) -> Encoded:
    """Encode a file; called in a worker."""
    check_source(source)
    make_folder(target.parent)
    try:
        report = encode(str(source), str(target), config)
        return describe_encoded(source, report)
    except FileNotFoundError as error:
        raise CodecError(f"expected a video file, found nothing at {source} by now") from error
    except MemoryError as error:
        raise CodecError("not enough memory for this video; fewer --jobs take less") from error


def describe_encoded(source: Path, report: EncodeReport) -> Encoded:
    """Return what there is to report of a file that was encoded."""
    notes = list(report.notes)
    if report.damaged:
        lost = f"{report.damaged} packets or frames of it are lost, the rest is coded"
        notes.append(f"damaged: {lost}")
    if report.advice is not None:
        notes.append(report.advice)
    return Encoded(report.source_bytes or 0, report.size_bytes, notes)
