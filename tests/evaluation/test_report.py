"""The report: its numbers are the points', its pictures the files', and it works offline."""

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browser import list_cut, needs_chromium, open_page
from helpers import measure_psnr, read_message, run
from lab_results import QPS, TINCT, X265
from playwright.sync_api import Page

import tinct
from tinct.evaluation import bd_rate, load, resume, sweep
from tinct.evaluation.report import write_report
from tinct.evaluation.summary import compare_codecs


@pytest.fixture(scope="module")
def folder(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = shutil.copytree(results, tmp_path_factory.mktemp("report") / "results")
    write_report(copy)
    return copy


@pytest.fixture(scope="module")
def data(folder: Path) -> dict[str, Any]:
    return json.loads(read_data(folder))


def read_data(folder: Path) -> str:
    """Return the JSON that the page draws from, as text."""
    pattern = r'<script type="application/json" id="data">(.*?)</script>'
    found = re.search(pattern, (folder / "report.html").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_deltas_are_those_of_the_points(folder: Path) -> None:
    outcome = load(folder)
    table = compare_codecs(outcome)
    curves = outcome.of("clip", X265), outcome.of("clip", TINCT)
    expected = bd_rate(*curves)
    row = table["psnr_yuv611"][TINCT]["clip"]
    assert (row["rate"], row["overlap"]) == (expected.value, expected.overlap)
    assert row["inner"] == bd_rate(*curves, keys=False).value
    assert "paper" not in row, "there is no network whose bits could be left out"
    assert X265 not in table["psnr_yuv611"]
    assert "colourfulness" not in table


def test_markdown_has_the_same_numbers(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    outcome = load(folder)
    expected = bd_rate(outcome.of("clip", X265), outcome.of("clip", TINCT))
    common = f"{expected.overlap:.0%}, {expected.common_db:.1f} dB"
    assert f"| clip | {expected.value:+.1f} ({common}) |" in text
    assert f"| against | {X265} |" in text
    for heading in ("CIEDE2000", "all bits, without key frames", "encode, peak MB"):
        assert heading in text
    assert "opencv-python-headless" in text, "versions"


def test_other_structures_are_shown_against_the_first_anchor(folder: Path, tmp_path: Path) -> None:
    """A user may pick any structure: inter prediction gains more than Tinct does all-intra."""
    copy = shutil.copytree(folder, tmp_path / "inter")
    points = [json.loads(line) for line in (copy / "points.jsonl").read_text().splitlines()]
    quarter = [{**p, "size_bytes": p["size_bytes"] // 4} for p in points if p["codec"] == X265]
    inter = [{**p, "codec": "x265:random-access"} for p in quarter]
    (copy / "points.jsonl").write_text("\n".join(map(json.dumps, points + inter)))
    ask_for(copy, "codecs", "x265:random-access")
    write_report(copy)
    text = (copy / "report.md").read_text()
    assert f"## The other structures against {X265}" in text
    table = ("| clip | x265:random-access |", "| --- | --- |")
    assert "\n".join(["", *table, "| clip | -75.0 (100%, "]) in text
    assert "| **mean** | -75.0 |" in text
    assert "other structures" not in (folder / "report.md").read_text()
    data = json.loads(read_data(copy))
    assert data["counterparts"]["x265:random-access"] == X265
    assert data["deltas"]["psnr_yuv611"]["x265:random-access"]["clip"]["rate"] == pytest.approx(
        -75, abs=0.1
    )
    (others,) = data["sets"]
    assert others["title"] == X265
    assert others["deltas"]["psnr_yuv611"]["x265:random-access"]["clip"]["rate"] == pytest.approx(
        -75, abs=0.1
    )
    assert json.loads(read_data(folder))["sets"] == []


def ask_for(folder: Path, name: str, value: str) -> None:
    """Add a value to a list of what a results folder was asked for."""
    asked = json.loads((folder / "sweep.json").read_text())
    asked[name].append(value)
    (folder / "sweep.json").write_text(json.dumps(asked))


def test_a_clip_may_have_any_name(folder: Path, tmp_path: Path) -> None:
    """This name would end the script, or a cell of the table."""
    name = "x<!--<script>|y"
    copy = shutil.copytree(folder, tmp_path / "named")
    text = (copy / "points.jsonl").read_text()
    (copy / "points.jsonl").write_text(text.replace('"clip":"clip"', f'"clip":"{name}"'))
    write_report(copy)
    data = read_data(copy)
    assert "<" not in data
    assert json.loads(data)["clips"] == [name]
    assert "\n| x<!--<script>&#124;y | " in (copy / "report.md").read_text()


@pytest.mark.slow
def test_a_report_that_cannot_be_written_is_one_line(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "full")
    (copy / "report.html").unlink()
    (copy / "report.html").mkdir()
    assert "expected to write" in read_message(run("report", copy), 2)


def decode_picture(data: dict[str, Any], number: int) -> np.ndarray:
    coded = base64.b64decode(data["pictures"]["clip"][number]["src"].partition(",")[2])
    return cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_pictures_are_those_of_the_files(folder: Path, data: dict[str, Any]) -> None:
    number, qp = data["frames"]["clip"], 37
    assert [p["title"] for p in data["pictures"]["clip"]] == [
        "source",
        "grey base",
        f"{X265}, QP 37",
        f"{TINCT}, QP 37",
    ]
    point = next(p for p in load(folder).points if (p.codec, p.qp) == (TINCT, qp))
    assert number not in point.keys
    frames = {0: folder / "clips" / "clip.mkv", 3: folder / str(point.file)}
    for index, path in frames.items():
        expected = list(tinct.open(str(path)))[number]
        assert (
            measure_psnr(decode_picture(data, index), expected.rgb()) > 28
        )  # WebP halves the colour's resolution
    grey = decode_picture(data, 1).astype(int)
    assert np.ptp(grey, axis=-1).max() <= 4
    assert (
        measure_psnr(
            grey.mean(axis=-1), decode_picture(data, 3).astype(float) @ [0.299, 0.587, 0.114]
        )
        > 24
    )


@pytest.mark.slow
def test_cli_writes_both_files(copy: Path) -> None:
    done = run("report", copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split() == [str(copy / "report.html"), str(copy / "report.md")]


@pytest.mark.slow
def test_without_points_there_is_no_report(copy: Path, tmp_path: Path) -> None:
    (copy / "points.jsonl").unlink()
    assert "expected points in" in read_message(run("report", copy), 2)
    assert "expected a results folder with sweep.json" in read_message(run("report", tmp_path), 2)


def test_what_is_missing_is_said(copy: Path) -> None:
    ask_for(copy, "codecs", "hm,binary=/nowhere/TAppEncoder")
    lines = (copy / "points.jsonl").read_text().splitlines()
    (copy / "points.jsonl").write_text("\n".join([*lines[:5], lines[5][:99]]) + "\n")
    failure = {"clip": "clip", "codec": X265, "qp": 42, "reason": "</script>"}
    (copy / "failures.jsonl").write_text(json.dumps(failure) + "\n")
    shutil.rmtree(copy / "clips")
    html, markdown = write_report(copy)
    for text in (html.read_text(), markdown.read_text()):
        assert "hm,binary=/nowhere/TAppEncoder is skipped: no program" in text
        assert "line 6, is damaged and left out" in text
        assert f"Refused: clip, {X265} at QP 42" in text
    assert html.read_text().count("</script>") == 2


@pytest.mark.nightly
def test_a_report_of_key_frames_alone(tmp_path: Path, clip_path: Path) -> None:
    codecs = [X265, "tinct:intra,colour=track,group=1,colouriser=none"]
    sweep([clip_path], codecs, [27, 37], out=tmp_path / "r", frames=3)
    done = run("report", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "r" / "report.md").read_text()
    assert "| all bits, without key frames | undefined |" in text


@pytest.mark.slow
def test_the_report_says_when_and_how_each_point_was_measured(copy: Path) -> None:
    lines = [json.loads(line) for line in (copy / "points.jsonl").read_text().splitlines()]
    lines[0] |= {"date": "2031-01-01", "jobs": 7}
    (copy / "points.jsonl").write_text("\n".join(map(json.dumps, lines)))
    write_report(copy)
    head = (copy / "report.md").read_text().splitlines()[0]
    assert "2031-01-01" in head
    assert lines[1]["date"] in head
    assert "points at a time: 1, 7" in head
    resume(copy)  # as many at a time as before
    assert json.loads((copy / "sweep.json").read_text())["jobs"] == 1


# ── in the browser ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def page(folder: Path) -> Iterator[Page]:
    """The report in headless Chromium, offline; a warning or a request fails the test."""
    with open_page(folder / "report.html") as page:
        yield page


@needs_chromium
def test_curves_are_drawn_and_tell_their_values(page: Page, folder: Path) -> None:
    points = load(folder).points
    assert page.locator("#rd .point").count() == len(points) == 2 * len(QPS)
    first = next(p for p in points if p.codec == TINCT and p.qp == 37)
    page.locator(f"#rd .point[aria-label^='{TINCT}, QP 37']").hover()
    shown = page.locator("#tip").inner_text()
    assert f"{first.rate_kbps():.1f} kbit/s" in shown
    assert f"{first.means['psnr_yuv611']:.2f} dB" in shown
    page.locator("h1").hover()
    assert page.locator("#tip").is_hidden()
    page.locator("#rd .point").first.focus()
    assert page.locator("#tip").is_visible()


@needs_chromium
def test_metric_and_legend_choose_what_is_drawn(page: Page) -> None:
    page.select_option("#metric", "ciede2000")
    assert "CIEDE2000, ΔE" in page.locator("#rd").text_content()  # type: ignore[operator]
    page.locator("#legend button").first.click()
    assert page.locator("#rd .point").count() == len(QPS)
    assert page.locator("#strip path.series").count() == 1
    undefined = page.locator("#metric option[value=ms_ssim_y]")
    assert undefined.count() == 0, "the pictures are too small for it"


@needs_chromium
def test_points_measured_elsewhere_say_so_on_the_plot(
    page: Page, copy: Path, tmp_path: Path
) -> None:
    shape = {"codec": "HM", "clip": "clip.mp4", "width": 64, "height": 48, "frames": 12}
    entries = []
    for qp in (27, 37):
        psnr_db = dict.fromkeys(("psnr_y", "psnr_u", "psnr_v"), 70 - qp)
        entries.append({**shape, "qp": qp, "bytes": 40000 // qp, **psnr_db})
    (tmp_path / "hm.json").write_text(json.dumps(entries))
    ask_for(copy, "external", str(tmp_path / "hm.json"))
    page.goto(write_report(copy)[0].as_uri())
    assert page.locator("#legend button").last.inner_text() == "HM (raw bitstream, not muxed)"
    assert page.locator("#rd .point[aria-label^='HM, QP']").count() == 2
    assert "its rates lack the container's bytes" in page.locator("#notes").inner_text()


@needs_chromium
def test_table_of_deltas(page: Page, folder: Path) -> None:
    row = compare_codecs(load(folder))["psnr_yuv611"][TINCT]["clip"]
    cell = page.locator("#bd tbody tr").first.locator("td").nth(1)
    common = f"{100 * row['overlap']:.0f} %, {row['common_db']:.1f} dB"
    assert cell.inner_text() == f"{row['rate']:+.1f} ({common})"
    page.uncheck("#keys")
    assert cell.inner_text().startswith(f"{row['inner']:+.1f}")
    page.select_option("#kind", "quality")
    assert cell.inner_text().startswith(f"{row['quality']:+.2f}")
    page.select_option("#metric", "colourfulness")
    assert "no measure of quality" in page.locator("#bd").inner_text()


@needs_chromium
def test_the_best_anchor_and_worst_frames_are_shown(page: Page, folder: Path, copy: Path) -> None:
    """A set of one anchor has the figures of that anchor, and its name beside each."""
    page.goto(write_report(copy, [[X265]])[0].as_uri())
    own = page.locator("#bd tbody td").nth(1).inner_text()
    page.select_option("#against", label=X265)
    assert page.locator("#bd tbody td").nth(1).inner_text() == f"{own}\n{X265}"
    page.select_option("#qp", "37")
    cells = page.locator("#worst tbody tr", has_text=TINCT).locator("td").all_inner_texts()
    points = {p.codec: p for p in load(folder).points if p.qp == 37}
    names = ("worst_frame", "worst_block_median", "worst_block_max")
    ours, theirs = ([points[codec].means[name] for name in names] for codec in (TINCT, X265))
    expected = [*ours, ours[0] - theirs[0]]
    assert cells[0] == TINCT
    assert list(map(float, cells[1:])) == pytest.approx(expected, abs=0.0051)


@needs_chromium
def test_bits_by_part_are_as_wide_as_they_are_many(page: Page, folder: Path) -> None:
    point = next(p for p in load(folder).points if (p.codec, p.qp) == (TINCT, 37))
    bars = page.locator(f"#bits rect[aria-label^='{TINCT}']")
    widths = [float(bar.get_attribute("width") or 0) for bar in bars.all()]
    parts = [point.parts[name] for name in ("luma", "colour", "container")]
    assert np.allclose(np.array(widths) / sum(widths), np.array(parts) / sum(parts), atol=1e-3)


@needs_chromium
def test_divider_moves_by_slider_mouse_and_keys(page: Page) -> None:
    def read_divider() -> float:
        style = page.locator("#over").evaluate("e => e.style.clipPath")
        return float(re.findall(r"inset\(0(?:px)? ([\d.]+)%", style)[0])

    assert read_divider() == 50
    page.locator("#slider").fill("20")
    assert read_divider() == 80
    page.focus("#view")
    page.keyboard.press("ArrowRight")
    assert read_divider() == 78
    box = page.locator("#stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 5)
    page.mouse.up()
    assert read_divider() == pytest.approx(25, abs=1)


# JavaScript: the sum of the heat map's colours over 32 columns, from the column `x`.
ERROR_OF_HALF = """(x => document.getElementById('error').getContext('2d')
    .getImageData(x, 0, 32, 48).data
    .filter((v, i) => i % 4 < 3)
    .reduce((a, b) => a + b))"""


@pytest.mark.slow
@needs_chromium
def test_flicker_heat_map_zoom_and_grid(page: Page) -> None:
    page.keyboard.press("f")
    assert page.get_attribute("#flicker", "aria-pressed") == "true"
    seen = set()
    for _ in range(8):
        seen.add(page.locator("#over").evaluate("e => e.style.clipPath"))
        page.wait_for_timeout(200)
    assert len(seen) == 2
    page.keyboard.press("f")
    page.keyboard.press("h")
    page.wait_for_selector("#error:visible")
    page.wait_for_function("document.getElementById('error').width == 64")
    # The source is left of the divider, without any error; the grey base is right of it.
    page.select_option("#left", "0")
    page.select_option("#right", "1")
    page.locator("#slider").fill("50")
    page.wait_for_function(f"{ERROR_OF_HALF}(0) == 0")
    assert page.evaluate(f"{ERROR_OF_HALF}(32)") > 1000
    before = page.locator("#stage").bounding_box()
    page.keyboard.press("+")
    page.wait_for_timeout(200)
    after = page.locator("#stage").bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] == 2 * before["width"]
    page.keyboard.press("g")
    assert page.locator("#all figure").count() == 4


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (500, "light"), (1280, "dark")])
def test_it_fits_phones_and_the_dark(page: Page, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 844})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert width > 700 or list_cut(page) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")
