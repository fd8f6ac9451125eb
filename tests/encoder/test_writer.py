"""`tinct.Writer` and frames as the source of an encode: the same file as from the frames' video."""

import gc
import io
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import run
from synthetic import draw_clip, write_clip

import tinct

FRAMES = draw_clip(20)
FAST = tinct.EncodeConfig(base="hevc", base_preset="ultrafast", search="off")


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def open_writer(output: Any, **changes: Any) -> tinct.Writer:
    return tinct.Writer(output, 64, 48, **({"rate": 25, "config": FAST} | changes))


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["random-access", "intra"])
@pytest.mark.parametrize("search", ["fast", "off"])
def test_a_pipe_an_iterable_and_a_writer_give_the_same_bytes(
    tmp_path: Path, structure: Any, search: Any
) -> None:
    config = tinct.EncodeConfig(structure=structure, search=search)
    write_clip(tmp_path / "clip.mkv", frames=20)
    tinct.decode(tmp_path / "clip.mkv", tmp_path / "clip.y4m")
    options = ["--structure", structure, "--search", search]
    y4m = (tmp_path / "clip.y4m").read_bytes()
    done = run("encode", "-", tmp_path / "pipe.mkv", *options, given=y4m)
    assert done.returncode == 0, done.stderr
    coded = io.BytesIO()
    tinct.encode(iter(FRAMES), coded, config, rate=25)
    assert coded.getvalue() == (tmp_path / "pipe.mkv").read_bytes()
    if search == "off":
        tinct.encode(tmp_path / "clip.mkv", tmp_path / "file.mkv", config)
        assert coded.getvalue() == (tmp_path / "file.mkv").read_bytes()
    with open_writer(tmp_path / "writer.mkv", config=config) as writer:
        for frame in FRAMES:
            writer.write(frame)
    assert (tmp_path / "writer.mkv").read_bytes() == coded.getvalue()
    assert writer.report.size_bytes == len(coded.getvalue())


@pytest.mark.parametrize(
    ("format", "config", "codec"),
    [("mp4", FAST, "HEVC"), ("webm", tinct.EncodeConfig(search="off"), "AV1")],
)
def test_a_file_object_gets_plain_video_where_it_is_asked_for(
    format: Any, config: tinct.EncodeConfig, codec: str
) -> None:
    coded, written = io.BytesIO(), io.BytesIO()
    report = tinct.encode(iter(FRAMES), coded, config, rate=25, format=format)
    with open_writer(written, config=config, format=format) as writer:
        for frame in FRAMES:
            writer.write(frame)
    assert written.getvalue() == coded.getvalue()
    with av.open(io.BytesIO(coded.getvalue())) as opened:
        assert format in opened.format.name
    found = tinct.info(coded)
    assert (found.layout, found.codec, found.frames) == (None, codec, len(FRAMES))
    assert not report.tinct
    with pytest.raises(tinct.OptionError, match="format: expected one of mkv, mp4, webm"):
        tinct.encode(iter(FRAMES), coded, config, rate=25, format="y4m")  # type: ignore[arg-type]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "a.mkv")
    for frame in FRAMES:
        writer.write(frame)
    assert not (tmp_path / "a.mkv").exists()
    report = writer.close()
    assert writer.close() is report is writer.report
    with tinct.open(tmp_path / "a.mkv") as video:
        assert (len(video), video.info.frame_rate) == (20, 25)
        assert np.abs(video[7].y.astype(int) - FRAMES[7][0]).mean() < 6
    with pytest.raises(tinct.CodecError, match="found it closed"):
        writer.write(FRAMES[0])


def test_an_exception_inside_leaves_no_file(tmp_path: Path) -> None:
    target = io.BytesIO()
    for output in (tmp_path / "a.mkv", target):
        with pytest.raises(KeyError), open_writer(output) as writer:  # noqa: PT012
            writer.write(FRAMES[0])
            raise KeyError
    assert list_names(tmp_path) == []
    assert target.getvalue() == b""


