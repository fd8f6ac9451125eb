"""`--base hm`: pictures coded by a program, of which a stand-in takes HM's command line.

What goes to the program, and what comes back, is tested here; nothing of HM's own coding.
"""

import contextlib
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import linux_only, read_message, run, wait_until
from hm_program import INTRA, LOW_DELAY, RANDOM_ACCESS, write_config, write_hm, write_script
from synthetic import draw_clip, make_info, write_clip, write_video

import tinct
from tinct.bitstream import segments
from tinct.bitstream.codecs import BaseSettings, Program
from tinct.bitstream.segments import SegmentEncoder
from tinct.encoder.refusals import resolve
from tinct.errors import CodecError
from tinct.frames import ColourTags, Hdr
from tinct.media.source import open_source

SIZE = (98, 82)
STRUCTURES = {"intra": INTRA, "low-delay": LOW_DELAY, "random-access": RANDOM_ACCESS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the stand-in, its configurations, and a clip."""
    write_hm(tmp_path / "hm")
    for name, options in STRUCTURES.items():
        write_config(tmp_path / f"{name}.cfg", options)
    write_clip(tmp_path / "a.mkv", frames=19, size=SIZE)
    return tmp_path


def make_config(folder: Path, structure: str = "intra", **options: Any) -> tinct.EncodeConfig:
    given: dict[str, Any] = {
        "base": "hm",
        "structure": structure,
        "encoder": str(folder / "hm"),
        "encoder_config": str(folder / f"{structure}.cfg"),
    }
    return tinct.EncodeConfig(**given | options)


def encode(folder: Path, structure: str = "intra", **options: Any) -> tinct.EncodeReport:
    config = make_config(folder, structure, **options)
    return tinct.encode(str(folder / "a.mkv"), str(folder / "b.mkv"), config, overwrite=True)


def read_stored(path: Path) -> list[tuple[int, bool, bytes]]:
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return [(packet.pts or 0, bool(packet.is_keyframe), bytes(packet)) for packet in packets]


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("structure", STRUCTURES)
def test_what_is_shown_was_measured(folder: Path, structure: str) -> None:
    report = encode(folder, structure, colour="in-band")
    check = tinct.verify(str(folder / "b.mkv"), str(folder / "a.mkv"))
    assert check.whole
    assert check.psnr == report.psnr
    assert check.psnr is not None
    assert 36 < check.psnr[0].mean_db < 48
    found = tinct.info(str(folder / "b.mkv"))
    assert (found.structure, found.frames, report.tinct) == (structure, 19, False)


@pytest.mark.parametrize(
    "options",
    [
        {"key_form": "full", "group": 6},
        {"key_form": "full", "group": 6, "compatible": True},
        {"colour": "track", "group": 6, "hints": "on"},
    ],
    ids=["full", "compatible", "chroma"],
)
def test_luma_and_colour_have_tracks_of_their_own(folder: Path, options: dict[str, Any]) -> None:
    """Of layout chroma the program codes the luma; x265 codes key frames' colour."""
    report = encode(folder, colouriser="none", **options)
    assert report.plan.row.has_colour_track
    check = tinct.verify(str(folder / "b.mkv"), str(folder / "a.mkv"))
    assert check.whole
    assert check.psnr == report.psnr
    assert check.psnr is not None
    assert 36 < check.psnr[0].mean_db < 48


@pytest.mark.slow
def test_the_papers_system_runs_on_it(folder: Path) -> None:
    options = {"encoder": str(folder / "hm"), "encoder_config": str(folder / "intra.cfg")}
    network = {"adapt": "2steps", "channels": 6, "content_loss": "none"}
    config = tinct.preset("paper", base="hm", **options, **network)
    report = tinct.encode(str(folder / "a.mkv"), str(folder / "b.mkv"), config)
    assert (report.plan.layout, report.plan.colouriser) == ("full", "gan")
    assert tinct.verify(str(folder / "b.mkv"), str(folder / "a.mkv")).psnr == report.psnr


def test_segments_cost_nothing_all_intra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """x265, which stands in, looks back for some flags of a picture, so that a few bits differ."""
    whole = encode(folder, colour="in-band")
    monkeypatch.setattr(segments, "MAX_SEGMENT_BYTES", 5 * SIZE[0] * SIZE[1] * 3 // 2)
    parts = encode(folder, colour="in-band")
    assert parts.luma_bytes == pytest.approx(whole.luma_bytes, rel=0.01)
    assert all(is_entry for _, is_entry, _ in read_stored(folder / "b.mkv"))
    assert tinct.verify(str(folder / "b.mkv"), str(folder / "a.mkv")).psnr == parts.psnr


def test_each_segment_is_an_entry_point(folder: Path) -> None:
    """At a variable rate too, where times are milliseconds and segments have 5 seconds."""
    times = [*range(0, 6000, 500), *range(6000, 6700, 100), 9990, 10400]
    write_clip(folder / "a.mkv", frames=len(times), size=SIZE, vfr=tuple(times))
    encode(folder, "low-delay", colour="in-band")
    assert [frame.pts for frame in tinct.open(str(folder / "b.mkv"))] == times
    entries = [pts for pts, is_entry, _ in read_stored(folder / "b.mkv") if is_entry]
    assert 3 <= len(entries) <= 5
    assert all(min(pts - entry for entry in entries if entry <= pts) < 5000 for pts in times)
    assert tinct.verify(str(folder / "b.mkv"), str(folder / "a.mkv")).whole


def test_packets_are_dated_in_the_order_of_decoding(folder: Path) -> None:
    """Across segments too, of which the last one hardly reorders."""
    program = Program(path=str(folder / "hm"), config=str(folder / "random-access.cfg"))
    info = make_info(96, 80)
    settings = BaseSettings(
        base="hm", qp=32, structure="random-access", info=info, keyint=9, program=program
    )
    coder = SegmentEncoder(settings, (80, 96), grey=False)
    packets = [
        packet
        for number, planes in enumerate(draw_clip(20, 96, 80))
        for packet in coder.encode(planes, number, 32)
    ]
    assert len(packets) == 18, "the packets of a segment come when the next one begins"
    packets += coder.flush()
    dates = [packet.dts for packet in packets]
    assert dates == sorted(set(dates))
    assert all(packet.dts <= packet.pts for packet in packets)
    assert sorted(packet.pts for packet in packets) == list(range(20))
    assert [packet.pts for packet in packets] != list(range(20))
    assert all(coder.header not in packet.data for packet in packets)


def test_what_the_source_says_of_its_pictures_comes_along(folder: Path) -> None:
    bright = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    info = make_info(
        *SIZE,
        bit_depth=10,
        colour=ColourTags(primaries=9, transfer=16, matrix=9, full_range=False),
        sample_aspect_ratio=Fraction(4, 3),
        chroma_location="topleft",
        hdr=Hdr(master_display=bright, max_cll="1000,400"),
    )
    (folder / "a.mkv").unlink()
    write_video(folder / "a.mkv", draw_clip(3, *SIZE, bit_depth=10), info)
    source = open_source(str(folder / "a.mkv")).info
    encode(folder, colour="in-band")
    found = open_source(str(folder / "b.mkv")).info
    assert found.hdr == source.hdr == info.hdr
    assert replace(found, duration_seconds=source.duration_seconds) == source
    movie = tinct.encode(
        str(folder / "a.mkv"), str(folder / "b.mp4"), make_config(folder, colour="in-band")
    )
    assert any(".mkv holds them" in note for note in movie.notes)
    assert replace(open_source(str(folder / "b.mp4")).info, hdr=info.hdr).colour == info.colour


def test_a_stream_without_tags_keeps_its_bytes(folder: Path) -> None:
    encode(folder, colour="in-band", qp=30)
    first = read_stored(folder / "b.mkv")[0][2]
    frame = next(iter(open_source(str(folder / "a.mkv"))))
    raw = folder / "a.yuv"
    planes = [np.pad(plane, ((0, 0), (0, 0))).tobytes() for plane in (frame.y, frame.cb, frame.cr)]
    raw.write_bytes(b"".join(planes))
    words = f"-c intra.cfg -i a.yuv -b a.bin -wdt {SIZE[0]} -hgt {SIZE[1]} -fr 25 -f 1 -q 30"
    depth = ["--InputBitDepth=8", "--InputChromaFormat=420"]
    subprocess.run([folder / "hm", *words.split(), *depth], cwd=folder, check=True)
    slice_bytes = (folder / "a.bin").read_bytes().rpartition(b"\0\0\1")[2]
    assert first.endswith(slice_bytes)


# ── what is refused ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"crf": 24.0}, "--crf does not go with --base hm, which has --qp alone"),
        ({"bitrate_kbps": 90.0}, "--bitrate does not go with --base hm, which has --qp alone"),
        ({"base_preset": "slow"}, "--base-preset slow is none of --base hm, which has none"),
        ({"x265_tune": "ssim"}, "--x265-tune needs --base hevc"),
        ({"encoder": None}, "--base hm needs --encoder FILE, a program"),
        ({"encoder_config": None}, "--base hm needs --encoder-config FILE"),
        ({"base": "hevc"}, "--encoder/encoder-config needs --base hm"),
        ({"base": "auto", "encoder": None}, "--encoder-config needs --base hm"),
        ({"key_boost": 4, "colour": "track"}, "--key-boost 4 does not go with --base hm"),
        ({"interpolate": 3, "colour": "track"}, "--interpolate 3 does not go with --base hm"),
        ({"encoder": "/nowhere/hm"}, "--encoder: expected a program, found none at /nowhere/hm"),
        ({"encoder": "intra.cfg"}, "found none that can be run at intra.cfg"),
        ({"encoder_config": "no.cfg"}, "--encoder-config: expected a file that can be read"),
        ({"encoder_config": "."}, "--encoder-config: expected a file that can be read"),
    ],
)
def test_options_that_do_not_go_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], expected: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(CodecError) as refused:
        resolve(make_config(folder, **{"colour": "in-band", **options}))
    assert expected in str(refused.value)


