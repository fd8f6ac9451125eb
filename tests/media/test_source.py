"""User files in and out: planes, times, tags and the other streams come back as they went; what is bad is refused."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from helpers import OnFullDisk, assert_same_frames
from synthetic import Planes, clip, frames, info, write_clip, write_rich_clip

from tinct.colour import to_rgb16
from tinct.errors import CodecError
from tinct.frames import ColourTags, Frame, Hdr, VideoInfo
from tinct.media.passthrough import Extras
from tinct.media.sink import open_sink
from tinct.media.source import open_source
from tinct.media.timing import constant_rate

NTSC = Fraction(30000, 1001)
HDR = Hdr("G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)", "1000,400")


def decoded(path: Path, **cut: float) -> list[Frame]:
    return list(open_source(str(path), **cut))


def write(
    path: Path | str,
    planes: list[Planes],
    about: VideoInfo,
    pts: list[int] | None = None,
    **extras: str,
) -> list[str]:
    with open_sink(str(path), about, **extras) as sink:
        for frame in frames(planes, about, pts):
            sink.write(frame)
    return sink.notes


def assert_planes(found: list[Frame], planes: list[Planes]) -> None:
    assert len(found) == len(planes)
    for frame, (y, cb, cr) in zip(found, planes, strict=True):
        for name, plane in (("y", y), ("cb", cb), ("cr", cr)):
            assert np.array_equal(getattr(frame, name), plane), (name, frame.pts)


def payloads(path: Path, kind: str) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        packets = container.demux(**{kind: 0})
        return [(round(float(p.pts * p.time_base), 2), bytes(p)) for p in packets if p.size]


# ── pixels ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["mkv", "y4m"])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("size", [(64, 48), (17, 33), (1, 1), (130, 66)])
def test_lossless_formats_return_every_plane(
    tmp_path: Path, suffix: str, depth: int, size: tuple[int, int]
) -> None:
    planes = clip(5, *size, depth)
    write(tmp_path / f"a.{suffix}", planes, info(*size, bit_depth=depth))
    found = decoded(tmp_path / f"a.{suffix}")
    assert_planes(found, planes)
    assert found[0].y.flags.c_contiguous
    assert found[0].info.frame_count in (5, None)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "gray", "gray10le"])
def test_planes_are_sliced_without_stretching_their_range(tmp_path: Path, pix_fmt: str) -> None:
    planes = write_clip(tmp_path / "a.mkv", pix_fmt=pix_fmt, frames=3, size=(66, 34))
    if pix_fmt.startswith("gray"):
        grey = 512 if "10" in pix_fmt else 128
        planes = [(y, np.full_like(cb, grey), np.full_like(cr, grey)) for y, cb, cr in planes]
    assert_planes(decoded(tmp_path / "a.mkv"), planes)


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p", "yuv422p10le", "yuv444p10le"])
@pytest.mark.parametrize("size", [(64, 48), (17, 33)])
def test_finer_chroma_is_reduced_and_luma_untouched(
    tmp_path: Path, pix_fmt: str, size: tuple[int, int]
) -> None:
    planes = write_clip(tmp_path / "a.mkv", pix_fmt=pix_fmt, frames=2, size=size)
    source = open_source(str(tmp_path / "a.mkv"))
    unit = 4 if "10" in pix_fmt else 1
    for frame, (y, cb, _) in zip(source, planes, strict=True):
        assert np.array_equal(frame.y, y)
        assert np.abs(frame.cb.astype(int) - cb).mean() <= 4 * unit
    assert any("converted" in note for note in source.notes)


@pytest.mark.parametrize("height", [48, 720])
def test_rgb_becomes_tagged_video_of_the_same_colours(tmp_path: Path, height: int) -> None:
    write_clip(tmp_path / "a.mkv", pix_fmt="bgr0", frames=1, size=(64, height))
    with av.open(str(tmp_path / "a.mkv")) as container:
        truth = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    (frame,) = decoded(tmp_path / "a.mkv")
    assert frame.info.colour == ColourTags(2, 2, 1 if height == 720 else 6, False)
    assert np.abs(frame.rgb() - truth).mean() < 3  # chroma was halved on the way


def test_png_folder_holds_the_rgb_of_each_frame(tmp_path: Path) -> None:
    for depth in (8, 10):
        about = info(bit_depth=depth)
        planes = clip(3, bit_depth=depth)
        write(f"{tmp_path}/png{depth}/", planes, about)
        assert sorted(os.listdir(tmp_path / f"png{depth}")) == [
            "000000.png",
            "000001.png",
            "000002.png",
        ]
        frame = frames(planes, about)[2]
        stored = cv2.imread(str(tmp_path / f"png{depth}" / "000002.png"), cv2.IMREAD_UNCHANGED)[
            ..., ::-1
        ]
        assert np.array_equal(stored, frame.rgb() if depth == 8 else to_rgb16(frame))


def test_mp4_is_close_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    planes = clip(10, 65, 47)
    for name in ("a.mp4", "b.mp4"):
        notes = write(tmp_path / name, planes, info(65, 47))
    found = decoded(tmp_path / "a.mp4")
    assert (found[0].info.width, found[0].info.height) == (66, 48)
    assert "padded" in notes[0]
    error = np.mean(
        [
            np.mean((f.y[:47, :65].astype(int) - p[0]) ** 2.0)
            for f, p in zip(found, planes, strict=True)
        ]
    )
    assert error < 20  # CRF 16
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


# ── properties ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_tags_come_back(tmp_path: Path, suffix: str) -> None:
    about = info(
        bit_depth=10,
        frame_rate=NTSC,
        colour=ColourTags(9, 16, 9, False),
        sample_aspect_ratio=Fraction(128, 117),
        rotation=270,
        hdr=HDR,
    )
    path = tmp_path / f"a.{suffix}"
    write(path, clip(6, bit_depth=10), about)
    assert open_source(str(path)).info == replace(
        about, frame_count=6, duration_seconds=float(6 / NTSC)
    )


@pytest.mark.parametrize("full_range", [None, False, True])
def test_range_and_rotation_come_back(tmp_path: Path, full_range: bool | None) -> None:
    for rotation, suffix in ((90, "mkv"), (180, "mp4")):
        colour = ColourTags(1, 1, 1, full_range)
        write(tmp_path / f"a.{suffix}", clip(2), info(colour=colour, rotation=rotation))
        found = open_source(str(tmp_path / f"a.{suffix}")).info
        assert found.rotation == rotation
        assert found.colour == colour or (full_range is None and not found.colour.full_range)


def test_y4m_names_range_and_aspect(tmp_path: Path) -> None:
    about = info(
        colour=ColourTags(full_range=True), sample_aspect_ratio=Fraction(4, 3), frame_rate=NTSC
    )
    write(tmp_path / "a.y4m", clip(2), about)
    assert (
        (tmp_path / "a.y4m")
        .read_bytes()
        .startswith(b"YUV4MPEG2 W64 H48 F30000:1001 Ip A4:3 C420mpeg2 XCOLORRANGE=FULL\nFRAME\n")
    )
    found = open_source(str(tmp_path / "a.y4m")).info
    assert (found.colour.full_range, found.sample_aspect_ratio, found.frame_rate) == (
        True,
        Fraction(4, 3),
        NTSC,
    )


# ── times ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "rate", [NTSC, Fraction(24000, 1001), Fraction(25), Fraction(60), Fraction(25, 2), Fraction(1)]
)
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_constant_rates_are_exact(tmp_path: Path, rate: Fraction, suffix: str) -> None:
    write(tmp_path / f"a.{suffix}", clip(40, 16, 16), info(16, 16, frame_rate=rate))
    found = decoded(tmp_path / f"a.{suffix}")
    assert found[0].info.frame_rate == rate
    assert found[0].info.time_base == 1 / rate
    assert [frame.pts for frame in found] == list(range(40))


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_variable_times_are_kept_to_the_millisecond(tmp_path: Path, suffix: str) -> None:
    times = [0, 33, 66, 100, 233, 267, 1000, 1001, 1040]
    write(tmp_path / f"a.{suffix}", clip(9), info(frame_rate=None), times)
    source = open_source(str(tmp_path / f"a.{suffix}"))
    assert [frame.pts for frame in source] == times
    assert (source.info.frame_rate, source.info.time_base, source.info.frame_count) == (
        None,
        Fraction(1, 1000),
        9,
    )


def test_constant_rate_refuses_a_gap() -> None:
    millisecond = Fraction(1, 1000)
    even = np.rint(np.arange(300) * 1001 / 30).astype(np.int64)
    assert constant_rate(even, millisecond, [Fraction(2997, 100)]) == NTSC
    assert constant_rate(np.delete(even, 150), millisecond, [NTSC]) is None


def test_a_late_video_keeps_its_delay_behind_the_audio(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=10, delay=5, audio="flac")
    write_clip(tmp_path / "b.mkv", frames=10, delay=5)
    assert [frame.pts for frame in decoded(tmp_path / "a.mkv")] == list(range(5, 15))
    assert [frame.pts for frame in decoded(tmp_path / "b.mkv")] == list(
        range(10)
    )  # nothing to be late for


@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_a_cut_gives_the_same_frames_as_the_whole(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.mkv"
    write_clip(path, frames=80, codec=codec, codec_options={"g": "12"}, size=(32, 32))
    whole = decoded(path)
    source = open_source(str(path), start_seconds=1.27, duration_seconds=1.0)
    found = list(source)
    assert_planes(found, [(f.y, f.cb, f.cr) for f in whole[32:57]])
    assert [frame.pts for frame in found] == list(range(25))
    assert (source.info.frame_count, source.info.duration_seconds, source.start_seconds) == (
        25,
        1.0,
        1.28,
    )


def test_a_source_can_be_read_again(tmp_path: Path) -> None:
    planes = write_clip(tmp_path / "a.mkv")
    source = open_source(str(tmp_path / "a.mkv"))
    assert_planes(list(source), planes)
    assert_planes(list(source), planes)


def test_raw_streams_without_times_are_counted(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.h264", frames=9, codec="libx264", rate=NTSC)
    assert [frame.pts for frame in decoded(tmp_path / "a.h264")] == list(range(9))


# ── the other streams ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def rich(tmp_path: Path) -> Path:
    return write_rich_clip(tmp_path / "rich.mp4")


def copy_through(source: Path, target: Path, **cut: float) -> list[str]:
    video = open_source(str(source), **cut)
    duration = cut.get("duration_seconds")
    start = video.start_seconds
    with open_sink(
        str(target), video.info, str(source), start_seconds=start, duration_seconds=duration
    ) as sink:
        for frame in video:
            sink.write(frame)
    return sink.notes


def test_everything_goes_from_mp4_to_matroska_and_back(rich: Path, tmp_path: Path) -> None:
    assert copy_through(rich, tmp_path / "a.mkv") == []
    assert copy_through(tmp_path / "a.mkv", tmp_path / "b.mp4") == []
    sound = [packet for packet in payloads(rich, "audio") if packet[0] >= 0]  # priming stays behind
    for path in (tmp_path / "a.mkv", tmp_path / "b.mp4"):
        assert [data for _, data in payloads(path, "audio")] == [data for _, data in sound]
        assert (
            max(abs(a - b) for (a, _), (b, _) in zip(payloads(path, "audio"), sound, strict=True))
            <= 0.0101
        )
        with av.open(str(path)) as container:
            chapters = [
                (
                    float(c["start"] * c["time_base"]),
                    float(c["end"] * c["time_base"]),
                    c["metadata"]["title"],
                )
                for c in container.chapters()
            ]
            assert chapters == [(0, 1, "first"), (1, 2, "second")]
            assert container.metadata["title"] == "A film"
            (audio,) = container.streams.audio
            assert audio.metadata["language"] == "fre"
            assert container.streams.subtitles[0].metadata["language"] == "ger"
    assert payloads(tmp_path / "a.mkv", "subtitles") == [
        (0.2, b"Hello <i>you</i>"),
        (1.2, b"two\nlines"),
    ]
    shown = [
        (time, data[2:])
        for time, data in payloads(tmp_path / "b.mp4", "subtitles")
        if len(data) > 2
    ]
    assert [time for time, _ in shown] == [0.2, 1.2]
    assert shown[1][1] == b"two\nlines"
    assert [data for _, data in payloads(rich, "video")] != [
        data for _, data in payloads(tmp_path / "b.mp4", "video")
    ]


def test_a_cut_shifts_sound_subtitles_and_chapters(rich: Path, tmp_path: Path) -> None:
    copy_through(rich, tmp_path / "a.mkv", start_seconds=0.8, duration_seconds=0.8)
    path = tmp_path / "a.mkv"
    whole = {data: time for time, data in payloads(rich, "audio")}
    for time, data in payloads(path, "audio"):
        assert abs(whole[data] - 0.8 - time) <= 0.011
        assert 0 <= time < 0.8
    assert len(payloads(path, "audio")) in (37, 38)  # 0.8 s of 1024 samples at 48 kHz
    assert payloads(path, "subtitles") == [(0.0, b"Hello <i>you</i>"), (0.4, b"two\nlines")]
    with av.open(str(path)) as container:
        ends = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]))
            for c in container.chapters()
        ]
    assert ends == [pytest.approx((0, 0.2)), pytest.approx((0.2, 0.8))]


def test_attachments_travel_but_not_the_codecs_own(tmp_path: Path) -> None:
    done, picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    assert done
    given = [
        ("font.ttf", "font/ttf", b"not really a font"),
        ("cover.png", "image/png", picture.tobytes()),
        ("tinct.json", "application/json", b"{}"),
    ]
    write_clip(tmp_path / "a.mkv", attachments=given, audio="flac")
    copy_through(tmp_path / "a.mkv", tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert [(s.name, s.data) for s in container.streams if s.type == "attachment"] == [
            given[0][::2]
        ]
        (cover,) = [s for s in container.streams.video if s.metadata.get("filename") == "cover.png"]
        assert bytes(next(container.demux(cover))) == picture.tobytes()
    notes = copy_through(tmp_path / "a.mkv", tmp_path / "c.mp4")
    assert len(notes) == 1
    assert "font.ttf" in notes[0]
    with av.open(str(tmp_path / "c.mp4")) as container:
        assert bytes(next(container.demux(container.streams.video[1]))) == picture.tobytes()
    copy_through(tmp_path / "a.mkv", tmp_path / "d.mp4", start_seconds=0.2)
    with av.open(str(tmp_path / "d.mp4")) as container:
        assert (
            bytes(next(container.demux(container.streams.video[1]))) == picture.tobytes()
        )  # in a cut as well
    assert open_source(str(tmp_path / "c.mp4")).info.width == 64  # not the cover's 8


def test_sound_that_mp4_cannot_hold_becomes_aac_in_step(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=50, audio="wavpack")
    notes = copy_through(tmp_path / "a.mkv", tmp_path / "b.mp4")
    assert notes == ["audio track 1 (wavpack) is converted to AAC"]
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        samples = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert abs(len(samples) / 48000 - 2) < 0.06
    spectrum = np.abs(np.fft.rfft(samples[9600 : 9600 + 48000]))
    assert abs(int(spectrum.argmax()) - 440) <= 1


def test_formats_of_pictures_say_what_they_leave_out(rich: Path, tmp_path: Path) -> None:
    for name in ("a.y4m", "pictures"):
        (note,) = copy_through(rich, tmp_path / name)
        assert note.startswith("audio and subtitle left out")


def test_packets_leave_as_the_video_goes_along(rich: Path, tmp_path: Path) -> None:
    out = av.open(str(tmp_path / "a.mkv"), "w", format="matroska")
    out.add_stream("ffv1", rate=25)
    extras = Extras(str(rich), out)
    muxed: list[float] = []

    class Spy:
        def mux(self, packets: list[av.Packet]) -> None:
            muxed.extend(float(p.pts * p.time_base) for p in packets)

    extras._out = Spy()  # type: ignore[assignment]
    extras.mux_until(0.5)
    assert muxed
    assert max(muxed) < 0.5
    assert len(muxed) >= 23
    extras.finish()
    assert max(muxed) > 1.9


# ── what is refused ────────────────────────────────────────────────────────────────────────────────────────────────


def refused(path: Path | str, *words: str, **cut: float) -> None:
    with pytest.raises(CodecError) as caught:
        list(open_source(str(path), **cut))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_bad_inputs_are_named(tmp_path: Path) -> None:
    refused(tmp_path / "none.mp4", "nothing at")
    refused(tmp_path, "a folder")
    (tmp_path / "empty.mp4").touch()
    refused(tmp_path / "empty.mp4", "empty file")
    for name in ("text.mp4", "text.txt"):
        (tmp_path / name).write_text("just some words\n" * 50)
        refused(tmp_path / name, "expected a video file")
    (tmp_path / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n"
    )
    refused(tmp_path / "list.m3u8", "expected a video file")


def test_audio_with_a_cover_is_not_a_video(tmp_path: Path) -> None:
    _, picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    with av.open(str(tmp_path / "a.mka"), "w", format="matroska") as out:
        sound = out.add_stream("flac", rate=48000)
        out.add_attachment("cover.png", "image/png", picture.tobytes())
        raw = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), "s16", "mono")
        raw.sample_rate, raw.pts, raw.time_base = 48000, 0, Fraction(1, 48000)
        out.mux(sound.encode(raw))
        out.mux(sound.encode(None))
    refused(tmp_path / "a.mka", "a video track", "audio")


def test_interlaced_video_is_refused_with_the_way_out(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", codec="libx264", codec_options={"x264-params": "tff=1"})
    refused(tmp_path / "a.mkv", "interlaced", "bwdif")


def test_a_change_of_size_is_refused(tmp_path: Path) -> None:
    for name, size in (("a", (64, 48)), ("b", (32, 48))):
        write_clip(tmp_path / f"{name}.h264", codec="libx264", size=size, frames=5)
    (tmp_path / "c.h264").write_bytes(
        (tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes()
    )
    refused(tmp_path / "c.h264", "64x48", "32x48")


def test_a_start_behind_the_end_is_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv")
    refused(tmp_path / "a.mkv", "0.440 s", start_seconds=3.0)


def test_nothing_decodable_is_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", codec="libx264", frames=3)
    data = bytearray((tmp_path / "a.mkv").read_bytes())
    for _, payload in payloads(tmp_path / "a.mkv", "video"):
        at = data.find(payload)
        data[at + 4 : at + len(payload)] = bytes(len(payload) - 4)
    (tmp_path / "b.mkv").write_bytes(data)
    refused(tmp_path / "b.mkv", "frames to decode")


def test_damage_in_the_middle_costs_frames_not_the_video(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mov", frames=20, codec="png", pix_fmt="rgb24")
    whole = decoded(tmp_path / "a.mov")
    data = bytearray((tmp_path / "a.mov").read_bytes())
    at = data.find(payloads(tmp_path / "a.mov", "video")[10][1])
    data[at : at + 200] = bytes(200)
    (tmp_path / "b.mov").write_bytes(data)
    source = open_source(str(tmp_path / "b.mov"))
    found = list(source)
    assert source.damaged == 1
    assert [frame.pts for frame in found] == [
        n for n in range(20) if n != 10
    ]  # the others keep their times
    assert_planes(found, [(f.y, f.cb, f.cr) for f in whole if f.pts != 10])


def test_a_file_cut_off_gives_what_is_whole(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=20)
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "b.mkv").write_bytes(data[: len(data) // 2])
    assert 5 <= len(decoded(tmp_path / "b.mkv")) <= 12
    write_clip(
        tmp_path / "a.mp4", frames=50, codec="libx264", container_options={"movflags": "faststart"}
    )
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(data[: len(data) * 2 // 3])
    source = open_source(str(tmp_path / "b.mp4"))
    found = len(list(source))
    assert 5 <= found < 50
    assert source.damaged >= (source.info.frame_count or 0) - found


# ── destinations ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_damaged_sound_packet_does_not_end_the_film(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.ts", frames=50, codec="libx264", audio="aac")
    data = bytearray((tmp_path / "a.ts").read_bytes())
    at = data.find(b"\xff\xf1", len(data) // 2)  # where an AAC frame begins
    data[at : at + 2] = b"\0\0"
    (tmp_path / "b.ts").write_bytes(data)
    copy_through(tmp_path / "b.ts", tmp_path / "b.mp4")
    assert (
        85 <= len(payloads(tmp_path / "b.mp4", "audio")) < len(payloads(tmp_path / "a.ts", "audio"))
    )
    assert len(decoded(tmp_path / "b.mp4")) == 50


def write_and_interrupt(path: Path) -> None:
    about = info()
    with open_sink(str(path), about) as sink:
        sink.write(frames(clip(1), about)[0])
        assert len(list(path.parent.iterdir())) == 1
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.y4m", "pictures"])
def test_an_abort_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_and_interrupt(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


FILMS = """
import sys
sys.path[:0] = ["tests", "tests/bitstream", "tests/media"]
from pathlib import Path
from synthetic import clip, info
from test_source import write
for width, height in ((64, 48), (97, 80), (300, 48), (130, 130)):
    write(Path(sys.argv[1]) / f"{width}.mp4", clip(10, width, height), info(width, height))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="MALLOC_PERTURB_ is glibc's")
