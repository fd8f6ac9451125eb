"""What `tinct.json` may hold: its keys, and a function for each kind of value.

`manifest` specifies them.
"""

import json
import re
from dataclasses import asdict
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal, get_args

from tinct.bitstream.qp import MAX_QP
from tinct.bitstream.strengths import unpack_strengths
from tinct.bitstream.times import unpack_times
from tinct.errors import CodecError
from tinct.limits import (
    MAX_FRAMES,
    MAX_MANIFEST_BYTES,
    MAX_MANIFEST_KEYS,
    MAX_MANIFEST_LISTS,
    MAX_PIXELS,
    MAX_RANK,
    MAX_RATE_TERM,
    MAX_SIDE,
    MAX_STRENGTHS,
    is_frame_rate,
)
from tinct.networks.compact_config import SHIPPED_NETWORKS
from tinct.networks.gan_config import (
    LEVELS,
    MAX_CHANNELS,
    MIN_CHANNELS,
    GanConfig,
    GeneratorKind,
    Output,
    Residual,
)
from tinct.networks.weights import HASH_DIGITS

MANIFEST_NAME = "tinct.json"
# Files with strengths are of version 4, others with interpolated frames or hints of version 2, and
# all others of version 1.
VERSION, SENT_VERSION = 4, 2
Layout = Literal["chroma", "full", "in-band"]


def parse_json(data: bytes) -> Any:
    """Return the value of JSON within the bounds of a manifest, without repeated keys."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise damage_error(f"at most {MAX_MANIFEST_BYTES} bytes", f"{len(data)}")
    lists, keys = data.count(b"[") + data.count(b"{"), data.count(b":")
    if lists > MAX_MANIFEST_LISTS:
        raise damage_error(f"at most {MAX_MANIFEST_LISTS} lists", f"{lists:,}; get the file again")
    if keys > MAX_MANIFEST_KEYS:
        raise damage_error(f"at most {MAX_MANIFEST_KEYS} keys", f"{keys:,}; get the file again")
    try:
        return json.loads(data.decode(), object_pairs_hook=_make_object)
    except ValueError as error:
        raise damage_error("JSON", f"{data[:20]!r}; get the file again") from error


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a dictionary; raise ValueError where a key is repeated.

    Readers differ in which of the values they take.
    """
    if len(fields := dict(pairs)) < len(pairs):
        raise ValueError("a key is repeated")
    return fields


def damage_error(expected: str, found: str) -> CodecError:
    """Return the error of a manifest that is not what was expected."""
    return CodecError(f"damaged {MANIFEST_NAME}: expected {expected}, found {found}")


def is_count(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def read_count(value: Any) -> int:
    """Return a number of frames, or -1 for what is none."""
    return value if is_count(value, 0, MAX_FRAMES) else -1


def are_counts(values: object, low: int, high: int, *, length: int | None = None) -> bool:
    return (
        isinstance(values, list)
        and (length is None or len(values) == length)
        and all(is_count(v, low, high) for v in values)
    )


def is_rate(value: Any) -> bool:
    return are_counts(value, 1, MAX_RATE_TERM, length=2) and is_frame_rate(Fraction(*value))


def are_interpolated(fields: dict[str, Any]) -> bool:
    """Return whether the times of interpolated frames are fewer than the frames, on a track."""
    text, frames = fields.get("interpolated"), fields.get("frames")
    if not isinstance(text, str) or not text.isascii() or fields.get("layout") == "in-band":
        return False
    try:
        count = len(unpack_times(text))
    except ValueError:
        return False
    return count > 0 and is_count(frames, count + 1, MAX_FRAMES)


def are_times(values: object, *, most: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= most
        and are_counts(values, 0, MAX_FRAMES)
        and all(a < b for a, b in pairwise(values))
    )


def is_network(value: object, *, in_band: bool) -> bool:
    """Return whether `value` is [name of a network for the layout, hash]."""
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)):
        return False
    row = SHIPPED_NETWORKS.get(value[0])
    return row is not None and row.in_band == in_band and is_hash(value[1])


