"""The containers of outputs: what each holds, and what becomes of sound and texts that it does not.

`writers` codes pictures for `decode`, `bitstream.muxer` stores those that an encode has coded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Container:
    """A row of CONTAINERS.

    `name` is FFmpeg's, `title` the users'. `codecs` are what FFmpeg calls the codecs of pictures
    that it holds, the usual one of `decode` first. Sound and texts that it does not hold become
    `sound` and `texts`. With `is_matroska` it is written as Matroska is; `holds_files` tells
    whether it has attachments, `holds_covers` whether a cover is a track of it. `options` are the
    muxer's, where an encode writes it.
    """

    name: str
    title: str
    codecs: tuple[str, ...]
    sound: str
    texts: str
    is_matroska: bool = False
    holds_files: bool = False
    holds_covers: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


CONTAINERS = {
    ".mp4": Container(
        name="mp4",
        title="MP4",
        codecs=("h264", "hevc", "av1", "vp9"),
        sound="aac",
        texts="mov_text",
        holds_covers=True,
        options={"movflags": "+faststart"},  # players begin before all is there
    ),
    ".mov": Container(
        name="mov",
        title="QuickTime",
        codecs=("h264", "hevc"),
        sound="aac",
        texts="mov_text",
        holds_covers=True,
    ),
    ".mkv": Container(
        name="matroska",
        title="Matroska",
        codecs=("ffv1", "h264", "hevc", "av1", "vp9"),
        sound="flac",
        texts="subrip",
        is_matroska=True,
        holds_files=True,
    ),
    ".webm": Container(
        name="webm",
        title="WebM",
        codecs=("vp9", "av1"),
        sound="libopus",
        texts="webvtt",
        is_matroska=True,
    ),
}
MATROSKA = CONTAINERS[".mkv"]


def find_container(name: str) -> Container:
    """Return the row that FFmpeg calls `name`."""
    return next(row for row in CONTAINERS.values() if row.name == name)
