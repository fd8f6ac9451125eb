"""The report: its numbers are those of the points, its pictures those of the files, and it works in a browser without a network."""

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
from conftest import LAB_CODEC, LAB_QPS
from helpers import one_line, psnr, run
from playwright.sync_api import Page, sync_playwright

import tinct
from tinct.evaluation import bd_rate, load
from tinct.evaluation.report import deltas, write_report

CHROMIUM = shutil.which("chromium")
TINCT, X265 = LAB_CODEC, "x265:intra"
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")


@pytest.fixture(scope="module")
def folder(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = shutil.copytree(results, tmp_path_factory.mktemp("report") / "results")
    write_report(copy)
    return copy


@pytest.fixture(scope="module")
def data(folder: Path) -> dict[str, Any]:
    """What the page draws from."""
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>',
        (folder / "report.html").read_text(),
        re.DOTALL,
    )
    assert found is not None
    return json.loads(found[1])


def test_deltas_are_those_of_the_points(folder: Path) -> None:
    outcome = load(folder)
    table = deltas(outcome)
    expected = bd_rate(outcome.of("clip", X265), outcome.of("clip", TINCT))
    row = table["psnr_yuv611"][TINCT]["clip"]
    assert (row["rate"], row["overlap"]) == (expected.value, expected.overlap)
    assert (
        row["inner"]
        == bd_rate(outcome.of("clip", X265), outcome.of("clip", TINCT), keys=False).value
    )
    assert "paper" not in row  # there is no network whose bits could be left out
    assert X265 not in table["psnr_yuv611"]
    assert "colourfulness" not in table


def test_markdown_has_the_same_numbers(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    outcome = load(folder)
    expected = bd_rate(outcome.of("clip", X265), outcome.of("clip", TINCT))
    assert f"| clip | {expected.value:+.1f} ({expected.overlap:.0%}) |" in text
    assert f"| against | {X265} |" in text
    for word in (
        "CIEDE2000",
        "all bits, without key frames",
        "encode, peak MB",
        "opencv-python-headless",
    ):
        assert word in text


def test_other_structures_are_shown_against_the_first_anchor(folder: Path, tmp_path: Path) -> None:
    """A user may pick any; what Tinct gains all-intra is little beside what inter prediction does."""
    copy = shutil.copytree(folder, tmp_path / "inter")
    points = [json.loads(line) for line in (copy / "points.jsonl").read_text().splitlines()]
    inter = [
        {**p, "codec": "x265:random-access", "size_bytes": p["size_bytes"] // 4}
        for p in points
        if p["codec"] == X265
    ]
    (copy / "points.jsonl").write_text("\n".join(map(json.dumps, points + inter)))
    asked = json.loads((copy / "sweep.json").read_text())
    (copy / "sweep.json").write_text(
        json.dumps({**asked, "codecs": [*asked["codecs"], "x265:random-access"]})
    )
    write_report(copy)
    text = (copy / "report.md").read_text()
    assert f"## The other structures against {X265}" in text
    assert (
        "\n| clip | x265:random-access |\n| --- | --- |\n| clip | -75.0 (100%) |\n| **mean** | -75.0 |\n"
        in text
    )
    assert "other structures" not in (folder / "report.md").read_text()


def test_a_clip_may_be_named_anything(folder: Path, tmp_path: Path) -> None:
    """A name that would end the script, or a row of the table."""
    name = "x<!--<script>|y"
    copy = shutil.copytree(folder, tmp_path / "named")
    (copy / "points.jsonl").write_text(
        (copy / "points.jsonl").read_text().replace('"clip":"clip"', f'"clip":"{name}"')
    )
    write_report(copy)
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>',
        (copy / "report.html").read_text(),
        re.DOTALL,
    )
    assert found is not None
    assert "<" not in found[1]
    assert json.loads(found[1])["clips"] == [name]
    assert "\n| x<!--<script>&#124;y | " in (copy / "report.md").read_text()


def test_a_report_that_cannot_be_written_is_one_line(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "full")
    (copy / "report.html").unlink()
    (copy / "report.html").mkdir()
    assert "expected to write" in one_line(run("report", copy), 2)


def picture(data: dict[str, Any], number: int) -> np.ndarray:
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
            psnr(picture(data, index), expected.rgb()) > 28
        )  # WebP halves the colour's resolution
    grey = picture(data, 1).astype(int)
    assert np.ptp(grey, axis=-1).max() <= 4
    assert psnr(grey.mean(axis=-1), picture(data, 3).astype(float) @ [0.299, 0.587, 0.114]) > 24


