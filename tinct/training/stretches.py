"""Stretches of real clips, coded by the base codec and cut into crops of what a decoder sees.

`samples` keeps the crops on disk. Every random choice follows from the seed, the clip's name and
the stretch's number, so the crops are the same wherever they are made.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from tinct.adapt.crops import Crop, cut_crops, stack_crops
from tinct.bitstream.base import BASES, code_pictures, encode_pictures
from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.pictures import stack_chroma, unstack_chroma
from tinct.bitstream.qp import chroma_qp, key_qp, other_qp
from tinct.config import TaskName
from tinct.decoder.levels import Levels
from tinct.frames import Frame
from tinct.motion.flow import REFINEMENTS, track_both, track_restored
from tinct.motion.interpolation import Place, gather_between_references, match
from tinct.motion.references import (
    DISTANCE_SCALE,
    QP_SCALE,
    QP_ZERO,
    References,
    gather_in_band_references,
    gather_pyramid_references,
    gather_references,
    gather_second_references,
)
from tinct.motion.views import KeyView, LumaView
from tinct.networks.compact import Runner
from tinct.networks.compact_config import CONDITIONS, CompactConfig, Kind, read_weights
from tinct.psnr import squared_error
from tinct.training.shots import CROP, WINDOW, read_shot

CROP_PARTS = ("luma", "chroma", "conditions")
CROPS_PER_FRAME = 3
# Frames of a group that are kept. All are coded, since motion is tracked through them.
FRAMES_PER_STRETCH = 10
QPS = (20, 46)
BOOSTS = (6, 26)
GROUPS = (3, 48)  # frames
COLOUR_OFFSETS = (-18, -12, -12, -6)
OPEN_SHARE = 0.1  # of groups that have only one key frame
# Structures and presets of what is coded with its colour; the chance of each is how often it stands
# here.
IN_BAND = ("low-delay", "random-access", "random-access", "random-access")
X26_PRESETS = ("fast", "medium", "medium", "slow")
IN_BAND_PRESETS = {"av1": ("4", "6", "6", "8"), "hevc": X26_PRESETS, "avc": X26_PRESETS}
IN_BAND_FRAMES = 64
STEPS = (2, 2, 4, 4, 8)  # of sent frames where others are left out between them
MOST_ERROR = 2.0  # of a frame that is left out, in units of the sent frames' squared error
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
    IN_BAND_PRESETS,
    IN_BAND_FRAMES,
    STEPS,
    MOST_ERROR,
)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One stretch of one clip.

    `task` is what a network learns on it, see TASKS. `first` are the weights of a first pass where
    the task needs frames that one has restored; "" elsewhere.
    """

    path: str
    number: int
    seed: int
    task: TaskName
    first: str = ""

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
    task = TASKS[stretch.task]
    return task.make_crops(stretch, stretch.random()) or _make_no_crops(task.kind)


# ── a colour track ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class CodedGroup:
    """A group as a decoder has it: the decoded luma of the frames between two key frames, and both.

    `originals` are the source's frames at the same times as `luma`.
    """

    originals: list[Frame]
    luma: list[LumaView]
    keys: tuple[KeyView, KeyView]


def _make_first_crops(stretch: Stretch, random: np.random.Generator) -> Crop | None:
    """Return crops of a group of which only the key frames have colour."""
    group = _code_group(stretch.path, random)
    if group is None:
        return None
    with ThreadPoolExecutor(2) as pool:
        return _cut_some_frames(group.originals, _gather_group(group, pool), random)


def _make_second_crops(stretch: Stretch, random: np.random.Generator) -> Crop | None:
    """Return crops of such a group after the first pass that the stretch names."""
    group = _code_group(stretch.path, random)
    if group is None:
        return None
    with ThreadPoolExecutor(2) as pool:
        views = _restore_group(group, stretch.first, pool)
        wanted = range(len(views))
        gather = partial(
            gather_second_references,
            group.luma,
            [view.result() for view in views],
            keys=group.keys,
            flows=track_restored(views, group.keys, pool, wanted=wanted),
        )
        return _cut_some_frames(group.originals, gather, random)


