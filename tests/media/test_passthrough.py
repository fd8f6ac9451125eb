"""Everything beside the pixels, through an encode and then a decode: sound, texts, chapters, tags and times."""

import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from helpers import ffprobe, is_default, needs_ffprobe, payloads
from synthetic import clip, frames, info, write_clip, write_rich_clip

import tinct
from tinct.frames import ColourTags, Hdr
from tinct.media.passthrough import Extras, _Aac
from tinct.media.sink import open_sink
from tinct.media.source import open_source

NTSC = Fraction(30000, 1001)
HDR = Hdr("G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)", "1000,400")
LAYOUTS: dict[str, dict[str, Any]] = {
    "track": {"colour": "track"},
    "compatible": {"colour": "track", "compatible": True},
    "full": {"colour": "track", "key_form": "full", "group": 6},
    "in-band": {"colour": "in-band"},
    "random-access": {"structure": "random-access", "colour": "track"},
}
OUTPUTS = ("mkv", "mp4")


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rich_clip(tmp_path_factory.mktemp("rich") / "rich.mp4")


@pytest.fixture(scope="module", params=LAYOUTS)
def coded(request: pytest.FixtureRequest, rich: Path) -> Path:
    path = rich.with_name(f"{request.param}.mkv")
    report = tinct.encode(str(rich), str(path), tinct.EncodeConfig(**LAYOUTS[request.param]))
    assert report.notes == []
    return path


@pytest.fixture(params=["coded", *OUTPUTS])
def copy(request: pytest.FixtureRequest, coded: Path, tmp_path: Path) -> Path:
    """The Tinct file, and what is decoded from it."""
    if request.param == "coded":
        return coded
    path = tmp_path / f"a.{request.param}"
    assert tinct.decode(str(coded), str(path)).notes == []
    return path


