"""Round trips: decoded frames are what the encoder measured, and close to the source.

`test_damage` decodes damaged files.
"""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import (
    SHARED_CLIPS,
    assert_same_frames,
    find_sample_clip,
    leave_to_nightly,
    measure_psnr,
    read_attachments,
    read_message,
    read_track_packets,
    run,
)
from synthetic import Planes, draw_clip, make_info, write_clip, write_video

import tinct
from tinct.bitstream.container import read_file_manifest
from tinct.frames import ColourTags, Frame
from tinct.media.source import open_source
from tinct.psnr import Psnr

# Every combination of structure and colour, and others.
LAYOUTS: dict[str, dict[str, Any]] = {
    f"{structure}-{name}": {"structure": structure, **options}
    for structure, (name, options) in product(
        ("intra", "low-delay", "random-access"),
        {
            "auto": {"colour": "auto"},
            "track": {"colour": "track", "adapt": "off"},
            "group": {"colour": "track", "group": 4, "adapt": "off"},
            "compatible": {"colour": "track", "compatible": True, "adapt": "off"},
            "in-band": {"colour": "in-band"},
        }.items(),
    )
} | {
    "intra-full": {"colour": "track", "key_form": "full", "group": 6},
    "intra-step": {"colour": "track", "group": 12, "interpolate": 3, "adapt": "off"},
    "intra-hints": {"colour": "track", "hints": "on", "adapt": "off"},
    "intra-hints-none": {"colour": "track", "hints": "on", "colouriser": "none", "group": 12},
    "intra-hints-full": {"key_form": "full", "hints": "on", "group": 6, "interpolate": 3},
    "low-delay-hints": {"structure": "low-delay", "colour": "track", "hints": "on"},
    "intra-none": {"colour": "track", "colouriser": "none"},
    "intra-none-off": {"colour": "track", "colouriser": "none", "interpolate": "off"},
    "intra-full-2": {"colour": "track", "key_form": "full", "group": 2},
    "intra-boost": {"colour": "track", "key_boost": 8, "adapt": "off"},
    "intra-full-boost": {"colour": "track", "key_form": "full", "group": 6, "key_boost": 10},
    "intra-avc-auto": {"structure": "intra", "base": "avc"},
    "intra-avc-track": {"base": "avc", "colour": "track", "adapt": "off"},
    "intra-avc-none": {"base": "avc", "colour": "track", "colouriser": "none"},
    "intra-avc-best": {"base": "avc", "colour": "track", "network": "best", "group": 4},
    "intra-avc-step": {"base": "avc", "colour": "track", "group": 12, "interpolate": 3},
    "intra-avc-compatible": {"base": "avc", "colour": "track", "compatible": True},
    "intra-avc-hints": {"base": "avc", "colour": "track", "hints": "on", "colouriser": "none"},
    "intra-avc-full": {"base": "avc", "key_form": "full", "group": 6},
    "intra-avc-boost": {"base": "avc", "colour": "track", "key_boost": 16},
    "low-delay-avc-track": {"structure": "low-delay", "base": "avc", "colour": "track"},
    "random-access-avc-track": {"structure": "random-access", "base": "avc", "colour": "track"},
    "intra-crf": {"structure": "intra", "base": "hevc", "crf": 30.0},
    "low-delay-crf": {"structure": "low-delay", "base": "hevc", "crf": 31.0},
    "random-access-av1-crf": {"structure": "random-access", "crf": 40.0},
    "intra-bitrate": {"bitrate_kbps": 120.0, "colour": "track", "colouriser": "none"},
    "intra-bitrate-in-band": {"structure": "intra", "bitrate_kbps": 120.0, "colour": "in-band"},
    "random-access-bitrate": {
        "structure": "random-access",
        "bitrate_kbps": 120.0,
        "colour": "track",
    },
}
# One of each kind: the others run at night.
USUAL_LAYOUTS = [
    *("intra-track", "intra-full", "intra-bitrate"),
    *("low-delay-crf", "random-access-track", "random-access-in-band"),
    "intra-avc-track",
]
SIZES = [(1, 1), (2, 2), (17, 33), (64, 48), (95, 64)]
FORMATS = {8: "yuv420p", 10: "yuv420p10le"}
# Bounds of the PSNR of the synthetic scene. Colour depends on how well propagation carries it.
QP_32_DB = (35.5, 42.0)  # luma at QP 32, in any structure
COLOUR_DB = (25.0, 66.0)  # chroma at QP 32
RATE_DB = (44.0, 62.0)  # luma at 120 kbit/s, which is QP 0 to 7
RATE_COLOUR_DB = (25.0, 70.0)  # chroma at 120 kbit/s


