"""The page of one file: its figures are those of the packets and frames, in every layout."""

import base64
import gc
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from browser import list_cut, needs_chromium, open_page
from helpers import measure_psnr, read_message, read_track_packets, remux, run
from synthetic import write_clip

import tinct
from tinct.errors import CodecError
from tinct.filepage.api import write_page
from tinct.frames import Frame

MakeOnce = Callable[[str, Callable[[Path], None]], Path]
NETWORK = {"colouriser": "compact", "qp": 37}
TRACK = {"colour": "track", "group": 8, "colouriser": "none", "x265_preset": "ultrafast"}
LAYOUTS: dict[str, dict[str, Any]] = {
    "chroma": {**TRACK, "interpolate": 4},
    "hints": {**TRACK, "hints": "on", "interpolate": "off"},
    "full": {**TRACK, "key_form": "full", "interpolate": "off"},
    "av1": {"base": "av1", **NETWORK},
    "hevc": {"base": "hevc", "structure": "random-access", "network": "best", **NETWORK},
    "avc": {"base": "avc"},
}
TINCT = ("chroma", "hints", "full", "av1", "hevc")
TRACKS = ("chroma", "hints", "full")


@pytest.fixture(scope="session")
def coded_paths(clip_path: Path, make_once: MakeOnce) -> dict[str, Path]:
    """The clip in every layout, by its name in LAYOUTS."""

    def make(folder: Path) -> None:
        for name, options in LAYOUTS.items():
            target = str(folder / f"{name}.mkv")
            tinct.encode(str(clip_path), target, tinct.EncodeConfig(**options))

    folder = make_once("layouts", make)
    return {name: folder / f"{name}.mkv" for name in LAYOUTS}


@pytest.fixture(scope="session")
def pages(clip_path: Path, coded_paths: dict[str, Path], make_once: MakeOnce) -> dict[str, Path]:
    """The page of each file, with the clip as its source."""

    def make(folder: Path) -> None:
        for name, path in coded_paths.items():
            write_page(str(path), str(folder / f"{name}.html"), source=str(clip_path))

    folder = make_once("pages", make)
    return {name: folder / f"{name}.html" for name in LAYOUTS}


