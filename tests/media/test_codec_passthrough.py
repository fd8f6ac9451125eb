"""Everything beside the pixels survives an encode and a decode; other programs see plain files."""

import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from helpers import (
    leave_to_nightly,
    needs_ffprobe,
    read_default_flags,
    read_payloads,
    run_ffprobe,
)
from media_files import (
    HDR,
    NTSC,
    assert_sound_in_step,
    assert_tags_of_rich_clip,
    assert_texts_of_rich_clip,
    assert_trimmed_streams,
)
from synthetic import draw_clip, make_info, write_clip, write_rich_clip, write_video

import tinct
from tinct.frames import ColourTags, VideoInfo
from tinct.media.source import open_source

LAYOUTS: dict[str, dict[str, Any]] = {
    "track": {"colour": "track", "adapt": "off"},
    "compatible": {"colour": "track", "compatible": True, "adapt": "off"},
    "full": {"colour": "track", "key_form": "full", "group": 6},
    "in-band": {"colour": "in-band"},
    "random-access": {"structure": "random-access", "colour": "track"},
}
OUTPUTS = ("mkv", "mp4")


def encode(source: Path, target: Path, layout: str) -> tinct.EncodeReport:
    # a worker that takes tests from another's end may make a file of its own again
    config = tinct.EncodeConfig(**LAYOUTS[layout])
    return tinct.encode(str(source), str(target), config, overwrite=True)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rich_clip(tmp_path_factory.mktemp("rich") / "rich.mp4")


@pytest.fixture(scope="module", params=LAYOUTS)
def tinct_file(request: pytest.FixtureRequest, rich: Path) -> Path:
    path = rich.with_name(f"{request.param}.mkv")
    assert encode(rich, path, request.param).notes == []
    return path


@pytest.fixture(params=["tinct", *OUTPUTS])
def copy(request: pytest.FixtureRequest, tinct_file: Path, tmp_path: Path) -> Path:
    """The Tinct file, and each kind of file decoded from it."""
    if request.param == "tinct":
        return tinct_file
    path = tmp_path / f"a.{request.param}"
    assert tinct.decode(str(tinct_file), str(path)).notes == []
    return path


def test_sound_comes_back_to_the_byte_and_in_step(rich: Path, copy: Path) -> None:
    assert_sound_in_step(copy, rich)


def test_subtitles_come_back(copy: Path) -> None:
    assert_texts_of_rich_clip(copy)


def test_chapters_tags_and_languages_come_back(copy: Path) -> None:
    assert_tags_of_rich_clip(copy)


@pytest.mark.slow
def test_a_decoded_file_keeps_no_trace_of_the_codec(tinct_file: Path, tmp_path: Path) -> None:
    tinct.decode(str(tinct_file), str(tmp_path / "a.mkv"))
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert [s.type for s in container.streams] == ["video", "audio", "subtitle"]
        assert "luma" not in container.streams.video[0].metadata.values()


def test_trimming_shifts_sound_and_subtitles(tinct_file: Path, rich: Path, tmp_path: Path) -> None:
    tinct.decode(str(tinct_file), str(tmp_path / "a.mkv"), start_seconds=0.8, duration_seconds=0.8)
    assert_trimmed_streams(tmp_path / "a.mkv", rich)


def write_with(path: Path, *, count: int = 6, **changes: Any) -> VideoInfo:
    """Write `count` frames of a clip with changed properties; return these."""
    about = make_info(**changes)
    write_video(path, draw_clip(count, bit_depth=about.bit_depth), about)
    return about


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_picture_properties_come_back(tmp_path: Path, layout: str) -> None:
    given = write_with(
        tmp_path / "a.mkv",
        bit_depth=10,
        frame_rate=NTSC,
        colour=ColourTags(9, 16, 9, full_range=False),
        sample_aspect_ratio=Fraction(128, 117),
        rotation=270,
        hdr=HDR,
    )
    expected = replace(given, frame_count=6, duration_seconds=float(6 / NTSC))
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", layout)
    assert tinct.open(str(tmp_path / "b.mkv")).info == expected
    for suffix in OUTPUTS:
        tinct.decode(str(tmp_path / "b.mkv"), str(tmp_path / f"c.{suffix}"))
        assert open_source(str(tmp_path / f"c.{suffix}")).info == expected, suffix


@pytest.mark.slow
@pytest.mark.parametrize("rotation", [90, 180])
@pytest.mark.parametrize("full_range", [None, False, True])
def test_rotation_and_range_come_back(
    tmp_path: Path, rotation: int, full_range: bool | None
) -> None:
    colour = ColourTags(5, 6, 5, full_range=full_range)
    write_with(tmp_path / "a.mkv", count=2, rotation=rotation, colour=colour)
    for layout in LAYOUTS:
        encode(tmp_path / "a.mkv", tmp_path / f"{layout}.mkv", layout)
        found = tinct.open(str(tmp_path / f"{layout}.mkv")).info
        assert found.rotation == rotation, layout
        assert (found.colour.full_range or False) == (full_range or False), layout
        assert replace(found.colour, full_range=full_range) == colour, layout