def encode_and_check(
    source: Path, target: Path, **options: Any
) -> tuple[tinct.EncodeReport, list[Frame]]:
    """Encode and decode a video, and return the report and the frames.

    Check what holds of every encode: the decoded frames have the PSNR that the encoder reports.
    """
    report = tinct.encode(str(source), str(target), tinct.EncodeConfig(**options))
    video = tinct.open(str(target))
    found = list(video)
    assert not video.damage
    assert report.size_bytes == target.stat().st_size
    assert report.frames == len(found)
    check = tinct.verify(str(target), str(source))
    assert check.whole
    assert check.psnr is not None
    pairs = list(zip(report.psnr, check.psnr, strict=True))
    assert all(is_close(*pair) for pair in pairs), pairs
    return report, found


def is_close(a: Psnr, b: Psnr) -> bool:
    return abs(a.mean_db - b.mean_db) < 1e-9 and abs(a.pooled_db - b.pooled_db) < 1e-9


def assert_between(
    psnr: tuple[Psnr, Psnr, Psnr], luma_db: tuple[float, float], colour_db: tuple[float, float]
) -> None:
    for plane, (low, high) in zip(psnr, (luma_db, colour_db, colour_db), strict=True):
        assert low < plane.mean_db < high, psnr
        assert low < plane.pooled_db < high, psnr


@pytest.fixture(scope="module", params=FORMATS)
def small_clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "a.mkv"
    write_clip(path, frames=13, pix_fmt=FORMATS[request.param])
    return path


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_shows_what_the_encoder_measured(
    small_clip: Path, tmp_path: Path, layout: str
) -> None:
    options = LAYOUTS[layout]
    report, found = encode_and_check(small_clip, tmp_path / "a.mkv", **options)
    bounds = (RATE_DB, RATE_COLOUR_DB) if "bitrate_kbps" in options else (QP_32_DB, COLOUR_DB)
    assert_between(report.psnr, *bounds)
    manifest = read_file_manifest(str(tmp_path / "a.mkv"))
    assert report.plan.layout == (manifest.layout if manifest else "in-band")
    if options.get("colour") == "track":
        assert report.plan.layout == options.get("key_form", "chroma")
    assert [f.pts for f in found] == list(range(13))
    # The report's PSNR must agree with one that is computed here.
    source = list(open_source(str(small_clip)))
    peak = 255 << (source[0].info.bit_depth - 8)
    ours = np.mean([measure_psnr(f.y, s.y, peak) for f, s in zip(found, source, strict=True)])
    assert abs(ours - report.psnr[0].mean_db) < 1e-4


# Least PSNR of luma and colour in tiny pictures.
TINY_DB = {"hevc": (30, 27), "avc": (30, 27), "av1": (25, 20)}
SIZED = {
    "auto": {},
    "track": {"colour": "track", "adapt": "off"},
    "full": {"colour": "track", "key_form": "full", "group": 6},
    "in-band": {"colour": "in-band"},
    "random-access": {"structure": "random-access", "colour": "track"},
    "compatible": {"structure": "low-delay", "colour": "track", "compatible": True},
    "avc": {"base": "avc", "colour": "track"},
    "avc-full": {"base": "avc", "key_form": "full", "group": 6},
    "avc-random-access": {"base": "avc", "structure": "random-access", "colour": "track"},
}


@pytest.mark.slow
@pytest.mark.parametrize("count", leave_to_nightly([1, 2, 7], but=[1, 7]))
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_odd_tiny_and_short_videos_come_back_in_full(
    tmp_path: Path, size: tuple[int, int], count: int
) -> None:
    for depth, pix_fmt in FORMATS.items():
        write_clip(tmp_path / f"a{depth}.mkv", frames=count, size=size, pix_fmt=pix_fmt)
    for (name, options), depth in product(SIZED.items(), FORMATS):
        if name != "auto" and depth == 10 and count == 7:
            continue
        report, found = encode_and_check(
            tmp_path / f"a{depth}.mkv", tmp_path / f"{name}{depth}.mkv", **options
        )
        assert {f.y.shape for f in found} == {size[::-1]}
        assert {f.info.bit_depth for f in found} == {depth}
        assert [f.pts for f in found] == list(range(count))
        luma_db, colour_db = TINY_DB[report.config.base]
        assert luma_db < report.psnr[0].mean_db <= 100, name
        assert min(p.mean_db for p in report.psnr) > colour_db, name


