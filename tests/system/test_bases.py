"""Files of every base codec: what was measured is shown, in Tinct and in other programs.

`test_roundtrip` has the layouts of HEVC.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import (
    LIBRARY_BASES,
    change_manifest,
    find_sample_clip,
    measure_psnr,
    read_message,
    remux,
    run,
)
from synthetic import draw_clip, make_frames, make_info, write_clip, write_video

import tinct
from tinct.bitstream.av1 import map_qp
from tinct.bitstream.base import BASES, PictureEncoder
from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.container import read_file_manifest
from tinct.frames import ColourTags, Hdr
from tinct.media.planes import from_av_frame
from tinct.media.source import open_source

NEW = ("avc", "av1")
STRUCTURES = ("intra", "low-delay", "random-access")


def encode(source: Path, target: Path, base: str, **options: Any) -> tinct.EncodeReport:
    structure = options.pop("structure", "random-access")
    config = tinct.EncodeConfig(base=base, structure=structure, **options)  # type: ignore[arg-type]
    return tinct.encode(str(source), str(target), config)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("base", NEW)
@pytest.mark.parametrize(
    ("size", "pixels"), [((64, 48), "yuv420p"), ((35, 33), "yuv420p10le"), ((2, 1), "yuv420p")]
)
def test_what_is_shown_was_measured(
    tmp_path: Path, base: str, structure: str, size: tuple[int, int], pixels: str
) -> None:
    write_clip(tmp_path / "a.mkv", frames=19, size=size, pix_fmt=pixels)
    report = encode(tmp_path / "a.mkv", tmp_path / "b.mkv", base, structure=structure)
    check = tinct.verify(str(tmp_path / "b.mkv"), str(tmp_path / "a.mkv"))
    assert check.whole
    assert check.psnr == report.psnr
    assert check.psnr is not None
    assert 28 < check.psnr[0].mean_db < 60
    found = tinct.info(str(tmp_path / "b.mkv"))
    if size != (2, 1):  # where x264 sees no use in reordering
        assert found.structure == structure
    assert (found.width, found.height, found.frames) == (*size, 19)


@pytest.mark.parametrize("base", LIBRARY_BASES)
def test_other_programs_show_the_same(tmp_path: Path, base: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=11)
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", base, colouriser="none")
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == BASES[base].coded_as
        pictures = [frame.to_ndarray() for frame in container.decode(video=0)]
    shown = list(tinct.open(str(tmp_path / "b.mkv")))
    assert len(pictures) == len(shown) == 11
    for picture, frame in zip(pictures, shown, strict=True):
        assert np.array_equal(picture[:48, :64], frame.y)


@pytest.mark.parametrize("base", NEW)
def test_a_variable_rate_and_sound_come_along(tmp_path: Path, base: str) -> None:
    times = (0, 40, 90, 200, 210, 300, 333, 400, 440)
    write_clip(tmp_path / "a.mkv", frames=9, vfr=times, audio="libopus", size=(96, 80))
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", base)
    assert [frame.pts for frame in tinct.open(str(tmp_path / "b.mkv"))] == list(times)
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


@pytest.mark.parametrize("size", [(64, 48), (95, 65)])
@pytest.mark.parametrize("base", LIBRARY_BASES)
def test_tags_of_pictures_come_along(tmp_path: Path, base: str, size: tuple[int, int]) -> None:
    """Matrix and range, the shape of pixels, and HDR10's metadata."""
    colour = ColourTags(primaries=9, transfer=16, matrix=9, full_range=False)
    about = make_info(*size, colour=colour, sample_aspect_ratio=Fraction(4, 3), bit_depth=10)
    write_hdr(tmp_path / "a.mkv", about)
    given = open_source(str(tmp_path / "a.mkv")).info
    assert given.hdr.max_cll
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", base)
    found = open_source(str(tmp_path / "b.mkv")).info
    assert found.colour == given.colour
    assert found.hdr == given.hdr
    assert found.sample_aspect_ratio == Fraction(4, 3)


