"""The corpus: small Tinct files of every kind, the manifests and updates in them, other videos.

    python -m fuzz.corpus FOLDER

All are made from the same synthetic clip as those of the tests.
"""

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import tinct
from fuzz.matroska import attachments_in
from tests.helpers import remux
from tests.synthetic import write_clip
from tinct.networks.compact import load_network
from tinct.networks.compact_update import list_update_shapes
from tinct.networks.weights import encode_weights, hash_weights, quantise

TRACK: dict[str, Any] = {"colour": "track", "group": 4, "colouriser": "none"}
GAN: dict[str, Any] = {
    "name": "paper",
    "recipe": "cpu",
    "channels": 6,
    "adapt": "2steps",
    "attention": "none",
}
KINDS = {b"tinct.json": "manifest", b"update.bin": "update"}
# The clip of each file, and its options.
ENCODES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "chroma": ({}, {**TRACK, "group": 3}),
    "open": ({"frames": 7}, TRACK),
    "compact": ({}, {**TRACK, "colouriser": "compact"}),
    "full": ({}, {**TRACK, "group": 3, "key_form": "full"}),
    "in-band": ({"size": (35, 33)}, {"base": "hevc"}),
    "avc": ({"size": (35, 33)}, {"base": "avc", "structure": "random-access"}),
    "av1": ({"size": (35, 33)}, {"base": "av1", "colouriser": "none"}),
    "avc-chroma": ({"size": (35, 33)}, {**TRACK, "base": "avc", "interpolate": 2}),
    "avc-full": ({}, {**TRACK, "base": "avc", "group": 3, "key_form": "full"}),
    "avc-deep": ({"pix_fmt": "yuv420p10le"}, {**TRACK, "base": "avc", "hints": "on"}),
    "restored": ({}, {"base": "hevc", "colouriser": "compact", "network": "best"}),
    "pyramid": ({}, {"base": "av1", "colouriser": "compact"}),
    "random-access": ({}, {**TRACK, "structure": "random-access"}),
    "interpolated": ({}, {**TRACK, "interpolate": 2}),
    "hints": ({}, {**TRACK, "interpolate": 2, "hints": "on"}),
    "uneven": ({"vfr": (0, 40, 90, 200, 210, 300, 333, 400, 440)}, {**TRACK, "interpolate": 3}),
    "deep": ({"pix_fmt": "yuv420p10le"}, TRACK),
    "variable": ({"vfr": (0, 40, 90, 200, 210, 300, 333, 400, 440)}, TRACK),
    "tiny": ({"size": (20, 6)}, TRACK),
    "rich": (
        {
            "audio": "libopus",
            "subtitles": [(0.0, 0.2, "Hello")],
            "attachments": [("a.txt", "text/plain", b"text")],
            "chapters": [(0, 0.2, "one")],
            "rate": Fraction(30000, 1001),
            "rotation": 90,
        },
        TRACK,
    ),
    "gan": ({}, GAN),
}
# Videos of other programs, by part and name.
SOURCES: dict[str, dict[str, Any]] = {
    "mp4/tables.mp4": {"codec": "mpeg4", "audio": "aac"},
    "mp4/fragments.mp4": {
        "codec": "mpeg4",
        "container_options": {"movflags": "frag_keyframe+empty_moov+default_base_moof"},
    },
    "mp4/sound.mov": {"codec": "mpeg4", "audio": "pcm_u8", "metadata": {"title": "a title"}},
    "mp4/reordered.mp4": {"codec": "libx264", "codec_options": {"bf": "3", "preset": "ultrafast"}},
    "ts/sound.ts": {"codec": "mpeg2video", "audio": "mp2"},
    "ts/reordered.ts": {"codec": "libx264", "codec_options": {"bf": "3", "g": "5"}},
}


def write_corpus(folder: Path) -> list[Path]:
    """Write FOLDER/PART/* for each part of `SOURCES` and file, manifest and update.

    Return the paths of the Tinct files.
    """
    for part in ("file", "manifest", "update", "mp4", "ts"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, clip in SOURCES.items():
        write_clip(folder / name, **{"frames": 9, "size": (48, 32), **clip})
    files = []
    for name, (clip, options) in ENCODES.items():
        source, target = folder / "clip.mkv", folder / "file" / f"{name}.mkv"
        write_clip(source, **{"frames": 9, "size": (48, 32), **clip})
        tinct.encode(
            str(source), str(target), tinct.preset(**{"name": "default", **options}), overwrite=True
        )
        source.unlink()
        files.append(target)
    files.append(_write_with_update(folder / "file" / "compact.mkv", folder / "file" / "tuned.mkv"))
    for path in files:
        for attached, data in attachments_in(path.read_bytes()):
            if attached in KINDS:
                (folder / KINDS[attached] / path.stem).write_bytes(data)
    return files


def _write_with_update(compact: Path, target: Path) -> Path:
    """Write a copy with an update of the network, which would not pay in so small a file."""
    random = np.random.default_rng(0)
    shapes = list_update_shapes(load_network("fast").passes[-1][0], 1)
    data = encode_weights(
        {name: quantise(random.normal(0, 0.01, shape), 4) for name, shape in shapes.items()}
    )

    def attachments(name: str, manifest: bytes) -> list[tuple[str, bytes]]:
        fields = {**json.loads(manifest), "rank": 1, "update": hash_weights(data)}
        return [(name, json.dumps(fields, separators=(",", ":")).encode()), ("update.bin", data)]

    remux(compact, target, attachments=attachments)
    return target


if __name__ == "__main__":
    for written in write_corpus(Path(sys.argv[1])):
        print(written)
