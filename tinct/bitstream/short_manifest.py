"""The short manifest: a tag of the track of an in-band file, where `tinct.json` would say no more.

`tinct.json` and its attachment take 240 bytes, which a network hardly saves in a few seconds of
talk; the tag takes a quarter of that. `manifest` specifies its text.
"""

import json
import re

from tinct.bitstream.codecs import Shape
from tinct.bitstream.manifest import Manifest, read_manifest
from tinct.bitstream.schema import VERSION
from tinct.bitstream.strengths import pack_strengths
from tinct.errors import CodecError
from tinct.limits import MAX_MANIFEST_BYTES

TAG = "TINCT"
TAG_BYTES = 14  # of the tag's elements in Matroska, beside its text
SHORT_VERSIONS = (3, 4)  # without strengths of the post-filter, and with them
_NUMBER = "[0-9]{1,10}"
_TIMES = f"(?:{_NUMBER}(?:,{_NUMBER})*)?"
_CHANGES = "[A-Za-z0-9_,-]*"
_TEXT = re.compile(
    f"[34] (?P<name>[a-z0-9-]+) (?P<hash>[0-9a-f]+) (?P<qp>{_NUMBER}) (?P<frames>{_NUMBER})"
    f"(?: (?P<rate>{_NUMBER}/{_NUMBER}))?(?: (?P<plain>{_TIMES};{_TIMES};{_TIMES})"
    f"(?: (?P<strengths>{_CHANGES};{_CHANGES};{_CHANGES}))?)?"
)


def write_short(manifest: Manifest, shape: Shape) -> str | None:
    """Return the text of the tag; None where `tinct.json` is needed.

    `shape` is height and width of the track's pictures.
    """
    if manifest.layout != "in-band" or manifest.network is None or manifest.size != shape[::-1]:
        return None
    (name, identity), (_, qp, _) = manifest.network, manifest.qps[0]
    if manifest.qps != ((0, qp, qp),):
        return None
    without, with_strengths = SHORT_VERSIONS
    version = with_strengths if any(manifest.strengths) else without
    fields = [f"{version} {name} {identity} {qp} {manifest.frames}"]
    if manifest.rate is not None:
        fields.append(f"{manifest.rate.numerator}/{manifest.rate.denominator}")
    if any(manifest.plain) or any(manifest.strengths):
        fields.append(";".join(",".join(map(str, times)) for times in manifest.plain))
    if any(manifest.strengths):
        fields.append(";".join(pack_strengths(changes) for changes in manifest.strengths))
    text = " ".join(fields)
    return text if len(text) <= MAX_MANIFEST_BYTES else None


def read_short(text: str, shape: Shape) -> Manifest:
    """Return the manifest that the text of the tag stands for.

    `shape` is height and width of the track's pictures. Raise CodecError for what is none.
    """
    match = _TEXT.fullmatch(text) if len(text) <= MAX_MANIFEST_BYTES else None
    if match is None or text.startswith("4 ") != (match["strengths"] is not None):
        newer = re.match("[0-9]+ ", text) and text.split()[0] not in map(str, SHORT_VERSIONS)
        advice = "it takes a newer tinct to read it" if newer else "get the file again"
        raise _damage_error(text, advice)
    plain = (match["plain"] or ";;").split(";")
    fields = {
        "tinct": 1 if match["strengths"] is None else VERSION,
        "layout": "in-band",
        "size": shape[::-1],
        "frames": int(match["frames"]),
        "colouriser": "compact",
        "network": [match["name"], match["hash"]],
        "qps": [[0], [int(match["qp"])], [int(match["qp"])]],
        "plain": [[int(time) for time in times.split(",") if time] for times in plain],
    }
    if match["rate"] is not None:
        fields["rate"] = [int(term) for term in match["rate"].split("/")]
    if match["strengths"] is not None:
        fields["strengths"] = match["strengths"].split(";")
    try:
        return read_manifest(json.dumps(fields).encode())
    except CodecError as error:  # which speaks of tinct.json
        raise _damage_error(text, "get the file again") from error


def _damage_error(text: str, advice: str) -> CodecError:
    expected = "network, hash, QP and frames in format 3 or 4"
    return CodecError(f"damaged tag {TAG}: expected {expected}, found {text[:60]!r}; {advice}")
