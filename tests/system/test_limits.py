"""Every limit of the reader holds for the writer: what `encode` calls done can be decoded."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers import change_manifest, read_attachments, run
from synthetic import draw_clip, make_info, to_av, write_clip, write_video

import tinct
from fuzz.matroska import Node, write
from tinct import limits
from tinct.bitstream.container import read_file_manifest
from tinct.bitstream.manifest import Manifest, read_manifest, write_manifest
from tinct.bitstream.strengths import UNIT, Strengths
from tinct.decoder import postfilter
from tinct.decoder.postfilter import PostFilter
from tinct.encoder import coder, refusals
from tinct.errors import CodecError
from tinct.limits import is_frame_rate
from tinct.media import ebml
from tinct.media.ebml import CLUSTER, EBML, SEGMENT, check_bounds

CONFIG = tinct.EncodeConfig(
    colour="track", colouriser="none", group=4, adapt="off", x265_preset="ultrafast"
)


def encode(source: Path) -> tuple[Path, tinct.EncodeReport]:
    target = source.with_name("tinct.mkv")
    return target, tinct.encode(str(source), str(target), CONFIG, overwrite=True)


def expect_refusal(source: Path, words: str) -> None:
    """Check that `encode` refuses a source and writes nothing."""
    with pytest.raises(CodecError, match=words) as caught:
        encode(source)
    assert "\n" not in str(caught.value)
    assert [path.name for path in source.parent.iterdir()] == [source.name]


# ── rates ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rate", [Fraction(1, 1000), Fraction(960), Fraction(999999, 1001)])
def test_rates_up_to_the_limits_are_kept(tmp_path: Path, rate: Fraction) -> None:
    write_clip(tmp_path / "a.mov", rate=rate, codec="mpeg4")
    target, _ = encode(tmp_path / "a.mov")
    video = tinct.open(str(target))
    assert (video.info.frame_rate, [frame.pts for frame in video]) == (rate, list(range(12)))
    assert not video.damage


@pytest.mark.parametrize("rate", [Fraction(1, 2000), Fraction(1000)])
def test_rates_beyond_the_limits_become_variable(tmp_path: Path, rate: Fraction) -> None:
    write_clip(tmp_path / "a.nut", rate=rate)
    target, report = encode(tmp_path / "a.nut")
    assert "variable frame rate: times are kept to the millisecond" in report.notes
    video = tinct.open(str(target))
    assert [frame.pts for frame in video] == [round(1000 * n / rate) for n in range(12)]
    assert not video.damage


@pytest.mark.parametrize("rate", [1200, 2000])
def test_frames_that_share_milliseconds_are_refused(tmp_path: Path, rate: int) -> None:
    write_clip(tmp_path / "a.nut", rate=rate)
    expect_refusal(tmp_path / "a.nut", f"found {rate} frames/s in .*fps=500")
    assert tinct.info(str(tmp_path / "a.nut")).frame_rate == str(rate)


def test_a_pipe_beyond_the_limits(tmp_path: Path) -> None:
    header = b"YUV4MPEG2 W64 H48 F%b Ip A1:1 C420mpeg2\n"
    frame = b"FRAME\n" + bytes(64 * 48 * 3 // 2)
    options = ("encode", "-", tmp_path / "a.mkv", "--colour", "track", "--colouriser", "none")
    assert run(*options, given=header % b"2000:1" + 3 * frame).returncode == 2
    assert run(*options, given=header % b"1:2000" + 3 * frame).returncode == 0
    assert [f.pts for f in tinct.open(str(tmp_path / "a.mkv"))] == [0, 2_000_000, 4_000_000]


def test_a_webm_of_one_frame_without_a_rate_has_25_frames_a_second(tmp_path: Path) -> None:
    write_clip(
        tmp_path / "a.webm", frames=1, codec="libvpx", vfr=[0], container_options={"live": "1"}
    )
    target, _ = encode(tmp_path / "a.webm")
    assert (tinct.info(str(target)).frame_rate, tinct.verify(str(target)).frames) == ("25", 1)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "y4m"])
def test_any_rate_of_a_manifest_can_be_written(
    tinct_path: Path, tmp_path: Path, suffix: str
) -> None:
    """A false frame count gives a variable rate a false mean; long terms are no MP4's."""
    terms = [(1 << 31) - 1, (1 << 31) - 3]
    for change in ({"rate": None, "frames": (1 << 31) - 1}, {"rate": terms}):

        def change_keys(fields: dict[str, object], change: dict[str, object] = change) -> object:
            return {key: value for key, value in {**fields, **change}.items() if value is not None}

        change_manifest(tinct_path, tmp_path / "a.mkv", change_keys)
        assert tinct.decode(str(tmp_path / "a.mkv"), str(tmp_path / f"b.{suffix}"), overwrite=True)