@pytest.mark.slow
@pytest.mark.parametrize("depth", FORMATS)
def test_full_range_comes_back_as_it_was(tmp_path: Path, depth: int) -> None:
    tags = ColourTags(1, 1, 1, True)
    write_clip(tmp_path / "a.mkv", frames=5, pix_fmt=FORMATS[depth], colour=tags)
    layouts = ("intra-track", "intra-in-band", "intra-full", "intra-avc-track", "intra-avc-full")
    for options in map(LAYOUTS.__getitem__, layouts):
        report, found = encode_and_check(tmp_path / "a.mkv", tmp_path / "b.mkv", **options)
        assert found[0].info.colour == tags
        assert_between(report.psnr, QP_32_DB, COLOUR_DB)
        (tmp_path / "b.mkv").unlink()


TIMES = [0, 40, 73, 120, 121, 300, 1000, 1017, 1500, 1999, 2500]


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout",
    [
        *("intra-track", "intra-full", "intra-in-band"),
        *("random-access-track", "random-access-in-band"),
        *("intra-avc-track", "intra-avc-full"),
    ],
)
def test_variable_times_come_back_to_the_millisecond(tmp_path: Path, layout: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=len(TIMES), vfr=TIMES)
    _, found = encode_and_check(tmp_path / "a.mkv", tmp_path / "b.mkv", **LAYOUTS[layout])
    assert [f.pts for f in found] == TIMES
    assert found[0].info.frame_rate is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "rate",
    leave_to_nightly(
        [Fraction(30000, 1001), Fraction(24), Fraction(15, 2), Fraction(120)],
        but=[Fraction(30000, 1001), Fraction(15, 2)],
    ),
    ids=str,
)
@pytest.mark.parametrize("layout", ["intra-track", "random-access-in-band"])
def test_constant_rates_are_exact(tmp_path: Path, rate: Fraction, layout: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=40, rate=rate)
    _, found = encode_and_check(tmp_path / "a.mkv", tmp_path / "b.mkv", **LAYOUTS[layout])
    assert [f.pts for f in found] == list(range(40))
    assert found[0].info.frame_rate == rate


@pytest.mark.slow
@pytest.mark.parametrize("layout", leave_to_nightly(LAYOUTS, but=USUAL_LAYOUTS))
def test_the_same_encode_gives_the_same_bytes(clip_path: Path, tmp_path: Path, layout: str) -> None:
    made = []
    for name in ("a.mkv", "b.mkv"):
        tinct.encode(str(clip_path), str(tmp_path / name), tinct.EncodeConfig(**LAYOUTS[layout]))
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]


@pytest.mark.slow
def test_another_process_decodes_the_same_pixels(tinct_path: Path, tmp_path: Path) -> None:
    result = run("decode", tinct_path, tmp_path / "a.mkv", "--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert_same_pixels(
        list(open_source(str(tmp_path / "a.mkv"))), list(tinct.open(str(tinct_path)))
    )


def assert_same_pixels(found: list[Frame], expected: list[Frame]) -> None:
    """Compare as `assert_same_frames` does, but for times."""
    assert_same_frames(
        [replace(f, pts=n) for n, f in enumerate(found)],
        [replace(f, pts=n) for n, f in enumerate(expected)],
    )


@pytest.mark.slow
def test_another_process_encodes_the_same_bytes(
    clip_path: Path, tinct_path: Path, tmp_path: Path
) -> None:
    options = ("--colour", "track", "--group", 8, "--colouriser", "none", "--quiet")
    result = run("encode", clip_path, tmp_path / "a.mkv", *options)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert (tmp_path / "a.mkv").read_bytes() == tinct_path.read_bytes()


