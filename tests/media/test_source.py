"""Reading of user files: planes, properties and times are right, bad files are refused."""

import contextlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.error import FFmpegError
from helpers import assert_same_frames, read_payloads
from media_files import HDR, NTSC, assert_planes, read_frames
from synthetic import draw_clip, make_info, to_av, write_clip, write_video

from tinct.errors import CodecError
from tinct.frames import ColourTags
from tinct.media.fields import DEINTERLACED
from tinct.media.source import open_source

# ── pixels ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["mkv", "y4m"])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("size", [(64, 48), (17, 33), (1, 1), (130, 66)])
def test_lossless_formats_return_every_plane(
    tmp_path: Path, suffix: str, depth: int, size: tuple[int, int]
) -> None:
    planes = draw_clip(5, *size, depth)
    write_video(tmp_path / f"a.{suffix}", planes, make_info(*size, bit_depth=depth))
    found = read_frames(tmp_path / f"a.{suffix}")
    assert_planes(found, planes)
    assert found[0].y.flags.c_contiguous
    assert found[0].info.frame_count in (5, None)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "gray", "gray10le"])
def test_planes_are_copied_without_stretching_their_range(tmp_path: Path, pix_fmt: str) -> None:
    planes = write_clip(tmp_path / "a.mkv", pix_fmt=pix_fmt, frames=3, size=(66, 34))
    if pix_fmt.startswith("gray"):
        grey = 512 if "10" in pix_fmt else 128
        planes = [(y, np.full_like(cb, grey), np.full_like(cr, grey)) for y, cb, cr in planes]
    assert_planes(read_frames(tmp_path / "a.mkv"), planes)


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
    (frame,) = read_frames(tmp_path / "a.mkv")
    assert frame.info.colour == ColourTags(2, 2, 1 if height == 720 else 6, full_range=False)
    assert np.abs(frame.rgb() - truth).mean() < 3  # chroma was halved on the way


# ── properties ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_tags_come_back(tmp_path: Path, suffix: str) -> None:
    about = make_info(
        bit_depth=10,
        frame_rate=NTSC,
        colour=ColourTags(9, 16, 9, full_range=False),
        sample_aspect_ratio=Fraction(128, 117),
        rotation=270,
        hdr=HDR,
    )
    path = tmp_path / f"a.{suffix}"
    write_video(path, draw_clip(6, bit_depth=10), about)
    assert open_source(str(path)).info == replace(
        about, frame_count=6, duration_seconds=float(6 / NTSC)
    )


@pytest.mark.parametrize("full_range", [None, False, True])
def test_range_and_rotation_come_back(tmp_path: Path, full_range: bool | None) -> None:
    for rotation, suffix in ((90, "mkv"), (180, "mp4")):
        colour = ColourTags(1, 1, 1, full_range=full_range)
        write_video(
            tmp_path / f"a.{suffix}", draw_clip(2), make_info(colour=colour, rotation=rotation)
        )
        found = open_source(str(tmp_path / f"a.{suffix}")).info
        assert found.rotation == rotation
        assert found.colour == colour or (full_range is None and not found.colour.full_range)


# ── times ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    "rate", [NTSC, Fraction(24000, 1001), Fraction(25), Fraction(60), Fraction(25, 2), Fraction(1)]
)
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_constant_rates_are_exact(tmp_path: Path, rate: Fraction, suffix: str) -> None:
    write_video(tmp_path / f"a.{suffix}", draw_clip(40, 16, 16), make_info(16, 16, frame_rate=rate))
    found = read_frames(tmp_path / f"a.{suffix}")
    assert found[0].info.frame_rate == rate
    assert found[0].info.time_base == 1 / rate
    assert [frame.pts for frame in found] == list(range(40))


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_variable_times_are_kept_to_the_millisecond(tmp_path: Path, suffix: str) -> None:
    times = [0, 33, 66, 100, 233, 267, 1000, 1001, 1040]
    write_video(tmp_path / f"a.{suffix}", draw_clip(9), make_info(frame_rate=None), pts=times)
    source = open_source(str(tmp_path / f"a.{suffix}"))
    assert [frame.pts for frame in source] == times
    assert (source.info.frame_rate, source.info.time_base) == (None, Fraction(1, 1000))
    assert source.info.frame_count == 9


