"""Entry points: no further apart than 5 seconds, whatever the base codec and the rate."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest
from helpers import LIBRARY_BASES
from synthetic import write_clip

import tinct
from tinct.encoder.tracks import EntryClock
from tinct.media.source import open_source

QUICK = {"hevc": "ultrafast", "avc": "ultrafast", "av1": "10"}
UNEVEN = [*range(0, 12_000, 400), *range(12_000, 30_000, 1500), *range(30_000, 34_000, 100)]


def read_entries(path: Path) -> list[float]:
    """Return the times of key frames, and that of the end, in seconds."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size and p.pts is not None]
    times = [float(p.pts * p.time_base) for p in packets if p.is_keyframe]
    return [*times, max(float(p.pts * p.time_base) for p in packets)]


@pytest.mark.slow
@pytest.mark.parametrize("times", [None, UNEVEN], ids=["10 frames/s", "variable"])
@pytest.mark.parametrize("structure", ["low-delay", "random-access"])
@pytest.mark.parametrize("base", LIBRARY_BASES)
def test_they_are_at_most_5_seconds_apart(
    tmp_path: Path, base: str, structure: str, times: list[int] | None
) -> None:
    count = 140 if times is None else len(times)
    write_clip(tmp_path / "a.mkv", frames=count, size=(64, 64), rate=10, vfr=times)
    config = tinct.EncodeConfig(
        base=base,  # type: ignore[arg-type]
        structure=structure,  # type: ignore[arg-type]
        base_preset=QUICK[base],
        search="off",
    )
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    entries = read_entries(tmp_path / "b.mkv")
    assert entries[0] == 0
    assert max(b - a for a, b in itertools.pairwise(entries)) <= 5
    assert len(entries) <= 3 + (14 if times is None else 34) / 2.5


def test_a_clock_is_due_before_5_seconds_have_passed(tmp_path: Path) -> None:
    """Golden times: every 1.5 s, the frame at 4.5 s is the last within 5."""
    write_clip(tmp_path / "a.mkv", frames=3, vfr=[0, 40, 90])
    info = open_source(str(tmp_path / "a.mkv")).info
    assert info.time_base == Fraction(1, 1000)
    clock = EntryClock(info)
    due = [time for time in range(0, 15_000, 1500) if clock.is_due(time)]
    assert due == [4500, 9000, 13500]
