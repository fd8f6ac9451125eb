"""The index of an all-intra file has an entry a second, and the file stays whole."""

from pathlib import Path

import av
from synthetic import write_clip

import tinct
from tinct.media.cues import thin_index
from tinct.media.ebml import (
    CUES,
    count_broken_checksums,
    find_segment,
    parse_elements,
    walk_elements,
)


def list_entries(path: Path) -> list[int]:
    """Return the times of an index's entries in milliseconds."""
    with path.open("rb") as file:
        segment = find_segment(file)
        assert segment is not None
        assert segment.missing == 0
        assert segment.end == path.stat().st_size
        cues = next(
            e for e in walk_elements(file, segment.start, segment.end) if e.identity == CUES
        )
        file.seek(cues.start)
        points = parse_elements(file.read(cues.end - cues.start))
    return [
        int.from_bytes(dict(parse_elements(data))[0xB3], "big")
        for identity, data in points
        if identity == 0xBB
    ]


def write_intra(path: Path) -> None:
    write_clip(path, frames=90, codec="libx264", codec_options={"g": "1"}, audio="flac")


def test_an_entry_a_second_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_intra(path)
    before, size = list_entries(path), path.stat().st_size
    assert len(before) >= 90
    thin_index(path)
    assert list_entries(path) == [0, 1000, 2000, 3000]
    assert size - path.stat().st_size > 86 * 12
    with path.open("rb") as file:
        assert count_broken_checksums(file) == 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        container.seek(2_500_000)
        assert 2.0 <= float(next(container.demux(stream)).pts * stream.time_base) <= 2.5
        container.seek(0)
        assert sum(1 for _ in container.decode(stream)) == 90


def test_a_sparse_index_stays(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=90, codec="libx264", codec_options={"g": "50"})
    before = (tmp_path / "a.mkv").read_bytes()
    thin_index(tmp_path / "a.mkv")
    assert (tmp_path / "a.mkv").read_bytes() == before


def test_the_papers_layout_keeps_an_entry_for_each_frame(tmp_path: Path) -> None:
    """Its files keep their bytes."""
    write_clip(tmp_path / "a.mkv", frames=60)
    options = {"colour": "track", "interpolate": "off", "colouriser": "none"}
    for name, key_form in (("full.mkv", "full"), ("chroma.mkv", "chroma")):
        config = tinct.EncodeConfig(**options, key_form=key_form, group=6)  # type: ignore[arg-type]
        tinct.encode(str(tmp_path / "a.mkv"), str(tmp_path / name), config)
    assert len(list_entries(tmp_path / "full.mkv")) == 60
    assert list_entries(tmp_path / "chroma.mkv") == [0, 1000, 2000]