# ── plain HEVC ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_plain_hevc_has_no_byte_of_tinct(plain_path: Path, tmp_path: Path) -> None:
    assert read_attachments(plain_path) == {}
    assert b"tinct" not in plain_path.read_bytes().lower()
    result = run("decode", plain_path, tmp_path / "a.mkv")
    assert "no Tinct in it: its 40 frames are written as they are" in read_message(result, 0)
    assert_same_pixels(
        list(open_source(str(tmp_path / "a.mkv"))), list(tinct.open(str(plain_path)))
    )


def test_in_band_at_an_odd_size_says_what_to_crop(tmp_path: Path) -> None:
    """A manifest with the true size stands beside plain HEVC of an odd size, and nothing else."""
    write_clip(tmp_path / "a.mkv", frames=2, size=(63, 48))
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), tinct.EncodeConfig(base="hevc"))
    assert read_attachments(tmp_path / "b.mkv") == {
        "tinct.json": b'{"tinct":1,"layout":"in-band","size":[63,48],"rate":[25,1],"frames":2}'
    }


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["intra", "low-delay", "random-access"])
def test_where_nothing_pays_the_file_is_plain_hevc_to_the_byte(
    tmp_path: Path, structure: str
) -> None:
    # Blocks of random levels make every frame a cut.
    """Where neither colour track nor network saves bits, the file equals plain HEVC."""
    noise = np.random.default_rng(1).integers(0, 256, (30, 6, 8), np.uint8)
    flat = np.full((24, 32), 128, np.uint8)
    planes: list[Planes] = [(np.kron(y, np.ones((8, 8), np.uint8)), flat, flat) for y in noise]
    write_video(tmp_path / "a.mkv", planes, make_info())
    for colour in ("auto", "in-band"):
        config = tinct.EncodeConfig(structure=structure, colour=colour)  # type: ignore[arg-type]
        report = tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / f"{colour}.mkv"), config)
        assert not report.tinct
    assert (tmp_path / "auto.mkv").read_bytes() == (tmp_path / "in-band.mkv").read_bytes()


def test_full_key_frames_alone_are_plain_hevc(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=1)
    report = tinct.encode(
        str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), tinct.preset("paper", colouriser="none")
    )
    assert not report.tinct
    config = tinct.EncodeConfig(structure="intra", colour="in-band")
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "c.mkv"), config)
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "c.mkv").read_bytes()


# ── cuts ──────────────────────────────────────────────────────────────────────────────────────────

CUT_LAYOUTS = [
    *("intra-track", "intra-group", "intra-compatible", "intra-in-band", "intra-full"),
    *("low-delay-track", "random-access-track", "random-access-group"),
    *("random-access-in-band", "low-delay-in-band"),
    *("intra-avc-track", "intra-avc-full", "intra-avc-step", "random-access-avc-track"),
]


def find_first(seconds: float, rate: Fraction) -> int:
    """Return the number of the first frame at this time or later."""
    return int(np.ceil(round(seconds * float(rate), 6)))


def assert_cuts_are_slices(path: Path, cuts: list[tuple[float, float | None]]) -> None:
    whole = list(tinct.open(str(path)))
    rate = whole[0].info.frame_rate
    assert rate is not None
    for start, duration in cuts:
        first = find_first(start, rate)
        last = len(whole) if duration is None else find_first(start + duration, rate)
        video = tinct.open(str(path), start_seconds=start, duration_seconds=duration)
        found = list(video)
        wanted = [replace(f, pts=n) for n, f in enumerate(whole[first:last])]
        assert_same_frames(found, wanted)
        assert not video.damage, (start, duration)
        assert video.info.frame_count == len(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout", leave_to_nightly(CUT_LAYOUTS, but=[*USUAL_LAYOUTS, "intra-in-band"])
)
def test_a_cut_gives_the_same_frames_as_the_whole(
    clip_path: Path, tmp_path: Path, layout: str
) -> None:
    tinct.encode(str(clip_path), str(tmp_path / "a.mkv"), tinct.EncodeConfig(**LAYOUTS[layout]))
    cuts = [(0.0, 0.2), (0.32, None), (0.5, 0.3), (0.68, 0.04), (1.2, 9.0), (1.56, None)]
    assert_cuts_are_slices(tmp_path / "a.mkv", cuts)


