"""What our HTML pages share: their style, and pictures that lie in the page itself."""

import base64
from importlib import resources

import cv2
import numpy as np


def style() -> str:
    """CSS of every page; it goes before a page's own."""
    return (resources.files("tinct.page") / "style.css").read_text()


def webp(rgb: np.ndarray, quality: int) -> bytes:
    """R'G'B' [H, W, 3] as a WebP file."""
    done, data = cv2.imencode(".webp", rgb[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert done
    return data.tobytes()


def data_uri(picture: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture).decode()
