"""Pictures as references: moments, colour profiles, transparency, and registration."""

from collections.abc import Callable
from io import BytesIO
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from grey_footage import colour_photo
from helpers import measure_psnr
from PIL import Image, ImageCms
from synthetic import make_info

import tinct
from tinct.colouring.pictures import (
    find_frame_numbers,
    note_broken_profile,
    read_picture,
)
from tinct.frames import Frame
from tinct.media.source import open_source
from tinct.moments import Moment, parse_moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("120", 120),
        ("12s", 12.0),
        ("12.5", 12.5),
        (".5s", 0.5),
        ("2:03", 123.0),
        ("01:00:12.5", 3612.5),
        ("01-00-12.5", 3612.5),
        ("12.5.1", None),
        ("-3", None),
        ("frame", None),
    ],
)
def test_words_for_moments(text: str, moment: Moment | None) -> None:
    found = parse_moment(text)
    assert found == moment
    assert type(found) is type(moment)  # 120 is a frame, 120.0 is a time


def test_a_time_means_the_frame_displayed_then() -> None:
    times = np.array([0.0, 0.04, 0.08, 0.12])
    pictures = {0.08: "at its start", 0.05: "while it is displayed", 3: "by number", 0.0: "first"}
    found = find_frame_numbers(pictures, times, 0.16)
    assert found == {0: 0.0, 1: 0.05, 2: 0.08, 3: 3}


CHANGES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "larger": (
        lambda rgb: cv2.resize(rgb, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC),
        0.98,
    ),
    "smaller": (
        lambda rgb: cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        0.9,
    ),
    "cropped": (lambda rgb: rgb[30:-20, 50:-36], 0.5),
    "cropped and larger": (lambda rgb: cv2.resize(rgb[30:-20, 50:-36], None, fx=1.8, fy=1.8), 0.5),
    "shifted": (lambda rgb: np.roll(rgb, (6, -9), (0, 1)), 0.9),
    "brighter": (lambda rgb: (255 * (rgb / 255) ** 0.8).astype(np.uint8), 0.9),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_picture_is_registered(photo: Frame, tmp_path: Path, name: str) -> None:
    """Each change is found again; at least the share in the table is covered."""
    change, covered = CHANGES[name]
    picture = np.ascontiguousarray(change(photo.rgb()))
    found, report = colour_photo(photo, picture, tmp_path)
    middle = (slice(25, -25), slice(35, -30))
    assert report.references[0].match > 0.85
    assert covered < report.references[0].covered <= 1
    assert measure_psnr(found.cb[middle], photo.cb[middle]) > (27 if name == "brighter" else 30)
    assert measure_psnr(np.full_like(photo.cb, 128)[middle], photo.cb[middle]) < 22


def test_outside_a_cropped_reference_it_is_grey(photo: Frame, tmp_path: Path) -> None:
    right_half = np.ascontiguousarray(photo.rgb()[:, 160:])
    found, _ = colour_photo(photo, right_half, tmp_path)
    assert np.abs(found.cb[:, :70] - 128.0).max() <= 1
    assert measure_psnr(found.cb[:, 90:-8], photo.cb[:, 90:-8]) > 30


def write_with_profile(rgb: np.ndarray, path: Path) -> Path:
    """Write a PNG with red and green swapped, and a colour profile that swaps them back."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    data = bytearray(profile.tobytes())
    count = int.from_bytes(data[128:132], "big")
    tags = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    file = BytesIO()
    swapped = Image.fromarray(np.ascontiguousarray(rgb[..., [1, 0, 2]]))
    swapped.save(file, "PNG", icc_profile=bytes(data))
    path.write_bytes(file.getvalue())
    return path


def test_a_colour_profile_is_applied(photo: Frame, tmp_path: Path) -> None:
    picture = write_with_profile(photo.rgb(), tmp_path / "0.png")
    found, _ = colour_photo(photo, picture, tmp_path)
    assert measure_psnr(found.cr, photo.cr) > 38


def test_a_colour_profile_that_cannot_be_used_is_named(photo: Frame, tmp_path: Path) -> None:
    """The profile is broken, or one for another kind of picture: the levels are sRGB."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for number, profile in enumerate((b"nonsense profile bytes", lab[:200])):
        path = tmp_path / f"{number}.png"
        Image.fromarray(photo.rgb()).save(path, icc_profile=profile)
        rgb, _ = read_picture(path, path.name)
        assert np.array_equal(rgb, photo.rgb())
        (note,) = note_broken_profile(path, path.name)
        assert note == (
            f"the colour profile of {path.name} cannot be used: the picture is taken as sRGB"
        )
    usable = write_with_profile(photo.rgb(), tmp_path / "usable.png")
    assert note_broken_profile(usable, "usable.png") == []


def test_transparent_parts_give_no_colour(photo: Frame, tmp_path: Path) -> None:
    alpha = np.zeros(photo.y.shape, np.uint8)
    alpha[:, 160:] = 255
    picture = Image.fromarray(np.dstack((photo.rgb(), alpha)))
    found, _ = colour_photo(photo, picture, tmp_path)
    assert np.abs(found.cr[:, :75] - 128.0).max() <= 1
    assert measure_psnr(found.cr[:, 85:], photo.cr[:, 85:]) > 38


def test_a_flat_picture_matches_a_flat_frame(tmp_path: Path) -> None:
    y, half = np.full((48, 64), 90, np.uint8), np.full((24, 32), 128, np.uint8)
    flat = Frame(y, half, half, pts=0, info=make_info())
    found, _ = colour_photo(flat, np.full((48, 64, 3), (120, 60, 60), np.uint8), tmp_path)
    assert found.cr.mean() > 145


def test_a_picture_without_colour_is_left_out(
    grey: Path, truth: list[Frame], tmp_path: Path
) -> None:
    uncoloured = next(islice(open_source(str(grey)), 15, None)).rgb()
    references = {0: truth[0].rgb(), 15: uncoloured}
    report = tinct.colourise(str(grey), str(tmp_path / "out.mkv"), references=references)
    assert [one.number for one in report.references] == [0]
    assert any("the reference at 15 has no colour" in note for note in report.notes)