def test_films_do_not_hang_on_what_memory_held_before(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent.parent
    for value in ("85", "170"):
        (tmp_path / value).mkdir()
        subprocess.run(
            [sys.executable, "-c", FILMS, str(tmp_path / value)],
            cwd=root,
            env={**os.environ, "MALLOC_PERTURB_": value},
            check=True,
        )
    for path in (tmp_path / "85").iterdir():
        assert path.read_bytes() == (tmp_path / "170" / path.name).read_bytes(), path.name


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(b"old")
    about = info()
    with open_sink(str(path), about, overwrite=True) as sink:
        sink.write(frames(clip(1), about)[0])
        assert path.read_bytes() == b"old"
        assert [
            p.name
            for p in tmp_path.iterdir()
            if re.fullmatch(r"\.a\.mkv\.[0-9a-f]{8}\.tinct-part", p.name)
        ]
    assert [p.name for p in tmp_path.iterdir()] == ["a.mkv"]
    assert open_source(str(path)).info.frame_count == 1


def test_bad_destinations_are_named(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.png").touch()
    for path, word in (("a.avi", ".mkv"), ("none/a.mkv", "to exist"), ("full", "empty folder")):
        with pytest.raises(CodecError, match=word):
            open_sink(str(tmp_path / path), info())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.y4m"])
def test_a_full_disk_is_one_line(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinct.media.sink.Growing", OnFullDisk)
    with pytest.raises(CodecError, match="No space left"):
        write(tmp_path / name, clip(8, 256, 256), info(256, 256))
    assert list(tmp_path.iterdir()) == []


# ── pipes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

PASS_ON = """
import sys
from tinct.errors import CodecError
from tinct.media.sink import open_sink
from tinct.media.source import open_source
try:
    source = open_source("-")
    assert source.info.frame_count is None
    with open_sink("-", source.info) as sink:
        for frame in source:
            sink.write(frame)
except CodecError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.mark.parametrize("depth", [8, 10])
def test_y4m_passes_through_a_pipe(tmp_path: Path, depth: int) -> None:
    write(tmp_path / "a.y4m", clip(4, bit_depth=depth), info(frame_rate=NTSC, bit_depth=depth))
    given = (tmp_path / "a.y4m").read_bytes()
    passed = subprocess.run(
        [sys.executable, "-c", PASS_ON], input=given, capture_output=True, check=False
    )
    assert passed.stdout == given, passed.stderr


def test_pipes_fail_in_one_line(tmp_path: Path) -> None:
    passed = subprocess.run(
        [sys.executable, "-c", PASS_ON], input=b"no video at all", capture_output=True, check=False
    )
    assert passed.stderr.startswith(b"refused: expected YUV4MPEG2 on stdin")
    assert passed.stderr.count(b"\n") == 1
    write(tmp_path / "a.y4m", clip(20, 256, 256), info(256, 256))
    with (tmp_path / "a.y4m").open("rb") as given:
        process = subprocess.Popen(
            [sys.executable, "-c", PASS_ON],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert b"refused: expected to write stdout" in process.stderr.read()
        assert process.wait() == 1


@pytest.mark.parametrize(
    "options",
    [
        {"codec": "ffv1"},
        {"codec": "libx264", "codec_options": {"g": "10", "bf": "3"}},
        {"delay": 7},
    ],
)
def test_a_stretch_has_the_frames_of_the_whole(tmp_path: Path, options: dict[str, Any]) -> None:
    write_clip(tmp_path / "a.mkv", frames=30, **options)
    source = open_source(str(tmp_path / "a.mkv"))
    whole = list(source)
    assert source.ticks.tolist() == [frame.pts for frame in whole]
    for first, last in ((0, 29), (13, 19), (29, 29)):
        assert_same_frames(
            list(source.between(whole[first].pts, whole[last].pts)), whole[first : last + 1]
        )