def test_cli_writes_both_files(results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(results, tmp_path / "copy")
    done = run("report", copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split() == [str(copy / "report.html"), str(copy / "report.md")]


def test_without_points_there_is_no_report(results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(results, tmp_path / "copy")
    (copy / "points.jsonl").unlink()
    assert "expected points in" in one_line(run("report", copy), 2)
    assert "expected a results folder with sweep.json" in one_line(run("report", tmp_path), 2)


def test_what_is_missing_is_said(results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(results, tmp_path / "copy")
    setup = json.loads((copy / "sweep.json").read_text())
    (copy / "sweep.json").write_text(
        json.dumps({**setup, "codecs": [*setup["codecs"], "hm,binary=/nowhere/TAppEncoder"]})
    )
    lines = (copy / "points.jsonl").read_text().splitlines()
    (copy / "points.jsonl").write_text("\n".join([*lines[:5], lines[5][:99]]) + "\n")
    (copy / "failures.jsonl").write_text(
        json.dumps({"clip": "clip", "codec": X265, "qp": 42, "reason": "</script>"}) + "\n"
    )
    shutil.rmtree(copy / "clips")
    html, markdown = write_report(copy)
    for text in (html.read_text(), markdown.read_text()):
        assert "hm,binary=/nowhere/TAppEncoder is skipped: no program" in text
        assert "line 6, is damaged and left out" in text
        assert f"Refused: clip, {X265} at QP 42" in text
    assert html.read_text().count("</script>") == 2


# ── in the browser ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def page(folder: Path) -> Iterator[Page]:
    """The report in headless Chromium with the network off; what it complains of ends the test."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True).new_page()
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:"))
                else complaints.append(request.url)
            ),
        )
        page.goto((folder / "report.html").as_uri())
        page.wait_for_selector("html[data-ready=yes]")
        yield page
        browser.close()
    assert complaints == []


@needs_chromium
def test_curves_are_drawn_and_tell_their_values(page: Page, folder: Path) -> None:
    points = load(folder).points
    assert page.locator("#rd .point").count() == len(points) == 2 * len(LAB_QPS)
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
    assert page.locator("#rd .point").count() == len(LAB_QPS)
    assert page.locator("#strip path.series").count() == 1
    assert (
        page.locator("#metric option[value=ms_ssim_y]").count() == 0
    )  # not defined on so small a picture


@needs_chromium
def test_points_measured_elsewhere_say_so_on_the_plot(
    page: Page, results: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(results, tmp_path / "copy")
    shape = {"codec": "HM", "clip": "clip.mp4", "width": 64, "height": 48, "frames": 12}
    entries = [
        {
            **shape,
            "qp": qp,
            "bytes": 40000 // qp,
            "psnr_y": 70 - qp,
            "psnr_u": 70 - qp,
            "psnr_v": 70 - qp,
        }
        for qp in (27, 37)
    ]
    (tmp_path / "hm.json").write_text(json.dumps(entries))
    setup = json.loads((copy / "sweep.json").read_text())
    (copy / "sweep.json").write_text(json.dumps({**setup, "external": [str(tmp_path / "hm.json")]}))
    page.goto(write_report(copy)[0].as_uri())
    assert page.locator("#legend button").last.inner_text() == "HM (raw bitstream, not muxed)"
    assert page.locator("#rd .point[aria-label^='HM, QP']").count() == 2
    assert "its rates lack the container's bytes" in page.locator("#notes").inner_text()


@needs_chromium
def test_table_of_deltas(page: Page, folder: Path) -> None:
    row = deltas(load(folder))["psnr_yuv611"][TINCT]["clip"]
    cell = page.locator("#bd tbody tr").first.locator("td").nth(1)
    assert cell.inner_text() == f"{row['rate']:+.1f} ({100 * row['overlap']:.0f} %)"
    page.uncheck("#keys")
    assert cell.inner_text().startswith(f"{row['inner']:+.1f}")
    page.select_option("#kind", "quality")
    assert cell.inner_text().startswith(f"{row['quality']:+.2f}")
    page.select_option("#metric", "colourfulness")
    assert "no measure of quality" in page.locator("#bd").inner_text()


@needs_chromium
def test_bits_by_part_are_as_wide_as_they_are_many(page: Page, folder: Path) -> None:
    point = next(p for p in load(folder).points if (p.codec, p.qp) == (TINCT, 37))
    bars = page.locator(f"#bits rect[aria-label^='{TINCT}']")
    widths = [float(bar.get_attribute("width") or 0) for bar in bars.all()]
    parts = [point.parts[name] for name in ("luma", "colour", "container")]
    assert np.allclose(np.array(widths) / sum(widths), np.array(parts) / sum(parts), atol=1e-3)


@needs_chromium
def test_divider_moves_by_slider_mouse_and_keys(page: Page) -> None:
    def clip() -> float:
        return float(
            re.findall(
                r"inset\(0(?:px)? ([\d.]+)%",
                page.locator("#over").evaluate("e => e.style.clipPath"),
            )[0]
        )

    assert clip() == 50
    page.locator("#slider").fill("20")
    assert clip() == 80
    page.focus("#view")
    page.keyboard.press("ArrowRight")
    assert clip() == 78
    box = page.locator("#stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 5)
    page.mouse.up()
    assert clip() == pytest.approx(25, abs=1)


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
    page.select_option(
        "#left", "0"
    )  # the source itself: no error left of the divider, grey base right of it
    page.select_option("#right", "1")
    page.locator("#slider").fill("50")
    halves = "[[0, 0], [32, 0]].map(([x, y]) => document.getElementById('error').getContext('2d').getImageData(x, y, 32, 48).data"
    page.wait_for_function(f"{halves}.filter((v, i) => i % 4 < 3).reduce((a, b) => a + b))[0] == 0")
    assert page.evaluate(f"{halves}.filter((v, i) => i % 4 < 3).reduce((a, b) => a + b))[1]") > 1000
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
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_it_fits_phones_and_the_dark(page: Page, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 844})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")
