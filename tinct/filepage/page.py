"""The page of a file, drawn from `figures`: its words and tables here, its charts in `page.js`."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.decoder.inspection import FileInfo
from tinct.filepage.figures import FileFigures
from tinct.filepage.packets import INTERPOLATED, KEY, KINDS, LOST, SENT, VIDEO
from tinct.filepage.pictures import GAIN, Shown
from tinct.page import fill_template, make_data_uri
from tinct.psnr import to_db

ENTRY = "entry point"
SENT_BETWEEN = "sent, between key frames"
PART_TITLES = {"update": "the network's weights (update)", "audio": "sound", "subtitle": "texts"}
IN_BAND_TITLE = "luma and colour"  # of the one track that has both
# What a reader of the table has to know of a kind of frame.
GROUP_WORDS = {
    KEY: "A key frame's colour is sent.",
    INTERPOLATED: "An interpolated frame is in no track: the decoder makes it from others.",
    LOST: "Of a lost frame there is no packet, though there should be.",
    ENTRY: "At an entry point decoding can start; it counts in its kind too.",
}
# Pictures of a frame, by the field of `Shown` that has them.
PICTURE_TITLES = {
    "other": "as other players show it",
    "decoded": "as Tinct shows it",
    "source": "source",
    "difference": f"difference from the source, {GAIN} times; grey is none",
}


def make_page(figures: FileFigures, source: str | None) -> str:
    """Return the HTML with style, script and data inside."""
    quality = figures.quality
    data = {
        "name": Path(figures.info.path).name,
        "source": None if source is None else Path(source).name,
        "words": [describe_players(figures.info), *_describe_damage(figures), *figures.notes],
        "facts": list_facts(figures.info),
        "size": figures.info.size_bytes,
        "parts": list_parts(figures.info),
        "kinds": KINDS,
        "groups": sum_up_groups(figures),
        "frames": _list_frames(figures),
        "quality": None
        if quality is None
        else {
            "planes": {n: [p.mean_db, p.pooled_db] for n, p in quality.psnr.items()},
            "worst": quality.worst,
        },
        "pictures": [_describe_picture(one) for one in figures.pictures],
    }
    return fill_template(
        _read_asset("page.html"),
        data,
        style=_read_asset("page.css"),
        script=_read_asset("page.js"),
    )


def _read_asset(name: str) -> str:
    return (resources.files("tinct.filepage") / name).read_text(encoding="utf-8")


def describe_players(info: FileInfo) -> str:
    """Return a sentence on what players without Tinct show of a file."""
    if info.layout is None:
        return "There is no Tinct in this file: every player shows it as it is here."
    row = LAYOUTS[info.layout]
    if not row.has_colour_track:
        if info.colouriser == "none":
            return "Other players show the same pictures, with edges that Tinct crops."
        return "Other players show the pictures as they were coded; Tinct's decoder restores them."
    colour = "coarse colour" if info.has_hints else "luma alone, so grey"
    keys = info.key_frames or 0
    shown, left_out = (info.sent_frames - keys, keys) if row.whole_keys else (info.sent_frames, 0)
    frames = f"{shown:,} of {info.frames:,} frames"
    if left_out:
        frames += f", none of the {left_out:,} key frames"
    return f"Other players show {colour}: {frames}. Tinct's decoder makes the rest."


def _describe_damage(figures: FileFigures) -> list[str]:
    return [f"The file is damaged: {figures.damage}."] if figures.damage else []


def list_facts(info: FileInfo) -> list[tuple[str, str]]:
    """Return what `tinct info` says of a file, name and value of each."""
    kind = f"Tinct, layout {info.layout}, colouriser {info.colouriser}"
    facts = [
        ("kind", kind if info.layout else "no Tinct in it"),
        ("size", f"{info.size_bytes:,} bytes"),
        ("picture", f"{info.width}x{info.height}, {info.bit_depth} bit"),
        ("duration", f"{info.duration_seconds:.3f} s, {info.frame_rate} frames/s"),
        ("structure", info.structure),
        ("frames", f"{info.frames:,}"),
    ]
    if info.key_frames is not None:
        facts.append(("key frames", f"{info.key_frames:,}"))
    if info.interpolated_frames:
        facts += [
            ("sent frames", f"{info.sent_frames:,}, key frames among them"),
            (
                "interpolated frames",
                f"{info.interpolated_frames:,}, at most {info.longest_run} in a row",
            ),
        ]
    return facts


def list_parts(info: FileInfo) -> list[dict[str, Any]]:
    """Return name, title, bytes and bitrate of each part; the bytes add up to the file's size."""
    is_in_band = info.layout is not None and not LAYOUTS[info.layout].has_colour_track
    titles = PART_TITLES | ({LUMA: IN_BAND_TITLE} if is_in_band else {})
    return [
        {
            "name": name,
            "title": titles.get(name, name),
            "bytes": size,
            "kbps": info.rate_kbps.get(name),
        }
        for name, size in info.bytes_by_part.items()
    ]


def sum_up_groups(figures: FileFigures) -> list[dict[str, Any]]:
    """Return frames, bytes of video and mean PSNR by plane of each kind of frame, and of entries.

    Entry points are left out where every frame is one. They count in their kind too.
    """
    packets = figures.packets
    kinds = np.frombuffer(packets.kinds, np.uint8)
    groups = {name: np.flatnonzero(kinds == n) for n, name in enumerate(KINDS)}
    if len(packets.entries) < len(kinds):
        groups[ENTRY] = np.asarray(packets.entries, np.int64)
    titles = {SENT: SENT_BETWEEN} if len(groups[KEY]) else {}
    return [
        {
            "name": name,
            "title": titles.get(name, name),
            "words": GROUP_WORDS.get(name, ""),
            **_sum_up(figures, numbers),
        }
        for name, numbers in groups.items()
        if len(numbers)
    ]


def _sum_up(figures: FileFigures, numbers: np.ndarray) -> dict[str, Any]:
    parts = figures.packets.bytes_by_part
    video = [parts[name] for name in (LUMA, COLOUR, VIDEO) if name in parts]
    quality = figures.quality
    return {
        "frames": len(numbers),
        "bytes": sum(int(np.asarray(sizes)[numbers].sum()) for sizes in video),
        "psnr": None
        if quality is None
        else [float(to_db(np.asarray(e)[numbers]).mean()) for e in quality.errors.values()],
    }


def _list_frames(figures: FileFigures) -> dict[str, Any]:
    """Return the numbers of each frame, a list for each of them."""
    packets, quality = figures.packets, figures.quality
    return {
        "seconds": _round(figures.seconds, 3),
        "kinds": "".join(map(str, packets.kinds)),
        "entries": packets.entries,
        "bytes": {name: list(sizes) for name, sizes in packets.bytes_by_part.items()},
        "psnr": None
        if quality is None
        else {name: _round(to_db(errors), 2) for name, errors in quality.errors.items()},
    }


def _round(values: Sequence[float] | np.ndarray, digits: int) -> list[float]:
    return np.round(values, digits).tolist()


def _describe_picture(one: Shown) -> dict[str, Any]:
    found = {name: getattr(one, name) for name in PICTURE_TITLES}
    titles = PICTURE_TITLES | ({"decoded": "as it decodes"} if one.other is None else {})
    return {
        "number": one.number,
        "worst": one.is_worst,
        "images": [
            {"title": titles[name], "src": make_data_uri(webp)}
            for name, webp in found.items()
            if webp is not None
        ],
    }