def _make_between_crops(stretch: Stretch, random: np.random.Generator) -> Crop | None:
    """Return crops of frames that were not sent, between frames that a first pass restored.

    Those that an encoder would send after all are left out: a network cannot mend their motion.
    """
    group = _code_group(stretch.path, random)
    if group is None or group.keys[0] is group.keys[1]:
        return None
    step = int(random.choice(STEPS))
    sent = range(step - 1, len(group.luma), step)
    restored = _restore_sent(group, sent, stretch.first)
    if not restored:
        return None
    errors = [
        _measure_luma_error(group.originals[index], view.luma.y)
        for index, view in zip(sent, restored, strict=True)
    ]
    most = MOST_ERROR * float(np.mean(errors))
    originals, references = [], []
    for index, found in _gather_between(group, sent, restored):
        if _measure_luma_error(group.originals[index], found.luma[0]) <= most:
            originals.append(group.originals[index])
            references.append(found)
    return _cut_some_frames(originals, references.__getitem__, random) if originals else None


def _restore_sent(group: CodedGroup, sent: Sequence[int], first: str) -> list[KeyView]:
    """Return the frames of these indices after a first pass, which knows of no others."""
    count = len(group.luma)
    thinned = replace(
        group,
        originals=[group.originals[index] for index in sent],
        luma=[replace(group.luma[index], distances=(index + 1, count - index)) for index in sent],
    )
    with ThreadPoolExecutor(2) as pool:
        return [view.result() for view in _restore_group(thinned, first, pool)]


def _gather_between(
    group: CodedGroup, sent: Sequence[int], restored: Sequence[KeyView]
) -> Iterator[tuple[int, References]]:
    """Yield the index and the references of each frame between those that were sent."""
    shown = [group.keys[0], *restored, group.keys[1]]
    numbers = [-1, *sent, len(group.luma)]
    for (before, first), (after, last) in pairwise(zip(shown, numbers, strict=True)):
        motion = match(before, after)
        for index in range(first + 1, last):
            distances = (index - first, last - index)
            place = Place(share=distances[0] / (last - first), distances=distances)
            yield index, gather_between_references(before, after, motion=motion, place=place)


def _measure_luma_error(original: Frame, shown: np.ndarray) -> float:
    return squared_error(original.y, shown, 8)


def _code_group(path: str, random: np.random.Generator) -> CodedGroup | None:
    """Read and code a group at random settings; None if it has no frame between key frames."""
    length = round(float(np.exp(random.uniform(*np.log(GROUPS))))) + 1
    frames = read_shot(path, random, length)
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


def _gather_group(group: CodedGroup, pool: Executor) -> Callable[[int], References]:
    """Return what gathers the references of a first pass."""
    flows = track_both(group.luma, group.keys, pool, wanted=range(len(group.luma)))
    return partial(gather_references, group.luma, keys=group.keys, flows=flows)


def _restore_group(group: CodedGroup, first: str, pool: Executor) -> list[Future[KeyView]]:
    """Return all frames after a first pass."""
    if not group.luma:
        return []
    first_pass = _compile_first_pass(first, group.luma[0].y.shape)
    gather = _gather_group(group, pool)
    views: list[Future[KeyView]] = []
    for index, luma in enumerate(group.luma):
        y, cb, cr = first_pass(gather(index))
        views.append(Future())
        views[-1].set_result(KeyView(LumaView(y, 8, luma.pts, qp=luma.qp), cb, cr))
    return views


# ── pictures coded with their colour ──────────────────────────────────────────────────────────────


def _make_in_band_crops(stretch: Stretch, random: np.random.Generator) -> Crop | None:
    """Return crops of HEVC pictures, with those around them."""
    coded = _code_pictures(stretch.path, random, base="hevc")
    if coded is None:
        return None
    frames, views = coded
    return _cut_some_frames(frames, partial(gather_in_band_references, views), random)