@pytest.mark.slow
@pytest.mark.parametrize("layout", leave_to_nightly(CUT_LAYOUTS, but=USUAL_LAYOUTS))
def test_a_cut_deep_in_a_long_video_gives_the_same_frames(
    long_clip: Path, tmp_path: Path, layout: str
) -> None:
    """A cut of a video of 27 s gives the same frames: colour starts at a later IDR picture."""
    tinct.encode(str(long_clip), str(tmp_path / "a.mkv"), tinct.EncodeConfig(**LAYOUTS[layout]))
    assert_cuts_are_slices(
        tmp_path / "a.mkv",
        [(0.3, 0.5), (9.0, 1.5), (10.0, 0.3), (19.95, 0.5), (24.0, 1.0), (26.5, None)],
    )


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """270 frames of 48x32 at 10 frames/s."""
    path = tmp_path_factory.mktemp("long") / "a.mkv"
    write_clip(path, frames=270, size=(48, 32), rate=10)
    return path


def test_a_cut_behind_the_end_is_refused(tinct_path: Path) -> None:
    with pytest.raises(tinct.CodecError, match=r"before the end at 1\.600 s, found 2"):
        tinct.open(str(tinct_path), start_seconds=2)


@pytest.mark.slow
def test_a_cut_of_a_variable_rate_keeps_the_distances(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=len(TIMES), vfr=TIMES)
    tinct.encode(
        str(tmp_path / "a.mkv"),
        str(tmp_path / "b.mkv"),
        tinct.EncodeConfig(colour="track", adapt="off"),
    )
    found = list(tinct.open(str(tmp_path / "b.mkv"), start_seconds=0.3, duration_seconds=1.5))
    assert [f.pts for f in found] == [t - 300 for t in TIMES if 300 <= t < 1800]


@pytest.mark.slow
@pytest.mark.parametrize(
    "structure", leave_to_nightly(["intra", "random-access"], but=["random-access"])
)
def test_a_cut_of_a_slow_video_reaches_back_far_enough(tmp_path: Path, structure: str) -> None:
    """A cut is decoded from a key frame and an intra picture that may be minutes before it.

    The video is a slide show after a start at 25 frames/s.
    """
    times = [*range(0, 4000, 40), *range(4000, 900_000, 30_000)]
    write_clip(tmp_path / "a.mkv", frames=len(times), size=(48, 32), vfr=times)
    config = tinct.EncodeConfig(structure=structure, colour="track", group=8)
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    whole = list(tinct.open(str(tmp_path / "b.mkv")))
    assert [f.pts for f in whole] == times
    for start in (3.0, 100.0, 500.0, 874.0):
        video = tinct.open(str(tmp_path / "b.mkv"), start_seconds=start)
        wanted = [
            replace(f, pts=f.pts - round(1000 * start)) for f in whole if f.pts >= 1000 * start
        ]
        assert_same_frames(list(video), wanted)
        assert not video.damage


@pytest.mark.slow
def test_a_cut_beside_an_intra_picture_gives_the_same_frames(tmp_path: Path) -> None:
    """Cuts near the intra pictures of x265's open groups give the same frames.

    Some pictures that follow such an intra picture in the file come before it in time.
    """
    write_clip(tmp_path / "a.mkv", frames=560, size=(96, 80))
    config = tinct.EncodeConfig(structure="random-access", colour="track", group=6)
    tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    entries = [
        round(p.pts / 40) for p in read_track_packets(tmp_path / "b.mkv", "luma") if p.is_keyframe
    ]
    assert len(entries) > 2
    assert_cuts_are_slices(
        tmp_path / "b.mkv",
        [(n / 25, 0.2) for entry in entries[1:] for n in range(entry - 8, entry + 9)],
    )


@pytest.mark.slow
def test_a_cut_of_a_video_that_starts_late_counts_from_the_files_start(tmp_path: Path) -> None:
    """Times of a cut count from the start of the file, also where sound starts before the video."""
    write_clip(tmp_path / "a.mkv", frames=30, delay=10, audio="flac")
    tinct.encode(
        str(tmp_path / "a.mkv"),
        str(tmp_path / "b.mkv"),
        tinct.EncodeConfig(colour="track", group=4),
    )
    whole = list(tinct.open(str(tmp_path / "b.mkv")))
    assert [f.pts for f in whole] == list(range(10, 40))
    cuts = [
        (0.0, 0.6, range(10, 15)),
        (0.2, None, range(5, 35)),
        (0.8, 0.4, range(10)),
        (1.4, 1.0, range(5)),
    ]
    for start, duration, wanted in cuts:
        video = tinct.open(str(tmp_path / "b.mkv"), start_seconds=start, duration_seconds=duration)
        assert [f.pts for f in video] == list(wanted), (start, duration)
        assert video.info.frame_count == len(wanted)
        assert not video.damage
    with pytest.raises(tinct.CodecError, match=r"the first is at 0\.400 s"):
        tinct.open(str(tmp_path / "b.mkv"), duration_seconds=0.4)


