"""The command line in processes: messages, exit codes, and that a failed command leaves no file.

`test_options` holds the declarations of the options.
"""

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import (
    OUTPUTS,
    FullDiskOutput,
    assert_same_frames,
    change_manifest,
    linux_only,
    read_attachments,
    read_message,
    remux,
    run,
    spoil_packet,
    wait_until,
)
from synthetic import write_clip

import tinct
from tinct.bitstream.schema import VERSION
from tinct.cli.app import main
from tinct.encoder.refusals import resolve


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for outputs, in which no hidden file may be left."""
    path = tmp_path / "out"
    path.mkdir()
    yield path
    assert [p.name for p in path.iterdir() if p.name.startswith(".")] == []


def expect_refusal(folder: Path, *arguments: str | Path, **options: Any) -> str:
    """Return the message of a command that must end with code 2 and leave `folder` empty."""
    said = read_message(run(*arguments, **options), 2)
    assert list(folder.iterdir()) == []
    return said


@pytest.fixture
def refuse(folder: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Return a function like `expect_refusal` that starts no process, which is much faster."""

    def call(*arguments: str | Path) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        output, said = (text.encode() for text in capfd.readouterr())
        assert isinstance(ended.value.code, int)
        line = read_message(subprocess.CompletedProcess([], ended.value.code, output, said), 2)
        assert list(folder.iterdir()) == []
        return line

    before = signal.getsignal(signal.SIGTERM)
    yield call
    signal.signal(signal.SIGTERM, before)


# ── input that is no video ────────────────────────────────────────────────────────────────────────


def make_nothing(path: Path) -> None:
    """Leave the path without a file."""


def write_audio(path: Path) -> None:
    """Write 0.2 s of silence without a video track."""
    with av.open(str(path), "w", format="matroska") as out:
        sound = out.add_stream("flac", rate=48000)
        raw = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), "s16", "mono")
        raw.sample_rate, raw.pts, raw.time_base = 48000, 0, Fraction(1, 48000)
        out.mux(sound.encode(raw))
        out.mux(sound.encode(None))


FOREIGN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (make_nothing, "found nothing at .* check the name"),
    "directory": (Path.mkdir, "found a folder at .* name a file in it"),
    "empty": (Path.touch, "found an empty file"),
    "text": (lambda path: path.write_text("just some words\n" * 50), "expected a video file"),
    "random": (
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
        "expected a video file",
    ),
    "audio only": (write_audio, "expected a video track, found audio"),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("command", ["encode", "decode", "info", "verify"])
def test_what_is_no_video_is_refused(
    tmp_path: Path, folder: Path, refuse: Callable[..., str], kind: str, command: str
) -> None:
    make, words = FOREIGN[kind]
    make(tmp_path / "in.mkv")
    output = [folder / "out.mkv"] if command in ("encode", "decode") else []
    said = refuse(command, tmp_path / "in.mkv", *output)
    assert re.search(words, said), said
    assert "expected" in said
    assert "found" in said


@pytest.mark.parametrize("command", ["encode", "decode", "info", "verify"])
def test_a_process_is_refused_in_one_line_too(tmp_path: Path, folder: Path, command: str) -> None:
    """The refusal is one line from a process as well."""
    (tmp_path / "in.mp4").write_text("just some words")
    output = [folder / "out.mkv"] if command in ("encode", "decode") else []
    assert "expected a video file" in expect_refusal(folder, command, tmp_path / "in.mp4", *output)


def test_noise_on_stdin_is_refused(folder: Path) -> None:
    said = expect_refusal(folder, "encode", "-", folder / "a.mkv", given=b"no video at all")
    assert "expected YUV4MPEG2 on stdin" in said


def test_interlaced_video_is_refused_with_the_way_out(
    tmp_path: Path, folder: Path, refuse: Callable[..., str]
) -> None:
    write_clip(tmp_path / "a.mkv", codec="libx264", codec_options={"x264-params": "tff=1"})
    said = refuse("encode", tmp_path / "a.mkv", folder / "b.mkv", "--deinterlace", "off")
    assert "interlaced" in said
    assert f"ffmpeg -i {tmp_path / 'a.mkv'} -vf bwdif" in said