FAULTS = {
    "fails": (["echo 'Error: no such option' >&2", "exit 3"], "hm failed: Error: no such option"),
    "complains": (["echo 'Error: on stdout'", "exit 1"], "hm failed: Error: on stdout"),
    "mute": (["exit 7"], "hm failed: exit code 7 and no word"),
    "writes nothing": (["exit 0"], "found an empty stream"),
    "writes text": (["for word; do :; done", "echo pictures > $word"], "found a stream that does"),
    "is killed": (["kill -9 $$"], "hm failed: exit code -9 and no word"),
    "is no program": (["#!/nowhere/sh"], "expected a program in"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_program_that_fails_is_one_line(folder: Path, fault: str) -> None:
    lines, expected = FAULTS[fault]
    write_script(folder / "hm", *lines)
    if fault == "is no program":
        (folder / "hm").write_text(lines[0])
    check_refused(folder, expected)


def check_refused(folder: Path, expected: str) -> None:
    """Check that an encode with the program is refused in one line and leaves nothing."""
    before = sorted(folder.iterdir())
    options = ("--structure", "intra", "--colour", "in-band", "--base", "hm")
    program = ("--encoder", folder / "hm", "--encoder-config", folder / "intra.cfg")
    result = run("encode", folder / "a.mkv", folder / "b.mkv", *options, *program)
    assert expected in read_message(result, 2)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-f", "0"], "found an empty stream"),
        (["-wdt", "64"], "expected 1 pictures of 98x82 yuv420p from"),
        (["--InputChromaFormat=400"], "found 98x82 gray"),
    ],
)
def test_other_pictures_than_were_asked_for(folder: Path, words: list[str], expected: str) -> None:
    write_hm(folder / "hm", *words)
    check_refused(folder, expected)


