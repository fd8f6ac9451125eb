"""What HTML pages share: their style sheet, and pictures embedded in the page itself."""

import base64
from importlib import resources

import cv2
import numpy as np


def read_style() -> str:
    """Return the CSS that all pages share; a page's own goes after it."""
    return (resources.files("tinct.page") / "style.css").read_text()


def encode_webp(rgb: np.ndarray, quality: int) -> bytes:
    """Encode 8-bit R'G'B' [H, W, 3] as a WebP file; `quality` is from 1 to 100."""
    done, data = cv2.imencode(".webp", rgb[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert done
    return data.tobytes()


def make_data_uri(picture: bytes, kind: str = "webp") -> str:
    """Return a file of a picture as the `src` of an image."""
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode()