@pytest.mark.parametrize(("width", "height"), [(16400, 2), (2, 16400), (0, 48)])
def test_sizes_out_of_range_are_refused(folder: Path, width: int, height: int) -> None:
    frame = b"FRAME\n" + bytes(width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2))
    said = expect_refusal(
        folder,
        "encode",
        "-",
        folder / "a.mkv",
        given=f"YUV4MPEG2 W{width} H{height} F25:1\n".encode() + frame,
    )
    assert "expected" in said
    if width:
        assert f"1 to 16384 pixels a side, found {width}x{height}" in said


# ── damaged and altered Tinct files ───────────────────────────────────────────────────────────────


def change_keys(source: Path, target: Path, **changes: Any) -> None:
    """Copy a Tinct file with these keys of its manifest changed; None removes a key."""

    def change(manifest: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in (manifest | changes).items() if value is not None}

    change_manifest(source, target, change)


SPOILT: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "newer version": (
        lambda s, t: change_keys(s, t, tinct=VERSION + 1),
        f"format version {VERSION} or lower, found {VERSION + 1}; it takes a newer tinct",
    ),
    "version 0": (
        lambda s, t: change_keys(s, t, tinct=0),
        "damaged tinct.json: expected a format version, found 0",
    ),
    "no version": (
        lambda s, t: change_keys(s, t, tinct=None),
        "damaged tinct.json: expected a format version",
    ),
    "unknown key": (lambda s, t: change_keys(s, t, extra=1), "damaged tinct.json: 'extra'"),
    "size 0": (lambda s, t: change_keys(s, t, size=[0, 48]), "damaged tinct.json: 'size'"),
    "size beyond": (
        lambda s, t: change_keys(s, t, size=[16385, 48]),
        "damaged tinct.json: 'size'",
    ),
    "larger": (
        lambda s, t: change_keys(s, t, size=[640, 480]),
        "says 640x480, so track luma should be 640x480; found 64x48",
    ),
    "smaller": (
        lambda s, t: change_keys(s, t, size=[62, 48]),
        "says 62x48, so track luma should be 62x48; found 64x48",
    ),
    "other layout": (
        lambda s, t: change_keys(s, t, layout="full"),
        "expected other pixels in track colour for layout full, found gray",
    ),
    "colouriser": (
        lambda s, t: change_keys(s, t, colouriser="magic"),
        "damaged tinct.json: 'colouriser'",
    ),
    "in-band": (
        lambda s, t: change_keys(s, t, layout="in-band"),
        "expected other pixels in track luma for layout in-band",
    ),
    "slow": (lambda s, t: change_keys(s, t, rate=[1, 1001]), "damaged tinct.json: 'rate'"),
    "fast": (lambda s, t: change_keys(s, t, rate=[1000, 1]), "damaged tinct.json: 'rate'"),
    "not JSON": (
        lambda s, t: remux(s, t, attachments=lambda name, data: [(name, data[:20])]),
        "damaged tinct.json: expected JSON",
    ),
    "no attachment": (
        lambda s, t: remux(s, t, attachments=lambda name, data: []),
        "expected tinct.json beside Tinct's tracks",
    ),
    "two attachments": (
        lambda s, t: remux(s, t, attachments=lambda n, d: [(n, d), (n, d)]),
        "expected one tinct.json, found 2",
    ),
    "no colour": (
        lambda s, t: remux(s, t, tracks=("luma",)),
        "expected a track colour for layout chroma, found none",
    ),
    "no luma": (
        lambda s, t: remux(s, t, tracks=("colour",)),
        "expected a track luma for layout chroma, found none",
    ),
    "two lumas": (
        lambda s, t: remux(s, t, names={"colour": "luma"}),
        "expected one track luma, found two",
    ),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_tinct_file_is_refused(
    tinct_path: Path, tmp_path: Path, folder: Path, refuse: Callable[..., str], kind: str
) -> None:
    make, words = SPOILT[kind]
    make(tinct_path, tmp_path / "a.mkv")
    said = refuse("decode", tmp_path / "a.mkv", folder / "b.mkv")
    assert re.search(words, said), said


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_newer_version_is_refused_by_every_reader(
    tinct_path: Path, tmp_path: Path, folder: Path, refuse: Callable[..., str], command: str
) -> None:
    change_keys(tinct_path, tmp_path / "a.mkv", tinct=VERSION + 1)
    words = f"version {VERSION} or lower, found {VERSION + 1}"
    assert words in refuse(command, tmp_path / "a.mkv")


