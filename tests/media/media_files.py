"""Helpers of these tests: videos written by a sink, read by a source, passed through both."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from helpers import read_payloads
from synthetic import Planes

from tinct.frames import Frame, Hdr
from tinct.media.sink import open_sink
from tinct.media.source import open_source

NTSC = Fraction(30000, 1001)
HDR = Hdr("G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)", "1000,400")


def read_frames(path: Path, **trim: float) -> list[Frame]:
    return list(open_source(str(path), **trim))


def pass_through(source: Path, target: Path, **trim: float) -> list[str]:
    """Read a video and write it with all its other streams; return the sink's notes."""
    video = open_source(str(source), **trim)
    with open_sink(
        str(target),
        video.info,
        str(source),
        start_seconds=video.start_seconds,
        duration_seconds=trim.get("duration_seconds"),
    ) as sink:
        for frame in video:
            sink.write(frame)
    return sink.notes


def assert_planes(found: list[Frame], planes: list[Planes]) -> None:
    assert len(found) == len(planes)
    for frame, (y, cb, cr) in zip(found, planes, strict=True):
        for name, plane in (("y", y), ("cb", cb), ("cr", cr)):
            assert np.array_equal(getattr(frame, name), plane), (name, frame.pts)


def read_chapters(path: Path) -> list[tuple[float, float, str]]:
    """Return start and end in seconds, and the title of each chapter."""
    with av.open(str(path)) as container:
        chapters: list[Any] = container.chapters()
    return [
        (
            float(chapter["start"] * chapter["time_base"]),
            float(chapter["end"] * chapter["time_base"]),
            chapter["metadata"]["title"],
        )
        for chapter in chapters
    ]


def read_texts(path: Path) -> list[tuple[float, bytes]]:
    """Return seconds and text of each subtitle, without MP4's length and its empty ones."""
    texts = read_payloads(path, "subtitles")
    if path.suffix == ".mp4":
        return [(time, data[2:]) for time, data in texts if len(data) > 2]
    return texts


def assert_tags_of_rich_clip(path: Path) -> None:
    """Check chapters, title and languages of what `write_rich_clip` wrote."""
    assert read_chapters(path) == [(0, 1, "first"), (1, 2, "second")]
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "A film"
        tags = {key.lower(): value for key, value in container.metadata.items()}
        assert tags["artist"] == "Someone"
        (audio,) = container.streams.audio
        assert audio.metadata["language"] == "fre"
        assert container.streams.subtitles[0].metadata["language"] == "ger"


def assert_texts_of_rich_clip(path: Path) -> None:
    """Check the subtitles of what `write_rich_clip` wrote; MP4 keeps italics beside the text."""
    texts = read_texts(path)
    if path.suffix == ".mp4":
        assert [time for time, _ in texts] == [0.2, 1.2]
        assert texts[1][1] == b"two\nlines"
    else:
        assert texts == [(0.2, b"Hello <i>you</i>"), (1.2, b"two\nlines")]


def assert_trimmed_streams(found: Path, whole: Path) -> None:
    """Check sound and subtitles of 0.8 s of the rich clip from 0.8 s on."""
    times = {data: time for time, data in read_payloads(whole, "audio")}
    sound = read_payloads(found, "audio")
    assert len(sound) in (37, 38)  # 0.8 s of 1024 samples at 48 kHz
    assert all(0 <= time < 0.8 for time, _ in sound)
    assert all(abs(times[data] - 0.8 - time) <= 0.011 for time, data in sound)
    assert read_texts(found) == [(0.0, b"Hello <i>you</i>"), (0.4, b"two\nlines")]


def assert_sound_in_step(found: Path, whole: Path) -> None:
    """Check that sound is equal to the byte and in step; priming before 0 may be left out."""
    expected = [packet for packet in read_payloads(whole, "audio") if packet[0] >= 0]
    sound = read_payloads(found, "audio")
    assert [data for _, data in sound] == [data for _, data in expected]
    assert max(abs(a - b) for (a, _), (b, _) in zip(sound, expected, strict=True)) <= 0.011