def read_data(page: Path) -> dict[str, Any]:
    """Return the JSON that a page draws from."""
    pattern = r'<script type="application/json" id="data">(.*?)</script>'
    found = re.search(pattern, page.read_text(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def decode_picture(data: dict[str, Any], number: int, title: str) -> np.ndarray:
    """Return the picture of a frame whose title begins so, R'G'B'."""
    images = next(one["images"] for one in data["pictures"] if one["number"] == number)
    coded = next(one["src"] for one in images if one["title"].startswith(title))
    raw = np.frombuffer(base64.b64decode(coded.partition(",")[2]), np.uint8)
    return cv2.imdecode(raw, cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_bytes_add_up(name: str, coded_paths: dict[str, Path], pages: dict[str, Path]) -> None:
    """Parts to the file's size; frames to the parts, and to the packets as PyAV has them."""
    data, size = read_data(pages[name]), coded_paths[name].stat().st_size
    parts = {part["name"]: part["bytes"] for part in data["parts"]}
    assert data["size"] == size == sum(parts.values())
    frames = {part: sum(sizes) for part, sizes in data["frames"]["bytes"].items()}
    assert frames == {part: parts[part] for part in frames}
    with av.open(str(coded_paths[name])) as container:
        packets = sum(p.size for p in container.demux(*container.streams.video))
    assert sum(frames.values()) == packets
    kinds = [group["bytes"] for group in data["groups"] if group["name"] in data["kinds"]]
    assert sum(kinds) == packets


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACKS)
def test_packets_stand_at_their_frames(
    name: str, coded_paths: dict[str, Path], pages: dict[str, Path]
) -> None:
    """At 25 frames/s a packet's time in milliseconds is 40 times its frame's number."""
    frames = read_data(pages[name])["frames"]
    for part in ("luma", "colour"):
        packets = {p.pts // 40: p.size for p in read_track_packets(coded_paths[name], part)}
        assert frames["bytes"][part] == [packets.get(n, 0) for n in range(40)], part


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACKS)
def test_kinds_of_frames(name: str, coded_paths: dict[str, Path], pages: dict[str, Path]) -> None:
    data = read_data(pages[name])
    path = coded_paths[name]
    keys = {p.pts // 40 for p in read_track_packets(path, "colour")}
    sent = {p.pts // 40 for p in read_track_packets(path, "luma")}
    expected = [0 if n in keys else 1 if n in sent else 2 for n in range(40)]
    assert list(map(int, data["frames"]["kinds"])) == expected
    entries = [p.pts // 40 for p in read_track_packets(path, "colour") if p.is_keyframe]
    assert data["frames"]["entries"] == entries
    assert data["frames"]["seconds"] == [n / 25 for n in range(40)]
    if name == "chroma":
        assert 2 in expected, "there are interpolated frames"


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_quality_is_that_of_the_frames(
    name: str, clip_path: Path, coded_paths: dict[str, Path], pages: dict[str, Path]
) -> None:
    """By frame as computed here, on the whole as `verify` has it; the worst is the lowest in Y."""
    data = read_data(pages[name])
    pairs = list(zip(tinct.open(str(coded_paths[name])), tinct.open(str(clip_path)), strict=True))
    psnr = data["frames"]["psnr"]
    for plane, attribute in (("Y", "y"), ("U", "cb"), ("V", "cr")):
        expected = [measure_psnr(getattr(a, attribute), getattr(b, attribute)) for a, b in pairs]
        assert psnr[plane] == pytest.approx(expected, abs=0.0051), plane
    verified = tinct.verify(str(coded_paths[name]), str(clip_path)).psnr
    assert verified is not None
    for found, one in zip(data["quality"]["planes"].values(), verified, strict=True):
        assert found == pytest.approx([one.mean_db, one.pooled_db], abs=1e-3)
    assert psnr["Y"][data["quality"]["worst"]] == min(psnr["Y"])
    assert [one["number"] for one in data["pictures"] if one["worst"]] == [data["quality"]["worst"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("chroma", "luma alone, so grey"),
        ("hints", "coarse colour"),
        ("full", "none of the 5 key frames"),
        ("av1", "Tinct's decoder restores them"),
        ("hevc", "Tinct's decoder restores them"),
        ("avc", "There is no Tinct in this file"),
    ],
)
def test_what_other_players_show(name: str, words: str, pages: dict[str, Path]) -> None:
    data = read_data(pages[name])
    assert words in data["words"][0]
    facts = dict(data["facts"])
    assert facts["kind"].startswith("Tinct" if name in TINCT else "no Tinct in it")


@pytest.mark.slow
def test_pictures_are_those_of_the_decoders(
    clip_path: Path, coded_paths: dict[str, Path], pages: dict[str, Path]
) -> None:
    """Other players show the sent frame before an interpolated one, in grey."""
    data = read_data(pages["chroma"])
    kinds = data["frames"]["kinds"]
    numbers = [one["number"] for one in data["pictures"]]
    assert {kinds[n] for n in numbers} == set("012"), "a frame of each kind"
    decoded = list(tinct.open(str(coded_paths["chroma"])))
    source = list(tinct.open(str(clip_path)))
    with av.open(str(coded_paths["chroma"])) as container:
        luma = {f.pts // 40: f.to_ndarray(format="gray") for f in container.decode(video=0)}
    for n in numbers:
        # WebP halves the colour's resolution
        assert measure_psnr(decode_picture(data, n, "as Tinct"), decoded[n].rgb()) > 27
        assert measure_psnr(decode_picture(data, n, "source"), source[n].rgb()) > 27
        other = decode_picture(data, n, "as other players").astype(int)
        assert np.ptp(other, axis=-1).max() <= 4
        shown = luma[max(m for m in luma if m <= n)][:48, :64]
        levels = (shown.astype(float) - 16) * 255 / 219
        assert measure_psnr(other[..., 1], np.clip(levels, 0, 255)) > 30
        difference = decode_picture(data, n, "difference").astype(int)
        assert abs(difference.mean() - 128) < 10


def test_a_video_without_a_source(clip_path: Path, tmp_path: Path) -> None:
    write_page(str(clip_path), str(tmp_path / "a.html"))
    data = read_data(tmp_path / "a.html")
    assert data["quality"] is None
    assert data["frames"]["psnr"] is None
    assert [len(one["images"]) for one in data["pictures"]] == [1, 1, 1, 1]
    assert sum(data["frames"]["bytes"]["video"]) < data["size"] == clip_path.stat().st_size


def test_a_late_video_with_sound_and_times_of_its_own(tmp_path: Path) -> None:
    """Sound counts at the frames that it is heard with, each packet once."""
    times = [0, 40, 90, 120, 300, 340]
    write_clip(tmp_path / "a.mkv", frames=6, vfr=times, audio="aac", codec="libx264")
    write_page(str(tmp_path / "a.mkv"), str(tmp_path / "a.html"))
    data = read_data(tmp_path / "a.html")
    parts = {part["name"]: part["bytes"] for part in data["parts"]}
    assert np.diff(data["frames"]["seconds"]) == pytest.approx(np.diff(times) / 1000)
    assert {name: sum(sizes) for name, sizes in data["frames"]["bytes"].items()} == {
        name: parts[name] for name in ("video", "audio")
    }
    assert min(data["frames"]["bytes"]["video"]) > 0
    assert sum(parts.values()) == data["size"]


def test_frames_do_not_pile_up(clip_path: Path, tmp_path: Path) -> None:
    """Of forty frames and their sources few are alive at a time, the worst one among them."""
    alive: list[int] = []

    def count(done: int, total: int | None) -> None:
        alive.append(sum(isinstance(one, Frame) for one in gc.get_objects()))

    before = sum(isinstance(one, Frame) for one in gc.get_objects())
    page = str(tmp_path / "a.html")
    write_page(str(clip_path), page, source=str(clip_path), progress=count)
    assert len(alive) == 40
    assert max(alive) - before < 12


def test_names_cannot_end_the_script(clip_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "x<!--<script>.mkv"
    path.write_bytes(clip_path.read_bytes())
    write_page(str(path), str(tmp_path / "a.html"))
    assert read_data(tmp_path / "a.html")["name"] == path.name
    assert (tmp_path / "a.html").read_text().count("</script>") == 2


@pytest.mark.slow
def test_a_lost_frame_is_one(tinct_path: Path, tmp_path: Path) -> None:
    """The page is written, and the exit code says that the file is damaged."""
    numbers = [p.pts // 40 for p in read_track_packets(tinct_path, "luma")]
    keys = {p.pts // 40 for p in read_track_packets(tinct_path, "colour")}
    lost = next(n for n in numbers if n not in keys)
    damaged = tmp_path / "a.mkv"
    remux(
        tinct_path,
        damaged,
        packet=lambda track, n, p: None if track == "luma" and numbers[n] == lost else p,
    )
    done = run("report", damaged)
    assert done.returncode == 3, done.stderr
    assert b"is damaged" in done.stderr
    data = read_data(tmp_path / "a.html")
    assert data["kinds"][int(data["frames"]["kinds"][lost])] == "lost"
    assert any(words.startswith("The file is damaged") for words in data["words"])


def test_what_is_no_video_or_no_source_is_refused(clip_path: Path, tmp_path: Path) -> None:
    """Nothing is written then."""
    write_clip(tmp_path / "small.mkv", frames=40, size=(32, 32))
    write_clip(tmp_path / "short.mkv", frames=39)
    (tmp_path / "a.txt").write_text("no video")
    page = tmp_path / "page.html"
    clip = str(clip_path)
    for path, source, words in (
        (str(tmp_path / "a.txt"), None, "expected a video file"),
        (clip, str(tmp_path / "a.txt"), "expected a video file"),
        (clip, str(tmp_path / "small.mkv"), "expected 64x48"),
        (clip, str(tmp_path / "short.mkv"), "expected as many frames"),
    ):
        with pytest.raises(CodecError, match=words):
            write_page(path, str(page), source=source)
        assert not page.exists()
    page.write_text("mine")
    with pytest.raises(CodecError, match="--overwrite"):
        write_page(clip, str(page))
    with pytest.raises(CodecError, match="an output other than the input"):
        write_page(clip, clip, overwrite=True)
    short = str(tmp_path / "short.mkv")
    with pytest.raises(CodecError, match="an output other than the input"):
        write_page(clip, short, source=short, overwrite=True)
    assert page.read_text() == "mine"


@pytest.mark.slow
def test_the_command_tells_folders_from_videos(clip_path: Path, tmp_path: Path) -> None:
    video = tmp_path / "talk.mkv"
    video.write_bytes(clip_path.read_bytes())
    done = run("report", video, "--source", clip_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split() == [str(tmp_path / "talk.html")]
    assert read_data(tmp_path / "talk.html")["source"] == clip_path.name
    assert "--overwrite" in read_message(run("report", video), 2)
    assert "found nothing" in read_message(run("report", tmp_path / "b.mkv"), 2)
    assert "--anchor is for" in read_message(run("report", video, "--anchor", "x265:intra"), 2)
    assert "--source is for" in read_message(run("report", tmp_path, "--source", video), 2)


@pytest.mark.slow
@needs_chromium
def test_it_is_drawn_and_told(pages: dict[str, Path]) -> None:
    data = read_data(pages["chroma"])
    worst = data["quality"]["worst"]
    with open_page(pages["chroma"]) as page:
        assert page.locator("#parts tbody tr").count() == len(data["parts"]) + 1
        assert page.locator("#psnr path.series").count() == 3
        assert f"Frame {worst} at" in page.locator("#readout").inner_text()
        page.locator("#at").focus()
        page.locator("#at").fill("0")
        assert "Frame 0 at 0.000 s: key, entry point" in page.locator("#readout").inner_text()
        page.keyboard.press("ArrowRight")
        assert page.get_attribute("#at", "aria-valuetext").startswith("Frame 1 at")  # type: ignore[union-attr]
        page.locator("#to-worst").click()
        assert page.locator("#at").input_value() == str(worst)
        images = page.locator("#pictures img")
        page.wait_for_function("[...document.images].every((one) => one.naturalWidth > 0)")
        assert images.count() == sum(len(one["images"]) for one in data["pictures"])
        assert f"worst frame {worst}" in page.get_attribute("#psnr svg", "aria-label")  # type: ignore[operator]


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("name", ["chroma", "av1", "avc"])
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (500, "dark"), (1280, "dark")])
def test_it_fits_every_screen(name: str, width: int, scheme: Any, pages: dict[str, Path]) -> None:
    with open_page(pages[name]) as page:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert list_cut(page) == []
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")