@pytest.fixture(scope="module")
def whole_frames(tinct_path: Path) -> list[tinct.Frame]:
    """The frames of the file before any damage."""
    return list(tinct.open(str(tinct_path)))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.85])
@pytest.mark.parametrize("output", ["mkv", "y4m"])
def test_a_truncated_file_gives_its_whole_frames(
    tinct_path: Path,
    tmp_path: Path,
    folder: Path,
    whole_frames: list[tinct.Frame],
    share: float,
    output: str,
) -> None:
    data = tinct_path.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: int(len(data) * share)])
    said = read_message(run("decode", tmp_path / "cut.mkv", folder / f"a.{output}"), 3)
    found = list(tinct.open(str(folder / f"a.{output}")))
    assert 0 < len(found) < 40
    assert f"is damaged: {len(found)} frames written" in said
    assert f"{40 - len(found)} frames are missing at the end" in said
    whole_groups = max(0, (len(found) - 1) // 8 * 8)
    for ours, theirs in zip(found[:whole_groups], whole_frames, strict=False):
        assert np.array_equal(ours.y, theirs.y)
        assert np.array_equal(ours.cb, theirs.cb)
        assert np.array_equal(ours.cr, theirs.cr)


def test_a_file_cut_behind_its_last_frame_is_whole(
    tinct_path: Path, tmp_path: Path, whole_frames: list[tinct.Frame]
) -> None:
    """A file that has lost only Matroska's index decodes in full and counts no damage."""
    (tmp_path / "cut.mkv").write_bytes(tinct_path.read_bytes()[:-30])
    video = tinct.open(str(tmp_path / "cut.mkv"))
    assert_same_frames(list(video), whole_frames)
    assert not video.damage


@pytest.mark.slow
def test_verify_names_what_is_missing(tinct_path: Path, tmp_path: Path) -> None:
    data = tinct_path.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) * 3 // 4])
    said = read_message(run("verify", tmp_path / "cut.mkv", "--quiet"), 3)
    assert re.search(r"[1-9]\d* frames are missing at the end", said)


def test_a_file_cut_in_its_head_is_refused(
    tinct_path: Path, tmp_path: Path, folder: Path, refuse: Callable[..., str]
) -> None:
    for length in (4, 40, 300):
        (tmp_path / "cut.mkv").write_bytes(tinct_path.read_bytes()[:length])
        refuse("decode", tmp_path / "cut.mkv", folder / "a.mkv")


