"""Stretches of real clips, coded by the base codec and cut into crops of what a decoder sees.

`samples` keeps the crops on disk. Every random choice follows from the seed, the clip's name and
the stretch's number, so the crops are the same wherever they are made.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from tinct.adapt.crops import Crop, cut_crops, stack_crops
from tinct.bitstream.base import BaseSettings, encode_pictures, stack_chroma, unstack_chroma
from tinct.bitstream.qp import chroma_qp, key_qp, other_qp
from tinct.errors import CodecError
from tinct.frames import Frame
from tinct.media.source import open_source
from tinct.motion.flow import REFINEMENTS, track_both, track_restored
from tinct.motion.references import (
    DISTANCE_SCALE,
    QP_SCALE,
    QP_ZERO,
    References,
    gather_in_band_references,
    gather_references,
    gather_second_references,
)
from tinct.motion.shots import scan_frames
from tinct.motion.views import KeyView, LumaView
from tinct.networks.compact import Runner
from tinct.networks.compact_config import CONDITIONS, CompactConfig, read_weights

CROP_PARTS = ("luma", "chroma", "conditions")
CROP = 160  # luma samples a side; training takes smaller squares from anywhere in it
CROPS_PER_FRAME = 3
# Frames of a group that are kept. All are coded, since motion is tracked through them.
FRAMES_PER_STRETCH = 10
WINDOW = (320, 480)  # height and width of what is coded, at most
QPS = (20, 46)
BOOSTS = (6, 26)
GROUPS = (3, 48)  # frames
COLOUR_OFFSETS = (-18, -12, -12, -6)
OPEN_SHARE = 0.1  # of groups that have only one key frame
# Structures of what is coded with its colour; the chance of each is how often it stands here.
IN_BAND = ("low-delay", "random-access", "random-access")
IN_BAND_FRAMES = 32
HELD_OUT = 10  # every 10th stretch of a clip is watched, not learnt
OF_TRACKS = (BOOSTS, GROUPS, COLOUR_OFFSETS, OPEN_SHARE)
MADE_WITH = (DISTANCE_SCALE, QP_SCALE, QP_ZERO, REFINEMENTS)
# Hashed into the name of a cache: values and order decide whether an earlier one is found.
SETTINGS = (
    CROP_PARTS,
    MADE_WITH,
    CROP,
    CROPS_PER_FRAME,
    FRAMES_PER_STRETCH,
    WINDOW,
    QPS,
    *OF_TRACKS,
    IN_BAND,
    IN_BAND_FRAMES,
)


@dataclass(frozen=True)
class Stretch:
    """One stretch of one clip.

    `first` are the weights of a first pass, for crops of a second one; "" without. `in_band` codes
    pictures with their colour.
    """

    path: str
    number: int
    seed: int
    first: str
    in_band: bool

    @property
    def name(self) -> str:
        """The name of the folder of its crops."""
        return f"{Path(self.path).name}.{self.number}"

    @property
    def is_held_out(self) -> bool:
        return self.number % HELD_OUT == HELD_OUT - 1

    def random(self) -> np.random.Generator:
        """Return a generator that is seeded by the stretch alone."""
        name = hashlib.sha256(Path(self.path).name.encode()).digest()[:8]
        return np.random.default_rng([self.seed, self.number, *name])


def make_crops(stretch: Stretch) -> Crop:
    """Return the crops of a stretch, stacked; none where it is too short.

    Raises CodecError where the clip is too small, or damaged there.
    """
    return _make_in_band_crops(stretch) if stretch.in_band else _make_track_crops(stretch)


# ── a colour track ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class CodedGroup:
    """A group as a decoder has it: the decoded luma of the frames between two key frames, and both.

    `originals` are the source's frames at the same times as `luma`.
    """

    originals: list[Frame]
    luma: list[LumaView]
    keys: tuple[KeyView, KeyView]


def _make_track_crops(stretch: Stretch) -> Crop:
    """Return crops of a group of which only the key frames have colour.

    They are crops of a second pass where the stretch names weights of a first one.
    """
    random = stretch.random()
    group = _code_group(stretch.path, random)
    if group is None:
        return _make_no_crops(second=bool(stretch.first))
    with ThreadPoolExecutor(2) as pool:
        earlier, later = track_both(group.luma, group.keys, pool)
        flows = (earlier.result(), later.result())
        gather = partial(gather_references, group.luma, keys=group.keys, flows=flows)
        if stretch.first:
            first_pass = _compile_first_pass(stretch.first, group.luma[0].y.shape)
            again = _restore_group(group, gather, first_pass, pool=pool)
            return _cut_some_frames(group.originals, again, random)
    return _cut_some_frames(group.originals, gather, random)


def _code_group(path: str, random: np.random.Generator) -> CodedGroup | None:
    """Read and code a group at random settings; None if it has no frame between key frames."""
    length = round(float(np.exp(random.uniform(*np.log(GROUPS))))) + 1
    frames = _read_stretch(path, random, length)
    if len(frames) < 3:
        return None
    info = frames[0].info
    qp, boost = int(random.integers(*QPS)), int(random.integers(*BOOSTS))
    fine = BaseSettings(structure="intra", info=info, qp=key_qp(qp, boost))
    coarse = replace(fine, qp=other_qp(qp, boost))
    offset = int(random.choice(COLOUR_OFFSETS))
    colour = replace(fine, structure="colour", qp=max(0, chroma_qp(key_qp(qp, boost)) + offset))
    ends, between = [frames[0], frames[-1]], frames[1:-1]
    stacked = encode_pictures([(stack_chroma(f.cb, f.cr),) for f in ends], colour, grey=True)
    first, last = (
        KeyView(luma, *unstack_chroma(planes[0], info.chroma_shape))
        for luma, (_, planes) in zip(_code_luma(ends, fine), stacked, strict=True)
    )
    is_open = random.random() < OPEN_SHARE
    keys = (first, first if is_open else last)
    return CodedGroup(between, _code_luma(between, coarse), keys)


def _code_luma(frames: list[Frame], settings: BaseSettings) -> list[LumaView]:
    """Return the luma of each frame as it decodes."""
    assert settings.qp is not None
    coded = encode_pictures([(f.y,) for f in frames], settings, grey=True)
    height, width = frames[0].y.shape
    planes = [np.ascontiguousarray(planes[0][:height, :width]) for _, planes in coded]
    return [LumaView(y, 8, f.pts, qp=settings.qp) for f, y in zip(frames, planes, strict=True)]


@cache
def _compile_first_pass(first: str, size: tuple[int, int]) -> Runner:
    return Runner(*read_weights(Path(first)), size=size, bit_depth=8)


def _restore_group(
    group: CodedGroup,
    gather: Callable[[int], References],
    first_pass: Runner,
    *,
    pool: Executor,
) -> Callable[[int], References]:
    """Restore all frames by a first pass; return what gathers the references of a second one."""
    views: list[Future[KeyView]] = []
    for index, luma in enumerate(group.luma):
        y, cb, cr = first_pass(gather(index))
        views.append(Future())
        views[-1].set_result(KeyView(LumaView(y, 8, luma.pts), cb, cr))
    earlier, later = track_restored(views, group.keys, pool)
    return partial(
        gather_second_references,
        group.luma,
        [view.result() for view in views],
        keys=group.keys,
        flows=(earlier.result(), later.result()),
    )


# ── pictures coded with their colour ──────────────────────────────────────────────────────────────


def _make_in_band_crops(stretch: Stretch) -> Crop:
    """Return stacked crops of pictures coded with their colour, in a structure that predicts."""
    random = stretch.random()
    frames = _read_stretch(stretch.path, random, IN_BAND_FRAMES)
    if len(frames) < 3:
        return _make_no_crops(second=True)
    structure, qp = str(random.choice(IN_BAND)), int(random.integers(*QPS))
    settings = BaseSettings(structure=structure, info=frames[0].info, qp=qp)
    coded = encode_pictures([(f.y, f.cb, f.cr) for f in frames], settings, grey=False)
    height, width = frames[0].y.shape
    views = []
    for frame, (_, planes) in zip(frames, coded, strict=True):
        y, cb, cr = (
            np.ascontiguousarray(plane[: height // part, : width // part])
            for plane, part in zip(planes, (1, 2, 2), strict=True)
        )
        views.append(KeyView(LumaView(y, 8, frame.pts, qp=qp), cb, cr))
    return _cut_some_frames(frames, partial(gather_in_band_references, views), random)


# ── frames and crops ──────────────────────────────────────────────────────────────────────────────


def _read_stretch(path: str, random: np.random.Generator, length: int) -> list[Frame]:
    """Read at most `length` frames of one shot, scaled and cut to a window, at a random place.

    Raises CodecError where the clip is too small or damaged there.
    """
    source = open_source(path)
    total = source.info.frame_count or length
    first = int(random.integers(0, max(1, total - length)))
    height, width = source.info.height, source.info.width
    smaller = min(height, width)
    scales = [s for s in (1, 2, 3, 4) if smaller / s >= CROP + 16 and smaller / s <= 800] or [1]
    scale = int(random.choice(scales))
    size = (width // scale // 8 * 8, height // scale // 8 * 8)
    window = (min(WINDOW[0], size[1]), min(WINDOW[1], size[0]))
    if min(window) < CROP:
        raise CodecError(f"expected at least {CROP}x{CROP} pixels, found {width}x{height}")
    corner = [
        int(random.integers(0, (whole - part) // 8 + 1)) * 8
        for whole, part in zip(size[::-1], window, strict=True)
    ]
    shot, part = [], source.start_at(first)
    for scanned in scan_frames(islice(iter(part), length)):
        if scanned.starts_shot:
            break
        shot.append(_scale_and_cut(scanned.frame, size, window, corner=corner))
    if part.damaged:  # frames near a lost packet may decode without an error, but are no originals
        raise CodecError(
            "expected a clip that decodes, "
            f"found packets that are lost or do not in {path}; get the file again"
        )
    return shot


def _scale_and_cut(
    frame: Frame, size: tuple[int, int], window: tuple[int, int], *, corner: Sequence[int]
) -> Frame:
    """Scale a frame to `size` (width, height), and cut a `window` (height, width) out; 8 bit.

    `corner` is the window's first row and column.
    """
    planes = []
    for plane, part in ((frame.y, 1), (frame.cb, 2), (frame.cr, 2)):
        plane_8 = plane if frame.info.bit_depth == 8 else (plane >> 2).astype(np.uint8)
        plane_size = (size[0] // part, size[1] // part)
        scaled = cv2.resize(plane_8, plane_size, interpolation=cv2.INTER_AREA)
        rows, columns = (
            slice(first // part, (first + length) // part)
            for first, length in zip(corner, window, strict=True)
        )
        planes.append(np.ascontiguousarray(scaled[rows, columns]))
    y, cb, cr = planes
    info = replace(frame.info, width=window[1], height=window[0], bit_depth=8)
    return Frame(y=y, cb=cb, cr=cr, pts=frame.pts, info=info)


def _cut_some_frames(
    originals: Sequence[Frame], gather: Callable[[int], References], random: np.random.Generator
) -> Crop:
    """Return stacked crops of at most FRAMES_PER_STRETCH of the frames."""
    count = min(FRAMES_PER_STRETCH, len(originals))
    chosen = sorted(random.choice(len(originals), count, replace=False))
    cut = partial(cut_crops, random=random, side=CROP, count=CROPS_PER_FRAME)
    return stack_crops(crop for i in chosen for crop in cut(originals[i], gather(i)))


def _make_no_crops(*, second: bool) -> Crop:
    """Return stacked crops of no place."""
    config = CompactConfig(second=second)
    return Crop(
        luma=np.empty((0, config.luma_sources + 1, CROP, CROP), np.uint8),
        chroma=np.empty((0, config.chroma_sources + 1, 2, CROP // 2, CROP // 2), np.uint8),
        conditions=np.empty((0, CONDITIONS), np.float32),
    )
