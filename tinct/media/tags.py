"""Tags of files and tracks: which are passed on, and which an output format loses.

`passthrough` copies them.
"""

import io

import av
from av.container import InputContainer, OutputContainer

from tinct.media.containers import find_container

ELEMENT_BYTES = 32  # of a tag's or chapter's elements in Matroska, about
# Tags that describe the file they came from, not the work.
_FILE_TAGS = {
    "tinct",
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "duration",
    "handler_name",
    "vendor_id",
    "filename",
    "mimetype",
    "number_of_frames",
    "number_of_bytes",
    "bps",
    "timecode",
}
# Keys that MP4 and MOV hold in a list of keys alone, and the one of them that has capitals.
_KEYED = ("com.apple.quicktime.", "com.android.", "com.samsung.")
_MIXED_CASE = {"com.apple.quicktime.location.iso6709": "com.apple.quicktime.location.ISO6709"}
_FLAGS = "movflags"
_WITH_KEYS = {_FLAGS: "+use_metadata_tags"}


def select_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags that describe the work, not the file.

    Matroska's statistics end in a language ("BPS-eng").
    """
    selected = {
        key: value
        for key, value in tags.items()
        if key.lower().split("-")[0] not in _FILE_TAGS and not key.startswith("_")
    }
    if "title" not in selected and "name" in selected:
        selected["title"] = selected.pop("name")  # MP4's word for a track's title
    return selected


def count_tag_bytes(container: InputContainer) -> int:
    """Return about the bytes that all tags and chapters of a file take in Matroska."""
    chapters = container.chapters()
    groups = [container.metadata, *(stream.metadata for stream in container.streams)]
    groups += [chapter["metadata"] for chapter in chapters]
    texts = [text for tags in groups for tag in tags.items() for text in tag]
    return sum(len(text.encode()) for text in texts) + ELEMENT_BYTES * (len(texts) + len(chapters))


def add_tags(out: OutputContainer, tags: dict[str, str]) -> list[str]:
    """Add tags to an output that is not begun; return those that its format does not keep.

    MP4 and MOV have two kinds of tags, of which a file has one: names that players know, and keys
    with dots, as phones write them, which FFmpeg writes where it is told to.
    """
    name = out.format.name
    if find_container(name).is_matroska:
        out.metadata.update(tags)
        return []
    lost = find_lost_tags(tags, name)
    if any(key.lower().startswith(_KEYED) for key in lost):
        tags = {_restore_case(key): value for key, value in tags.items()}
        flags = out.container_options.get(_FLAGS, "")
        out.container_options[_FLAGS] = flags + _WITH_KEYS[_FLAGS]
        lost = find_lost_tags(tags, name, options=_WITH_KEYS)
    out.metadata.update(tags)
    return lost


def _restore_case(key: str) -> str:
    """Return a key as phones write it: Matroska has capitals only."""
    lower = key.lower()
    return _MIXED_CASE.get(lower, lower) if lower.startswith(_KEYED) else key


def find_lost_tags(
    tags: dict[str, str], format_name: str, *, options: dict[str, str] | None = None
) -> list[str]:
    """Return the tags that a format does not keep: a file with them is written in memory."""
    if not tags:
        return []
    data = io.BytesIO()
    with av.open(data, "w", format=format_name, container_options=options or {}) as trial:
        trial.add_stream("aac", rate=48000)
        trial.metadata.update(tags)
        trial.start_encoding()
    data.seek(0)
    with av.open(data, metadata_errors="replace") as trial_input:
        kept = {key.lower() for key in trial_input.metadata}
    return [key for key in tags if key.lower() not in kept]