@pytest.mark.slow
@pytest.mark.parametrize("track", ["luma", "colour"])
def test_a_lost_packet_is_concealed_and_named(
    tinct_path: Path, tmp_path: Path, folder: Path, whole_frames: list[tinct.Frame], track: str
) -> None:
    remux(
        tinct_path,
        tmp_path / "a.mkv",
        packet=lambda name, n, data: None if (name, n) == (track, 3) else data,
    )
    result = run("decode", tmp_path / "a.mkv", folder / "b.mkv")
    found = list(tinct.open(str(folder / "b.mkv")))
    assert [f.pts for f in found] == list(range(40))
    said = read_message(result, 3)
    words = {"luma": "1 frames were concealed", "colour": "[1-9] packets are lost"}
    assert re.search(words[track], said)
    if track == "luma":
        before = whole_frames[2]
        expected = tinct.Frame(before.y, before.cb, before.cr, pts=2, info=found[2].info)
        assert_same_frames([found[2]], [expected])
        assert np.array_equal(found[3].y, before.y)
    assert all(np.array_equal(a.y, b.y) for a, b in zip(found[4:], whole_frames[4:], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("lost", [range(1), range(99)])
def test_where_colour_is_lost_frames_are_grey(
    tinct_path: Path, tmp_path: Path, folder: Path, whole_frames: list[tinct.Frame], lost: range
) -> None:
    """Frames are grey where colour lacks its only IDR picture, or every packet."""
    remux(
        tinct_path,
        tmp_path / "a.mkv",
        packet=lambda name, n, data: None if name == "colour" and n in lost else data,
    )
    said = read_message(run("decode", tmp_path / "a.mkv", folder / "b.mkv"), 3)
    assert "40 frames written" in said
    assert re.search("[1-9]\\d* frames were concealed", said)
    found = list(tinct.open(str(folder / "b.mkv")))
    assert all(np.array_equal(a.y, b.y) for a, b in zip(found, whole_frames, strict=True))
    assert np.all(found[0].cb == 128)


@pytest.mark.slow
def test_damage_in_a_cut_is_named(tinct_path: Path, tmp_path: Path, folder: Path) -> None:
    """Damage is reported for a part of a file that has it, and not for another."""
    remux(
        tinct_path,
        tmp_path / "a.mkv",
        packet=lambda name, n, data: data[:9] if (name, n) == ("luma", 12) else data,
    )
    read_message(
        run("decode", tmp_path / "a.mkv", folder / "b.mkv", "--start", 0.4, "--duration", 0.4), 3
    )
    cut = ("--start", 0.8, "--duration", 0.4, "--quiet")
    result = run("decode", tmp_path / "a.mkv", folder / "c.mkv", *cut)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.slow
def test_a_damaged_source_is_coded_and_named(tmp_path: Path, folder: Path) -> None:
    write_clip(
        tmp_path / "a.mkv",
        frames=30,
        size=(192, 144),
        codec="libx264",
        codec_options={"g": "1", "qp": "10"},
    )
    spoil_packet(tmp_path / "a.mkv", tmp_path / "spoilt.mkv", number=12)
    options = ("--structure", "intra", "--colouriser", "none", "--quiet")
    said = read_message(run("encode", tmp_path / "spoilt.mkv", folder / "b.mkv", *options), 3)
    assert re.search("is damaged: [1-9] packets or frames of it are lost", said)
    assert len(list(tinct.open(str(folder / "b.mkv")))) == 30


def test_a_tinct_file_is_no_source(
    clip_path: Path, tinct_path: Path, folder: Path, refuse: Callable[..., str]
) -> None:
    """A Tinct file is refused as a source of `encode` and as the original of `verify`."""
    assert "found a Tinct file" in refuse("encode", tinct_path, folder / "a.mkv")
    assert "found a Tinct file" in refuse("verify", tinct_path, "--against", tinct_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_rather_than_waited_for(
    tmp_path: Path, folder: Path, refuse: Callable[..., str]
) -> None:
    os.mkfifo(tmp_path / "a.y4m")
    assert "found a pipe or device" in refuse("encode", tmp_path / "a.y4m", folder / "a.mkv")


@pytest.mark.slow
@pytest.mark.parametrize("track", ["luma", "colour"])
def test_a_spoilt_packet_is_named_and_the_rest_is_written(
    tinct_path: Path, tmp_path: Path, folder: Path, track: str
) -> None:
    rng = np.random.default_rng(0)

    def spoil(name: str, number: int, data: bytes) -> bytes:
        return data[:6] + rng.bytes(len(data) - 6) if (name, number) == (track, 3) else data

    remux(tinct_path, tmp_path / "a.mkv", packet=spoil)
    result = run("decode", tmp_path / "a.mkv", folder / "b.mkv")
    assert "is damaged: 40 frames written" in read_message(result, 3)
    assert len(list(tinct.open(str(folder / "b.mkv")))) == 40


@pytest.mark.slow
def test_random_damage_never_shows_a_traceback(
    tinct_path: Path, tmp_path: Path, folder: Path
) -> None:
    data = np.frombuffer(tinct_path.read_bytes(), np.uint8)
    rng = np.random.default_rng(5)
    for _ in range(60):
        spoilt = data.copy()
        spoilt[rng.integers(0, len(data), rng.integers(1, 30))] = rng.integers(0, 256)
        (tmp_path / "a.mkv").write_bytes(spoilt.tobytes())
        with contextlib.suppress(tinct.CodecError):
            for _ in tinct.open(str(tmp_path / "a.mkv")):
                pass


# ── output ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_an_existing_output_is_only_replaced_when_asked(
    clip_path: Path, tinct_path: Path, folder: Path, command: str
) -> None:
    is_encode = command == "encode"
    source, options = (clip_path, ["--colour=in-band"]) if is_encode else (tinct_path, [])
    (folder / "a.mkv").write_bytes(b"old")
    said = read_message(run(command, source, folder / "a.mkv"), 2)
    assert "--overwrite" in said
    assert (folder / "a.mkv").read_bytes() == b"old"
    again = run(command, source, folder / "a.mkv", "--overwrite", "--quiet", *options)
    assert again.returncode == 0
    assert len(list(tinct.open(str(folder / "a.mkv")))) == 40


@pytest.mark.slow
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_the_input_is_never_the_output(clip_path: Path, folder: Path, command: str) -> None:
    shutil.copy(clip_path, folder / "a.mkv")
    os.link(folder / "a.mkv", folder / "b.mkv")
    before = (folder / "a.mkv").read_bytes()
    for name in ("a.mkv", "b.mkv"):
        said = read_message(run(command, folder / "a.mkv", folder / name, "--overwrite"), 2)
        assert "other than the input" in said
    assert (folder / "a.mkv").read_bytes() == before


@pytest.mark.parametrize(
    ("command", "output", "words"),
    [
        ("encode", "a.avi", r"ending in \.mkv"),
        ("encode", "none/a.mkv", "to exist"),
        ("encode", "", r"ending in \.mkv"),
        ("decode", "a.avi", r"ending in \.mp4"),
        ("decode", "none/a.mkv", "to exist"),
        ("decode", "../pictures", "expected a folder for PNGs, found a file"),
    ],
)
def test_bad_outputs_are_refused(
    clip_path: Path,
    tinct_path: Path,
    folder: Path,
    refuse: Callable[..., str],
    command: str,
    output: str,
    words: str,
) -> None:
    (folder.parent / "pictures").touch()
    arguments = ("--overwrite",) if output == "../pictures" else ()
    said = refuse(
        command, clip_path if command == "encode" else tinct_path, folder / output, *arguments
    )
    assert re.search(words, said), said


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_an_unwritable_folder_is_refused(tinct_path: Path, folder: Path, command: str) -> None:
    folder.chmod(0o500)
    assert "found no permission" in expect_refusal(folder, command, tinct_path, folder / "a.mkv")


def limit_file_size() -> None:
    """Limit files to 2000 bytes; writing beyond raises an error in Python, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


@pytest.mark.slow
@pytest.mark.parametrize(("command", "output"), OUTPUTS)
def test_a_full_disk_leaves_nothing(
    clip_path: Path, tinct_path: Path, folder: Path, command: str, output: str
) -> None:
    source = clip_path if command == "encode" else tinct_path
    said = expect_refusal(
        folder,
        command,
        source,
        folder / output,
        preexec_fn=limit_file_size,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert "expected to write" in said
    assert "free space" in said


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_full_at_the_end_leaves_nothing(
    clip_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinct.encoder.api.AtomicOutput", FullDiskOutput)
    with pytest.raises(tinct.CodecError, match="No space left"):
        tinct.encode(str(clip_path), str(folder / "a.mkv"))
    assert list(folder.iterdir()) == []


# ── options ───────────────────────────────────────────────────────────────────────────────────────

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"crf": 30.0, "bitrate_kbps": 100.0}, "crf and --bitrate"),
    ({"crf": 30.0, "colour": "track"}, "crf needs --colour in-band"),
    ({"crf": 0.0, "colour": "track"}, "crf needs --colour in-band"),
    (
        {"key_form": "full", "group": 6, "structure": "low-delay"},
        "--key-form full needs --structure intra",
    ),
    (
        {"key_form": "full", "group": 6, "structure": "random-access"},
        "--key-form full needs --structure intra",
    ),
    ({"key_form": "full", "group": 6, "colour": "in-band"}, "--key-form full needs --colour track"),
    ({"key_form": "full"}, "--key-form full needs a fixed --group"),
    ({"key_form": "full", "group": 1}, "--key-form full needs --group 2"),
    ({"colour": "in-band", "group": 6}, "group needs --colour track"),
    ({"colour": "in-band", "compatible": True}, "compatible needs --colour track"),
    (
        {"key_boost": 6, "structure": "low-delay", "colour": "track"},
        "--key-boost needs --structure intra",
    ),
    ({"key_boost": 6, "colour": "in-band"}, "--key-boost needs --colour track"),
    (
        {"colouriser": "compact", "structure": "low-delay", "colour": "track"},
        "--colouriser compact needs --structure intra, or",
    ),
    (
        {"colouriser": "compact", "structure": "low-delay", "colour": "auto", "base": "hevc"},
        "--colouriser compact needs --structure intra, or",
    ),
    (
        {"colouriser": "compact", "structure": "intra", "colour": "in-band", "network": "best"},
        "needs --colour track where --structure is intra",
    ),
    (
        {"colouriser": "compact", "base": "avc"},
        "--colouriser compact with in-band colour needs --base av1 or hevc",
    ),
]
OUT_OF_RANGE: list[tuple[dict[str, Any], str]] = [
    ({"qp": -1}, "qp: expected 0 to 51; found -1"),
    ({"qp": 52}, "qp: expected 0 to 51; found 52"),
    ({"base": "hevc", "crf": 52.0}, "--crf 52 needs --base av1"),
    ({"crf": 71.0}, "crf: expected 0 to 70; found 71"),
    ({"bitrate_kbps": 0.0}, "bitrate_kbps: expected 1 to"),
    ({"bitrate_kbps": float("nan")}, "bitrate_kbps: expected 1 to"),
    ({"group": 0}, "group: expected auto or 1 to 96; found 0"),
    ({"group": 97}, "group: expected auto or 1 to 96; found 97"),
    ({"key_boost": -1}, "key_boost: expected auto or 0 to 40; found -1"),
    (
        {"structure": "diagonal"},
        "structure: expected one of auto, intra, low-delay, random-access; found diagonal",
    ),
    ({"colour": "green"}, "colour: expected one of auto, track, in-band; found green"),
    ({"key_form": "half"}, "key_form: expected one of chroma, full; found half"),
    ({"colouriser": "magic"}, "colouriser: expected one of"),
    ({"x265_preset": "quick"}, "x265_preset: expected one of"),
    ({"x265_tune": "vmaf"}, "x265_tune: expected one of"),
]


@pytest.mark.parametrize(("options", "words"), CONTRADICTIONS + OUT_OF_RANGE, ids=str)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    """Contradictory options and values out of range are refused by name, in one line."""
    with pytest.raises(tinct.CodecError) as caught:
        resolve(tinct.EncodeConfig(**options))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--crf", "30", "--qp", "30"], "contradictory options: --qp, --crf and --bitrate"),
        (
            ["--colour", "in-band", "--group", "6"],
            "contradictory options: --group needs --colour track",
        ),
        (["--group", "many"], "--group: expected auto or 1 to 96; found many"),
        (["--qp", "fine"], "--qp: expected 0 to 51; found fine"),
        (["--preset", "best"], "expected a preset of default, paper"),
        (["--sideways"], "--sideways"),
    ],
    ids=str,
)
def test_bad_arguments_are_one_line(
    clip_path: Path, folder: Path, refuse: Callable[..., str], arguments: list[str], words: str
) -> None:
    assert words in refuse("encode", clip_path, folder / "a.mkv", *arguments)


CUTS = [
    ("start", -1),
    ("start", 99),
    ("start", "nan"),
    ("duration", 0),
    ("duration", -1),
    ("duration", "inf"),
]


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("kind", ["tinct", "plain"])
def test_cuts_that_cannot_be_are_refused(
    tinct_path: Path,
    plain_path: Path,
    folder: Path,
    refuse: Callable[..., str],
    cut: tuple[str, Any],
    kind: str,
) -> None:
    """Starts and durations that are negative, endless or behind the end are refused."""
    said = refuse(
        "decode",
        tinct_path if kind == "tinct" else plain_path,
        folder / "a.mkv",
        f"--{cut[0]}",
        str(cut[1]),
    )
    assert "expected" in said


@pytest.mark.slow
@linux_only
def test_training_is_seen_in_a_terminal(clip_path: Path, folder: Path) -> None:
    """The terminal shows the losses of a step while the training is at work."""
    pytest.importorskip("torch")
    ours, theirs = os.openpty()
    options = ["--preset", "paper", "--recipe", "cpu", "--channels", "6", "--adapt", "100000steps"]
    command = [
        sys.executable,
        "-m",
        "tinct",
        "encode",
        str(clip_path),
        str(folder / "a.mkv"),
        *options,
    ]
    process = subprocess.Popen(
        command, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    )
    os.close(theirs)
    said, end = b"", time.monotonic() + 60
    try:
        while not re.search(rb"training.*step \d+: gan \d+\.\d+ mse ", said, re.DOTALL):
            assert time.monotonic() < end, said
            assert process.poll() is None, said
            said += os.read(ours, 1 << 16)
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours)


# ── interruption ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize(
    "with_signal",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.nightly)],
)
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_an_interrupt_leaves_nothing(
    long_clip: Path, folder: Path, command: str, with_signal: signal.Signals
) -> None:
    output = folder / {"encode": "a.mkv", "decode": "a.mp4"}[command]
    arguments = [sys.executable, "-m", "tinct", command, str(long_clip), str(output)]
    arguments += ["--colouriser=none"] if command == "encode" else []
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: is_writing_in(folder, process.pid), process, seconds=80)
        process.send_signal(with_signal)
        output, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, output, said) == (
        130,
        b"",
        b"tinct: interrupted, nothing was written\n",
    )
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that takes long enough to be interrupted."""
    path = tmp_path_factory.mktemp("long") / "a.mkv"
    write_clip(
        path, frames=1500, size=(128, 96), codec="libx264", codec_options={"preset": "ultrafast"}
    )
    return path


def is_writing_in(folder: Path, pid: int) -> bool:
    """Return whether a process has a file open in `folder`, named or not, that is not empty."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(link).startswith(str(folder)) and os.stat(link).st_size > 0:
                return True
        except FileNotFoundError:
            continue
    return False


@pytest.mark.slow
@pytest.mark.parametrize("moment", [pytest.param("frame", marks=pytest.mark.nightly), "mux"])
def test_a_failure_at_any_moment_leaves_nothing(
    clip_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def fail(*arguments: Any, **_: Any) -> list[str]:
        if isinstance(arguments[0], Path):
            arguments[0].write_bytes(b"half a file")
        raise KeyboardInterrupt

    if moment == "mux":
        monkeypatch.setattr("tinct.encoder.session.mux", fail)
    with pytest.raises(KeyboardInterrupt):
        tinct.encode(
            str(clip_path), str(folder / "a.mkv"), progress=fail if moment == "frame" else None
        )
    assert list(folder.iterdir()) == []


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = run("info", tmp_path / "none.mkv", "--debug")
    assert result.returncode == 2
    assert b"Traceback (most recent call last)" in result.stderr
    assert b"FileError" in result.stderr
    assert b"Traceback" not in run("info", tmp_path / "none.mkv").stderr


def test_a_plain_video_is_decoded_as_it_is(clip_path: Path, folder: Path) -> None:
    said = read_message(run("decode", clip_path, folder / "a.mkv"), 0)
    assert said == f"{clip_path} has no Tinct in it: its 40 frames are written as they are"
    found, given = (list(tinct.open(str(p))) for p in (folder / "a.mkv", clip_path))
    assert_same_frames([tinct.Frame(f.y, f.cb, f.cr, f.pts, given[0].info) for f in found], given)


@pytest.mark.slow
def test_encode_reports_size_quality_and_plain_hevc(clip_path: Path, folder: Path) -> None:
    result = run("encode", clip_path, folder / "a.mkv", "--colour", "track")
    assert (result.returncode, result.stdout) == (0, b"")
    said = result.stderr.decode()
    size = (folder / "a.mkv").stat().st_size
    share = f"{size / clip_path.stat().st_size:.0%}"
    assert f"40 frames, {size:,} bytes, {share} of the source (luma " in said
    assert re.search(
        r"^colour made at the decoder( and a network)? save \d+% of the bits of plain HEVC",
        said,
        re.M,
    )
    assert re.search(r"PSNR Y \d\d\.\d\d dB \(pooled \d\d\.\d\d\), U ", said)
    assert re.search(
        r"estimate on samples, kbit a frame: Tinct \d+\.\d; plain HEVC intra \d+\.\d; "
        r"random access \d+\.\d( \(\d times smaller: --structure random-access\))?$",
        said,
        re.MULTILINE,
    )


@pytest.mark.slow
def test_info_adds_up(tinct_path: Path) -> None:
    """Bytes of all parts add up to the size of the file, and its properties are right."""
    result = run("info", tinct_path, "--json")
    assert (result.returncode, result.stderr) == (0, b"")
    found = json.loads(result.stdout)
    assert sum(found["bytes_by_part"].values()) == found["size_bytes"] == tinct_path.stat().st_size
    assert set(found["bytes_by_part"]) == {"luma", "colour", "container"}
    assert (found["layout"], found["structure"], found["colouriser"]) == ("chroma", "intra", "none")
    assert (found["width"], found["height"], found["bit_depth"]) == (64, 48, 8)
    assert (found["frames"], found["frame_rate"], found["duration_seconds"]) == (40, "25", 1.6)
    assert 5 <= found["key_frames"] <= 6
    assert found["rate_kbps"]["luma"] == pytest.approx(
        found["bytes_by_part"]["luma"] * 8 / 1000 / 1.6, abs=1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["intra", "low-delay", "random-access"])
def test_info_names_the_structure(clip_path: Path, tmp_path: Path, structure: str) -> None:
    for colour in ("track", "in-band"):
        path = tmp_path / f"{colour}.mkv"
        plain = {"base": "hevc", "colouriser": "none"}
        config = tinct.preset("default", structure=structure, colour=colour, **plain)
        tinct.encode(str(clip_path), str(path), config)
        found = tinct.info(str(path))
        assert (found.structure, found.layout) == (
            structure,
            "chroma" if colour == "track" else None,
        )


@pytest.mark.slow
def test_info_of_a_plain_video(clip_path: Path) -> None:
    result = run("info", clip_path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"no Tinct in it" in result.stdout
    assert b"64x48, 8 bit, 40 frames, 1.600 s, 25 frames/s" in result.stdout
    found = json.loads(run("info", clip_path, "--json").stdout)
    assert (found["layout"], found["colouriser"], found["key_frames"]) == (None, None, None)


@pytest.mark.slow
def test_verify_measures_what_encode_reported(clip_path: Path, tinct_path: Path) -> None:
    result = run("verify", tinct_path, "--against", clip_path, "--json")
    assert (result.returncode, result.stderr) == (0, b"")
    found = json.loads(result.stdout)
    assert found["frames"] == 40
    assert found["damage"] == {
        "packets": 0,
        "concealed_frames": 0,
        "missing_frames": 0,
        "broken_checksums": 0,
    }
    assert len(found["psnr"]) == 3
    assert 36 < found["psnr"][0]["mean_db"] < 41
    assert "40 frames decode, the file is whole" in run("verify", tinct_path).stdout.decode()


@pytest.mark.slow
def test_verify_refuses_another_video(tinct_path: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "size.mkv", frames=40, size=(32, 32))
    write_clip(tmp_path / "short.mkv", frames=39)
    for name, words in (("size.mkv", "expected 64x48"), ("short.mkv", "found fewer")):
        assert words in read_message(run("verify", tinct_path, "--against", tmp_path / name), 2)


ENCODE_OPTIONS = (
    *("preset", "structure", "qp", "crf", "bitrate", "colour", "key-form", "group", "key-boost"),
    *("colouriser", "compatible", "x265-preset", "x265-tune", "overwrite", "quiet", "debug"),
)
OPTIONS = {
    "encode": ENCODE_OPTIONS,
    "decode": ("start", "duration", "overwrite", "quiet", "debug"),
    "info": ("json", "debug"),
    "verify": ("against", "json", "quiet", "debug"),
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_lists_every_option(command: str) -> None:
    result = run(command, "--help", env={**os.environ, "COLUMNS": "200"})
    assert (result.returncode, result.stderr) == (0, b"")
    listed = set(re.findall(r"--([a-z0-9-]+)", result.stdout.decode()))
    assert set(OPTIONS[command]) <= listed
    assert command in run("--help").stdout.decode()


@pytest.mark.slow
def test_a_colon_or_a_dash_in_a_name_is_part_of_it(clip_path: Path, folder: Path) -> None:
    shutil.copy(clip_path, folder / "pipe:0.mkv")
    shutil.copy(clip_path, folder / "-odd name%d.mkv")
    for name in ("pipe:0.mkv", "-odd name%d.mkv"):
        options = ("--quiet", "--base", "hevc")
        assert run("encode", *options, "--", name, f"x{name}", cwd=folder).returncode == 0
        assert read_attachments(folder / f"x{name}") == {}
        assert len(list(tinct.open(str(folder / f"x{name}")))) == 40
