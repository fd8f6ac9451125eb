"""Random sources through `encode` and `decode`: frames, times, tracks and tags come out again.

A case is a number, so any of them can be made again: `make_case(7)`. What a source is stands in
the message of a failure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import av
import pytest
from helpers import leave_to_nightly
from synthetic import write_clip

import tinct
from tinct.media.source import open_source

MILLISECOND = 1.001e-3  # by which a time may differ, with a little for sums of fractions
RATES = (25, 24, 30, 50, 60, 10, 1, 120, 500, Fraction(24000, 1001), Fraction(30000, 1001))
RATES = (*RATES, Fraction(25, 2), Fraction(60000, 1001), Fraction(1, 3), Fraction(999))
SIZES = ((64, 48), (48, 64), (34, 18), (50, 36), (128, 32), (20, 20), (16, 16), (2, 2))
# Codecs of pictures and sound by container.
CONTAINERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mkv": (("ffv1", "libx264", "mpeg4"), ("libopus", "flac", "aac", "pcm_s16le")),
    "mp4": (("libx264", "mpeg4"), ("aac", "libopus", "flac")),
    "mov": (("libx264", "mpeg4"), ("aac", "pcm_s16le")),
}
TAGS = ("A film", "Ünïcode – タイトル", 'with "quotes" and, commas', "x" * 300)
STRUCTURES = ("intra", "low-delay", "random-access")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One source, the options that code it, and the suffix of the file that it is decoded to."""

    suffix: str
    clip: dict[str, Any]
    options: dict[str, Any]
    output: str


def make_case(number: int) -> Case:
    """Return the case of a number."""
    random = Random(number)
    suffix = random.choice(tuple(CONTAINERS))
    codecs, sounds = CONTAINERS[suffix]
    frames = random.choice((1, 2, 3, 7, 12, 20))
    clip: dict[str, Any] = {
        "frames": frames,
        "size": random.choice(SIZES),
        "codec": random.choice(codecs),
        "rate": random.choice(RATES),
        "rotation": random.choice((0, 0, 90, 180, 270)),
        "metadata": {"title": random.choice(TAGS), "artist": random.choice(TAGS)},
    }
    if clip["codec"] != "mpeg4" and random.random() < 0.4:
        clip["pix_fmt"] = "yuv420p10le"
    if frames > 2 and random.random() < 0.35:
        clip["vfr"] = _draw_times(random, frames)
    seconds = frames / clip["rate"] if "vfr" not in clip else Fraction(clip["vfr"][-1], 1000)
    if random.random() < 0.5 and Fraction(1, 10) <= seconds <= 5:
        clip["audio"] = random.choice(sounds)
        clip["audio_metadata"] = {"language": random.choice(("fre", "ger", "jpn"))}
        if "vfr" not in clip:
            clip["delay"] = random.choice((0, 0, 1, 5))
        if random.random() < 0.5:
            clip["subtitles"] = [(0.0, 0.05, "first"), (0.06, 0.1, "second")]
    if random.random() < 0.3 and seconds >= Fraction(1, 10):
        clip["chapters"] = [(0, 0.05, "one"), (0.05, 0.1, random.choice(TAGS))]
    structure = random.choice(STRUCTURES)
    options: dict[str, Any] = {"structure": structure, "colouriser": "none", "adapt": "off"}
    options |= {"x265_preset": "ultrafast", "qp": random.choice((20, 30, 40))}
    options["colour"] = random.choice(("track", "in-band")) if structure == "intra" else "in-band"
    if options["colour"] == "track":
        options["group"] = random.choice((1, 2, 5, 12))
    return Case(suffix=suffix, clip=clip, options=options, output=random.choice(("mkv", "mp4")))


def _draw_times(random: Random, frames: int) -> list[int]:
    """Return times in milliseconds, in steps that differ."""
    times = [0]
    for _ in range(frames - 1):
        times.append(times[-1] + random.choice((1, 7, 33, 34, 40, 41, 100, 333)))
    return times


def read_times(path: Path, *, from_start: bool = False) -> list[float]:
    """Return the times of the pictures that a file stores, from 0 or from the file's start on."""
    with av.open(str(path)) as container:
        origin = max(0, container.start_time or 0) / av.time_base if from_start else 0.0
        stored = [
            float(packet.pts * packet.time_base) - origin
            for packet in container.demux(video=0)
            if packet.pts is not None
        ]
    return sorted(stored)


def describe_tracks(path: Path) -> dict[str, list[str]]:
    """Return the languages of the tracks of sound and of subtitles; MP4 says "und" for none."""
    with av.open(str(path)) as container:
        return {
            kind: [s.language or "und" for s in container.streams if s.type == kind]
            for kind in ("audio", "subtitle")
        }


def describe_tags(path: Path) -> dict[str, Any]:
    """Return title, artist and the chapters of a file."""
    with av.open(str(path)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
        chapters = [chapter["metadata"].get("title") for chapter in container.chapters()]
        return {"title": tags.get("title"), "artist": tags.get("artist"), "chapters": chapters}


def expect_times(found: Iterable[float], expected: list[float], what: str) -> None:
    times = list(found)
    assert len(times) == len(expected), what
    furthest = max(abs(a - b) for a, b in zip(times, expected, strict=True))
    assert furthest <= MILLISECOND, (what, furthest)


@pytest.mark.slow
@pytest.mark.parametrize("number", leave_to_nightly(range(120), but=range(20)))
def test_what_goes_in_comes_out(tmp_path: Path, number: int) -> None:
    case = make_case(number)
    source, coded = tmp_path / f"a.{case.suffix}", tmp_path / "coded.mkv"
    decoded = tmp_path / f"decoded.{case.output}"
    write_clip(source, **case.clip)
    report = tinct.encode(str(source), str(coded), tinct.EncodeConfig(**case.options))
    what = f"{case}: {report.notes}"
    assert (report.damaged, report.frames) == (0, case.clip["frames"]), what

    video = tinct.open(str(coded))
    times = [frame.pts_seconds for frame in video]
    assert not video.damage, what
    expect_times(times, read_times(source, from_start=True), what)
    about = open_source(str(source)).info
    for name in ("width", "height", "bit_depth", "rotation", "frame_rate"):
        assert getattr(video.info, name) == getattr(about, name), (name, what)

    done = tinct.decode(str(coded), str(decoded))
    assert not done.damage, what
    expect_times(read_times(decoded), times, what)
    for path in (coded, decoded):
        assert describe_tracks(path) == describe_tracks(source), (path.name, what)
        assert describe_tags(path) == describe_tags(source), (path.name, what)
