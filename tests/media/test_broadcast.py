"""Broadcast and disc files: clocks that restart, sound that begins late, several programmes."""

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers import read_payloads
from media_files import pass_through
from synthetic import write_clip

from tinct.media.clock import STEADY, Clock, find_clock
from tinct.media.demux import find_origin, open_input, read_clock
from tinct.media.programmes import find_programme
from tinct.media.source import open_source

SECONDS = 2
FORMATS = {"ts": ("mpeg2video", "mp2"), "vob": ("mpeg2video", "mp2"), "m2ts": ("libx264", "ac3")}


def write_part(path: Path, suffix: str) -> None:
    codec, audio = FORMATS[suffix]
    write_clip(path, frames=25 * SECONDS, codec=codec, audio=audio)


@pytest.mark.parametrize("suffix", FORMATS)
def test_recordings_joined_end_to_end_keep_all_of_both(tmp_path: Path, suffix: str) -> None:
    """All frames and all sound are there, in step, over the time of both parts."""
    part, joined = tmp_path / f"a.{suffix}", tmp_path / f"joined.{suffix}"
    write_part(part, suffix)
    joined.write_bytes(2 * part.read_bytes())
    source = open_source(str(joined))
    times = [frame.pts_seconds for frame in source]
    steps = np.diff(times)
    count = 25 * SECONDS
    assert len(times) == 2 * count
    assert np.abs(np.delete(steps, count - 1) - 0.04).max() < 2e-3
    assert 0.04 - 2e-3 < steps[count - 1] < 0.12  # sound lasts a little longer than the picture
    pass_through(joined, tmp_path / "b.mkv")
    given, once = (read_payloads(path, "audio") for path in (tmp_path / "b.mkv", part))
    assert len(given) == 2 * len(once)
    sound = np.diff([seconds for seconds, _ in given])
    assert sound.min() > 0
    assert sound.max() < 0.12


@pytest.mark.parametrize("start", [0.6, 3.0])
def test_a_joined_recording_can_be_cut_on_either_side(tmp_path: Path, start: float) -> None:
    part, joined = tmp_path / "a.ts", tmp_path / "joined.ts"
    write_part(part, "ts")
    joined.write_bytes(2 * part.read_bytes())
    whole = list(open_source(str(joined)))
    cut = open_source(str(joined), start_seconds=start)
    frames = list(cut)
    expected = [frame for frame in whole if frame.pts_seconds >= start - 1e-6]
    assert len(frames) == len(expected)
    assert all(np.array_equal(a.y, b.y) for a, b in zip(frames, expected, strict=True))
    pass_through(joined, tmp_path / "b.mkv", start_seconds=start)
    sound = [seconds for seconds, _ in read_payloads(tmp_path / "b.mkv", "audio")]
    assert 2 * SECONDS - start - 0.1 < sound[-1] < 2 * SECONDS - start + 0.2


@pytest.mark.parametrize("suffix", ["ts", "vob"])
def test_sound_after_a_part_without_sound_stays_in_step(tmp_path: Path, suffix: str) -> None:
    loud, silent = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    write_part(loud, suffix)
    write_clip(silent, frames=25 * SECONDS, codec="mpeg2video")
    joined = tmp_path / f"joined.{suffix}"
    joined.write_bytes(loud.read_bytes() + silent.read_bytes() + loud.read_bytes())
    assert len(list(open_source(str(joined)))) == 3 * 25 * SECONDS
    pass_through(joined, tmp_path / "b.mkv")
    sound = [seconds for seconds, _ in read_payloads(tmp_path / "b.mkv", "audio")]
    half = len(sound) // 2
    assert sound[half] - sound[0] == pytest.approx(2 * SECONDS, abs=0.1)
    assert sound[-1] == pytest.approx(3 * SECONDS, abs=0.1)


