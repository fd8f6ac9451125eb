"""Sound whose packets have no times of their own stays in step, copied or converted."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import read_payloads
from media_files import pass_through, read_frames
from synthetic import write_clip

from tinct.media.extra_tracks import ConvertedTrack
from tinct.media.sound import SoundTimes

NO_TIME = None  # of a packet


def complete(stamps: list[tuple[int | None, int]]) -> list[int | None]:
    """Return the times of packets, given as time and duration, after completion."""
    times = SoundTimes()
    completed = []
    for pts, duration in stamps:
        packet: Any = av.Packet(b"sound")
        packet.pts = packet.dts = pts
        packet.duration = duration
        times.complete(packet)
        assert packet.pts == packet.dts
        completed.append(packet.pts)
    return completed


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([(0, 20), (NO_TIME, 20), (NO_TIME, 20), (60, 20)], [0, 20, 40, 60]),
        ([(0, 20), (0, 20), (0, 20), (0, 20)], [0, 20, 40, 60]),
        ([(5, 20), (5, 20), (46, 20), (46, 20)], [5, 25, 46, 66]),
        ([(NO_TIME, 20), (7, 20), (NO_TIME, 20)], [NO_TIME, 7, 27]),
        ([(7, 0), (NO_TIME, 0), (50, 0)], [7, 7, 50]),
    ],
)
def test_packets_without_a_time_follow_the_one_before(
    stamps: list[tuple[int | None, int]], expected: list[int | None]
) -> None:
    assert complete(stamps) == expected


def test_rounded_times_are_left_alone() -> None:
    """Packets of 1/1200 s, as TrueHD has them, share some of Matroska's milliseconds."""
    rounded = [round(number * 1000 / 1200) for number in range(2400)]
    assert complete([(time, 1) for time in rounded]) == rounded


def test_converted_packets_without_time_and_duration_follow_by_their_samples(
    tmp_path: Path,
) -> None:
    write_clip(tmp_path / "a.mkv", frames=25, audio="ac3")
    with av.open(str(tmp_path / "a.mkv")) as given, av.open(str(tmp_path / "b.mp4"), "w") as out:
        source = given.streams.audio[0]
        track = ConvertedTrack(source, out.add_stream("aac", rate=48000, layout="mono"))
        times, packets = SoundTimes(), []
        for number, packet in enumerate(given.demux(source)):
            if packet.size:
                packet.duration = 0
                packet.pts = packet.dts = packet.pts if number == 0 else None
                times.complete(packet)
                packets += track.convert(packet, Fraction(0))
        packets += track.flush()
    starts = [float(packet.pts * packet.time_base) for packet in packets]
    assert starts[0] <= 0
    assert np.diff(starts) == pytest.approx(1024 / 48000, abs=0.001)
    assert 0.9 < starts[-1] < 1.05


@pytest.fixture
def real_media(tmp_path: Path) -> Path:
    """Two seconds of RealMedia with a tone; FFmpeg gives all packets of this codec the time 0."""
    path = tmp_path / "a.rm"
    with av.open(str(path), "w") as out:
        video = out.add_stream("rv10", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = out.add_stream("real_144", rate=8000)
        sound.codec_context.layout = "mono"
        for number in range(50):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(video.encode(picture))
        tone = 9000 * np.sin(np.arange(16000) * 2 * np.pi * 440 / 8000)
        raw = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], format="s16", layout="mono")
        raw.sample_rate, raw.pts, raw.time_base = 8000, 0, Fraction(1, 8000)
        out.mux([*video.encode(None), *sound.encode(raw), *sound.encode(None)])
    assert {time for time, _ in read_payloads(path, "audio")} == {0}
    return path


def test_real_audio_is_copied_in_step(real_media: Path, tmp_path: Path) -> None:
    assert pass_through(real_media, tmp_path / "b.mkv") == []
    given, written = read_payloads(real_media, "audio"), read_payloads(tmp_path / "b.mkv", "audio")
    assert [data for _, data in written] == [data for _, data in given]
    assert [time for time, _ in written] == [round(0.02 * n, 3) for n in range(len(given))]


@pytest.mark.parametrize(("start", "seconds"), [(0, 2), (1, 1)])
def test_real_audio_is_converted_in_step(
    real_media: Path, tmp_path: Path, start: float, seconds: float
) -> None:
    notes = pass_through(real_media, tmp_path / "b.mp4", start_seconds=start)
    assert notes == ["audio track 1 (real_144) is converted to AAC"]
    assert len(read_frames(tmp_path / "b.mp4")) == 25 * seconds
    times = [time for time, _ in read_payloads(tmp_path / "b.mp4", "audio")]
    assert all(before < after for before, after in pairwise(times))
    assert times[0] <= 0
    assert abs(times[-1] + 1024 / 8000 - seconds) < 0.15
