"""What HTML pages share: style, script, how a page is filled, and pictures embedded in the page.

`charts.js` has what pages draw charts and tables with.
"""

import base64
import json
import math
from importlib import resources
from typing import Any

import cv2
import numpy as np

from tinct.text import escape_controls

DIGITS = 6  # significant ones of a page's numbers: neither eye nor plot shows more


def read_style() -> str:
    """Return the CSS that all pages share; a page's own goes after it."""
    return _read_asset("style.css")


def fill_template(template: str, data: Any, *, style: str, script: str) -> str:
    """Return a page that works without a network: shared and own style and script, and data.

    They go to the places of `/*style*/`, `/*script*/` and `/*data*/`.
    """
    text = json.dumps(_prepare(data), separators=(",", ":"), allow_nan=False)
    return (
        template.replace("/*style*/", read_style() + style)
        .replace("/*script*/", _read_asset("charts.js") + script)
        .replace("/*data*/", text.replace("<", "\\u003c"))  # no name can end the script
    )


def _read_asset(name: str) -> str:
    return (resources.files("tinct.page") / name).read_text(encoding="utf-8")


def _prepare(value: Any) -> Any:
    """Return a tree of lists and dicts, floats in DIGITS significant digits, no text unseen."""
    if isinstance(value, str):
        return escape_controls(value)
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {escape_controls(key): _prepare(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_prepare(item) for item in value]
    return value


def encode_webp(rgb: np.ndarray, quality: int) -> bytes:
    """Encode 8-bit R'G'B' [H, W, 3] as a WebP file; `quality` is from 1 to 100."""
    done, data = cv2.imencode(".webp", rgb[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert done
    return data.tobytes()


def make_data_uri(picture: bytes, kind: str = "webp") -> str:
    """Return a file of a picture as the `src` of an image."""
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode()