def test_a_title_leaves_room_for_the_shape_of_pixels(tmp_path: Path) -> None:
    """Without Tinct's name for the track the source's title stays, and nothing is behind it."""
    about = make_info(96, 80, sample_aspect_ratio=Fraction(64, 45))
    write_video(tmp_path / "source.mkv", draw_clip(3, 96, 80), about)
    encode(tmp_path / "source.mkv", tmp_path / "a.mkv", "hevc")
    with av.open(str(tmp_path / "a.mkv")) as given, av.open(str(tmp_path / "b.mkv"), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0], opaque=True)
        stream.metadata["title"] = "Wedding"
        for packet in given.demux(video=0):
            if packet.pts is not None:
                packet.stream = stream
                out.mux(packet)
    encode(tmp_path / "b.mkv", tmp_path / "c.mkv", "av1")
    with av.open(str(tmp_path / "c.mkv")) as container:
        assert container.streams.video[0].metadata["title"] == "Wedding"
    assert open_source(str(tmp_path / "c.mkv")).info.sample_aspect_ratio == Fraction(64, 45)
    assert not tinct.verify(str(tmp_path / "c.mkv")).damage


def write_hdr(path: Path, about: Any) -> None:
    """Write a clip whose HEVC has HDR10 metadata."""
    hdr = Hdr(
        master_display="G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)",
        max_cll="1000,400",
    )
    planes = draw_clip(5, about.width, about.height, bit_depth=10)
    write_video(path, planes, replace(about, hdr=hdr))


@pytest.mark.slow
@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_nominal_qp_has_about_the_quality_of_hevc(tmp_path: Path, structure: str) -> None:
    source = tmp_path / "a.mkv"
    tinct.decode(str(find_sample_clip("carphone_pristine.mp4")), str(source), duration_seconds=1.0)
    luma_db = {}
    for base in LIBRARY_BASES:
        options = {"structure": structure, "qp": 32, "colour": "in-band"}
        report = encode(source, tmp_path / f"{base}.mkv", base, **options)
        assert report.psnr is not None
        luma_db[base] = report.psnr[0].mean_db
    assert max(luma_db.values()) - min(luma_db.values()) < 2.5, luma_db


@pytest.mark.parametrize(("word", "location"), [("paldv", "topleft"), ("jpeg", "center")])
@pytest.mark.parametrize("base", LIBRARY_BASES)
def test_where_chroma_lies_comes_along(tmp_path: Path, base: str, word: str, location: str) -> None:
    head = b"YUV4MPEG2 W64 H48 F25:1 C420%s\n" % word.encode()
    (tmp_path / "a.y4m").write_bytes(head + 3 * (b"FRAME\n" + bytes(range(64)) * 72))
    report = encode(tmp_path / "a.y4m", tmp_path / "b.mkv", base)
    found = open_source(str(tmp_path / "b.mkv")).info.chroma_location
    assert found == location
    assert not any(location in note for note in report.notes)


@pytest.mark.parametrize("base", NEW)
def test_a_bitrate_and_a_crf_act(tmp_path: Path, base: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=50, size=(96, 80))
    sizes = [
        encode(tmp_path / "a.mkv", tmp_path / f"{number}.mkv", base, **options).size_bytes
        for number, options in enumerate(
            [{"crf": 20.0}, {"crf": 45.0}, {"bitrate_kbps": 300.0}, {"bitrate_kbps": 60.0}]
        )
    ]
    assert sizes[0] > 1.5 * sizes[1]
    assert sizes[2] > 1.5 * sizes[3]


