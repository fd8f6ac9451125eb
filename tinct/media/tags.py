"""Tags of files and tracks: which are passed on, and which an output format loses.

`passthrough` copies them.
"""

import io

import av
from av.container import InputContainer

ELEMENT_BYTES = 32  # of a tag's or chapter's elements in Matroska, about
# Tags that describe the file they came from, not the work.
_FILE_TAGS = {
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


def find_lost_tags(tags: dict[str, str], format_name: str) -> list[str]:
    """Return the tags that a format does not keep: a file with them is written in memory."""
    if not tags:
        return []
    data = io.BytesIO()
    with av.open(data, "w", format=format_name) as trial:
        trial.add_stream("aac", rate=48000)
        trial.metadata.update(tags)
        trial.start_encoding()
    data.seek(0)
    with av.open(data, metadata_errors="replace") as trial_input:
        kept = {key.lower() for key in trial_input.metadata}
    return [key for key in tags if key.lower() not in kept]