@pytest.mark.parametrize("start", [0.0, 0.6, 3.0])
def test_a_clock_that_passes_its_end_loses_nothing(tmp_path: Path, start: float) -> None:
    """33 bits at 90 kHz end after 95,443.7 s, two seconds into this recording."""
    path = tmp_path / "a.ts"
    options = {"output_ts_offset": "95441.7"}
    write_clip(path, frames=100, codec="mpeg2video", audio="mp2", container_options=options)
    with open_input(str(path)) as container:
        assert find_origin(container) < 0
    frames = list(open_source(str(path), start_seconds=start))
    assert len(frames) == pytest.approx(100 - 25 * start, abs=1)
    pass_through(path, tmp_path / "b.mkv", start_seconds=start)
    sound = [seconds for seconds, _ in read_payloads(tmp_path / "b.mkv", "audio")]
    assert sound[0] == pytest.approx(0, abs=0.05)
    assert sound[-1] == pytest.approx(4 - start, abs=0.1)


class FakePacket:
    """A packet as `find_clock` and `Clock` see it; times in milliseconds."""

    time_base = Fraction(1, 1000)

    def __init__(self, pts: int, pos: int, stream: int = 0, duration: int = 40) -> None:
        self.duration = duration
        self.pts = self.dts = pts
        self.pos, self.stream_index = pos, stream


def test_a_cut_near_the_start_keeps_its_frames(tmp_path: Path) -> None:
    """FFmpeg seeks in such a file to the packet after a time, which the first one comes before."""
    path = tmp_path / "a.mpg"
    options = {"preload": "0", "avoid_negative_ts": "disabled"}
    write_clip(path, frames=40, size=(360, 288), codec="mpeg2video", container_options=options)
    whole = [frame.y for frame in open_source(str(path))]
    cut = open_source(str(path)).start_at(5)
    found = [frame.y for frame in cut]
    assert cut.damaged == 0
    assert len(found) == 35
    assert all(np.array_equal(a, b) for a, b in zip(found, whole[5:], strict=True))


@pytest.mark.parametrize(
    ("times", "clock"),
    [
        ([0, 40, 80, 120], STEADY),
        ([5000, 5040, 5000 - 59, 5080], STEADY),  # a step back of less than a tenth
        ([5000, 5040, 0, 40], Clock({0: ((0, 2), (Fraction(0), Fraction(5080, 1000)))})),
        ([0, 40, 20_000, 20_040], Clock({0: ((0, 2), (Fraction(0), Fraction(80 - 20_000, 1000)))})),
        ([0, 40, 9_000, 9_040], STEADY),
    ],
)
def test_jumps_are_told_from_steps(times: list[int], clock: Clock) -> None:
    packets = [FakePacket(pts, pos) for pos, pts in enumerate(times)]
    assert find_clock(packets) == clock  # type: ignore[arg-type]


def test_a_pause_of_one_stream_is_no_jump() -> None:
    sound = [FakePacket(1000 * n, n, stream=1) for n in range(30)]
    slides = [FakePacket(0, 0), FakePacket(25_000, 25)]
    packets = sorted(sound + slides, key=lambda packet: (packet.pos, packet.stream_index))
    assert find_clock(packets) == STEADY  # type: ignore[arg-type]


def test_a_picture_that_is_shown_for_long_is_no_jump() -> None:
    slides = [FakePacket(15_000 * n, n, duration=15_000) for n in range(4)]
    assert find_clock(slides) == STEADY  # type: ignore[arg-type]


def test_packets_that_are_read_late_belong_where_they_stand() -> None:
    """Sound at 3 and 5 is read before the long picture at 2 that begins the part."""
    pictures = [FakePacket(5000, 0), FakePacket(5040, 1), FakePacket(0, 2), FakePacket(40, 4)]
    sound = [FakePacket(5000, 0, 1), FakePacket(0, 3, 1), FakePacket(40, 5, 1)]
    packets = [pictures[0], sound[0], pictures[1], *sound[1:], *pictures[2:]]
    offsets = (Fraction(0), Fraction(5080, 1000))
    expected = Clock({0: ((0, 2), offsets), 1: ((0, 3), offsets)})
    assert find_clock(packets) == expected  # type: ignore[arg-type]


