"""Real files, encoded and decoded: what comes back is what the encoder measured, and close to what went in."""

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from helpers import SHARED_CLIPS, assert_same_frames, attached, psnr, run, sample_clip, track_packets
from synthetic import frames, info, write_clip

import tinct
from tinct.container import read_file_manifest
from tinct.frames import ColourTags, Frame
from tinct.psnr import Psnr
from tinct.sink import open_sink
from tinct.video import open_source

# every way that colour and structure combine
LAYOUTS: dict[str, dict[str, Any]] = {
    f"{structure}-{name}": {"structure": structure, **options}
    for structure, (name, options) in product(
        ("intra", "low-delay", "random-access"),
        {
            "auto": {"colour": "auto"},
            "track": {"colour": "track"},
            "group": {"colour": "track", "group": 4},
            "compatible": {"colour": "track", "compatible": True},
            "in-band": {"colour": "in-band"},
        }.items(),
    )
} | {
    "intra-full": {"colour": "track", "key_form": "full", "group": 6},
    "intra-full-2": {"colour": "track", "key_form": "full", "group": 2},
    "intra-boost": {"colour": "track", "key_boost": 8},
    "intra-full-boost": {"colour": "track", "key_form": "full", "group": 6, "key_boost": 10},
    "intra-crf": {"crf": 30.0},
    "intra-bitrate": {"bitrate_kbps": 120.0, "colour": "track"},
    "intra-bitrate-in-band": {"bitrate_kbps": 120.0, "colour": "in-band"},
    "random-access-bitrate": {"structure": "random-access", "bitrate_kbps": 120.0, "colour": "track"},
}
TRACKS = [name for name, options in LAYOUTS.items() if options.get("colour") == "track"]
SIZES = [(1, 1), (2, 2), (17, 33), (64, 48), (95, 64)]


def code(source: Path, target: Path, **options: Any) -> tuple[tinct.EncodeReport, list[Frame]]:
    """Encode, decode, and check what holds for every encode: the decoder shows to the bit what the encoder measured."""
    report = tinct.encode(str(source), str(target), tinct.EncodeConfig(**options))
    video = tinct.open(str(target))
    found = list(video)
    assert not video.damage
    assert report.size_bytes == target.stat().st_size
    assert report.frames == len(found)
    check = tinct.verify(str(target), str(source))
    assert check.whole
    assert check.psnr is not None
    assert all(close(*pair) for pair in zip(report.psnr, check.psnr, strict=True)), (report.psnr, check.psnr)
    return report, found


def close(a: Psnr, b: Psnr) -> bool:
    return abs(a.mean_db - b.mean_db) < 1e-9 and abs(a.pooled_db - b.pooled_db) < 1e-9


@pytest.fixture(scope="module", params=[8, 10])
def small_clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    path = tmp_path_factory.mktemp("small") / "a.mkv"
    write_clip(path, frames=13, pix_fmt="yuv420p" if request.param == 8 else "yuv420p10le")
    return path, request.param
