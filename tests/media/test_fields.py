"""Interlaced video: whole frames are made of fields, at the times and in the number of pictures."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.filter import Graph
from helpers import measure_psnr, run
from synthetic import make_frames, make_info, write_clip

import tinct
from tinct.frames import Frame
from tinct.media.fields import DEINTERLACED
from tinct.media.source import open_source

FIELDS = ("tff", "bff")
COUNT = 12


def draw_pan(number: float) -> np.ndarray:
    """Return luma of a smooth pattern that has moved by 3 samples a frame."""
    y, x = np.mgrid[:96, :128]
    return (128 + 50 * np.sin((x - 3 * number) / 6) + 40 * np.cos(y / 9)).astype(np.uint8)


def weave(path: Path, *, first: str) -> None:
    """Write pictures whose second field is half a frame later than the first."""
    early = 0 if first == "tff" else 1
    frames: list[Frame] = []
    about = make_info(128, 96)
    flat = np.full((48, 64), 128, np.uint8)
    for number in range(COUNT):
        y = np.empty((96, 128), np.uint8)
        y[early::2] = draw_pan(number)[early::2]
        y[1 - early :: 2] = draw_pan(number + 0.5)[1 - early :: 2]
        frames += make_frames([(y, flat, flat)], about)
    write_fields(path, frames, first)


def write_fields(path: Path, frames: list[Frame], first: str) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(
            "libx264", rate=25, options={"qp": "4", "x264-params": f"{first}=1"}
        )
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        graph = Graph()  # the encoder takes the order of fields from the pictures
        source = graph.add_buffer(
            width=128, height=96, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 25)
        )
        mark, sink = graph.add("setfield", first), graph.add("buffersink")
        source.link_to(mark)
        mark.link_to(sink)
        graph.configure()
        for number, frame in enumerate(frames):
            picture = av.VideoFrame(128, 96, "yuv420p")
            for plane, data in zip(picture.planes, (frame.y, frame.cb, frame.cr), strict=True):
                plane.update(np.ascontiguousarray(data).tobytes())
            picture.pts = number
            picture.time_base = Fraction(1, 25)
            source.push(picture)
            picture = sink.pull()
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


@pytest.mark.parametrize("first", FIELDS)
def test_frames_are_those_of_the_first_field(tmp_path: Path, first: str) -> None:
    """Of a moving pattern each frame is nearer to the scene at its first field than the picture."""
    weave(tmp_path / "a.mkv", first=first)
    source = open_source(str(tmp_path / "a.mkv"))
    frames = list(source)
    assert source.notes == [DEINTERLACED]
    assert [frame.pts for frame in frames] == list(range(COUNT))
    scores = [measure_psnr(frame.y, draw_pan(n), 255) for n, frame in enumerate(frames)]
    assert min(scores[1:-1]) > 36


def test_a_cut_shows_what_the_whole_shows(tmp_path: Path) -> None:
    weave(tmp_path / "a.mkv", first="tff")
    whole = list(open_source(str(tmp_path / "a.mkv")))
    cut = list(open_source(str(tmp_path / "a.mkv"), start_seconds=6 / 25))
    for a, b in zip(cut, whole[6:], strict=True):
        assert np.array_equal(a.y, b.y)


def test_an_encode_says_so_and_can_be_verified(tmp_path: Path) -> None:
    weave(tmp_path / "a.mkv", first="tff")
    done = run("encode", tmp_path / "a.mkv", tmp_path / "b.mkv", "--base", "avc", "--quiet")
    assert (done.returncode, done.stderr.decode()) == (0, f"tinct: {DEINTERLACED}\n")
    check = tinct.verify(str(tmp_path / "b.mkv"), str(tmp_path / "a.mkv"))
    assert check.whole
    assert check.psnr is not None
    assert check.psnr[0].mean_db > 33


def test_progressive_video_stays_as_it_is(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=5)
    source = open_source(str(tmp_path / "a.mkv"), deinterlaces=False)
    list(source)
    assert source.notes == []
