"""What all-intra files with frames left out are like: lost packets, one frame, soft frames, bound.

    python -m lab.benchmarks.interpolation CLIP ... [--qp 32] [--frames 96] [--sheet FILE.jpg]

Each clip is coded at each QP by `tinct encode --structure intra`, by the same without the bound on
bad interpolated frames, and by x265 all-intra and random access. Measured are:

- PSNR-Y (mean of frames) with and without 1 and 5 % of the luma packets (x265: video packets), in
  five seeded draws; how many frames differ from the undamaged file's, how many are worse by 0.5 dB
  in some plane, and how many the decoder counts as damaged (a plain file does not say what it
  lacks). A frame that x265's file lacks is the one before it, as in a player. The first packet
  always arrives, and one is lost at least, which of few packets is more than the share says.
- Seconds to open a file and get the frame at each of ten seeded times, a process each; then the
  same less the median time of a process that only loads the reader.
- PSNR-Y and gradient energy (mean squared difference of neighbours in luma, as a share of the
  source's) of interpolated and sent frames. Key frames are sent, too; they stand in a row of their
  own beside that.
- PSNR-Y of the worst frame below the median frame's, and bytes, with and without the bound.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean, median
from typing import Any

from lab.benchmarks.children import make_command
from lab.benchmarks.common import RESULTS, make_parser, write_document
from lab.benchmarks.frame_sheet import (
    SUFFIXES,
    BadFrame,
    choose_rows,
    measure_distances,
    write_sheet,
)
from lab.benchmarks.packet_loss import SHARES, measure_loss
from lab.benchmarks.shown_frames import Shown, relate_energies, show_file
from lab.benchmarks.speed import describe_run, run
from tinct.bitstream.container import read_file_manifest
from tinct.evaluation.clips import cut_clip, name_clip
from tinct.evaluation.keyframes import find_key_frames
from tinct.media.source import open_source

PLACES = 10  # at which one frame is read
TINCT, UNBOUNDED = "tinct", "tinct without the bound"
X265, RANDOM_ACCESS = "x265 all-intra", "x265 random access"
RIVALS = {X265: "intra", RANDOM_ACCESS: "random-access"}  # and their structures


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A clip's first frames, lossless, coded at a QP in every way: `files` by name."""

    clip: str
    source: Path
    qp: int
    files: dict[str, Path]


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def encode_all(source: Path, folder: Path, *, qp: int, options: Sequence[str]) -> dict[str, Path]:
    """Encode a clip in every way, `options` being those of `tinct encode`; return the files."""
    files = {
        name: folder / f"{qp}-{number}.mkv"
        for number, name in enumerate((TINCT, UNBOUNDED, *RIVALS))
    }
    own = ["--quiet", "--structure=intra", f"--qp={qp}", *options, str(source)]
    run([sys.executable, "-m", "tinct", "encode", *own, str(files[TINCT])])
    run(make_command("unbounded", *own, files[UNBOUNDED]))
    for name, structure in RIVALS.items():
        settings = [f"structure={structure}", f"qp={qp}", "preset=medium"]
        program = [sys.executable, "-m", "tinct.evaluation.encode", "hevc"]
        run([*program, str(source), str(files[name]), *settings])
    return files


# ── measurements ─────────────────────────────────────────────────────────────────────────────────


def choose_places(times: Sequence[float]) -> list[float]:
    """Return PLACES of the times, fewer where there are not so many, the same in every run."""
    return Random(PLACES).sample(list(times), min(PLACES, len(times)))


def measure_one_frame(files: dict[str, Path], times: Sequence[float]) -> dict[str, Any]:
    """Return seconds of wall time to one frame, by file; the files take turns.

    `ratio` is that of the medians to x265 all-intra's, with the process's start and without.
    """
    places = choose_places(times)
    commands = [make_command("start"), *(make_command("frame", files[n], 0) for n in files)]
    for command in commands:  # what is read for the first time comes from the disk
        run(command)
    starts: list[float] = []
    seconds: dict[str, list[float]] = {name: [] for name in files}
    for place in places:
        starts.append(run(make_command("start")).seconds)
        for name, path in files.items():
            seconds[name].append(run(make_command("frame", path, place)).seconds)
    start = median(starts)
    anchor = median(seconds[X265])
    return {
        "start_seconds": start,
        **{
            name: {
                "seconds": {"median": median(taken), "worst": max(taken)},
                "less_start": {"median": median(taken) - start, "worst": max(taken) - start},
                "ratio": median(taken) / anchor,
                "ratio_less_start": (median(taken) - start) / (anchor - start),
            }
            for name, taken in seconds.items()
        },
    }


def number_kinds(path: Path, shown: Shown) -> dict[str, list[int]]:
    """Return the numbers of the frames of each kind; key frames are sent frames as well."""
    manifest = read_file_manifest(str(path))
    times = set(manifest.interpolated) if manifest is not None else set()
    kinds: dict[str, list[int]] = {"interpolated": [], "sent": []}
    for number, frame in enumerate(shown.frames):
        kinds["interpolated" if frame.tick in times else "sent"].append(number)
    return kinds | {"key": find_key_frames(str(path))}