def test_an_aborted_or_forgotten_writer_leaves_no_file_and_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with open_writer(tmp_path / "a.mkv") as writer:
        writer.write(FRAMES[0])
        writer.abort()
    with pytest.raises(tinct.CodecError, match="found it aborted"):
        writer.close()
    forgotten = open_writer(tmp_path / "b.mkv")
    forgotten.write(FRAMES[0])
    del forgotten, writer
    gc.collect()
    assert list_names(tmp_path) == []
    assert threading.active_count() <= before  # those of other tests may end meanwhile


def test_memory_holds_few_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer waits for the encoder: it is never more than a queue ahead."""
    reading, go_on, read = threading.Event(), threading.Event(), []
    import tinct.encoder.writer as module

    def encode_slowly(frames: Any, *arguments: Any, **options: Any) -> None:
        for frame in frames:
            reading.set()
            go_on.wait(30)
            read.append(frame)

    monkeypatch.setattr(module, "encode", encode_slowly)
    writer = open_writer(tmp_path / "a.mkv")
    written = []

    def write_all() -> None:
        for frame in FRAMES:
            writer.write(frame)
            written.append(frame)

    thread = threading.Thread(target=write_all)
    thread.start()
    assert reading.wait(30)
    thread.join(0.5)
    assert len(written) <= module.QUEUED_FRAMES + 1
    go_on.set()
    thread.join(30)
    writer.close()
    assert len(read) == len(written) == len(FRAMES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "a.avi"}, "expected an output name ending in .mkv"),
        ({"output": "no/a.mkv"}, "expected the folder"),
        ({"rate": 0}, "rate: expected frames a second"),
        ({"width": 0}, "width: expected 1 to 16384 pixels; found 0"),
        ({"height": 48.5}, "height: expected 1 to 16384 pixels; found 48.5"),
        ({"width": 16384, "height": 16384}, "found 16384x16384"),
        ({"config": tinct.EncodeConfig(crf=3, bitrate_kbps=3)}, "exclude each other"),
        (
            {"config": tinct.EncodeConfig(structure="intra", adapt="9")},
            "which reads the video twice",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = {"output": "a.mkv", "width": 64, "height": 48, "rate": 25} | changes
    with pytest.raises(tinct.CodecError, match=message):
        tinct.Writer(**arguments)
    assert list_names(tmp_path) == []


def test_a_frame_that_does_not_fit_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    rgb = np.zeros((48, 64, 3), np.uint8)
    with open_writer(tmp_path / "a.mkv") as writer:
        writer.write(rgb)
        for frame, message in (
            (rgb[:32], "expected a frame of 64x48 rgb24, found 64x32 rgb24"),
            (FRAMES[0], "expected a frame of 64x48 rgb24, found 64x48 yuv420p"),
            ("a", "found str"),
        ):
            with pytest.raises(tinct.CodecError, match=message):
                writer.write(frame)
        with pytest.raises(tinct.CodecError, match="found the writer still open"):
            print(writer.report)
        writer.write(rgb)
    assert writer.report.frames == 2


def test_a_writer_without_frames_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(tinct.CodecError, match="expected frames to encode, found none"),
        open_writer(tmp_path / "a.mkv"),
    ):
        pass
    assert list_names(tmp_path) == []


def test_an_error_of_the_frames_passes_through(tmp_path: Path) -> None:
    def fail() -> Any:
        yield from FRAMES[:5]
        raise LookupError("the camera is gone")

    with pytest.raises(LookupError, match="the camera is gone"):
        tinct.encode(fail(), tmp_path / "a.mkv", FAST, rate=25)
    assert list_names(tmp_path) == []


def test_what_is_no_source_is_refused(tmp_path: Path, clip_path: Path) -> None:
    for source, rate, message in (
        (5, 25, "expected a path, a binary file object or frames to encode, found int"),
        (b"abc", 25, "found bytes"),
        (clip_path, 25, "rate: expected none with a file"),
        (FRAMES, None, "rate: expected frames a second, above 0 and up to 1,000; found none"),
    ):
        with pytest.raises(tinct.CodecError, match=message):
            tinct.encode(source, tmp_path / "a.mkv", rate=rate)  # type: ignore[arg-type]
    assert list_names(tmp_path) == []
