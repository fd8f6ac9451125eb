"""A browser plays what `encode` writes by default, in colour; Debian's Chromium, without a head."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic import draw_clip, make_info, write_video

import tinct

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
PAGE = """<body style="margin:0"><video src="{name}" muted></video><script>
const video = document.querySelector("video");
video.onerror = () => {{ document.title = "error " + video.error.message; }};
video.onloadeddata = () => {{ video.currentTime = 0.4; }};
video.onseeked = () => {{ document.title = "shown"; }};
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
@pytest.mark.parametrize("base", ["auto", "avc"])
def test_a_default_file_is_shown_in_colour(tmp_path: Path, base: str) -> None:
    """Frame 10 in the page is the decoded one to some grey levels in each channel."""
    source, coded = tmp_path / "a.mkv", tmp_path / "b.mkv"
    write_video(source, draw_clip(20, 128, 96), make_info(128, 96))
    tinct.encode(str(source), str(coded), tinct.EncodeConfig(base=base))  # type: ignore[arg-type]
    (tmp_path / "page.html").write_text(PAGE.format(name=coded.name))
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 128, "height": 96})
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_function("document.title != ''", timeout=20_000)
        assert page.title() == "shown"
        shot = page.screenshot()
        browser.close()
    shown = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    decoded = list(tinct.open(str(coded)))[10].rgb().astype(int)
    assert shown.shape == decoded.shape
    assert np.abs(shown - decoded).mean() < 8
    assert np.ptp(shown[..., 0] - shown[..., 2]) > 60  # it is no grey picture
