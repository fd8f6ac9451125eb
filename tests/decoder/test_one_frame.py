"""One frame or a few of a file: the same as in the whole, restored from what they need alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import assert_same_frames
from synthetic import draw_clip, make_info, write_video

import tinct
from tinct.bitstream.container import read_file_manifest
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.decoder.pending import Cut, Group
from tinct.decoder.restorer import Restorer
from tinct.motion.references import References
from tinct.motion.views import LumaView
from tinct.networks.compact import Runner

FRAMES, RATE = 27, 25
NETWORKS = [
    pytest.param({"colouriser": "none"}, id="none"),
    pytest.param({"colouriser": "compact", "network": "fast", "adapt": "off"}, id="fast"),
    pytest.param(
        {"colouriser": "compact", "network": "best", "adapt": "off"},
        id="best",
        marks=pytest.mark.nightly,
    ),
]


@pytest.fixture(scope="module", params=NETWORKS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dark shot of 13 frames and a bright one of 14, of which about every third is sent.

    Groups have ten frames at most. Each shot ends with frames that stand still, so that its last
    group is open: no key frame follows in the shot.
    """
    folder = tmp_path_factory.mktemp("one")
    moving = draw_clip(11)
    dark = [(y // 2, cb, cr) for y, cb, cr in moving + moving[-1:] * 2]
    bright = [(255 - y // 2, cb, cr) for y, cb, cr in moving + moving[-1:] * 3]
    write_video(folder / "a.mkv", dark + bright, make_info())
    config: dict[str, Any] = {"colour": "track", "group": 10, "x265_preset": "ultrafast"}
    config |= request.param
    tinct.encode(
        str(folder / "a.mkv"), str(folder / "b.mkv"), tinct.EncodeConfig(**config, interpolate=3)
    )
    return folder / "b.mkv"


@pytest.fixture(scope="module")
def frames(path: Path) -> list[tinct.Frame]:
    manifest = read_file_manifest(str(path))
    assert manifest is not None
    assert len(manifest.interpolated) > FRAMES // 4
    assert len(manifest.open) == 2
    found = list(tinct.open(str(path)))
    assert len(found) == FRAMES
    return found


def test_a_frame_read_alone_is_that_of_the_whole(path: Path, frames: list[tinct.Frame]) -> None:
    for number, frame in enumerate(frames):
        video = tinct.open(str(path), start_seconds=number / RATE)
        assert_same_frames([next(iter(video))], [replace(frame, pts=0, info=video.info)])


def test_a_few_frames_are_those_of_the_whole(path: Path, frames: list[tinct.Frame]) -> None:
    count = 4
    for first in range(0, FRAMES - count + 1, 3):
        video = tinct.open(str(path), start_seconds=first / RATE, duration_seconds=count / RATE)
        found = list(video)
        expected = frames[first : first + count]
        assert [frame.pts for frame in found] == list(range(count))
        assert_same_frames(
            found, [replace(frame, pts=frame.pts - first, info=video.info) for frame in expected]
        )
        assert not video.damage


def test_the_network_runs_on_frames_that_are_shown(
    path: Path, frames: list[tinct.Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interpolated frame is made from the two frames around it; a key frame needs no network."""
    runs: list[References] = []
    run = Runner.__call__

    def count(self: Runner, references: References) -> Any:
        runs.append(references)
        return run(self, references)

    manifest = read_file_manifest(str(path))
    assert manifest is not None
    if manifest.network is None or manifest.network[0] != "fast":
        pytest.skip("of a second pass all of the group is the input")
    monkeypatch.setattr(Runner, "__call__", count)
    for number in range(FRAMES):
        runs.clear()
        list(tinct.open(str(path), start_seconds=number / RATE, duration_seconds=1 / RATE))
        assert len(runs) <= (2 if number in manifest.interpolated else 1), number
    runs.clear()
    list(tinct.open(str(path), duration_seconds=1 / RATE))
    assert not runs


def test_a_cut_is_over_with_the_group_in_which_it_ends() -> None:
    """Key frames are 0 and 4: with the luma after 4, all that frames 1 and 2 need is there."""
    shown: list[int] = []
    over: list[int] = []
    with Restorer(make_info(), "chroma", cut=Cut(1, 3)) as restorer:
        for pts, (y, cb, cr) in enumerate(draw_clip(8)):
            if pts % 4 == 0:
                shown += [f.pts for f in restorer.push(COLOUR, pts, (np.concatenate((cb, cr)),))]
            shown += [frame.pts for frame in restorer.push(LUMA, pts, (y,))]
            over += [pts] * restorer.is_over
        shown += [frame.pts for frame in restorer.flush()]
    assert over == [5, 6, 7]
    assert shown == [1, 2]


@pytest.mark.parametrize(
    ("cut", "needed"),
    [
        (Cut(), range(4)),
        (Cut(12, 13), range(1, 2)),
        (Cut(13, 14), range(1, 3)),
        (Cut(13, 17), range(1, 4)),
        (Cut(11, 12), range(2)),
        (Cut(1, 2), range(1)),
        (Cut(19, 20), range(3, 4)),
        (Cut(20), range(0)),
        (Cut(0, 1), range(0)),
    ],
)
def test_what_a_cut_needs_of_a_group(cut: Cut, needed: range, make_luma: Any) -> None:
    """Frames 2, 12, 15 and 18 were sent; the others from 1 to 19 are interpolated."""
    sent = (2, 12, 15, 18)
    times = [pts for pts in range(1, 20) if pts not in sent]
    group = Group(key_pts=0, luma=[make_luma(pts) for pts in sent], times=times)
    assert list(group.find_needed(cut)) == list(needed)


@pytest.fixture
def make_luma() -> Any:
    (y, _, _), *_ = draw_clip(1)
    return lambda pts: LumaView(y, 8, pts)