@pytest.mark.parametrize("base", NEW)
def test_every_option_of_the_library_acts(base: str) -> None:
    """SVT-AV1 passes over options that it does not know: what acts shows in the bytes."""
    about = make_info(96, 80)
    frames = make_frames(draw_clip(24, 96, 80), about)

    def code(**changes: Any) -> bytes:
        usual: dict[str, Any] = {"structure": "random-access", "qp": 32, "preset": "8"}
        if base == "avc":
            usual["preset"] = "fast"
        settings = BaseSettings(base=base, info=about, **usual | changes)
        encoder = PictureEncoder(settings, (80, 96), grey=False)
        packets = [p for f in frames for p in encoder.encode((f.y, f.cb, f.cr), f.pts)]
        return b"".join(packet.data for packet in packets + encoder.flush())

    usual = code()
    assert code() == usual
    for change in (
        {"structure": "intra"},
        {"structure": "low-delay"},
        {"qp": 33},
        {"qp": None, "crf": 20.5},
        {"qp": None, "bitrate_kbps": 50},
        {"preset": "10" if base == "av1" else "slow"},
        {"tune": "ssim"},
    ):
        assert code(**change) != usual, change


def test_a_nominal_qp_becomes_a_crf() -> None:
    """Golden values: points of the table, between two of them, and beyond its ends."""
    crfs = [map_qp(qp, "intra") for qp in (0, 22, 24, 32, 42, 45, 51)]
    assert crfs == [1, 14.75, 18.75, 34.25, 50, 54.75, 64]
    predicted = [map_qp(qp, "random-access") for qp in (22, 27, 32, 37, 51)]
    assert predicted == [33.5, 49.5, 59, 62.5, 70]


def test_x264_does_not_sign_every_file(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=3)
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", "avc")
    assert b"x264" not in (tmp_path / "b.mkv").read_bytes()


def test_svt_av1_prints_nothing(tmp_path: Path) -> None:
    """Neither in the command's process nor in those of a batch."""
    (tmp_path / "in").mkdir()
    write_clip(tmp_path / "in" / "a.mkv", frames=3)
    options = ("--base", "av1", "--structure", "random-access", "--quiet")
    done = run("encode", tmp_path / "in" / "a.mkv", tmp_path / "b.mkv", *options)
    assert (done.returncode, done.stderr) == (0, b"")
    done = run("batch", tmp_path / "in", tmp_path / "out", *options)
    assert (done.returncode, b"Svt" in done.stderr + done.stdout) == (0, False)


@pytest.mark.parametrize("base", NEW)
def test_a_lost_packet_is_counted_and_its_frames_are_concealed(tmp_path: Path, base: str) -> None:
    """The size is odd, so that the file has a manifest, which counts its frames."""
    write_clip(tmp_path / "a.mkv", frames=20, size=(65, 47))
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", base, structure="low-delay", colouriser="none")

    def drop(track: str, number: int, data: bytes) -> bytes | None:
        return None if number == 10 else data

    remux(tmp_path / "b.mkv", tmp_path / "c.mkv", packet=drop)
    video = tinct.open(str(tmp_path / "c.mkv"))
    frames = list(video)
    assert video.damage
    assert len(frames) + video.damage.missing_frames == 20
    whole = list(tinct.open(str(tmp_path / "b.mkv")))
    assert all(np.array_equal(a.y, b.y) for a, b in zip(frames[:10], whole[:10], strict=True))
    assert measure_psnr(frames[10].y, whole[10].y) > 15


# ── luma and colour on tracks of their own ───────────────────────────────────────────────────────


def encode_tracks(source: Path, target: Path, base: str, **options: Any) -> tinct.EncodeReport:
    usual = {"structure": "intra", "colour": "track", "colouriser": "none", "group": 4}
    return encode(source, target, base, **{**usual, **options})


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["track", "in-band"])
def test_pictures_of_h264_are_steered_to_a_bitrate(tmp_path: Path, colour: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=120, size=(96, 80))
    for kbps in (150.0, 400.0):
        target = tmp_path / f"{kbps}.mkv"
        options: dict[str, Any] = {"colour": colour, "group": "auto", "bitrate_kbps": kbps}
        report = encode_tracks(tmp_path / "a.mkv", target, "avc", **options)
        found = (report.luma_bytes + report.colour_bytes) * 8 / 1000 / (120 / 25)
        assert 0.9 * kbps < found < 1.1 * kbps
        assert tinct.verify(str(target), str(tmp_path / "a.mkv")).psnr == report.psnr


