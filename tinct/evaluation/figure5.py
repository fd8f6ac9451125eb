"""The paper's Figure 5: its 38th frame of each clip, source, grey, anchor and proposed, measured.

`reproduce` asks for it; `pictures` decodes the frames.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from tinct.errors import CodecError
from tinct.evaluation.clips import crop_frame
from tinct.evaluation.experiments import HEVC, PROPOSED
from tinct.evaluation.metrics import Pair, psnr, psnr_rgb, ssim
from tinct.evaluation.pictures import decode_base, open_file
from tinct.evaluation.points import RDPoint
from tinct.evaluation.published import find_printed
from tinct.evaluation.results import CLIPS, Outcome
from tinct.frames import Frame
from tinct.media.source import open_source

FILE = "figure5.png"
NUMBER = 37  # of the frame, from 0: the paper's 38th
WIDTH = 480  # of a picture, at most
LINE, MARGIN = 20, 6  # pixels: of a caption's lines, and around pictures
FONT, SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
HEADS = ("clip", "picture", "paper: PSNR", "SSIM", "ours: RGB", "Y", "SSIM")
TRUTH, GREY = "ground truth", "grey"


def check_length(clips: Sequence[str], frames: int | None) -> None:
    """Raise CodecError, before any work, for clips or `frames` of them that lack the frame."""
    if frames is not None and frames <= NUMBER:
        raise CodecError(f"figure5: expected --frames {NUMBER + 1} or more, found {frames}")
    for clip in clips:
        count = open_source(clip).info.frame_count
        if count is not None and count <= NUMBER:
            raise CodecError(
                f"figure5: expected clips of {NUMBER + 1} frames or more, found {count} in {clip}"
            )


def draw_figure(outcome: Outcome, folder: Path, codecs: Mapping[str, str]) -> str:
    """Write FILE into a results folder, a line of pictures for each clip; return its Markdown.

    `codecs` are HEVC's and the proposed one. The QP is the first that was asked for; clips without
    both files are left out.
    """
    qp = outcome.setup.qps[0]
    strips, lines = [], [f"| {' | '.join(HEADS)} |", f"|{'---|' * len(HEADS)}"]
    for clip in outcome.clips:
        points = {
            name: point
            for name, codec in codecs.items()
            for point in outcome.of(clip, codec)
            if point.qp == qp and point.file is not None and (folder / point.file).exists()
        }
        if len(points) < len(codecs):
            continue
        shown = _decode_frames(folder, clip, points)
        strips.append(np.hstack([_draw(name, clip, pair) for name, pair in shown.items()]))
        lines += [_format_line(clip, qp, name, pair=pair) for name, pair in shown.items()]
    if not strips:
        return f"No file at QP {qp} to show."
    _write_picture(folder / FILE, strips)
    title = f"Frame {NUMBER} (the {NUMBER + 1}th) at QP {qp}"
    return "\n".join([f"![{title}]({FILE})", "", f"{title}:", "", *lines]) + "\n"


def _decode_frames(folder: Path, clip: str, points: Mapping[str, RDPoint]) -> dict[str, Pair]:
    """Return the frame beside the source's, by what is shown, in the order of the paper."""
    source = _take_frame(open_source(str(folder / CLIPS / f"{clip}.mkv")))
    base = decode_base(folder / str(points[PROPOSED].file), source, NUMBER)
    shown = {TRUTH: source, GREY: base}
    for name in (HEVC, PROPOSED):
        decoded = _take_frame(open_file(folder, points[name]))
        shown[name] = crop_frame(decoded, source.pts, source.info)
    return {name: Pair(source, frame) for name, frame in shown.items()}


def _take_frame(frames: Iterable[Frame]) -> Frame:
    return next(islice(frames, NUMBER, None))


def _measure(pair: Pair) -> tuple[float, float, float]:
    return psnr_rgb(pair), psnr(pair, "y"), ssim(pair, "y")


def _draw(name: str, clip: str, pair: Pair) -> np.ndarray:
    """Return a picture [H, W, 3] with its name and its quality under it, R'G'B'."""
    rgb = pair.decoded.rgb()
    scale = min(1.0, WIDTH / rgb.shape[1])
    rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = rgb.shape[:2]
    decibels, _, similarity = _measure(pair)
    quality = f"PSNR: {decibels:.2f} dB", f"SSIM: {similarity:.4f}"
    texts = (name, *((clip, "") if name == TRUTH else quality))
    size = (height + len(texts) * LINE + 2 * MARGIN, width + 2 * MARGIN, 3)
    canvas = np.full(size, 255, np.uint8)
    canvas[MARGIN : MARGIN + height, MARGIN : MARGIN + width] = rgb
    for number, text in enumerate(texts, 1):
        place = MARGIN, height + number * LINE
        cv2.putText(canvas, text, place, FONT, SIZE, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def _format_line(clip: str, qp: int, name: str, *, pair: Pair) -> str:
    """Return the line of a picture: what the paper prints under it, and what was measured."""
    printed = find_printed("figure5", clip, qp=qp, variant=name)
    numbers = ["" if v is None else f"{v:.3f}" for v in (printed.psnr_db, printed.ssim)]
    decibels, luma, similarity = _measure(pair)
    ours = [f"{decibels:.2f}", f"{luma:.2f}", f"{similarity:.4f}"] if name != TRUTH else [""] * 3
    return f"| {' | '.join([clip, name, *numbers, *ours])} |"


def _write_picture(path: Path, strips: Sequence[np.ndarray]) -> None:
    """Write strips of pictures under one another, those that are narrower filled with white."""
    widest = max(strip.shape[1] for strip in strips)
    filled = [
        np.pad(s, ((0, 0), (0, widest - s.shape[1]), (0, 0)), constant_values=255) for s in strips
    ]
    done, data = cv2.imencode(".png", np.vstack(filled)[..., ::-1])
    assert done
    path.write_bytes(data.tobytes())