# ── other inputs and outputs ──────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("depth", leave_to_nightly(FORMATS, but=[10]))
def test_y4m_goes_through_pipes(tmp_path: Path, depth: int) -> None:
    write_clip(tmp_path / "a.mkv", frames=30, pix_fmt=FORMATS[depth])
    given = run("decode", tmp_path / "a.mkv", "-")
    assert given.returncode == 0
    assert given.stdout.startswith(b"YUV4MPEG2 W64 H48 F25:1 ")
    coded = run(
        *("encode", "-", tmp_path / "b.mkv", "--colour", "track", "--quiet"), given=given.stdout
    )
    assert (coded.returncode, coded.stdout, coded.stderr) == (0, b"", b"")
    back = run("decode", tmp_path / "b.mkv", "-")
    assert (back.returncode, back.stderr) == (0, b"")
    (tmp_path / "back.y4m").write_bytes(back.stdout)
    decoded = list(open_source(str(tmp_path / "back.y4m")))
    assert len(decoded) == 30
    pairs = zip(decoded, open_source(str(tmp_path / "a.mkv")), strict=True)
    luma_db = np.mean([measure_psnr(a.y, b.y, 255 << (depth - 8)) for a, b in pairs])
    assert QP_32_DB[0] < luma_db < QP_32_DB[1]


def test_a_folder_of_pictures_holds_the_frames(tinct_path: Path, tmp_path: Path) -> None:
    tinct.decode(str(tinct_path), str(tmp_path / "pictures"), start_seconds=1.0)
    found = sorted((tmp_path / "pictures").iterdir())
    assert [p.name for p in found] == [f"{n:06}.png" for n in range(15)]
    expected = list(tinct.open(str(tinct_path)))[25:]
    for path, frame in zip(found, expected, strict=True):
        assert np.array_equal(cv2.imread(str(path))[..., ::-1], frame.rgb())


def test_mp4_is_close_to_the_frames(tinct_path: Path, tmp_path: Path) -> None:
    tinct.decode(str(tinct_path), str(tmp_path / "a.mp4"))
    pairs = zip(open_source(str(tmp_path / "a.mp4")), tinct.open(str(tinct_path)), strict=True)
    assert 38 < np.mean([measure_psnr(a.y, b.y) for a, b in pairs]) < 60


@pytest.mark.slow
@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p10le", "bgr0", "gray"])
def test_other_formats_are_converted_and_said_so(tmp_path: Path, pix_fmt: str) -> None:
    write_clip(tmp_path / "a.mkv", frames=4, pix_fmt=pix_fmt)
    report, found = encode_and_check(tmp_path / "a.mkv", tmp_path / "b.mkv", colour="track")
    assert found[0].info.bit_depth == (10 if "10" in pix_fmt else 8)
    assert 35 < report.psnr[0].mean_db < 43
    assert any("converted to" in note for note in report.notes) == (pix_fmt != "gray")


@pytest.mark.slow
@pytest.mark.parametrize(
    "times", leave_to_nightly([None, range(0, 250 * 100, 100)], but=[range(0, 250 * 100, 100)])
)
def test_bitrate_is_met(tmp_path: Path, times: range | None) -> None:
    """The video tracks meet the bitrate within 5 %, at 25 frames/s and at 10 with uneven times."""
    uneven = [t + 7 * (n % 2) for n, t in enumerate(times)] if times else None
    write_clip(tmp_path / "a.mkv", frames=250, size=(96, 80) if times else (64, 48), vfr=uneven)
    config = tinct.EncodeConfig(
        colour="track",
        bitrate_kbps=150,
        adapt="off",
        colouriser="none" if times else "auto",
    )
    report = tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv"), config)
    kbps = (report.luma_bytes + report.colour_bytes) * 8 / 1000 / (25 if times else 10)
    assert 150 * 0.95 < kbps < 150 * 1.05