def test_a_blind_encode_in_h264_is_whole(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=25, size=(96, 80))
    options: dict[str, Any] = {"search": "off", "colouriser": "auto", "group": "auto"}
    encode_tracks(tmp_path / "a.mkv", tmp_path / "b.mkv", "avc", **options)
    check = tinct.verify(str(tmp_path / "b.mkv"), str(tmp_path / "a.mkv"))
    assert check.whole
    assert check.psnr is not None
    assert 35 < check.psnr[0].mean_db < 44


@pytest.mark.parametrize("size", [(64, 48), (35, 33)])
@pytest.mark.parametrize("base", ["hevc", "avc"])
def test_other_programs_show_grey_luma(tmp_path: Path, base: str, size: tuple[int, int]) -> None:
    """Threads or none, and as grey: chroma is absent or flat."""
    write_clip(tmp_path / "a.mkv", frames=9, size=size)
    encode_tracks(tmp_path / "a.mkv", tmp_path / "b.mkv", base)
    shown = {frame.pts: frame.y for frame in tinct.open(str(tmp_path / "b.mkv"))}
    manifest = read_file_manifest(str(tmp_path / "b.mkv"))
    assert manifest is not None
    for threads in ("NONE", "SLICE", "FRAME"):
        with av.open(str(tmp_path / "b.mkv")) as container:
            container.streams.video[0].thread_type = threads
            pictures = {
                round(frame.pts / 40): from_av_frame(frame) for frame in container.decode(video=0)
            }
        assert set(pictures) == set(shown) - set(manifest.interpolated)
        for pts, (luma, *chroma) in pictures.items():
            assert np.array_equal(luma[: size[1], : size[0]], shown[pts])
            assert all(np.ptp(plane) == 0 for plane in chroma)