# ── times ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("suffix", leave_to_nightly(OUTPUTS, but=["mkv"]))
def test_ntsc_times_are_exact_and_variable_ones_to_the_millisecond(
    tmp_path: Path, suffix: str
) -> None:
    times = [0, 40, 73, 120, 121, 300, 1000, 1500]
    write_clip(tmp_path / "ntsc.mkv", frames=40, rate=NTSC)
    write_clip(tmp_path / "vfr.mkv", frames=len(times), vfr=times)
    for name, expected, rate in (("ntsc", list(range(40)), NTSC), ("vfr", times, None)):
        encode(tmp_path / f"{name}.mkv", tmp_path / f"{name}-t.mkv", "track")
        tinct.decode(str(tmp_path / f"{name}-t.mkv"), str(tmp_path / f"{name}-d.{suffix}"))
        found = list(tinct.open(str(tmp_path / f"{name}-d.{suffix}")))
        assert [f.pts for f in found] == expected
        assert found[0].info.frame_rate == rate


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["track", "full", "in-band"])
def test_a_video_that_starts_late_keeps_its_delay(tmp_path: Path, layout: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=20, audio="flac", delay=10)
    sound = read_payloads(tmp_path / "a.mkv", "audio")
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", layout)
    tinct.decode(str(tmp_path / "b.mkv"), str(tmp_path / "c.mkv"))
    for path in (tmp_path / "b.mkv", tmp_path / "c.mkv"):
        assert read_payloads(path, "audio") == sound
        video = tinct.open(str(path))
        assert [f.pts for f in video] == list(range(10, 30))
        assert not video.damage


def delay_sound(source: Path, target: Path, milliseconds: int) -> None:
    """Copy a Matroska file, its sound delayed."""
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        copies = [out.add_stream_from_template(stream) for stream in given.streams]
        for packet in given.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                packet.pts += milliseconds
                packet.dts += milliseconds
            packet.stream = copies[packet.stream_index]
            out.mux(packet)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["track", "in-band"])
def test_sound_that_starts_late_keeps_its_delay(tmp_path: Path, layout: str) -> None:
    write_clip(tmp_path / "plain.mkv", frames=30, audio="flac")
    delay_sound(tmp_path / "plain.mkv", tmp_path / "a.mkv", 400)
    sound = read_payloads(tmp_path / "a.mkv", "audio")
    assert sound[0][0] == 0.4
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", layout)
    tinct.decode(str(tmp_path / "b.mkv"), str(tmp_path / "c.mkv"))
    for path in (tmp_path / "b.mkv", tmp_path / "c.mkv"):
        assert read_payloads(path, "audio") == sound
        assert [f.pts for f in tinct.open(str(path))] == list(range(30))


# ── as other programs see it ─────────────────────────────────────────────────────────────────────


def test_only_luma_is_shown_by_default(tinct_path: Path) -> None:
    assert read_default_flags(tinct_path) == {"luma": True, "colour": False}


@needs_ffprobe
def test_ffprobe_sees_an_ordinary_hevc_track_with_every_frame(tinct_path: Path) -> None:
    luma, colour, attachment = run_ffprobe(tinct_path, "-show_streams", "-count_frames")["streams"]
    assert (luma["codec_name"], luma["pix_fmt"]) == ("hevc", "gray")
    assert (luma["width"], luma["height"]) == (64, 48)
    assert luma["nb_read_frames"] == "40"
    assert luma["r_frame_rate"] == luma["avg_frame_rate"] == "25/1"
    assert (luma["disposition"]["default"], colour["disposition"]["default"]) == (1, 0)
    assert (colour["codec_name"], colour["nb_read_frames"]) == ("hevc", "6")
    assert attachment["tags"] == {"filename": "tinct.json", "mimetype": "application/json"}


@needs_ffprobe
def test_ffprobe_sees_colour_in_a_plain_file(plain_path: Path) -> None:
    (video,) = run_ffprobe(plain_path, "-show_streams", "-count_frames")["streams"]
    assert (video["codec_name"], video["pix_fmt"]) == ("hevc", "yuv420p")
    assert video["nb_read_frames"] == "40"


@pytest.mark.slow
@needs_ffprobe
def test_a_compatible_file_is_main_profile(clip_path: Path, tmp_path: Path) -> None:
    encode(clip_path, tmp_path / "a.mkv", "compatible")
    luma = run_ffprobe(tmp_path / "a.mkv", "-show_streams")["streams"][0]
    assert (luma["profile"], luma["pix_fmt"]) == ("Main", "yuv420p")


@pytest.mark.slow
@needs_ffprobe
def test_ffprobe_sees_hdr_in_a_tinct_file(tmp_path: Path) -> None:
    colour = ColourTags(9, 16, 9, full_range=False)
    write_with(tmp_path / "a.mkv", bit_depth=10, colour=colour, hdr=HDR)
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", "track")
    first = ("-show_frames", "-select_streams", "v:0", "-read_intervals", "%+#1")
    frame = run_ffprobe(tmp_path / "b.mkv", *first)["frames"][0]
    kinds = {data["side_data_type"]: data for data in frame["side_data_list"]}
    assert kinds["Content light level metadata"]["max_content"] == 1000
    assert kinds["Mastering display metadata"]["max_luminance"] == "10000000/10000"
    assert frame["color_transfer"] == "smpte2084"


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_ffmpeg_plays_a_tinct_file_without_a_warning(tinct_path: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-i", str(tinct_path), "-f", "null", "-"]
    played = subprocess.run(command, capture_output=True, check=True)
    assert played.stderr == b""


def test_any_pixel_aspect_ratio_that_mp4_can_hold_is_written(tmp_path: Path) -> None:
    aspect = Fraction(2147483647, 2147483629)
    write_clip(tmp_path / "a.mp4", frames=2, codec="libx264", sample_aspect_ratio=aspect)
    tinct.decode(str(tmp_path / "a.mp4"), str(tmp_path / "b.mkv"))
    assert abs(open_source(str(tmp_path / "b.mkv")).info.sample_aspect_ratio - 1) < 1e-6
