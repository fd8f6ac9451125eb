"""The measurement of one point: its numbers are those of its file, and what is refused."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import av
import pytest
from helpers import run
from lab_results import FRAMES, QPS, X265, split_by_codec
from synthetic import draw_clip, to_av, write_clip

import tinct
from tinct.errors import CodecError
from tinct.evaluation import load, measurement, sweep, usage
from tinct.evaluation.clips import cut_clip
from tinct.evaluation.codecs import Codec, make_decode_command, parse_codec
from tinct.evaluation.measurement import Task, measure_point, run_encode
from tinct.media.source import open_source


def test_a_point_is_its_file(results: Path) -> None:
    points = load(results).points
    assert [(p.codec.split(":")[0], p.qp) for p in points] == list(product(("tinct", "x265"), QPS))
    for point in points:
        assert point.file is not None
        assert (results / point.file).stat().st_size == point.size_bytes
        assert sum(point.parts.values()) == point.size_bytes
        assert point.rate_kbps() == pytest.approx(point.size_bytes * 8 / 1000 / (FRAMES / 25))
        is_tinct = point.codec.startswith("tinct")
        assert ("colour" in point.parts, bool(point.keys)) == (is_tinct, is_tinct)
        assert all(len(values) == FRAMES for values in point.series.values())
        assert point.encode_seconds is not None
        assert 0.1 < point.encode_seconds < 60
        assert point.encode_peak_megabytes is not None
        assert 40 < point.encode_peak_megabytes < 1000
    assert not (results / "work").exists()


def test_peak_memory_is_the_kernels(tmp_path: Path) -> None:
    """Compare with the peak that the process itself reads."""
    program = (
        "held = b'1' * 200_000_000; open('status', 'w').write(open('/proc/self/status').read())"
    )
    command = [sys.executable, str(usage.__file__), sys.executable, "-c", program]
    found = json.loads(
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    )
    line = next(
        line for line in (tmp_path / "status").read_text().splitlines() if line.startswith("VmHWM")
    )
    assert found["peak_megabytes"] == pytest.approx(int(line.split()[1]) * 1024 / 1e6, rel=0.01)


def test_psnr_is_that_of_the_file_against_the_source(results: Path) -> None:
    for point in load(results).points[::3]:
        verified = tinct.verify(str(results / str(point.file)), str(results / "clips" / "clip.mkv"))
        assert verified.psnr is not None
        for name, plane in zip(("psnr_y", "psnr_u", "psnr_v"), verified.psnr, strict=True):
            assert point.means[name] == pytest.approx(plane.mean_db, abs=1e-3)
            assert point.means[name + "_pooled"] == pytest.approx(plane.pooled_db, abs=1e-3)


def test_key_frames_are_those_of_the_colour_track(results: Path) -> None:
    ours, _ = split_by_codec(load(results).points)
    for point in ours:
        info = tinct.info(str(results / str(point.file)))
        assert len(point.keys) == info.key_frames
        assert point.keys[:2] == [0, 6]
        inner = [v for i, v in enumerate(point.series["psnr_u"]) if i not in point.keys]
        assert point.value("psnr_u", without=point.keys) == pytest.approx(
            sum(v for v in inner if v) / len(inner)
        )
        assert point.value("psnr_u", without=point.keys) != point.value("psnr_u")


@pytest.mark.nightly
def test_key_frames_of_a_variable_rate_are_numbered(tmp_path: Path) -> None:
    """The report finds the grey base of a frame between them, too."""
    source = tmp_path / "vfr.mkv"
    write_clip(source, frames=8, vfr=[0, 40, 160, 200, 240, 360, 400, 520])
    assert open_source(str(source)).info.frame_rate is None
    codecs = [X265, "tinct:intra,colour=track,group=3,colouriser=none"]
    points = sweep([source], codecs, [32], out=tmp_path / "r", frames=None)
    assert points[1].keys == [0, 3, 6]
    assert run("report", tmp_path / "r").returncode == 0


def test_psnr_alone_may_be_measured(tmp_path: Path) -> None:
    """The set is kept in the folder; a set that is not there is refused with it."""
    write_clip(tmp_path / "a.mkv", frames=3)
    arguments = ["--codec", "x265:intra,preset=ultrafast", "--qp", 32, "--out", tmp_path / "r"]
    done = run("evaluate", tmp_path / "a.mkv", *arguments, "--metrics", "psnr", "--quiet")
    assert done.returncode == 0, done.stderr
    (point,) = load(tmp_path / "r").points
    assert {"psnr_y", "psnr_yuv611_pooled", "worst_frame"} < set(point.means)
    assert not {"ssim_y", "ciede2000", "flicker_y"} & set(point.means)
    kept = (tmp_path / "r" / "sweep.json").read_text()
    (tmp_path / "r" / "sweep.json").write_text(kept.replace('"psnr"', '"other"'))
    with pytest.raises(CodecError, match=r"expected a results folder with sweep\.json"):
        load(tmp_path / "r")


@pytest.mark.slow
def test_a_decoder_that_loses_a_frame_is_refused(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that stops after 0.4 s stands for one that is broken."""

    def make_broken_command(codec: Codec) -> list[str]:
        return [*make_decode_command(codec), "--duration", "0.4"]

    monkeypatch.setattr(measurement, "make_decode_command", make_broken_command)
    path = str(results / "clips" / "clip.mkv")
    cut = cut_clip(load(results).setup.clips[0], path, FRAMES)
    task = Task(
        clip=cut, codec=parse_codec(X265), qp=32, folder=str(tmp_path), jobs=1, metrics="all"
    )
    (tmp_path / "work").mkdir()
    (tmp_path / "files").mkdir()
    expected = "expected 12 decoded frames, found 10; the point is refused"
    with pytest.raises(CodecError, match=expected):
        measure_point(task)
    assert list((tmp_path / "files").iterdir()) == []
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.slow
def test_a_raw_bitstream_says_so(tmp_path: Path) -> None:
    """A script that writes x265's stream without a container stands for HM."""
    program, config = tmp_path / "encoder", tmp_path / "cfg"
    config.mkdir()
    write_clip(tmp_path / "talk.mkv", frames=2)
    stream = tmp_path / "talk.hevc"
    with av.open(str(stream), "w", format="hevc") as out:
        video = out.add_stream("libx265", rate=25, options={"x265-params": "log-level=none"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for planes in draw_clip(2):
            out.mux(video.encode(to_av(planes, "yuv420p")))
        out.mux(video.encode())
    program.write_text(f"#!/bin/sh\ncp {stream} coded.hevc\n")
    program.chmod(0o755)
    (point,) = sweep([tmp_path / "talk.mkv"], [f"hm:intra,binary={program},config={config}"], [32])
    assert point.note == "raw bitstream, not muxed"
    assert point.parts == {"video": point.size_bytes}
    assert point.size_bytes == stream.stat().st_size


def test_a_training_goes_on_from_what_a_killed_lab_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its seconds are then not those of the whole; a checkpoint of another training is removed."""
    checkpoint = tmp_path / "a.ckpt"
    trains = "import sys, pathlib; pathlib.Path(sys.argv[1].partition('=')[2]).write_text('half')"
    refused = "expected a checkpoint of this training in a.ckpt, found another file"
    whole, fails, refuses = (
        [sys.executable, "-c", code]
        for code in (trains, "raise SystemExit('no memory')", f"raise SystemExit({refused!r})")
    )

    def interrupt(*_: object, **__: object) -> None:
        checkpoint.write_text("half")
        raise KeyboardInterrupt

    assert run_encode(whole, tmp_path, checkpoint)[1], "the cost is that of the whole"
    checkpoint.unlink()
    with monkeypatch.context() as patched:
        patched.setattr("tinct.evaluation.measurement.run_program", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_encode(whole, tmp_path, checkpoint)
    assert not run_encode(whole, tmp_path, checkpoint)[1], "the cost is that of the rest"
    with pytest.raises(CodecError, match="no memory"):
        run_encode(fails, tmp_path, checkpoint)
    assert checkpoint.exists(), "what was learnt is still good"
    with pytest.raises(CodecError, match="a checkpoint of this training"):
        run_encode(refuses, tmp_path, checkpoint)
    assert not checkpoint.exists()