def test_fewer_pictures_than_were_asked_for(folder: Path) -> None:
    write_hm(folder / "hm", "-f", "1")
    check_refused(folder, "expected 19 pictures of 98x82 yuv420p from")


@pytest.mark.parametrize("given", ["low-delay", "random-access"])
def test_another_structure_than_was_asked_for(folder: Path, given: str) -> None:
    config = str(folder / f"{given}.cfg")
    if given == "low-delay":  # whose pictures the stand-in codes as IDR pictures otherwise
        write_config(folder / f"{given}.cfg", {"IntraPeriod": 9, "GOPSize": 4})
    with pytest.raises(
        CodecError, match=r"expected the structure intra from .*another one in pict"
    ):
        encode(folder, colour="in-band", encoder_config=config)
    assert not (folder / "b.mkv").exists()


@linux_only
def test_a_program_that_hangs_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_script(folder / "hm", "echo $$ > pid", "sleep 60 &", "wait")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(segments, "SILENT_SECONDS", 0.5)
    with pytest.raises(CodecError, match=r"expected a sign of life from .*found none"):
        encode(folder, colour="in-band")
    assert_gone(folder)


@linux_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_child_runs_on_after_an_interrupt(folder: Path, number: int) -> None:
    write_script(folder / "hm", "echo $$ > pid", "trap '' INT", "sleep 60 &", "wait")
    options = "--structure intra --colour in-band --base hm --encoder ./hm"
    words = ["encode", "a.mkv", "b.mkv", *options.split(), "--encoder-config", "intra.cfg"]
    with subprocess.Popen(
        [sys.executable, "-m", "tinct", *words], cwd=folder, stderr=subprocess.PIPE
    ) as process:
        pid = folder / "pid"
        wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"), process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert b"interrupted, nothing was written" in errors
    assert_gone(folder)
    names = {path.name for path in folder.iterdir()}
    assert names == {"a.mkv", "hm", "pid", *(f"{name}.cfg" for name in STRUCTURES)}


def assert_gone(folder: Path) -> None:
    """Check that no process lives of the program's group; those that nobody waits for are dead."""
    group = (folder / "pid").read_text().strip()
    alive = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended by now
            state, _, of_group = path.read_text().rpartition(")")[2].split()[:3]
            alive += [path] if of_group == group and state != "Z" else []
    assert alive == []