def test_hdr_of_tracks_comes_along(tmp_path: Path) -> None:
    colour = ColourTags(primaries=9, transfer=16, matrix=9, full_range=False)
    write_hdr(tmp_path / "a.mkv", make_info(64, 48, colour=colour, bit_depth=10))
    given = open_source(str(tmp_path / "a.mkv")).info
    for number, form in enumerate(("chroma", "full")):
        target = tmp_path / f"{number}.mkv"
        encode_tracks(tmp_path / "a.mkv", target, "avc", key_form=form)
        with av.open(str(target)) as container:
            assert len(container.streams.video) == 2
        found = tinct.open(str(target)).info
        assert (found.colour, found.hdr) == (given.colour, given.hdr)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--base", "av1", "--colour", "track"), "--base av1 needs --colour in-band"),
        (("--base", "av1", "--key-form", "full", "--group", "6"), "needs --colour in-band"),
        (("--base", "avc", "--key-form", "full"), "--key-form full needs a fixed --group"),
        (("--base", "avc", "--colour", "track", "--crf", "30"), "--crf needs --colour in-band"),
        (("--base", "avc", "--colouriser", "compact"), "needs --base av1 or hevc"),
        (("--base", "av1", "--base-preset", "slow"), "none of --base av1, which has 0, 1, 2"),
        (("--base", "avc", "--base-preset", "6"), "none of --base avc, which has ultrafast"),
        (("--base", "av1", "--x265-preset", "slow"), "--x265-preset needs --base hevc"),
        (("--base", "avc", "--crf", "60", "--colour", "in-band"), "--crf 60 needs --base av1"),
        (("--base", "avc", "--qp", "0"), "--base avc needs a QP of 1 or more"),
        (("--base", "vvc"), "expected one of auto, hevc, avc, av1, hm; found vvc"),
        (("--base", "vp9"), "expected one of auto, hevc, avc, av1, hm; found vp9"),
    ],
)
def test_what_a_codec_cannot_do_is_refused(
    clip_path: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = run("encode", clip_path, tmp_path / "a.mkv", *options)
    assert message in read_message(done, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_track_of_another_codec_is_refused(tmp_path: Path) -> None:
    """Luma and colour in AV1 are no layout: its pictures are not grey."""
    write_clip(tmp_path / "a.mkv", frames=5, size=(65, 47))
    encode(tmp_path / "a.mkv", tmp_path / "b.mkv", "av1", colouriser="none")

    def change(manifest: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in manifest.items() if key != "layout"}

    path = change_manifest(tmp_path / "b.mkv", tmp_path / "c.mkv", change)
    found = read_message(run("decode", path, tmp_path / "d.mkv"), 2)
    assert "expected HEVC or H.264 in track luma, found av1" in found
    assert not (tmp_path / "d.mkv").exists()


def test_tracks_of_two_codecs_are_refused(tmp_path: Path) -> None:
    """Each would do alone."""
    write_clip(tmp_path / "a.mkv", frames=9)
    for base in ("hevc", "avc"):
        encode_tracks(tmp_path / "a.mkv", tmp_path / f"{base}.mkv", base)
    with (
        av.open(str(tmp_path / "hevc.mkv")) as hevc,
        av.open(str(tmp_path / "avc.mkv")) as avc,
        av.open(str(tmp_path / "b.mkv"), "w") as out,
    ):
        (manifest,) = (stream for stream in hevc.streams if stream.type == "attachment")
        out.add_attachment(manifest.name, "application/json", manifest.data)
        copies = []
        for number, given in enumerate((hevc, avc)):
            copy = out.add_stream_from_template(given.streams.video[number], opaque=True)
            copy.metadata["title"] = given.streams.video[number].metadata["title"]
            copies.append(copy)
        for number, given in enumerate((hevc, avc)):
            for packet in given.demux(video=number):
                if packet.pts is not None:
                    packet.stream = copies[number]
                    out.mux(packet)
    found = read_message(run("decode", tmp_path / "b.mkv", tmp_path / "c.mkv"), 2)
    assert "expected all tracks in one codec, found HEVC and H.264" in found


def test_tracks_that_are_not_as_grey_as_the_layout_are_refused(tmp_path: Path) -> None:
    """FFmpeg decodes grey H.264 as 4:2:0: what it is stands in the header alone."""
    write_clip(tmp_path / "a.mkv", frames=9)
    encode_tracks(tmp_path / "a.mkv", tmp_path / "b.mkv", "avc")

    def change_to(layout: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda manifest: {**manifest, "layout": layout}

    for layout, track in (("full", "colour"), ("in-band", "luma")):
        path = change_manifest(tmp_path / "b.mkv", tmp_path / "c.mkv", change_to(layout))
        found = read_message(run("decode", path, tmp_path / "d.mkv"), 2)
        assert f"expected other pixels in track {track} for layout {layout}" in found
        assert "found yuv420p, grey" in found


def test_an_encoder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """The program has PyAV without SVT-AV1."""
    write_clip(tmp_path / "a.mkv", frames=3)
    program = """
import dataclasses, tinct
from tinct.bitstream import base
row = base.BASES["av1"]
base.BASES["av1"] = dataclasses.replace(row, library="libnothing")
from tinct.cli.app import main
import sys
sys.argv = ["tinct", "encode", "--base", "av1", "--structure", "low-delay", "a.mkv", "b.mkv"]
main()
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path)
    assert "this PyAV has no encoder libnothing" in read_message(done, 2)
    assert not (tmp_path / "b.mkv").exists()
