"""Every limit of the reader holds for the writer: what `encode` calls done can be decoded."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from helpers import change_manifest, run
from synthetic import make_info, write_clip

import tinct
from fuzz.matroska import Node, write
from tinct import limits
from tinct.errors import CodecError
from tinct.limits import is_frame_rate
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