def compare_kinds(shown: Shown, kinds: dict[str, list[int]]) -> dict[str, Any]:
    """Return PSNR-Y and gradient energy of each kind of frame, and of interpolated beside sent."""
    found: dict[str, Any] = {}
    for kind, numbers in kinds.items():
        if numbers:
            frames = [shown.frames[number] for number in numbers]
            found[kind] = {
                "frames": len(frames),
                "psnr_y_db": fmean(frame.luma_db for frame in frames),
                "gradient_energy": relate_energies(frames),
            }
    if kinds["interpolated"]:
        made, sent = found["interpolated"], found["sent"]
        found["lower_by_db"] = sent["psnr_y_db"] - made["psnr_y_db"]
        if sent["gradient_energy"]:
            found["gradient_ratio"] = made["gradient_energy"] / sent["gradient_energy"]
    return found


def compare_bound(trial: Trial, shown: dict[str, Shown]) -> dict[str, Any]:
    """Return the worst frame and the bytes with and without the bound, and x265's beside them."""
    sizes = {name: trial.files[name].stat().st_size for name in shown}
    return {
        "worst_frame_db": {name: one.worst_frame_db for name, one in shown.items()},
        "size_bytes": sizes,
        "bytes_ratio": sizes[TINCT] / sizes[UNBOUNDED],
    }


def list_bad_frames(trial: Trial, shown: Shown, kinds: dict[str, list[int]]) -> list[BadFrame]:
    """Return every interpolated frame of Tinct's file, with how far it is below the median's."""
    found = []
    for number in kinds["interpolated"]:
        before, after = measure_distances(kinds["sent"], number)
        luma_db = shown.luma_db[number]
        found.append(
            BadFrame(
                clip=trial.clip,
                qp=trial.qp,
                number=number,
                luma_db=luma_db,
                below_db=median(shown.luma_db) - luma_db,
                before=before,
                after=after,
                source=trial.source,
                coded=trial.files[TINCT],
            )
        )
    return found


def measure(trial: Trial) -> tuple[dict[str, Any], list[BadFrame]]:
    """Return all measurements of a clip at a QP, and its interpolated frames."""
    source, files = trial.source, trial.files
    shown = {name: show_file(files[name], source) for name in (TINCT, UNBOUNDED, X265)}
    kinds = number_kinds(files[TINCT], shown[TINCT])
    every = {"sent": list(range(len(shown[X265].frames)))}
    times = [frame.pts_seconds for frame in open_source(str(source))]
    parts: dict[str, Any] = {
        "kinds": {
            TINCT: compare_kinds(shown[TINCT], kinds),
            UNBOUNDED: compare_kinds(
                shown[UNBOUNDED], number_kinds(files[UNBOUNDED], shown[UNBOUNDED])
            ),
            X265: compare_kinds(shown[X265], every | {"interpolated": []}),
        },
        "bound": compare_bound(trial, shown),
        "loss": {
            f"{100 * share:g} %": {
                name: measure_loss(files[name], source, whole=shown[name], share=share)
                for name in (TINCT, X265)
            }
            for share in SHARES
        },
        "one_frame": measure_one_frame({name: files[name] for name in (TINCT, *RIVALS)}, times),
    }
    head = {"clip": trial.clip, "qp": trial.qp, "frames": len(times)}
    return head | parts, list_bad_frames(trial, shown[TINCT], kinds)


def round_numbers(found: Any) -> Any:
    """Return a measurement with its floating-point numbers rounded to four digits."""
    if isinstance(found, dict):
        return {name: round_numbers(value) for name, value in found.items()}
    if isinstance(found, list):
        return [round_numbers(value) for value in found]
    return round(found, 4) if isinstance(found, float) else found


def print_trial(found: dict[str, Any]) -> None:
    """Print a trial's measurements, a line a part, without the single draws."""
    about = f"{found['clip']}, QP {found['qp']}"
    for part in ("kinds", "bound", "one_frame"):
        print(f"{about}, {part}: {json.dumps(found[part])}")
    for share, codecs in found["loss"].items():
        for name, loss in codecs.items():
            means = {key: value for key, value in loss.items() if key != "draws"}
            print(f"{about}, {share} lost, {name}: {json.dumps(means)}", flush=True)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--qp", type=int, nargs="+", default=[32])
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--network", choices=("fast", "best"), default="fast")
    parser.add_argument("--adapt", default="auto", help="as in `tinct encode`")
    parser.add_argument("--sheet", type=Path, help=f"worst frames; {' or '.join(SUFFIXES)}")
    parser.add_argument("--out", type=Path, default=RESULTS / "interpolation.json")
    options = parser.parse_args()
    if options.sheet is not None and options.sheet.suffix not in SUFFIXES:
        parser.error(f"--sheet: expected {' or '.join(SUFFIXES)}, found {options.sheet.name}")
    encoding = [f"--network={options.network}", f"--adapt={options.adapt}"]
    document = describe_run() | {"encode": ["--structure=intra", *encoding], "trials": []}
    bad: list[BadFrame] = []
    with tempfile.TemporaryDirectory() as parent:
        for number, clip in enumerate(options.clips):
            folder = Path(parent, str(number))
            folder.mkdir()
            source = folder / "source.mkv"
            cut_clip(str(clip), str(source), options.frames)
            for qp in options.qp:
                files = encode_all(source, folder, qp=qp, options=encoding)
                trial = Trial(clip=name_clip(clip), source=source, qp=qp, files=files)
                found, interpolated = measure(trial)
                bad += interpolated
                document["trials"].append(round_numbers(found))
                print_trial(document["trials"][-1])
                write_document(options.out, document)
        if options.sheet is not None:
            if rows := choose_rows(bad):
                write_sheet(options.sheet, rows)
            else:
                print("no sheet: every frame of every file is sent")


if __name__ == "__main__":
    main()