def test_sound_is_read_no_further_ahead_than_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a packet was read for each picture: all sound ended in memory where there are more pictures than packets."""
    write_clip(tmp_path / "long.mkv", frames=100, size=(32, 32), rate=5, audio="flac")
    read: list[float] = []
    push = Extras._push

    def counted(self: Extras, packet: av.Packet) -> None:
        read.append(float(packet.pts * packet.time_base))
        push(self, packet)

    monkeypatch.setattr(Extras, "_push", counted)
    with av.open(str(tmp_path / "copy.mkv"), "w") as out:
        out.add_stream("libx264", rate=5)
        extras = Extras(str(tmp_path / "long.mkv"), out)
        for picture in range(5000):
            extras.mux_until(2 + picture / 1000)
        longest = max(b - a for a, b in pairwise(read))
        assert 8 - longest <= read[-1] <= 8 + longest
        extras.finish()
    assert read[-1] > 19


def test_sound_comes_back_to_the_byte_and_in_step(rich: Path, copy: Path) -> None:
    sound = [packet for packet in payloads(rich, "audio") if packet[0] >= 0]  # priming stays behind
    found = payloads(copy, "audio")
    assert [data for _, data in found] == [data for _, data in sound]
    assert max(abs(a - b) for (a, _), (b, _) in zip(found, sound, strict=True)) <= 0.011


def test_subtitles_come_back(copy: Path) -> None:
    texts = payloads(copy, "subtitles")
    if copy.suffix == ".mp4":
        texts = [(time, data[2:]) for time, data in texts if len(data) > 2]
        assert [time for time, _ in texts] == [0.2, 1.2]
        assert texts[1][1] == b"two\nlines"
    else:
        assert texts == [(0.2, b"Hello <i>you</i>"), (1.2, b"two\nlines")]


def test_chapters_tags_and_languages_come_back(copy: Path) -> None:
    with av.open(str(copy)) as container:
        base = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]))
            for c in container.chapters()
        ]
        assert base == [(0, 1), (1, 2)]
        assert [c["metadata"]["title"] for c in container.chapters()] == ["first", "second"]
        assert container.metadata["title"] == "A film"
        assert {k.lower(): v for k, v in container.metadata.items()}["artist"] == "Someone"
        assert container.streams.audio[0].metadata["language"] == "fre"
        assert container.streams.subtitles[0].metadata["language"] == "ger"


def test_a_decoded_file_keeps_no_trace_of_the_codec(coded: Path, tmp_path: Path) -> None:
    tinct.decode(str(coded), str(tmp_path / "a.mkv"))
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert [s.type for s in container.streams] == ["video", "audio", "subtitle"]
        assert "luma" not in container.streams.video[0].metadata.values()


def test_a_cut_shifts_sound_and_texts(coded: Path, rich: Path, tmp_path: Path) -> None:
    tinct.decode(str(coded), str(tmp_path / "a.mkv"), start_seconds=0.8, duration_seconds=0.8)
    whole = {data: time for time, data in payloads(rich, "audio")}
    found = payloads(tmp_path / "a.mkv", "audio")
    assert len(found) in (37, 38)  # 0.8 s of 1024 samples at 48 kHz
    assert all(abs(whole[data] - 0.8 - time) <= 0.011 for time, data in found)
    assert payloads(tmp_path / "a.mkv", "subtitles") == [
        (0.0, b"Hello <i>you</i>"),
        (0.4, b"two\nlines"),
    ]


def write(path: Path, count: int = 6, **changes: Any) -> Any:
    about = info(**changes)
    with open_sink(str(path), about) as sink:
        for frame in frames(clip(count, bit_depth=about.bit_depth), about):
            sink.write(frame)
    return about


@pytest.mark.parametrize("layout", LAYOUTS)
def test_picture_properties_come_back(tmp_path: Path, layout: str) -> None:
    given = write(
        tmp_path / "a.mkv",
        bit_depth=10,
        frame_rate=NTSC,
        colour=ColourTags(9, 16, 9, False),
        sample_aspect_ratio=Fraction(128, 117),
        rotation=270,
        hdr=HDR,
    )
    expected = replace(given, frame_count=6, duration_seconds=float(6 / NTSC))
    tinct.encode(
        str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), tinct.EncodeConfig(**LAYOUTS[layout])
    )
    assert tinct.open(str(tmp_path / "b.mkv")).info == expected
    for suffix in OUTPUTS:
        tinct.decode(str(tmp_path / "b.mkv"), str(tmp_path / f"c.{suffix}"))
        assert open_source(str(tmp_path / f"c.{suffix}")).info == expected, suffix


@pytest.mark.parametrize("rotation", [90, 180])
@pytest.mark.parametrize("full_range", [None, False, True])
def test_rotation_and_range_come_back(
    tmp_path: Path, rotation: int, full_range: bool | None
) -> None:
    write(tmp_path / "a.mkv", count=2, rotation=rotation, colour=ColourTags(5, 6, 5, full_range))
    for name, options in LAYOUTS.items():
        tinct.encode(
            str(tmp_path / "a.mkv"), str(tmp_path / f"{name}.mkv"), tinct.EncodeConfig(**options)
        )
        found = tinct.open(str(tmp_path / f"{name}.mkv")).info
        assert (found.rotation, found.colour.full_range or False) == (
            rotation,
            full_range or False,
        ), name
        assert (found.colour.primaries, found.colour.transfer, found.colour.matrix) == (5, 6, 5), (
            name
        )


# ── times ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_ntsc_times_are_exact_and_variable_ones_to_the_millisecond(
    tmp_path: Path, suffix: str
) -> None:
    times = [0, 40, 73, 120, 121, 300, 1000, 1500]
    write_clip(tmp_path / "ntsc.mkv", frames=40, rate=NTSC)
    write_clip(tmp_path / "vfr.mkv", frames=len(times), vfr=times)
    for name, expected in (("ntsc", list(range(40))), ("vfr", times)):
        tinct.encode(
            str(tmp_path / f"{name}.mkv"),
            str(tmp_path / f"{name}-t.mkv"),
            tinct.EncodeConfig(colour="track"),
        )
        tinct.decode(str(tmp_path / f"{name}-t.mkv"), str(tmp_path / f"{name}-d.{suffix}"))
        found = list(tinct.open(str(tmp_path / f"{name}-d.{suffix}")))
        assert [f.pts for f in found] == expected
        assert found[0].info.frame_rate == (NTSC if name == "ntsc" else None)


@pytest.mark.parametrize("layout", ["track", "full", "in-band"])
def test_a_video_that_starts_late_keeps_its_delay(tmp_path: Path, layout: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=20, audio="flac", delay=10)
    sound = payloads(tmp_path / "a.mkv", "audio")
    tinct.encode(
        str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), tinct.EncodeConfig(**LAYOUTS[layout])
    )
    tinct.decode(str(tmp_path / "b.mkv"), str(tmp_path / "c.mkv"))
    for path in (tmp_path / "b.mkv", tmp_path / "c.mkv"):
        assert payloads(path, "audio") == sound
        video = tinct.open(str(path))
        assert [f.pts for f in video] == list(range(10, 30))
        assert not video.damage


@pytest.mark.parametrize("layout", ["track", "in-band"])
def test_sound_that_starts_late_keeps_its_delay(tmp_path: Path, layout: str) -> None:
    write_clip(tmp_path / "plain.mkv", frames=30, audio="flac")
    with (
        av.open(str(tmp_path / "plain.mkv")) as given,
        av.open(str(tmp_path / "a.mkv"), "w") as out,
    ):
        copies = [out.add_stream_from_template(stream) for stream in given.streams]
        for packet in given.demux():
            if packet.dts is not None:
                if packet.stream.type == "audio":
                    packet.pts += 400
                    packet.dts += 400
                packet.stream = copies[packet.stream_index]
                out.mux(packet)
    sound = payloads(tmp_path / "a.mkv", "audio")
    assert sound[0][0] == 0.4
    tinct.encode(
        str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), tinct.EncodeConfig(**LAYOUTS[layout])
    )
    tinct.decode(str(tmp_path / "b.mkv"), str(tmp_path / "c.mkv"))
    for path in (tmp_path / "b.mkv", tmp_path / "c.mkv"):
        assert payloads(path, "audio") == sound
        assert [f.pts for f in tinct.open(str(path))] == list(range(30))


# ── as others see it ───────────────────────────────────────────────────────────────────────────────────────────────


def test_only_luma_is_shown_by_default(tinct_path: Path) -> None:
    assert is_default(tinct_path) == {"luma": True, "colour": False}


@needs_ffprobe
def test_ffprobe_sees_an_ordinary_hevc_track_with_every_frame(tinct_path: Path) -> None:
    luma, colour, attachment = ffprobe(tinct_path, "-show_streams", "-count_frames")["streams"]
    assert (luma["codec_name"], luma["width"], luma["height"], luma["pix_fmt"]) == (
        "hevc",
        64,
        48,
        "gray",
    )
    assert luma["nb_read_frames"] == "40"
    assert luma["r_frame_rate"] == luma["avg_frame_rate"] == "25/1"
    assert (luma["disposition"]["default"], colour["disposition"]["default"]) == (1, 0)
    assert (colour["codec_name"], colour["nb_read_frames"]) == ("hevc", "6")
    assert attachment["tags"] == {"filename": "tinct.json", "mimetype": "application/json"}


@needs_ffprobe
def test_ffprobe_sees_colour_in_a_plain_file(plain_path: Path) -> None:
    (video,) = ffprobe(plain_path, "-show_streams", "-count_frames")["streams"]
    assert (video["codec_name"], video["pix_fmt"], video["nb_read_frames"]) == (
        "hevc",
        "yuv420p",
        "40",
    )


@needs_ffprobe
def test_a_compatible_file_is_main_profile(clip_path: Path, tmp_path: Path) -> None:
    tinct.encode(
        str(clip_path), str(tmp_path / "a.mkv"), tinct.EncodeConfig(colour="track", compatible=True)
    )
    luma = ffprobe(tmp_path / "a.mkv", "-show_streams")["streams"][0]
    assert (luma["profile"], luma["pix_fmt"]) == ("Main", "yuv420p")


@needs_ffprobe
def test_ffprobe_sees_hdr_in_a_tinct_file(tmp_path: Path) -> None:
    write(tmp_path / "a.mkv", bit_depth=10, colour=ColourTags(9, 16, 9, False), hdr=HDR)
    tinct.encode(
        str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), tinct.EncodeConfig(colour="track")
    )
    frame = ffprobe(
        tmp_path / "b.mkv", "-show_frames", "-select_streams", "v:0", "-read_intervals", "%+#1"
    )["frames"][0]
    kinds = {data["side_data_type"]: data for data in frame["side_data_list"]}
    assert kinds["Content light level metadata"]["max_content"] == 1000
    assert kinds["Mastering display metadata"]["max_luminance"] == "10000000/10000"
    assert frame["color_transfer"] == "smpte2084"


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_ffmpeg_plays_a_tinct_file_without_a_word(tinct_path: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-i", str(tinct_path), "-f", "null", "-"]
    played = subprocess.run(command, capture_output=True, check=True)
    assert played.stderr == b""


def test_any_shape_of_pixels_that_a_film_can_say_is_written(tmp_path: Path) -> None:
    write_clip(
        tmp_path / "a.mp4",
        frames=2,
        codec="libx264",
        sample_aspect_ratio=Fraction(2147483647, 2147483629),
    )
    tinct.decode(str(tmp_path / "a.mp4"), str(tmp_path / "b.mkv"))
    assert abs(open_source(str(tmp_path / "b.mkv")).info.sample_aspect_ratio - 1) < 1e-6


def test_sound_that_turns_from_mono_to_stereo_is_coded_to_its_end(tmp_path: Path) -> None:
    """As broadcasts do, in AAC-LATM, which a film in MP4 does not take as it is."""

    class Packet:
        def __init__(self, layout: str, number: int) -> None:
            frame = av.AudioFrame("fltp", layout, 1024)
            frame.sample_rate, frame.pts, frame.time_base = 48000, 1024 * number, Fraction(1, 48000)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            self.frame = frame

        def decode(self) -> list[av.AudioFrame]:
            return [self.frame]

    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        coder = _Aac(out.add_stream("aac", rate=48000, layout="stereo"))
        for number in range(40):
            out.mux(coder.packets(Packet("mono" if number < 20 else "stereo", number), Fraction(0)))  # type: ignore[arg-type]
        out.mux(coder.flush())
    with av.open(str(tmp_path / "a.mp4")) as film:
        assert film.streams.audio[0].frames in (40, 41, 42)
