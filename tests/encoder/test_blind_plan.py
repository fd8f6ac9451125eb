"""Fixed choices of a blind encode, and what it holds and looks at. `test_blind` has whole files."""

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic import draw_clip, make_frames, make_info

from tinct.config import EncodeConfig
from tinct.encoder.blind_plan import BOOST, COLOUR_OFFSET, make_blind_plan
from tinct.encoder.coder import Coder
from tinct.encoder.plan import Plan
from tinct.encoder.refusals import resolve
from tinct.encoder.sending import SEND_ALL
from tinct.frames import Frame
from tinct.motion.shots import scan_frames

LARGE = make_info(1280, 720)


def plan_of(**options: Any) -> Plan:
    return make_blind_plan(LARGE, resolve(EncodeConfig(search="off", **options)))


def test_all_intra_has_a_network_and_finer_key_frames() -> None:
    plan = plan_of(structure="intra", qp=32)
    assert (plan.layout, plan.colouriser, plan.network) == ("chroma", "compact", "fast")
    assert (plan.key_boost, plan.spacing.group) == (BOOST, "auto")
    assert plan.colour_qp == 29 + COLOUR_OFFSET  # key frames are at 32 - 0.4 * 8
    assert plan.sending.step is None
    assert plan.plain is plan.track is plan.random_access is None


def test_without_a_network_key_frames_are_as_fine_as_the_others() -> None:
    plan = plan_of(structure="intra", qp=32, colouriser="none", interpolate="off")
    assert (plan.layout, plan.colouriser, plan.network) == ("chroma", "none", None)
    assert (plan.key_boost, plan.colour_qp) == (0, 31 + COLOUR_OFFSET)
    assert plan.sending == SEND_ALL


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({"structure": "low-delay"}, ("in-band", "compact", "fast-av1")),
        ({"structure": "random-access"}, ("in-band", "compact", "fast-av1")),
        ({}, ("in-band", "compact", "fast-av1")),
        ({"structure": "low-delay", "colour": "auto"}, ("in-band", "compact", "fast-av1")),
        ({"structure": "low-delay", "colour": "track"}, ("chroma", "none", None)),
        ({"base": "hevc"}, ("in-band", "compact", "fast-hevc")),
        ({"base": "avc", "network": "best"}, ("in-band", "none", None)),
        ({"base": "hevc", "network": "best"}, ("in-band", "compact", "best-hevc")),
        ({"crf": 30}, ("in-band", "compact", "fast-av1")),
        ({"colour": "in-band", "network": "best"}, ("in-band", "compact", "best-av1")),
        ({"structure": "intra", "network": "best"}, ("chroma", "compact", "best")),
        ({"key_form": "full", "group": 6}, ("full", "none", None)),
    ],
    ids=str,
)
def test_every_structure_has_its_choice(
    options: dict[str, Any], chosen: tuple[str, str, str | None]
) -> None:
    plan = plan_of(**options)
    assert (plan.layout, plan.colouriser, plan.network) == chosen


def test_options_that_are_given_stay() -> None:
    plan = plan_of(key_boost=4, group=7, interpolate=3, qp=20)
    assert (plan.key_boost, plan.spacing.group, plan.sending.step, plan.qp) == (4, 7, 3, 20)


def test_a_frame_of_worse_quality_may_be_interpolated_worse() -> None:
    fine, coarse = (plan_of(structure="intra", qp=qp).sending for qp in (22, 42))
    assert fine.price == coarse.price
    assert all(a > 2 * b for a, b in zip(fine.weights, coarse.weights, strict=True))


def test_a_bitrate_starts_at_a_guess() -> None:
    qps = [plan_of(bitrate_kbps=kbps).qp for kbps in (1, 100, 1000, 10_000, 1_000_000)]
    assert qps == sorted(qps, reverse=True)
    assert (qps[0], qps[-1]) == (51, 0)
    assert 25 < qps[2] < 40


# ── memory ───────────────────────────────────────────────────────────────────────────────────────


class Alive:
    """Frames one by one; `most` of them were in memory at a time."""

    def __init__(self, frames: list[Frame]) -> None:
        self._frames = frames
        self._count = self.most = 0

    def __iter__(self) -> Iterator[Frame]:
        while self._frames:
            picture = self._frames.pop(0)
            self._count += 1
            self.most = max(self.most, self._count)
            weakref.finalize(picture, self._forget)
            yield picture
            del picture

    def _forget(self) -> None:
        self._count -= 1


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"interpolate": "auto"}, 10),
        ({"interpolate": "off"}, 10),
        ({"group": "auto"}, 34),
        ({"colour": "in-band", "group": "auto"}, 2),
    ],
    ids=str,
)
def test_one_group_of_frames_is_held(tmp_path: Path, options: dict[str, Any], most: int) -> None:
    """A group of 8 frames, the key frame after it, and the last frame that was handed out.

    By content a group has 32 frames at most where no network restores luma.
    """
    given = {"group": 8, "colouriser": "none", "x265_preset": "ultrafast"} | options
    config = resolve(EncodeConfig(search="off", **given))
    info = make_info()
    frames = Alive(make_frames(draw_clip(40), info))
    plan = make_blind_plan(info, config)
    with Coder(info, plan, config, folder=tmp_path) as coder:
        coded = sum(frame is not None for frame, _ in coder.code(iter(frames)))
    assert coded == 40
    assert frames.most <= most


def test_copies_of_large_frames_are_small() -> None:
    """A frame of 1280x720 is judged at 320x180, one of 352x288 at half its size as ever."""
    for (width, height), shape in (((1280, 720), (180, 320)), ((352, 288), (144, 176))):
        (frame,) = make_frames(draw_clip(1, width, height), make_info(width, height))
        (scanned,) = scan_frames([frame], most_samples=plan_of(structure="intra").most_samples)
        assert scanned.small.luma.y.shape == shape
        assert scanned.small.cb.shape == (shape[0] // 2, shape[1] // 2)
