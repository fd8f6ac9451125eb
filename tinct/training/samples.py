"""Samples to train `compact` on: stretches of real clips, coded by the real base layer, with both key frames laid onto each frame.

Written to disk once, as crops in NumPy files that training maps into memory. Every random choice comes from the seed, the clip's
name and the stretch's number, so a folder is the same whenever and wherever it is made.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from tinct import workers as engine
from tinct.bitstream.hevc import HevcSettings, code_pictures, stack_chroma, unstack_chroma
from tinct.bitstream.qp import chroma_qp, key_qp, other_qp
from tinct.errors import CodecError
from tinct.files import Growing
from tinct.frames import Frame
from tinct.media.planes import Planes
from tinct.media.source import open_source
from tinct.motion.flow import REFINEMENTS, track_both, track_restored
from tinct.motion.references import (
    DISTANCE_SCALE,
    QP_SCALE,
    QP_ZERO,
    References,
    in_band_reference,
    reference,
    second_reference,
)
from tinct.motion.shots import look
from tinct.motion.views import KeyView, LumaView
from tinct.networks.compact import Runner
from tinct.networks.compact_config import CONDITIONS, CompactConfig, read_weights

CROP_PARTS = ("luma", "chroma", "conditions")  # of one place in one frame
CROP = 160  # luma samples a side; training takes smaller ones from anywhere in it
CROPS_PER_FRAME = 3
FRAMES_PER_STRETCH = (
    10  # that are kept; all of a group are coded, since motion is tracked through them
)
WINDOW = (320, 480)  # height and width at most of what is coded
QPS = (20, 46)
BOOSTS = (6, 26)
GROUPS = (3, 48)  # frames
COLOUR_OFFSETS = (-18, -12, -12, -6)
OPEN_SHARE = 0.1  # of groups that have one key frame only
IN_BAND = (
    "low-delay",
    "random-access",
    "random-access",
)  # structures of what is coded with its colour; by how often each comes
IN_BAND_FRAMES = 32
HELD_OUT = 10  # every how many stretches of a clip one is watched, not learnt
OF_TRACKS = (BOOSTS, GROUPS, COLOUR_OFFSETS, OPEN_SHARE)
MADE_WITH = (DISTANCE_SCALE, QP_SCALE, QP_ZERO, REFINEMENTS)
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
class Degraded:
    """A group as a decoder has it: the originals between two key frames, their decoded luma, the key frames."""

    originals: list[Frame]
    luma: list[LumaView]
    keys: tuple[KeyView, KeyView]


Crop = tuple[
    np.ndarray, np.ndarray, np.ndarray
]  # luma, chroma and conditions of one place in one frame


@dataclass(frozen=True)
class Crops:
    """References and originals of many places: `luma` [N, S + 1, CROP, CROP], `chroma` [N, S' + 1, 2, CROP / 2, CROP / 2].

    The original comes last. `references` says what the sources are, and the `conditions` [N, 4].
    """

    luma: np.ndarray
    chroma: np.ndarray
    conditions: np.ndarray

    def save(self, folder: Path) -> None:
        """As NumPy files in a folder that is whole or not there."""
        with Growing(folder, folder=True) as growing:
            for name in CROP_PARTS:
                np.save(growing.path / f"{name}.npy", getattr(self, name))
            growing.publish()

    @classmethod
    def load(cls, folder: Path) -> "Crops":
        """Mapped from disk."""
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in CROP_PARTS))


class Samples:
    """The crops of many stretches as one sequence; `identity` names what they were made from."""

    def __init__(self, folders: Sequence[Path], identity: str) -> None:
        self._stretches = [Crops.load(folder) for folder in folders]
        self._ends = np.cumsum([len(crops.luma) for crops in self._stretches])
        self.identity = identity

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, number: int) -> Crop:
        stretch = int(np.searchsorted(self._ends, number, side="right"))
        crops = self._stretches[stretch]
        place = number - int(self._ends[stretch])  # from the end
        return crops.luma[place], crops.chroma[place], crops.conditions[place]


@dataclass(frozen=True)
class Prepared:
    """Samples to learn from and others to watch, and the clips that failed, by the reason."""

    samples: Samples
    held_out: Samples
    clips: list[str]
    failed: dict[str, str]


def prepare(
    clips: Sequence[Path],
    cache: Path,
    *,
    stretches: int,
    seed: int,
    first: Path | None = None,
    in_band: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Samples of all clips, made where the cache lacks them; with `first`, the weights of a first pass, of a second one; with
    `in_band`, of pictures coded with their colour.

    Every HELD_OUT-th stretch of a clip is held out. A clip that does not decode is left out and named.
    """
    identity = hashlib.sha256(
        repr((SETTINGS, seed, first and first.read_bytes(), in_band)).encode()
    ).hexdigest()[:16]
    folder, found_cache = cache / identity, cache.exists()
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        (str(clip), number, seed, str(first or ""), in_band, str(folder / f"{clip.name}.{number}"))
        for number in range(stretches)
        for clip in clips
    ]
    missing = [task for task in tasks if not Path(task[-1]).exists()]
    failed: dict[str, str] = {}
    for done, (number, result) in enumerate(
        engine.run(write_stretch, missing, jobs=os.cpu_count() or 1), 1
    ):
        if isinstance(result, CodecError):
            failed[missing[number][0]] = str(result)
        if progress is not None:
            progress(done, len(missing))
    good = [task for task in tasks if task[0] not in failed]
    held = [Path(task[-1]) for task in good if task[1] % HELD_OUT == HELD_OUT - 1]
    learnt = [Path(task[-1]) for task in good if task[1] % HELD_OUT != HELD_OUT - 1]
    names = sorted({Path(task[0]).name for task in good})
    described = f"{identity} {stretches} {names}"
    prepared = Prepared(Samples(learnt, described), Samples(held, described), names, failed)
    if not len(prepared.samples) or not len(prepared.held_out):
        with suppress(OSError):  # what is not empty stays
            folder.rmdir()
            if not found_cache:
                cache.rmdir()
        reason = next((f"; of {Path(clip).name}: {failed[clip]}" for clip in sorted(failed)), "")
        raise CodecError(
            f"expected clips of {CROP} pixels a side or more and {HELD_OUT} stretches of each, found none that serve{reason}"
        )
    return prepared


