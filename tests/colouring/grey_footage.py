"""Grey clips and their true colour, for the tests of this folder."""

from pathlib import Path

import cv2
import numpy as np
from helpers import measure_psnr

import tinct
from tinct.frames import Frame
from tinct.media.sink import open_sink
from tinct.media.source import open_source

COUNT, SIZE = 30, (128, 96)  # frames; width and height: enough for flow at chroma resolution


def write_grey(path: Path, pictures: list[Frame]) -> Path:
    """Write frames as a video without colour."""
    with open_sink(str(path), pictures[0].info) as sink:
        for frame in pictures:
            flat = np.full_like(frame.cb, 128 << (frame.info.bit_depth - 8))
            sink.write(Frame(frame.y, flat, flat, pts=frame.pts, info=frame.info))
    return path


def read_first(path: Path) -> Frame:
    """Return the first frame of a video."""
    return next(iter(open_source(str(path))))


def colour_photo(photo: Frame, picture: object, folder: Path) -> tuple[Frame, object]:
    """Colour the one frame of `photo`, greyed, from a picture; return it and the report."""
    source = write_grey(folder / "in.mkv", [photo])
    output = folder / "out.mkv"
    report = tinct.colourise(str(source), str(output), references={0: picture})
    return read_first(output), report


def chroma_psnr(found: list[Frame], expected: list[Frame]) -> float:
    """Return PSNR over both chroma planes of all frames, in dB."""
    assert len(found) == len(expected)
    stacks = [
        np.concatenate([np.stack((frame.cb, frame.cr)) for frame in video])
        for video in (found, expected)
    ]
    return measure_psnr(*stacks)


def save_picture(frame: Frame, path: Path) -> Path:
    cv2.imwrite(str(path), frame.rgb()[..., ::-1])
    return path