def _make_pyramid_crops(stretch: Stretch, random: np.random.Generator, *, base: str) -> Crop | None:
    """Return crops of pictures of a base codec with finer ones."""
    coded = _code_pictures(stretch.path, random, base=base)
    if coded is None:
        return None
    frames, views = coded
    gather = partial(gather_pyramid_references, views, moved_pairs=2)
    return _cut_some_frames(frames, gather, random)


def _code_pictures(
    path: str, random: np.random.Generator, *, base: str
) -> tuple[list[Frame], list[KeyView]] | None:
    """Read frames and code them with their colour, in a structure that predicts."""
    frames = read_shot(path, random, IN_BAND_FRAMES)
    if len(frames) < 3:
        return None
    qp = int(random.integers(*QPS))
    settings = BaseSettings(
        base=base,
        structure=str(random.choice(IN_BAND)),
        info=frames[0].info,
        qp=qp,
        preset=str(random.choice(IN_BAND_PRESETS[base])),
    )
    coded = code_pictures([(f.y, f.cb, f.cr) for f in frames], settings, grey=False)
    levels = Levels(BASES[base])
    for packet, _ in sorted(coded, key=lambda one: one[0].dts):
        levels.note(packet.data, packet.pts, is_entry=packet.keyframe)
    height, width = frames[0].y.shape
    views = []
    for frame, (packet, planes) in zip(frames, coded, strict=True):
        y, cb, cr = (
            np.ascontiguousarray(plane[: height // part, : width // part])
            for plane, part in zip(planes, (1, 2, 2), strict=True)
        )
        luma = LumaView(y, 8, frame.pts, qp=qp, level=levels.take(packet.pts))
        views.append(KeyView(luma, cb, cr))
    return frames, views


# ── frames and crops ──────────────────────────────────────────────────────────────────────────────


def _cut_some_frames(
    originals: Sequence[Frame], gather: Callable[[int], References], random: np.random.Generator
) -> Crop:
    """Return stacked crops of at most FRAMES_PER_STRETCH of the frames."""
    count = min(FRAMES_PER_STRETCH, len(originals))
    chosen = sorted(random.choice(len(originals), count, replace=False))
    cut = partial(cut_crops, random=random, side=CROP, count=CROPS_PER_FRAME)
    return stack_crops(crop for i in chosen for crop in cut(originals[i], gather(i)))


def _make_no_crops(kind: Kind) -> Crop:
    """Return stacked crops of no place."""
    config = CompactConfig(kind=kind)
    return Crop(
        luma=np.empty((0, config.luma_sources + 1, CROP, CROP), np.uint8),
        chroma=np.empty((0, config.chroma_sources + 1, 2, CROP // 2, CROP // 2), np.uint8),
        conditions=np.empty((0, CONDITIONS), np.float32),
    )


# ── the table ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a network learns to do: its `kind`, and the crops that it learns on, None for none.

    With `needs_first` they are of frames that a first pass has restored.
    """

    kind: Kind
    make_crops: Callable[[Stretch, np.random.Generator], Crop | None]
    needs_first: bool = False


TASKS: dict[TaskName, Task] = {
    "first": Task(kind="first", make_crops=_make_first_crops),
    "second": Task(kind="second", make_crops=_make_second_crops, needs_first=True),
    "between": Task(kind="between", make_crops=_make_between_crops, needs_first=True),
    "near-av1": Task(kind="near", make_crops=partial(_make_pyramid_crops, base="av1")),
    "near-hevc": Task(kind="near", make_crops=partial(_make_pyramid_crops, base="hevc")),
    "near-avc": Task(kind="near", make_crops=partial(_make_pyramid_crops, base="avc")),
    "pyramid-av1": Task(kind="pyramid", make_crops=partial(_make_pyramid_crops, base="av1")),
    "pyramid-hevc": Task(kind="pyramid", make_crops=partial(_make_pyramid_crops, base="hevc")),
    "pyramid-avc": Task(kind="pyramid", make_crops=partial(_make_pyramid_crops, base="avc")),
    "in-band": Task(kind="second", make_crops=_make_in_band_crops),
}