def write_stretch(
    path: str, number: int, seed: int, first: str, in_band: bool, folder: str
) -> None:
    """Make one stretch's crops; a task for `engine`."""
    cv2.setNumThreads(1)
    if in_band:
        crops = in_band_crops(path, number, seed)
    else:
        crops = stretch_crops(
            path, number, seed, None if not first else lambda f: _runner(first, f.luma.shape[1:])(f)
        )
    crops.save(Path(folder))


@cache
def _runner(first: str, size: tuple[int, int]) -> Runner:
    return Runner(*read_weights(Path(first)), size, 8)


def stretch_crops(
    path: str, number: int, seed: int, first: Callable[[References], Planes] | None = None
) -> Crops:
    random = _random(path, number, seed)
    group = _degraded(path, random)
    if group is None:
        return _no_crops(second=first is not None)
    with ThreadPoolExecutor(2) as pool:
        earlier, later = track_both(group.luma, group.keys, pool)
        flows = (earlier.result(), later.result())
        laid = partial(reference, group.luma, keys=group.keys, flows=flows)
        if first is not None:
            laid = _second(group, [first(laid(i)) for i in range(len(group.luma))], pool)
    return _kept(group.originals, laid, random)


def in_band_crops(path: str, number: int, seed: int) -> Crops:
    """Of a stretch that was coded with its colour, in one of the structures that predict."""
    random = _random(path, number, seed)
    frames = _stretch(path, random, IN_BAND_FRAMES)
    if len(frames) < 3:
        return _no_crops(second=True)
    structure, qp = str(random.choice(IN_BAND)), int(random.integers(*QPS))
    settings = HevcSettings(structure, frames[0].info, qp=qp)
    coded = code_pictures([(f.y, f.cb, f.cr) for f in frames], settings, grey=False)
    height, width = frames[0].y.shape
    views = []
    for frame, (_, planes) in zip(frames, coded, strict=True):
        y, cb, cr = (
            np.ascontiguousarray(p[: height // part, : width // part])
            for p, part in zip(planes, (1, 2, 2), strict=True)
        )
        views.append(KeyView(LumaView(y, 8, frame.pts, qp), cb, cr))
    return _kept(frames, partial(in_band_reference, views), random)


def _random(path: str, number: int, seed: int) -> np.random.Generator:
    return np.random.default_rng(
        [seed, number, *hashlib.sha256(Path(path).name.encode()).digest()[:8]]
    )


def _kept(
    originals: Sequence[Frame], laid: Callable[[int], References], random: np.random.Generator
) -> Crops:
    """Of some of the frames."""
    kept = sorted(
        random.choice(len(originals), min(FRAMES_PER_STRETCH, len(originals)), replace=False)
    )
    crops = [crop for i in kept for crop in _crops(laid(i), originals[i], random)]
    return Crops(*(np.stack(part) for part in zip(*crops, strict=True)))


def _no_crops(*, second: bool) -> Crops:
    config = CompactConfig(second=second)
    luma = np.empty((0, config.luma_sources + 1, CROP, CROP), np.uint8)
    chroma = np.empty((0, config.chroma_sources + 1, 2, CROP // 2, CROP // 2), np.uint8)
    return Crops(luma, chroma, np.empty((0, CONDITIONS), np.float32))


def _second(group: Degraded, restored: list[Planes], pool: Executor) -> "partial[References]":
    """References of the second pass, from what the first one made."""
    views: list[Future[KeyView]] = []
    for luma, (y, cb, cr) in zip(group.luma, restored, strict=True):
        views.append(Future())
        views[-1].set_result(KeyView(LumaView(y, 8, luma.pts), cb, cr))
    earlier, later = track_restored(views, group.keys, pool)
    done = [view.result() for view in views]
    return partial(
        second_reference,
        group.luma,
        done,
        keys=group.keys,
        flows=(earlier.result(), later.result()),
    )


def _degraded(path: str, random: np.random.Generator) -> Degraded | None:
    frames = _stretch(path, random)
    if len(frames) < 3:
        return None
    info = frames[0].info
    qp, boost = int(random.integers(*QPS)), int(random.integers(*BOOSTS))
    settings = HevcSettings("intra", info, qp=key_qp(qp, boost))
    ends = [frames[0], frames[-1]]
    fine = _coded_luma(ends, settings)
    colour = replace(
        settings,
        structure="colour",
        qp=max(0, chroma_qp(key_qp(qp, boost)) + int(random.choice(COLOUR_OFFSETS))),
    )
    stacked = code_pictures([(stack_chroma(f.cb, f.cr),) for f in ends], colour, grey=True)
    keys = [
        KeyView(view, *unstack_chroma(planes[0], info.chroma_shape))
        for view, (_, planes) in zip(fine, stacked, strict=True)
    ]
    if random.random() < OPEN_SHARE:
        keys[1] = keys[0]
    between = frames[1:-1]
    return Degraded(
        between, _coded_luma(between, replace(settings, qp=other_qp(qp, boost))), (keys[0], keys[1])
    )


def _coded_luma(frames: list[Frame], settings: HevcSettings) -> list[LumaView]:
    assert settings.qp is not None
    coded = code_pictures([(f.y,) for f in frames], settings, grey=True)
    height, width = frames[0].y.shape
    planes = [np.ascontiguousarray(planes[0][:height, :width]) for _, planes in coded]
    return [LumaView(y, 8, f.pts, settings.qp) for f, y in zip(frames, planes, strict=True)]


def _stretch(path: str, random: np.random.Generator, length: int | None = None) -> list[Frame]:
    """Consecutive frames of one shot, a key frame at each end, scaled and cut to a window."""
    source = open_source(path)
    length = length or round(float(np.exp(random.uniform(*np.log(GROUPS))))) + 1
    total = source.info.frame_count or length
    first = int(random.integers(0, max(1, total - length)))
    height, width = source.info.height, source.info.width
    least = min(height, width)
    scales = [s for s in (1, 2, 3, 4) if least / s >= CROP + 16 and least / s <= 800] or [1]
    scale = int(random.choice(scales))
    size = (width // scale // 8 * 8, height // scale // 8 * 8)
    window = (min(WINDOW[0], size[1]), min(WINDOW[1], size[0]))
    if min(window) < CROP:
        raise CodecError(f"expected at least {CROP}x{CROP} pixels, found {width}x{height}")
    at = [
        int(random.integers(0, (whole - part) // 8 + 1)) * 8
        for whole, part in zip(size[::-1], window, strict=True)
    ]
    shot, part = [], source.part(first)
    for seen in look(islice(iter(part), length)):
        if seen.starts_shot:
            break
        shot.append(_windowed(seen.frame, size, window, at))
    if part.damaged:  # what decodes without a word near a lost packet is no original
        raise CodecError(
            f"expected a clip that decodes, found packets that are lost or do not in {path}; get the file again"
        )
    return shot


def _windowed(frame: Frame, size: tuple[int, int], window: tuple[int, int], at: list[int]) -> Frame:
    """A frame scaled to `size` (width, height), and of it a `window` (height, width) from `at` (row, column); 8 bit."""
    planes = []
    for plane, part in ((frame.y, 1), (frame.cb, 2), (frame.cr, 2)):
        deep = plane if frame.info.bit_depth == 8 else (plane >> 2).astype(np.uint8)
        scaled = cv2.resize(deep, (size[0] // part, size[1] // part), interpolation=cv2.INTER_AREA)
        rows, columns = (slice(at[i] // part, (at[i] + window[i]) // part) for i in (0, 1))
        planes.append(np.ascontiguousarray(scaled[rows, columns]))
    info = replace(frame.info, width=window[1], height=window[0], bit_depth=8)
    return Frame(planes[0], planes[1], planes[2], frame.pts, info)


def _crops(laid: References, original: Frame, random: np.random.Generator) -> Iterator[Crop]:
    height, width = original.y.shape
    luma = np.concatenate((laid.luma, original.y[None]))
    chroma = np.concatenate((laid.chroma, np.stack((original.cb, original.cr))[None]))
    for _ in range(CROPS_PER_FRAME):
        row, column = (
            int(random.integers(0, (side - CROP) // 4 + 1)) * 4 for side in (height, width)
        )
        half = (slice(row // 2, (row + CROP) // 2), slice(column // 2, (column + CROP) // 2))
        yield (
            luma[:, row : row + CROP, column : column + CROP],
            chroma[:, :, half[0], half[1]],
            laid.conditions,
        )
