"""SHA-256 of the files of every layout and colouriser, and of what is decoded and coloured.

    python -m lab.fingerprints FOLDER [--clips ../shared/clips/val] > before.txt

A change that must not change a byte of any output is checked by a run before it and one after it,
into two folders, on one machine: processors and library versions change bytes too. Trainings are
counted in steps and run on one thread. It takes about four minutes on two cores.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av

CLIPS = Path(__file__).parent.parent.parent / "shared" / "clips" / "val"
# Short lossless cuts: clip, first frame, frames, pixel format, size (None: its own).
CUTS: dict[str, tuple[str, int, int, str, tuple[int, int] | None]] = {
    "carphone": ("carphone.mp4", 0, 50, "yuv420p", None),
    "mother": ("mother_daughter.mp4", 0, 30, "yuv420p", None),
    "cuts": ("bikes.mp4", 10, 70, "yuv420p", (322, 136)),
    "deep": ("carphone.mp4", 0, 24, "yuv420p10le", None),
    "odd": ("carphone.mp4", 0, 20, "yuv420p", (171, 123)),
}
ENCODES: dict[str, tuple[str, str]] = {
    "default": ("carphone", ""),
    "chroma-none": ("carphone", "--colour track --colouriser none"),
    "chroma-fast": ("carphone", "--structure intra"),
    "chroma-best": ("mother", "--structure intra --network best"),
    "chroma-fixed": ("carphone", "--group 8 --key-boost 10 --adapt off --qp 27"),
    "chroma-thorough": ("mother", "--structure intra --search thorough"),
    "cuts": ("cuts", "--structure intra"),
    "deep": ("deep", "--structure intra"),
    "odd": ("odd", "--structure intra"),
    "odd-full": ("odd", "--key-form full --group 6 --colouriser none"),
    "full": ("carphone", "--key-form full --group 6 --colouriser none"),
    "in-band": ("carphone", "--structure intra --colour in-band"),
    "crf": ("carphone", "--base hevc --crf 30"),
    "low-delay": ("carphone", "--structure low-delay"),
    "random-access": ("carphone", "--structure random-access"),
    "random-access-best": ("mother", "--structure random-access --base hevc --network best"),
    "low-delay-best": ("mother", "--structure low-delay --base hevc --network best"),
    "compatible": ("carphone", "--compatible"),
    "tuned": ("carphone", "--adapt 40steps"),
    "tuned-best": ("carphone", "--network best --adapt 30steps"),
    "bitrate": ("carphone", "--structure intra --bitrate 200"),
    "bitrate-random-access": ("carphone", "--bitrate 150 --structure random-access"),
    "bitrate-none": ("carphone", "--bitrate 300 --colour track --colouriser none"),
    "gan": ("carphone", "--preset paper --recipe cpu --channels 8 --adapt 20steps"),
    "gan-paper": ("odd", "--preset paper --channels 6 --adapt 3steps --losses gan+mse+colour"),
    "gan-rival": ("carphone", "--preset paper --generator pix2pixhd --channels 6 --adapt 3steps"),
}
DECODES = ("chroma-fast", "gan", "low-delay-best", "tuned")
REFERENCES = {"carphone": (0, 25), "mother": (0, 14, 29)}  # frames coloured as they are


def cut_clip(
    source: Path, target: Path, first: int, *, count: int, size: tuple[int, int] | None, pixels: str
) -> None:
    """Write `count` frames of a clip from `first` on, lossless."""
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        stream = given.streams.video[0]
        rate = stream.average_rate
        assert rate is not None
        track = out.add_stream("ffv1", rate=rate)
        track.pix_fmt = pixels
        for number, frame in enumerate(given.decode(stream)):
            if number < first:
                continue
            if number == first + count:
                break
            width, height = size or (frame.width, frame.height)
            picture = frame.reformat(width=width, height=height, format=pixels)
            track.width, track.height = width, height
            picture.pts, picture.time_base = number - first, 1 / rate
            out.mux(track.encode(picture))
        out.mux(track.encode(None))


def write_references(clip: Path, numbers: tuple[int, ...], folder: Path) -> None:
    """Write frames of a clip as the PNGs that `colourise` takes."""
    folder.mkdir()
    with av.open(str(clip)) as given:
        for number, frame in enumerate(given.decode(video=0)):
            if number in numbers:
                frame.to_image().save(folder / f"{number:06d}.png")  # type: ignore[no-untyped-call]


def run(folder: Path, *arguments: str) -> None:
    """Run `tinct` in `folder` on one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-m", "tinct", *arguments, "--quiet"]
    subprocess.run(command, cwd=folder, env={**os.environ, **threads}, check=True)


def write_all(folder: Path, clips: Path) -> Iterator[Path]:
    """Write every file and yield its path."""
    for name, (clip, first, count, pixels, size) in CUTS.items():
        target = folder / f"{name}.source.mkv"
        cut_clip(clips / clip, target, first, count=count, size=size, pixels=pixels)
    for name, (source, options) in ENCODES.items():
        run(folder, "encode", f"{source}.source.mkv", f"{name}.mkv", *options.split())
        yield folder / f"{name}.mkv"
    for name in DECODES:
        run(folder, "decode", f"{name}.mkv", f"{name}.y4m")
        yield folder / f"{name}.y4m"
    run(folder, "decode", "tuned.mkv", "cut.mkv", "--start", "0.5")
    yield folder / "cut.mkv"
    for name, numbers in REFERENCES.items():
        write_references(folder / f"{name}.source.mkv", numbers, folder / name)
        for suffix in ("mkv", "y4m", "mp4"):
            output = f"coloured-{name}.{suffix}"
            confidence = ["--confidence", f"trust-{name}.mkv"] if suffix == "mkv" else []
            run(
                folder, "colourise", f"{name}.source.mkv", output, "--references", name, *confidence
            )
            yield folder / output
        yield folder / f"trust-{name}.mkv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder for the files")
    parser.add_argument("--clips", type=Path, default=CLIPS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    for path in write_all(options.folder, options.clips):
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name, flush=True)


if __name__ == "__main__":
    main()
