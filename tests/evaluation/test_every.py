"""The rival that leaves frames out: which it sends, what fills the gaps, and what is refused."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers import measure_psnr, run
from synthetic import Planes, draw_scene, make_frames, make_info, write_clip

from tinct.errors import CodecError
from tinct.evaluation import Setup, load, start
from tinct.evaluation.clips import write_frames
from tinct.evaluation.codecs import DECODED, make_decode_command, parse_codec
from tinct.evaluation.decode import main as decode
from tinct.evaluation.decode import read_frames
from tinct.evaluation.encode import encode_plain, select_frames
from tinct.evaluation.sweeps import check_setup
from tinct.frames import Frame
from tinct.media.source import open_source

SIZE = (64, 48)


def draw_two_shots(first: int, second: int) -> list[Planes]:
    """Return a shot that hardly moves, and after a cut its negative, mirrored."""
    one, other = ([draw_scene(n / 8, *SIZE) for n in range(count)] for count in (first, second))
    return [*one, *(tuple(255 - plane[::-1, ::-1] for plane in planes) for planes in other)]  # type: ignore[list-item]


def encode(planes: Sequence[Planes], folder: Path, rate: Fraction, **options: str) -> Path:
    """Encode a clip with x265 all-intra, and return the path of its file."""
    info = make_info(*SIZE, frame_rate=rate, frame_count=len(planes))
    write_frames(str(folder / "clip.mkv"), info, make_frames(planes, info))
    given = {"structure": "intra", "qp": "22", "preset": "ultrafast", **options}
    encode_plain("hevc", str(folder / "clip.mkv"), str(folder / "coded.mkv"), options=given)
    return folder / "coded.mkv"


def read_ticks(path: Path, rate: Fraction) -> list[int]:
    return [round(frame.pts_seconds * rate) for frame in open_source(str(path))]


def select(planes: Sequence[Planes], every: int) -> list[int]:
    return [frame.pts for frame in select_frames(make_frames(planes, make_info(*SIZE)), every)]


def test_every_nth_frame_the_last_and_both_of_a_cut_are_sent() -> None:
    assert select(draw_two_shots(12, 0), 4) == [0, 4, 8, 11]
    assert select(draw_two_shots(13, 0), 4) == [0, 4, 8, 12]
    assert select(draw_two_shots(11, 8), 4) == [0, 4, 8, 10, 11, 12, 16, 18]
    assert select(draw_two_shots(9, 7), 8) == [0, 8, 9, 15], "a frame is sent once"
    assert select(draw_two_shots(3, 3), 1) == [0, 1, 2, 3, 4, 5]
    assert select(draw_two_shots(1, 0), 4) == [0]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001)])
def test_gaps_are_filled_in_time_and_not_across_a_cut(tmp_path: Path, rate: Fraction) -> None:
    planes = draw_two_shots(11, 8)
    path = encode(planes, tmp_path, rate, every="4")
    assert read_ticks(path, rate) == [0, 4, 8, 10, 11, 12, 16, 18]
    info, frames = read_frames(str(path))
    decoded = list(frames)
    assert (info.frame_rate, [frame.pts for frame in decoded]) == (rate, list(range(19)))
    for number, (frame, truth) in enumerate(zip(decoded, planes, strict=True)):
        assert measure_psnr(frame.y, truth[0]) > 27, number
        assert measure_psnr(frame.cb, truth[1]) > 27, number


def test_sent_frames_are_those_of_the_plain_anchor(tmp_path: Path) -> None:
    for name in ("plain", "thin", "whole"):
        (tmp_path / name).mkdir()
    planes, rate = draw_two_shots(5, 0), Fraction(25)
    plain = encode(planes, tmp_path / "plain", rate)
    thin = encode(planes, tmp_path / "thin", rate, every="2")
    whole, sent = list(open_source(str(plain))), list(open_source(str(thin)))
    assert len(sent) == 3
    for ours, theirs in zip(sent, whole[::2], strict=True):
        assert np.array_equal(ours.y, theirs.y)
    assert thin.stat().st_size < 0.8 * plain.stat().st_size
    every_frame = encode(planes, tmp_path / "whole", rate, every="1")
    assert every_frame.read_bytes() == plain.read_bytes()


def test_the_programs_write_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(draw_two_shots(6, 0), tmp_path, Fraction(25), every="3")
    command = make_decode_command(parse_codec("x265:intra,every=3"))
    assert command[1:] == ["-m", "tinct.evaluation.decode", "coded.mkv", DECODED]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", command[2:])
    decode()
    info = open_source(DECODED).info
    assert (info.frame_count, info.frame_rate) == (6, 25)


def test_ten_bits_and_odd_sides_are_filled_too(tmp_path: Path) -> None:
    info = make_info(65, 49, bit_depth=10, frame_count=5)
    frames = make_frames([draw_scene(n / 8, 65, 49, 10) for n in range(5)], info)
    write_frames(str(tmp_path / "clip.mkv"), info, frames)
    options = {"structure": "intra", "qp": "22", "preset": "ultrafast", "every": "4"}
    encode_plain("hevc", str(tmp_path / "clip.mkv"), str(tmp_path / "coded.mkv"), options=options)
    found: list[Frame] = list(read_frames(str(tmp_path / "coded.mkv"))[1])
    assert [frame.y.shape for frame in found] == [(50, 66)] * 5, "padded as the plain anchor's"
    assert found[2].y.dtype == np.uint16
    assert measure_psnr(found[2].y[:49, :65] / 4, frames[2].y / 4) > 27


def test_a_variable_rate_is_refused_before_any_work(tmp_path: Path) -> None:
    clip = tmp_path / "vfr.mkv"
    write_clip(clip, frames=4, vfr=[0, 40, 160, 200])
    setup = Setup(clips=[str(clip)], codecs=["x265:intra", "x265:intra,every=2"], qps=[32])
    expected = rf"^x265:intra,every=2: expected clips of a constant frame rate, .* in {clip};"
    with pytest.raises(CodecError, match=expected):
        check_setup(setup)


@pytest.mark.slow
def test_the_rival_goes_through_a_sweep(tmp_path: Path) -> None:
    write_clip(tmp_path / "talk.mkv", frames=9)
    codecs = ["x265:intra,every=4", "tinct:intra,colour=track,group=4,colouriser=none"]
    setup = Setup(clips=[str(tmp_path / "talk.mkv")], codecs=codecs, qps=[27, 37])
    outcome = start(setup, tmp_path / "r")
    assert outcome.failures == []
    rival = outcome.of("talk", codecs[0])[0]
    assert (rival.frames, rival.keys, len(rival.series["psnr_y"])) == (9, [], 9)
    assert rival.file is not None
    path = tmp_path / "r" / rival.file
    assert rival.size_bytes == path.stat().st_size == sum(rival.parts.values())
    assert len(list(open_source(str(path)))) == 3
    assert rival.means["worst_frame"] > 1
    done = run("report", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert len(load(tmp_path / "r").points) == 4