def test_bursts_are_spread_out_and_named(tmp_path: Path) -> None:
    """Only those in the time asked for are counted."""
    base = Fraction(1, 90000)
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = video.time_base = base
        for pts in (0, 20, 40, 3600, 7200, 7220, 10800):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts, picture.time_base = pts, base
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    source = open_source(str(tmp_path / "a.mp4"))
    assert [frame.pts for frame in source] == [0, 1, 2, 40, 80, 81, 120]
    note = "frames closer than a millisecond are spread out: 3 frames are shown later"
    assert source.notes[-1] == note
    late = open_source(str(tmp_path / "a.mp4"), start_seconds=0.03)
    assert late.notes[-1] == note.replace("3 frames are", "1 frame is")
    assert len(open_source(str(tmp_path / "a.mp4"), start_seconds=0.1).notes) == 1


def test_a_late_video_keeps_its_delay_behind_the_audio(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=10, delay=5, audio="flac")
    write_clip(tmp_path / "b.mkv", frames=10, delay=5)
    assert [frame.pts for frame in read_frames(tmp_path / "a.mkv")] == list(range(5, 15))
    # Without audio there is nothing to be late for.
    assert [frame.pts for frame in read_frames(tmp_path / "b.mkv")] == list(range(10))


@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_a_trimmed_video_has_the_same_frames_as_the_whole(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.mkv"
    write_clip(path, frames=80, codec=codec, codec_options={"g": "12"}, size=(32, 32))
    whole = read_frames(path)
    source = open_source(str(path), start_seconds=1.27, duration_seconds=1.0)
    found = list(source)
    assert_planes(found, [(f.y, f.cb, f.cr) for f in whole[32:57]])
    assert [frame.pts for frame in found] == list(range(25))
    assert (source.info.frame_count, source.info.duration_seconds) == (25, 1.0)
    assert source.start_seconds == 1.28


def test_a_source_can_be_read_again(tmp_path: Path) -> None:
    planes = write_clip(tmp_path / "a.mkv")
    source = open_source(str(tmp_path / "a.mkv"))
    assert_planes(list(source), planes)
    assert_planes(list(source), planes)


def test_raw_streams_without_times_are_counted(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.h264", frames=9, codec="libx264", rate=NTSC)
    assert [frame.pts for frame in read_frames(tmp_path / "a.h264")] == list(range(9))


@pytest.mark.parametrize(
    "options",
    [
        {"codec": "ffv1"},
        {"codec": "libx264", "codec_options": {"g": "10", "bf": "3"}},
        {"delay": 7},
    ],
)
def test_frames_between_two_ticks_are_those_of_the_whole(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    write_clip(tmp_path / "a.mkv", frames=30, **options)
    source = open_source(str(tmp_path / "a.mkv"))
    whole = list(source)
    assert source.ticks.tolist() == [frame.pts for frame in whole]
    for first, last in ((0, 29), (13, 19), (29, 29)):
        assert_same_frames(
            list(source.read_between(whole[first].pts, whole[last].pts)), whole[first : last + 1]
        )


def test_a_source_that_starts_at_a_frame_has_the_rest_of_the_whole(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=30, codec="libx264", codec_options={"g": "10"}, delay=7)
    source = open_source(str(tmp_path / "a.mkv"))
    whole = list(source)
    found = list(source.start_at(13))
    assert_planes(found, [(f.y, f.cb, f.cr) for f in whole[13:]])
    assert [frame.pts for frame in found] == list(range(17))


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


def assert_refused(path: Path | str, *words: str, **trim: float) -> None:
    with pytest.raises(CodecError) as caught:
        list(open_source(str(path), **trim))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_bad_inputs_are_named(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.mp4", "nothing at")
    assert_refused(tmp_path, "a folder")
    (tmp_path / "empty.mp4").touch()
    assert_refused(tmp_path / "empty.mp4", "empty file")
    for name in ("text.mp4", "text.txt"):
        (tmp_path / name).write_text("just some words\n" * 50)
        assert_refused(tmp_path / name, "expected a video file")
    (tmp_path / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n"
    )
    assert_refused(tmp_path / "list.m3u8", "expected a video file")


def test_audio_with_a_cover_is_not_a_video(tmp_path: Path) -> None:
    _, picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    with av.open(str(tmp_path / "a.mka"), "w", format="matroska") as out:
        sound = out.add_stream("flac", rate=48000)
        out.add_attachment("cover.png", "image/png", picture.tobytes())
        raw = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), "s16", "mono")
        raw.sample_rate, raw.pts, raw.time_base = 48000, 0, Fraction(1, 48000)
        out.mux(sound.encode(raw))
        out.mux(sound.encode(None))
    assert_refused(tmp_path / "a.mka", "a video track", "audio")


def test_a_change_of_size_is_refused(tmp_path: Path) -> None:
    for name, size in (("a", (64, 48)), ("b", (32, 48))):
        write_clip(tmp_path / f"{name}.h264", codec="libx264", size=size, frames=5)
    (tmp_path / "c.h264").write_bytes(
        (tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes()
    )
    assert_refused(tmp_path / "c.h264", "64x48", "32x48")


def test_a_start_behind_the_end_is_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv")
    assert_refused(tmp_path / "a.mkv", "0.440 s", start_seconds=3.0)


def test_nothing_decodable_is_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", codec="libx264", frames=3)
    data = bytearray((tmp_path / "a.mkv").read_bytes())
    for _, payload in read_payloads(tmp_path / "a.mkv", "video"):
        at = data.find(payload)
        data[at + 4 : at + len(payload)] = bytes(len(payload) - 4)
    (tmp_path / "b.mkv").write_bytes(data)
    assert_refused(tmp_path / "b.mkv", "frames to decode")


def test_damage_in_the_middle_loses_its_frames_alone(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mov", frames=20, codec="png", pix_fmt="rgb24")
    whole = read_frames(tmp_path / "a.mov")
    data = bytearray((tmp_path / "a.mov").read_bytes())
    at = data.find(read_payloads(tmp_path / "a.mov", "video")[10][1])
    data[at : at + 200] = bytes(200)
    (tmp_path / "b.mov").write_bytes(data)
    source = open_source(str(tmp_path / "b.mov"))
    found = list(source)
    assert source.damaged == 1
    # The other frames keep their times.
    assert [frame.pts for frame in found] == [n for n in range(20) if n != 10]
    assert_planes(found, [(f.y, f.cb, f.cr) for f in whole if f.pts != 10])


def test_a_truncated_file_is_decoded_as_far_as_it_goes(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=20)
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "b.mkv").write_bytes(data[: len(data) // 2])
    assert 5 <= len(read_frames(tmp_path / "b.mkv")) <= 12
    write_clip(
        tmp_path / "a.mp4", frames=50, codec="libx264", container_options={"movflags": "faststart"}
    )
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(data[: len(data) * 2 // 3])
    source = open_source(str(tmp_path / "b.mp4"))
    found = len(list(source))
    assert 5 <= found < 50
    assert source.damaged >= (source.info.frame_count or 0) - found


def count_whole_frames(path: Path) -> int:
    """Return how many frames decode on one thread, up to the first error."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        count = 0
        with contextlib.suppress(FFmpegError):
            for packet in container.demux(stream):
                count += len(stream.decode(packet))
        return count + len(stream.codec_context.decode(None))


@pytest.mark.parametrize("percent", [45, 65, 85])
def test_threads_lose_no_whole_frame_of_a_cut_file(tmp_path: Path, percent: int) -> None:
    """Neither of the whole nor of what is left from a start on."""
    options = {"movflags": "faststart"}
    write_clip(tmp_path / "a.mp4", frames=60, codec="libx264", container_options=options)
    data = (tmp_path / "a.mp4").read_bytes()
    path = tmp_path / "b.mp4"
    path.write_bytes(data[: len(data) * percent // 100])
    whole = list(open_source(str(path)))
    assert len(whole) >= count_whole_frames(path)
    start = whole[len(whole) // 2].pts_seconds
    rest = list(open_source(str(path), start_seconds=start))
    assert len(rest) == len(whole) - len(whole) // 2


def test_b_frames_on_a_clock_of_half_frames_have_the_files_rate(tmp_path: Path) -> None:
    """FFmpeg copies H.264 to AVI so, and gives the last frame a tick too few."""
    base = Fraction(1, 50)
    with av.open(str(tmp_path / "a.avi"), "w") as out:
        video = out.add_stream("libx264", rate=50, options={"bf": "3", "b_strategy": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = video.time_base = base
        for number, planes in enumerate(draw_clip(50)):
            picture = to_av(planes, "yuv420p")
            picture.pts, picture.time_base = 2 * number, base
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    source = open_source(str(tmp_path / "a.avi"))
    assert source.info.frame_rate == 25
    whole = list(source)
    assert [frame.pts - whole[0].pts for frame in whole] == list(range(50))
    (last,) = open_source(str(tmp_path / "a.avi"), start_seconds=whole[49].pts_seconds)
    assert np.array_equal(last.y, whole[49].y)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_b_frames_in_avi_are_evenly_spaced(tmp_path: Path, codec: str) -> None:
    """AVI has times of decoding alone."""
    options = {"bf": "3", "b_strategy": "0"}
    write_clip(tmp_path / "a.avi", frames=40, codec=codec, codec_options=options)
    source = open_source(str(tmp_path / "a.avi"))
    whole = list(source)
    first = whole[0].pts
    assert [frame.pts - first for frame in whole] == list(range(40))
    cut = list(open_source(str(tmp_path / "a.avi"), start_seconds=whole[25].pts_seconds))
    assert all(np.array_equal(a.y, b.y) for a, b in zip(cut, whole[25:], strict=True))


def test_fields_marked_in_the_header_alone_are_seen(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mov"), "w") as out:
        video = out.add_stream("mjpeg", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuvj420p"
        video.codec_context.field_order = 2
        out.mux(video.encode(av.VideoFrame(64, 48, "yuvj420p")))
        out.mux(video.encode(None))
    with pytest.raises(CodecError, match="interlaced"):
        open_source(str(tmp_path / "a.mov"), deinterlaces=False)
    source = open_source(str(tmp_path / "a.mov"))
    assert (len(list(source)), source.notes) == (1, [DEINTERLACED])


def write_captions(path: Path, pair: bytes) -> None:
    """Write H.264 whose second frame carries CEA-608 `pair` in an SEI message (ANSI/SCTE 128)."""
    write_clip(path.with_suffix(".h264"), frames=3, codec="libx264")
    sent = b"\xb5\0\x31GA94\x03\x41\xff\xfc" + pair + b"\xff"
    message = b"\0\0\0\1\x06\x04" + bytes([len(sent)]) + sent + b"\x80"
    stream = path.with_suffix(".h264").read_bytes()
    second = min(at for nal in (1, 0x21, 0x41, 0x61) if (at := stream.find(b"\0\0\1%c" % nal)) > 0)
    path.write_bytes(stream[:second] + message + stream[second:])


@pytest.mark.parametrize(
    ("pair", "notes"),
    [
        (b"\xc8\xc5", ["closed captions (CEA-608/708) are left out"]),
        (b"\x80\x80", []),  # filling
    ],
)
def test_captions_are_named_but_not_their_filling(
    pair: bytes, notes: list[str], tmp_path: Path
) -> None:
    write_captions(tmp_path / "captions.264", pair)
    source = open_source(str(tmp_path / "captions.264"))
    assert len(list(source)) == 3
    assert source.notes == notes


def test_a_damaged_file_that_cannot_be_sought_gives_what_it_has() -> None:
    """Fuzzing found it: FFmpeg does not go back to the start of this MP4 after its damage."""
    source = open_source(str(Path(__file__).parent.parent / "data" / "unseekable.mp4"))
    assert len(list(source)) >= 1
    assert source.damaged