@pytest.mark.slow
def test_a_long_last_frame_is_no_obstacle(tmp_path: Path) -> None:
    times = [*range(0, 8000, 80), 500_000]
    write_clip(tmp_path / "a.mkv", frames=len(times), size=(48, 32), vfr=times)
    _, found = encode_and_check(tmp_path / "a.mkv", tmp_path / "b.mkv", colour="track")
    assert [f.pts for f in found] == times


def test_crf_0_is_nearly_lossless(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv")
    report, _ = encode_and_check(tmp_path / "a.mkv", tmp_path / "b.mkv", base="hevc", crf=0.0)
    assert 55 < report.psnr[0].mean_db < 75


@pytest.mark.slow
def test_opaque_alpha_is_no_loss(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", pix_fmt="yuva420p")
    report, _ = encode_and_check(tmp_path / "a.mkv", tmp_path / "b.mkv", colour="track")
    assert "transparency is left out" not in report.notes
    assert 35 < report.psnr[0].mean_db < 43


# ── real clips ────────────────────────────────────────────────────────────────────────────────────


def encode_plain(path: Path) -> tinct.EncodeReport:
    """Encode a video as plain all-intra HEVC."""
    config = tinct.EncodeConfig(structure="intra", colour="in-band")
    return tinct.encode(str(path), str(path.with_name("plain.mkv")), config)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", leave_to_nightly(["bikes.mp4", "carphone_pristine.mp4"], but=["bikes.mp4"])
)
def test_sample_clips_come_back_as_measured(tmp_path: Path, name: str) -> None:
    short = tmp_path / "short.mkv"
    tinct.decode(str(find_sample_clip(name)), str(short), duration_seconds=1.0)
    report, _ = encode_and_check(short, tmp_path / "a.mkv", structure="intra", colouriser="none")
    plain = encode_plain(short)
    # Luma is coded as plain HEVC codes it.
    assert abs(report.psnr[0].mean_db - plain.psnr[0].mean_db) < 0.3
    assert min(p.mean_db for p in report.psnr[1:]) > 33
    assert report.size_bytes <= plain.size_bytes * 1.01


@pytest.mark.nightly
def test_what_a_network_saves_on_a_sample_clip(tmp_path: Path) -> None:
    """The network saves 15 % of this clip; `test_plan` checks another."""
    short = tmp_path / "short.mkv"
    tinct.decode(str(find_sample_clip("carphone_pristine.mp4")), str(short), duration_seconds=1.0)
    plain = encode_plain(short)
    restored, _ = encode_and_check(short, tmp_path / "c.mkv", structure="intra", interpolate="off")
    assert restored.plan.colouriser == "compact"
    assert restored.size_bytes < plain.size_bytes * 0.85
    assert -4 < restored.psnr[0].mean_db - plain.psnr[0].mean_db < 1
    assert min(p.mean_db for p in restored.psnr[1:]) > 33


@pytest.mark.slow
@pytest.mark.skipif(not SHARED_CLIPS.is_dir(), reason="needs ../shared/clips")
@pytest.mark.parametrize(
    "name",
    leave_to_nightly(["mother_daughter.mp4", "scene_montage.mp4"], but=["scene_montage.mp4"]),
)
def test_real_clips_come_back_as_measured(tmp_path: Path, name: str) -> None:
    short = tmp_path / "short.mkv"
    tinct.decode(str(SHARED_CLIPS / name), str(short), duration_seconds=2.0)
    report, _ = encode_and_check(short, tmp_path / "a.mkv", colour="track", colouriser="none")
    plain = encode_plain(short)
    # Luma is coded as plain HEVC codes it.
    assert abs(report.psnr[0].mean_db - plain.psnr[0].mean_db) < 0.3
    assert min(p.mean_db for p in report.psnr[1:]) > 28
    assert len(read_track_packets(tmp_path / "a.mkv", "luma")) == report.frames


@pytest.mark.parametrize("size", [(67, 64), (64, 67), (201, 99), (65, 97)])
def test_lossless_output_takes_every_size(size: tuple[int, int], tmp_path: Path) -> None:
    """Lossless output works at odd sizes, at some of which FFV1 refuses four slices."""
    planes = draw_clip(2, *size)
    write_video(tmp_path / "a.mkv", planes, make_info(*size))
    for (y, _, _), frame in zip(planes, tinct.open(str(tmp_path / "a.mkv")), strict=True):
        assert np.array_equal(y, frame.y)