def are_strengths(texts: object) -> bool:
    """Return whether there is a text for each plane, and in them a change."""
    if not (isinstance(texts, list) and len(texts) == 3 and any(texts)):
        return False
    try:
        return all(
            isinstance(text, str) and len(unpack_strengths(text)) <= MAX_STRENGTHS for text in texts
        )
    except ValueError:
        return False


def are_qps(value: object, *, most: int) -> bool:
    if not (isinstance(value, list) and len(value) == 3 and value[0]):
        return False
    if not are_times(value[0], most=most):
        return False
    return all(are_counts(qps, 0, MAX_QP, length=len(value[0])) for qps in value[1:])


def is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{HASH_DIGITS}}}", value) is not None


def is_generator(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    allowed = {
        "kind": value.get("kind", "multiresunet") in get_args(GeneratorKind),
        "channels": is_count(value.get("channels", MIN_CHANNELS), MIN_CHANNELS, MAX_CHANNELS),
        "attention": are_counts(levels := value.get("attention", []), 1, LEVELS)
        and sorted(set(levels)) == levels,
        "residual": value.get("residual", "global") in get_args(Residual),
        "output": value.get("output", "rgb") in get_args(Output),
    }
    return all(allowed.get(key, False) for key in [*value, *allowed])


def list_generator_fields(config: GanConfig) -> dict[str, Any]:
    """Return the fields of `generator` that differ from their defaults."""
    defaults = asdict(GanConfig())
    return {name: value for name, value in asdict(config).items() if value != defaults[name]}


def make_generator(fields: dict[str, Any]) -> GanConfig:
    """Return the configuration of the fields of `generator`."""
    if "attention" in fields:
        fields = {**fields, "attention": tuple(fields["attention"])}
    return GanConfig(**fields)


def check_fields(fields: dict[str, Any]) -> None:
    """Raise CodecError for the first key that the specification does not allow, or misses."""
    plain = fields.get("plain", [[], [], []])
    colouriser = fields.get("colouriser", "none")
    in_band = fields.get("layout") == "in-band"
    version = fields["tinct"]
    is_compact, is_gan = colouriser == "compact", colouriser == "gan"
    size: Any = fields.get("size")
    frames, keys = read_count(fields.get("frames")), read_count(fields.get("keys", 0))
    allowed = {
        "tinct": version in (1, SENT_VERSION, VERSION),
        "layout": fields.get("layout", "chroma") in get_args(Layout),
        "size": are_counts(size, 1, MAX_SIDE, length=2) and size[0] * size[1] <= MAX_PIXELS,
        "rate": is_rate(fields.get("rate", [25, 1])),
        "frames": frames >= 1,
        "keys": 0 <= keys <= frames,
        "open": are_times(fields.get("open", []), most=keys),
        "colouriser": colouriser in ("none", "compact", "gan"),
        "network": is_network(fields.get("network"), in_band=in_band)
        if is_compact
        else "network" not in fields,
        "qps": are_qps(fields.get("qps"), most=frames) if is_compact else "qps" not in fields,
        "generator": is_generator(fields.get("generator")) if is_gan else "generator" not in fields,
        "rank": "rank" not in fields
        or (is_compact and not in_band and is_count(fields["rank"], 1, MAX_RANK)),
        "update": is_hash(fields.get("update"))
        if is_gan or "rank" in fields
        else "update" not in fields,
        "plain": isinstance(plain, list)
        and len(plain) == 3
        and all(are_times(times, most=frames if in_band else keys) for times in plain),
        "strengths": version == VERSION and is_compact and are_strengths(fields["strengths"])
        if "strengths" in fields
        else version != VERSION,
        "interpolated": version > 1 and are_interpolated(fields)
        if "interpolated" in fields
        else "hints" in fields or version != SENT_VERSION,
        "hints": "hints" not in fields or (fields["hints"] is True and version > 1 and not in_band),
    }
    for key in [*fields, *allowed]:
        if not allowed.get(key, False):
            found = json.dumps(fields.get(key))[:40]
            raise CodecError(
                f"damaged {MANIFEST_NAME}: {key[:40]!r} is not as format {fields['tinct']} has it, "
                f"found {found}"
            )
