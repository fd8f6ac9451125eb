"""The pictures of a report: one frame of each clip from source, grey base, anchor and Tinct.

`report` puts them into its page.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np

from tinct.bitstream.container import find_tracks, read_file_manifest
from tinct.bitstream.manifest import LUMA
from tinct.decoder.video import Video
from tinct.evaluation.clips import crop_frame
from tinct.evaluation.codecs import EVERY, parse_codec
from tinct.evaluation.decode import read_frames
from tinct.evaluation.keyframes import number_sent_frames
from tinct.evaluation.points import RDPoint
from tinct.evaluation.results import CLIPS, Outcome
from tinct.frames import Frame
from tinct.media.planes import from_av_frame
from tinct.media.source import open_source
from tinct.page import encode_webp, make_data_uri

SHOWN_QP = 37  # or the nearest QP with a point; as in the paper's figure 5
MAX_TESTS = 3  # codecs of Tinct that are shown
MAX_BYTES = 6_000_000  # of all pictures together, before base64
QUALITIES = (95, 90, 80, 65, 50)  # of WebP: the first with which they fit
OWN_FAMILY = "tinct"
JUDGED_BY = "ciede2000"  # the metric that chooses the frame


@dataclass(frozen=True)
class Picture:
    """One way a frame looks: R'G'B' [H, W, 3] and the words beside it."""

    title: str
    caption: str
    rgb: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """The pictures of one frame of a clip, and the frame's number."""

    number: int
    pictures: list[Picture]


def compare_frames(outcome: Outcome, folder: Path) -> dict[str, Comparison]:
    """Return, by clip, source, grey base, anchor and Tinct at one frame.

    Clips without a Tinct file that has a grey base are left out. The anchor's point is the one
    nearest in size.
    """
    found = {}
    for clip in outcome.clips:
        tests = _choose_tests(outcome, folder, clip)
        path = folder / CLIPS / f"{clip}.mkv"
        if tests and path.exists():
            anchors = [
                point
                for point in outcome.of(clip, outcome.anchor_of(tests[0].codec))
                if _has_file(folder, point)
            ]
            points = [*_choose_anchor(anchors, tests[0]), *tests]
            found[clip] = _compare(folder, path, tests[0], points=points)
    return found


def _choose_tests(outcome: Outcome, folder: Path, clip: str) -> list[RDPoint]:
    """Return one point a codec of Tinct, of those with a grey base whose files have been kept."""
    found = []
    for codec in outcome.codecs:
        points = [
            point
            for point in outcome.of(clip, codec)
            if codec.startswith(OWN_FAMILY)
            and point.keys
            and JUDGED_BY in point.series
            and _has_file(folder, point)
        ]
        if points:
            found.append(min(points, key=lambda point: abs(point.qp - SHOWN_QP)))
    return found[:MAX_TESTS]


def _choose_anchor(anchors: list[RDPoint], test: RDPoint) -> list[RDPoint]:
    """Return the anchor's point that is nearest in size, by ratio; none where it has no point."""

    def distance(point: RDPoint) -> float:
        return abs(math.log(point.size_bytes / test.size_bytes))

    return [min(anchors, key=distance)] if anchors else []


def _compare(folder: Path, clip: Path, test: RDPoint, *, points: list[RDPoint]) -> Comparison:
    number = _find_worst_frame(test)
    source = next(islice(iter(open_source(str(clip))), number, None))
    base = decode_base(folder / str(test.file), source, number)
    pictures = [
        Picture("source", "as it came", source.rgb()),
        Picture("grey base", f"what {test.codec} sends of every frame", base.rgb()),
    ]
    for point in points:
        decoded = next(islice(open_file(folder, point), number, None))
        frame = crop_frame(decoded, source.pts, source.info)
        title = f"{point.codec}, QP {point.qp}"
        pictures.append(Picture(title, _caption(point, number), frame.rgb()))
    return Comparison(number, pictures)


def open_file(folder: Path, point: RDPoint) -> Iterator[Frame]:
    """Return the decoded frames of a point's file, those that were left out among them."""
    path = str(folder / str(point.file))
    return read_frames(path)[1] if EVERY in parse_codec(point.codec).options else iter(Video(path))


def _has_file(folder: Path, point: RDPoint) -> bool:
    """Return whether what the codec wrote has been kept."""
    return point.file is not None and (folder / point.file).exists()


def _find_worst_frame(point: RDPoint) -> int:
    """Return the frame between key frames with the largest colour error, so as not to flatter."""
    keys = set(point.keys)
    errors = [(value or 0) * (i not in keys) for i, value in enumerate(point.series[JUDGED_BY])]
    return int(np.argmax(errors))


def decode_base(path: Path, source: Frame, number: int) -> Frame:
    """Return a frame of the luma track, grey, as a player without Tinct shows it.

    While an interpolated frame is due that is the sent one before it.
    """
    manifest = read_file_manifest(str(path))
    assert manifest is not None
    info = source.info
    numbers = number_sent_frames(str(path))
    pts = max(ms for ms in numbers[LUMA] if numbers[LUMA][ms] <= number)
    grey = np.full(info.chroma_shape, 1 << (info.bit_depth - 1), source.cb.dtype)
    with av.open(str(path)) as container:
        for picture in container.decode(find_tracks(container, manifest)[LUMA]):
            if picture.pts == pts:
                luma = from_av_frame(picture)[0][: info.height, : info.width]
                y = np.ascontiguousarray(luma)
                return Frame(y=y, cb=grey, cr=grey, pts=source.pts, info=info)
    raise AssertionError(f"no frame {number} in the luma track of {path}")


def _caption(point: RDPoint, number: int) -> str:
    """Return a file's rate and the quality of the frame shown."""
    names = ("psnr_yuv611", "psnr_u", "psnr_v", "ciede2000")
    values = [point.series[name][number] for name in names]
    yuv, u, v, colour = (math.nan if value is None else value for value in values)
    return (
        f"{point.rate_kbps():,.0f} kbit/s; this frame: {yuv:.2f} dB (6Y+U+V)/8, "
        f"U {u:.2f} dB, V {v:.2f} dB, CIEDE2000 {colour:.2f}"
    )


def encode_pictures(
    comparisons: dict[str, Comparison],
) -> tuple[dict[str, list[dict[str, str]]], int]:
    """Return pictures by clip as data URIs, and their WebP quality: the best at which all fit."""
    for quality in QUALITIES:
        coded = {
            clip: [encode_webp(picture.rgb, quality) for picture in comparison.pictures]
            for clip, comparison in comparisons.items()
        }
        if sum(len(data) for pictures in coded.values() for data in pictures) <= MAX_BYTES:
            break
    found = {
        clip: [
            {"title": picture.title, "caption": picture.caption, "src": make_data_uri(data)}
            for picture, data in zip(comparison.pictures, coded[clip], strict=True)
        ]
        for clip, comparison in comparisons.items()
    }
    return found, quality
