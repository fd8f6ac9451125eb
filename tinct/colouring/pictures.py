"""Coloured pictures as users give them: the frames that they show, read by Pillow and put in sRGB.

`registration` lays them onto those frames.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from tinct.errors import CodecError, FileError
from tinct.frames import Frame
from tinct.limits import MAX_SIDE
from tinct.media.file_objects import Readable
from tinct.moments import MOMENT, Moment, parse_moment

Picture: TypeAlias = str | PathLike[str] | Readable | Image.Image | np.ndarray | Frame
Pictures: TypeAlias = Mapping[int, Picture] | Mapping[float, Picture] | Mapping[Moment, Picture]


def parse_references(words: Sequence[str]) -> dict[Moment, Picture]:
    """Parse references given as MOMENT=FILE. Raise CodecError for another form and for doubles."""
    found: dict[Moment, Picture] = {}
    for word in words:
        name, equals, path = word.partition("=")
        moment = parse_moment(name)
        if not equals or not path or moment is None:
            raise CodecError(f"--reference: expected MOMENT=FILE with {MOMENT}; found {word}")
        if moment in found:
            raise CodecError(
                f"--reference: expected one picture for {name}, found {found[moment]} and {path}"
            )
        found[moment] = path
    return found


def find_pictures(folder: str | Path) -> dict[Moment, Picture]:
    """Return the pictures of a folder by the moments that their names give.

    Hidden files are skipped. Raise CodecError for other names, for doubles and an empty folder.
    """
    path = Path(folder)
    if not path.is_dir():
        kind = "a file" if path.exists() else "nothing"
        raise CodecError(f"--references: expected a folder of pictures, found {kind} at {path}")
    found: dict[Moment, Picture] = {}
    for file in sorted(path.iterdir()):
        if file.name.startswith(".") or not file.is_file():
            continue
        moment = parse_moment(file.stem)
        if moment is None:
            raise CodecError(
                f"expected pictures named by {MOMENT} in {path}, found {file.name}; "
                "rename it or take it out"
            )
        if moment in found:
            other = Path(str(found[moment])).name
            raise CodecError(
                f"expected one picture for {file.stem} in {path}, found {other} and {file.name}"
            )
        found[moment] = file
    if not found:
        raise CodecError(
            f"expected pictures in {path}, found none; "
            f"`tinct keyframes VIDEO --out {path}` writes frames to colour"
        )
    return found


def name_picture(picture: Picture, moment: Moment) -> str:
    """Return the name of a picture in messages."""
    return str(picture) if isinstance(picture, str | PathLike) else f"the reference at {moment}"


def find_frame_numbers(
    pictures: Mapping[Moment, Picture], times_seconds: np.ndarray, end_seconds: float
) -> dict[int, Moment]:
    """Return the moment of each frame that a picture shows, by frame number.

    A time means the frame that is displayed then; `times_seconds` [frames] are the times at which
    frames appear, sorted. Raise CodecError for moments outside the video and for doubles.
    """
    found: dict[int, Moment] = {}
    for moment, picture in pictures.items():
        name = name_picture(picture, moment)
        if isinstance(moment, int | np.integer):
            if not 0 <= moment < len(times_seconds):
                raise CodecError(
                    f"expected frames 0 to {len(times_seconds) - 1} to be named, "
                    f"found {moment} for {name}"
                )
            number = int(moment)
        else:
            if not 0 <= moment < end_seconds:
                raise CodecError(
                    f"expected times from 0 to the video's end at {end_seconds:.3f} s, "
                    f"found {moment:g} s for {name}"
                )
            number = max(0, int(np.searchsorted(times_seconds, moment + 1e-6, side="right")) - 1)
        if number in found:
            other = name_picture(pictures[found[number]], found[number])
            raise CodecError(
                f"expected one reference for frame {number}, found {other} and {name}; take one out"
            )
        found[number] = moment
    return dict(sorted(found.items()))


def read_picture(picture: Picture, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return 8-bit sRGB R'G'B' [H, W, 3] and its opacity [H, W] float32, from 0 to 1.

    A file is turned as its EXIF data says and converted to sRGB by its colour profile. Raise
    CodecError for what cannot be read; `name` is its name in messages.
    """
    assert not isinstance(picture, Frame)
    if isinstance(picture, np.ndarray):
        image = _read_array(picture, name)
    else:
        image = _open_image(picture, name)
    width, height = image.size
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise CodecError(
            f"expected a picture of 1 to {MAX_SIDE} pixels a side, found {width}x{height} in {name}"
        )
    try:
        image = ImageOps.exif_transpose(image)
        alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
        rgb = _convert_to_srgb(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CodecError(
            f'expected a whole picture, found "{error}" in {name}; save it again'
        ) from error
    if alpha is None:
        return np.asarray(rgb), np.ones((rgb.height, rgb.width), np.float32)
    return np.asarray(rgb), np.asarray(alpha, np.float32) / np.float32(255)


def note_broken_profile(picture: Picture, name: str) -> list[str]:
    """Return a note for users if `read_picture` cannot use a picture's colour profile."""
    if isinstance(picture, np.ndarray | Frame):
        return []
    image = _open_image(picture, name)
    profile = image.info.get("icc_profile")
    if not profile or _has_wide_levels(image):
        return []
    if _apply_profile(_to_profiled_mode(image.crop((0, 0, 1, 1))), profile) is not None:
        return []
    return [f"the colour profile of {name} cannot be used: the picture is taken as sRGB"]


def _open_image(picture: str | PathLike[str] | Readable | Image.Image, name: str) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    if isinstance(picture, str | PathLike) and not Path(picture).is_file():
        kind = "a folder" if Path(picture).is_dir() else "nothing"
        raise FileError(name, "a picture", f"{kind} at {picture}", advice="check the name")
    try:
        return Image.open(cast("str | BinaryIO", picture))
    except UnidentifiedImageError as error:
        raise CodecError(
            f"expected a picture in a format that Pillow reads, found none in {name}; "
            "save it as PNG"
        ) from error
    except (OSError, Image.DecompressionBombError) as error:
        raise CodecError(f'expected a picture, found "{error}" in {name}') from error


def _read_array(array: np.ndarray, name: str) -> Image.Image:
    is_rgb = array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] in (3, 4)
    if not is_rgb or 0 in array.shape:
        raise CodecError(
            "expected uint8 [H, W, 3] or [H, W, 4], "
            f"found {array.dtype} {list(array.shape)} for {name}"
        )
    return Image.fromarray(array)


def _has_wide_levels(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def _convert_to_srgb(image: Image.Image) -> Image.Image:
    if _has_wide_levels(image):
        # 16-bit levels are scaled here: Pillow would clip them at 255.
        levels = np.asarray(image, np.float32) * (255 / 65535)
        return Image.fromarray(np.rint(levels).clip(0, 255).astype(np.uint8)).convert("RGB")
    plain = _to_profiled_mode(image)
    return _apply_profile(plain, image.info.get("icc_profile")) or plain.convert("RGB")


def _to_profiled_mode(image: Image.Image) -> Image.Image:
    """Return an image in a mode whose levels a colour profile describes."""
    return image if image.mode in ("RGB", "L", "CMYK", "LAB") else image.convert("RGB")


def _apply_profile(plain: Image.Image, profile: bytes | None) -> Image.Image | None:
    """Return an image in sRGB; None without a profile that can be used."""
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(plain, source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return None