def test_an_ordinary_file_is_not_read_for_its_clock(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv")
    with open_input(str(tmp_path / "a.mkv")) as container:
        assert read_clock(container) == STEADY


# ── sound that begins late ───────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mpegts", "vob"])
def test_sound_that_begins_late_is_found(tmp_path: Path, kind: str) -> None:
    """It begins behind the 5 MB that FFmpeg looks at by itself."""
    path = tmp_path / "a.ts"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format=kind) as out:
        video = out.add_stream("mpeg2video", rate=25, options={"q:v": "2", "maxrate": "50M"})
        video.width, video.height, video.pix_fmt = 640, 480, "yuv420p"
        sound = out.add_stream("mp2", rate=48000)
        sound.codec_context.layout = "mono"
        for n in range(60):
            noise = rng.integers(0, 255, (720, 640), dtype=np.uint8)
            raw = av.VideoFrame.from_ndarray(noise, format="yuv420p")
            raw.pts = n
            out.mux(video.encode(raw))
        out.mux(video.encode(None))
        tone = av.AudioFrame.from_ndarray(
            np.zeros((1, 24000), np.int16), format="s16", layout="mono"
        )
        tone.sample_rate, tone.pts, tone.time_base = 48000, 96000, Fraction(1, 48000)
        out.mux(sound.encode(tone))
        out.mux(sound.encode(None))
    assert path.stat().st_size > 5_500_000
    notes = pass_through(path, tmp_path / "b.mkv")
    assert len(read_payloads(tmp_path / "b.mkv", "audio")) >= 20
    assert not any("audio" in note for note in notes)


@pytest.mark.parametrize("empty_packets", [0, 30_000])
def test_tracks_that_appear_later_are_named(tmp_path: Path, empty_packets: int) -> None:
    """A recording of another transmitter is joined to the first, with 5 MB between them or none."""
    numbers = {"mpegts_start_pid": "0x300", "mpegts_pmt_start_pid": "0x500"}
    write_clip(tmp_path / "a.ts", codec="mpeg2video", audio="mp2", frames=25)
    write_clip(tmp_path / "b.ts", codec="mpeg2video", container_options=numbers)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.ts", "b.ts"))
    empty = b"G\x1f\xff\x10" + b"\xff" * 184
    (tmp_path / "joined.ts").write_bytes(first + empty_packets * empty + second)
    note = "tracks that appear in the middle of the file are left out"
    assert note in open_source(str(tmp_path / "joined.ts")).notes
    assert note not in open_source(str(tmp_path / "a.ts")).notes


# ── programmes ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(
    subprocess.run(["which", "ffmpeg"], capture_output=True, check=False).returncode != 0,
    reason="PyAV cannot write programmes; needs ffmpeg",
)
def test_sound_is_of_the_pictures_programme(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", codec="mpeg2video", audio="mp2", frames=25)
    programmes = ["-program", "title=One:st=0:st=1", "-program", "title=Two:st=2:st=3"]
    streams = ["-map", "0:v", "-map", "0:a", "-map", "1:v", "-map", "1:a"]
    command = ["ffmpeg", "-v", "error", "-i", "a.mkv", "-i", "a.mkv", *streams, "-c", "copy"]
    subprocess.run([*command, *programmes, "two.ts"], cwd=tmp_path, check=True)
    notes = pass_through(tmp_path / "two.ts", tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as out:
        assert [stream.type for stream in out.streams] == ["video", "audio"]
    assert "tracks of other programmes are left out: 1 audio" in notes
    with av.open(str(tmp_path / "two.ts")) as given:
        ids = [stream.id for stream in given.streams]
    assert find_programme(str(tmp_path / "two.ts"), ids[0]) == {*ids[:2]}
    assert find_programme(str(tmp_path / "two.ts"), ids[3]) == {*ids[2:]}


def test_a_file_without_tables_has_no_programme(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_bytes(b"G" + bytes(187) + b"G" + bytes(187))
    assert find_programme(str(tmp_path / "a.ts"), 256) is None
    (tmp_path / "b.ts").write_bytes(bytes(range(256)) * 20)
    assert find_programme(str(tmp_path / "b.ts"), 256) is None