def test_the_mean_of_a_variable_rate_is_within_the_limits() -> None:
    info = make_info(frame_rate=None, frame_count=(1 << 31) - 1, duration_seconds=0.04)
    assert info.mean_rate == 1000
    assert is_frame_rate(replace(info, frame_count=1, duration_seconds=1e9).mean_rate)


# ── clusters ─────────────────────────────────────────────────────────────────────────────────────


def write_clusters(path: Path, count: int, size_bytes: int) -> Path:
    """Write a Matroska file of clusters, each of so many bytes, without a track."""
    clusters = [Node(CLUSTER, bytes(size_bytes))] * count
    path.write_bytes(write([Node(EBML), Node(SEGMENT, inner=clusters)]))
    return path


def test_clusters_are_bounded_by_the_size_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg begins a cluster with every all-intra frame of 4 KB or more."""
    monkeypatch.setattr(limits, "MAX_ELEMENTS", 10)
    check_bounds(str(write_clusters(tmp_path / "long.mkv", count=50, size_bytes=4096)))
    with pytest.raises(CodecError, match="expected at most 10 clusters in a file, found 11"):
        check_bounds(str(write_clusters(tmp_path / "empty.mkv", count=50, size_bytes=0)))


def test_a_day_of_all_intra_video_is_within_the_limits() -> None:
    frames, cluster_bytes, index_bytes = 24 * 3600 * 60, 4096, 24
    assert frames < limits.max_clusters(frames * cluster_bytes)
    assert frames * index_bytes < limits.MAX_HEAD_BYTES
    assert frames < limits.MAX_FRAMES


# ── tracks, attachments, tags ────────────────────────────────────────────────────────────────────


def write_with_sound(path: Path, tracks: int) -> Path:
    """Write 4 frames beside so many tracks of sound."""
    base = Fraction(1, 25)
    with av.open(str(path), "w") as out:
        video = out.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = video.time_base = base
        sounds = [out.add_stream("pcm_u8", rate=8000, layout="mono") for _ in range(tracks)]
        for number, planes in enumerate(draw_clip(4)):
            raw = to_av(planes, "yuv420p")
            raw.pts, raw.time_base = number, base
            out.mux(video.encode(raw))
        out.mux(video.encode(None))
        silence = np.full((1, 400), 128, np.uint8)
        for sound in sounds:
            samples = av.AudioFrame.from_ndarray(silence, "u8", "mono")
            samples.sample_rate, samples.pts, samples.time_base = 8000, 0, Fraction(1, 8000)
            out.mux(sound.encode(samples))
    return path


def test_as_many_tracks_as_a_decoder_reads(tmp_path: Path) -> None:
    most = limits.MAX_TRACKS - 2
    target, _ = encode(write_with_sound(tmp_path / "a.mkv", most))
    assert tinct.verify(str(target)).frames == 4
    with av.open(str(target)) as container:
        assert len(container.streams.audio) == most
    target.unlink()
    write_with_sound(tmp_path / "a.mkv", most + 1)
    words = f"at most {most} tracks of sound and subtitles beside the video, found {most + 1}"
    expect_refusal(tmp_path / "a.mkv", words)


def test_as_many_attachments_as_a_decoder_reads(tmp_path: Path) -> None:
    most, source = limits.MAX_ATTACHMENTS - 2, tmp_path / "a.mkv"
    fonts = [(f"{n}.ttf", "application/x-truetype-font", b"font") for n in range(most + 1)]
    write_clip(source, frames=4, attachments=fonts[:-1])
    target, _ = encode(source)
    assert tinct.verify(str(target)).frames == 4
    assert len(read_attachments(target)) == most + 1
    target.unlink()
    write_clip(source, frames=4, attachments=fonts)
    expect_refusal(source, f"at most {most} attached files beside the video, found {most + 1}")


def test_bytes_of_attachments_and_tags_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 1000
    reserved = limits.MAX_MANIFEST_BYTES + limits.MAX_UPDATE_BYTES
    monkeypatch.setattr(refusals, "MAX_HEAD_BYTES", reserved + room)
    source = tmp_path / "a.mkv"
    write_clip(source, attachments=[("a.ttf", "application/x-truetype-font", bytes(room))])
    expect_refusal(source, "at most 1,000 bytes of attached files beside the video, found 1,070")
    write_clip(source, metadata={"comment": "x" * room})
    expect_refusal(source, "at most 1,000 bytes of tags and chapters beside the video, found 1,")
    write_clip(source, chapters=[(0, 0.2, "x" * room)])
    expect_refusal(source, "at most 1,000 bytes of tags and chapters beside the video, found 1,")


# ── frames and the manifest ──────────────────────────────────────────────────────────────────────


def test_an_index_larger_than_a_decoder_reads_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MAX_HEAD_BYTES", 11 * limits.INDEX_BYTES)
    write_clip(tmp_path / "a.mkv", frames=12)
    expect_refusal(tmp_path / "a.mkv", "expected at most 11 frames in a file, found 12")


def test_times_beyond_a_decoders_are_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=3, vfr=[0, 40, (1 << 31) + 1000])
    expect_refusal(tmp_path / "a.mkv", "frames within 2,147,484 s, found one at 2,147,485 s")


def test_what_shows_only_in_the_end_is_refused_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(tmp_path / "a.mkv", frames=4)
    monkeypatch.setattr(ebml, "MAX_TRACKS", 1)
    expect_refusal(
        tmp_path / "a.mkv", "a file that can be read, found .*at most 1 tracks in a file"
    )


def test_the_longest_manifest_can_be_read() -> None:
    last = limits.MAX_FRAMES
    opens = tuple(range(last - limits.MAX_OPEN_GROUPS, last))
    plain = tuple(range(last - limits.MAX_PLAIN_PLACES, last))
    times = range(last - limits.MAX_QP_CHANGES, last)
    strengths = (Strengths(network=place % 16) for place in range(limits.MAX_STRENGTHS))
    changes = tuple((last - limits.MAX_STRENGTHS + n, one) for n, one in enumerate(strengths))
    manifest = Manifest(
        size=(8192, 4352),
        frames=last,
        keys=last,
        rate=Fraction((1 << 31) - 1, (1 << 31) - 3),
        open=opens,
        colouriser="compact",
        network=("fast", "0" * 16),
        qps=tuple((time, 20, 40) for time in times),
        rank=8,
        update="0" * 16,
        plain=(plain, plain, plain),
        strengths=(changes, changes, changes),
    )
    assert read_manifest(write_manifest(manifest)) == manifest


def test_a_list_that_is_full_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The view shows what a decoder will: groups beyond the list's end are not open for both."""
    monkeypatch.setattr(coder, "MAX_OPEN_GROUPS", 1)
    shots = [*draw_clip(3), *draw_clip(40)[37:], *draw_clip(3)]
    dark = [tuple(255 - plane for plane in planes) for planes in shots[3:6]]
    write_video(tmp_path / "a.mkv", [*shots[:3], *dark, *shots[6:]], make_info())
    target, report = encode(tmp_path / "a.mkv")
    manifest = read_file_manifest(str(target))
    assert manifest is not None
    assert len(manifest.open) == 1
    assert tinct.verify(str(target), str(tmp_path / "a.mkv")).psnr == report.psnr


def test_what_a_judge_says_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postfilter, "MAX_PLAIN_PLACES", 1)
    monkeypatch.setattr(postfilter, "MAX_STRENGTHS", 1)
    said = PostFilter()
    for place in (3, 5):
        chosen = [Strengths(0), Strengths(rows=place), Strengths(0 if place == 5 else UNIT)]
        said.judge(lambda *_, current, to=chosen: to, place, times=[], restored=[], prior=[])
    assert said.plain == ({3}, set(), {5})
    assert said.changes == ([], [(3, Strengths(rows=3))], [])
