"""`colourise` and `keyframes` from outside: files in, files out."""

import re
import shutil
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from grey_footage import COUNT, SIZE, chroma_psnr, read_first, save_picture, write_grey
from helpers import SHARED_CLIPS, measure_psnr, read_payloads, run
from PIL import Image
from synthetic import draw_clip, draw_scene, make_frames, make_info, write_clip

import tinct
from tinct.colour import from_rgb
from tinct.frames import Frame
from tinct.media.source import open_source

# ── what comes out ──────────────────────────────────────────────────────────────────────────────


def test_colour_of_two_frames_reaches_all(grey: Path, truth: list[Frame], tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    references = {0: Image.fromarray(truth[0].rgb()), COUNT - 1: truth[-1].rgb()}
    report = tinct.colourise(str(grey), str(out), references=references)
    found = list(tinct.open(str(out)))
    assert [f.pts for f in found] == [f.pts for f in truth]
    assert all(np.array_equal(a.y, b.y) for a, b in zip(found, truth, strict=True))
    assert chroma_psnr(list(open_source(str(grey))), truth) < 22
    assert 27 < chroma_psnr(found, truth) < 33  # the scene's bar does not move as its luma does
    ways = [(one.number, one.way) for one in report.references]
    assert ways == [(0, "as it is"), (COUNT - 1, "as it is")]
    assert min(one.match for one in report.references) > 0.95
    assert (report.frames, report.grey, report.damaged) == (COUNT, [], 0)


@pytest.mark.slow
def test_the_command_line_writes_the_same_bytes(
    grey: Path, truth: list[Frame], tmp_path: Path
) -> None:
    first = save_picture(truth[0], tmp_path / "first.png")
    last = save_picture(truth[-1], tmp_path / "last.png")
    outputs = [tmp_path / name for name in ("api.mkv", "line.mkv")]
    references = {0: str(first), (COUNT - 1) / 25: last}
    tinct.colourise(str(grey), str(outputs[0]), references=references)
    moment = f"00:00:{(COUNT - 1) / 25}"
    arguments = ["--reference", f"0={first}", "--reference", f"{moment}={last}"]
    done = run("colourise", grey, outputs[1], *arguments)
    assert done.returncode == 0, done.stderr
    assert "frame 29, match" in done.stderr.decode()
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


@pytest.mark.slow
def test_keyframes_painted_red_make_a_red_video(two_shots: Path, tmp_path: Path) -> None:
    """`keyframes` writes frames of both shots, `colourise --references` reads them painted."""
    folder = tmp_path / "frames"
    done = run("keyframes", two_shots, "--out", folder)
    assert done.returncode == 0, done.stderr
    pictures = {int(path.name[:6]): path for path in sorted(folder.iterdir())}
    assert any(number < 20 for number in pictures)
    assert any(number >= 20 for number in pictures)
    source = list(open_source(str(two_shots)))
    for number, path in pictures.items():
        rgb = np.asarray(Image.open(path))
        assert np.array_equal(rgb, source[number].rgb())
        Image.fromarray((rgb * (1.0, 0.5, 0.5)).astype(np.uint8)).save(path)
    done = run("colourise", two_shots, tmp_path / "out.y4m", "--references", folder)
    assert done.returncode == 0, done.stderr
    for frame in tinct.open(str(tmp_path / "out.y4m")):
        assert frame.cr.mean() > 140
        assert frame.cb.mean() < 126


@pytest.mark.parametrize("count", [1, 5])
def test_count_of_keyframes(two_shots: Path, tmp_path: Path, count: int) -> None:
    numbers, notes = tinct.write_keyframes(str(two_shots), str(tmp_path / "frames"), count=count)
    assert len(numbers) == len(list((tmp_path / "frames").iterdir())) == count
    assert bool(notes) == (count == 1)
    assert count != 1 or "shots without a frame: 20-33" in notes[0]


def test_luma_is_exact_in_pngs(grey: Path, truth: list[Frame], tmp_path: Path) -> None:
    # A colour far beyond what R'G'B' holds on bright luma.
    vivid = (truth[0].rgb().astype(float) * (1.0, 0.1, 0.1)).astype(np.uint8)
    tinct.colourise(str(grey), str(tmp_path / "out"), references={0: vivid})
    for frame in truth[:3]:
        rgb = np.asarray(Image.open(tmp_path / "out" / f"{frame.pts:06}.png"))
        y, chroma = from_rgb(rgb, frame.info)
        assert np.array_equal(np.rint(y).astype(np.uint8), frame.y)
        assert np.abs(chroma).mean() > 5


def test_ten_bit_video_is_written_in_ten_bits(tmp_path: Path) -> None:
    truth = make_frames(draw_clip(6, *SIZE, bit_depth=10), make_info(*SIZE, bit_depth=10))
    source = write_grey(tmp_path / "grey.mkv", truth)
    tinct.colourise(str(source), str(tmp_path / "out.mkv"), references={0: truth[0]})
    found = list(tinct.open(str(tmp_path / "out.mkv")))
    assert found[0].info.bit_depth == 10
    assert all(np.array_equal(a.y, b.y) for a, b in zip(found, truth, strict=True))
    assert measure_psnr(found[0].cb, truth[0].cb, 1023) > 45


def test_sound_tags_and_rotation_are_passed_through(tmp_path: Path) -> None:
    source, out = tmp_path / "in.mkv", tmp_path / "out.mkv"
    write_clip(source, frames=20, audio="flac", metadata={"title": "A film"}, rotation=90)
    tinct.colourise(str(source), str(out), references={0: read_first(source).rgb()})
    assert read_payloads(out, "audio") == read_payloads(source, "audio")
    with av.open(str(out)) as container:
        assert container.metadata["title"] == "A film"
    assert open_source(str(out)).info.rotation == 90


def test_times_of_a_variable_rate_are_kept(tmp_path: Path) -> None:
    times = [0, 40, 95, 200, 220, 400, 417, 500]
    source, out = tmp_path / "in.mkv", tmp_path / "out.mkv"
    write_clip(source, frames=8, vfr=times)
    report = tinct.colourise(str(source), str(out), references={0.1: read_first(source).rgb()})
    assert report.references[0].number == 2  # the frame that is displayed at 100 ms
    assert [round(f.pts_seconds * 1000) for f in tinct.open(str(out))] == times


@pytest.mark.slow
def test_windows_leave_no_seam(
    grey: Path, truth: list[Frame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colour of a span in windows equals that in one piece, but for 16-bit flow at the seams."""
    references = {0: truth[0], COUNT - 1: truth[-1]}
    tinct.colourise(str(grey), str(tmp_path / "whole.mkv"), references=references)
    monkeypatch.setattr("tinct.colouring.propagation.choose_window_length", lambda info: 4)
    tinct.colourise(str(grey), str(tmp_path / "parts.mkv"), references=references)
    whole, parts = (list(tinct.open(str(tmp_path / name))) for name in ("whole.mkv", "parts.mkv"))
    assert chroma_psnr(parts, whole) > 50


# ── trust ───────────────────────────────────────────────────────────────────────────────────────


def measure_saturation(frame: Frame, rows: slice, columns: slice) -> float:
    cb, cr = (plane[rows, columns] - 128.0 for plane in (frame.cb, frame.cr))
    return float(np.hypot(cb, cr).mean())


def test_content_that_no_reference_shows_loses_colour_and_trust(tmp_path: Path) -> None:
    """Half way through, an unseen textured square covers a quarter of the picture."""
    planes = [tuple(p.copy() for p in draw_scene(0, *SIZE)) for _ in range(16)]
    noise = np.random.default_rng(1).integers(16, 235, (48, 64), np.uint8)
    for y, _, _ in planes[8:]:
        y[:48, :64] = noise
    truth = make_frames(planes, make_info(*SIZE))  # type: ignore[arg-type]
    source = write_grey(tmp_path / "in.mkv", truth)
    outputs = [tmp_path / "out.mkv", tmp_path / "trust.mkv"]
    tinct.colourise(
        str(source),
        str(outputs[0]),
        references={0: truth[0]},
        confidence=str(outputs[1]),
        leave_grey=True,
    )
    last, trust = (list(tinct.open(str(path)))[-1] for path in outputs)
    new, old = (slice(4, 20), slice(4, 28)), (slice(28, 46), slice(36, 62))
    assert measure_saturation(last, *new) < 0.5 * measure_saturation(truth[0], *new)
    assert measure_saturation(last, *old) > 0.9 * measure_saturation(truth[0], *old)
    assert trust.y[8:36, 8:52].mean() < 110
    assert trust.y[56:92, 72:124].mean() > 230
    assert trust.info.colour.full_range


def test_the_page_shows_shots_and_references(
    two_shots: Path, truth: list[Frame], tmp_path: Path
) -> None:
    page, out = tmp_path / "page.html", tmp_path / "out.mkv"
    report = tinct.colourise(
        str(two_shots),
        str(out),
        references={5: save_picture(truth[5], tmp_path / "<5>.png")},
        leave_grey=True,
        page=str(page),
    )
    text = page.read_text()
    assert report.grey == [range(20, 34)]
    assert 20 <= report.helpful[0] < 34
    for mark in ('class="grey"', 'class="shot"', '<path class="reference"'):
        assert text.count(mark) == 1, mark
    assert "&lt;5&gt;.png" in text
    assert "<5>.png" not in text
    assert f"help most: {report.helpful[0]}" in text
    assert len(re.findall(r'data-series="\w+"', text)) == 3
    found = list(tinct.open(str(out)))
    assert all((frame.cb == 128).all() and (frame.cr == 128).all() for frame in found[20:])


# ── real clips and a browser ────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least_db", "most_db"), [("mother_daughter", 44, 48), ("carphone", 42, 47)]
)
def test_a_real_clip(name: str, least_db: float, most_db: float, tmp_path: Path) -> None:
    """Chroma PSNR from two frames that are 95 apart; see docs/colourise.md."""
    path = next(SHARED_CLIPS.glob(f"{name}.*"), None)
    if path is None:
        pytest.skip("needs the shared clips")
    truth = list(islice(open_source(str(path)), 96))
    source = write_grey(tmp_path / "grey.mkv", truth)
    tinct.colourise(str(source), str(tmp_path / "out.mkv"), references={0: truth[0], 95: truth[95]})
    found = list(tinct.open(str(tmp_path / "out.mkv")))
    assert all(np.array_equal(a.y, b.y) for a, b in zip(found, truth, strict=True))
    assert least_db < chroma_psnr(found, truth) < most_db


@pytest.mark.slow
def test_the_page_draws_in_a_browser(two_shots: Path, truth: list[Frame], tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    tinct.colourise(
        str(two_shots),
        str(tmp_path / "out.mkv"),
        references={5: truth[5]},
        leave_grey=True,
        page=str(tmp_path / "page.html"),
    )
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        pictures = page.locator("#thumbs img")
        assert pictures.evaluate_all("all => all.every(one => one.naturalWidth > 0)")
        for name in ("trust", "colourfulness", "flicker"):
            box = page.locator(f'[data-series="{name}"]').bounding_box()
            assert box is not None, name
            assert box["width"] > 500, name
        assert page.locator("path.reference").count() == 1
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        browser.close()
