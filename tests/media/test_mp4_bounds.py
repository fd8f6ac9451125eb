"""MP4 files whose tables name more than they hold are refused before FFmpeg opens them."""

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from synthetic import write_clip

import tinct
from fuzz.mp4 import BoxNode, find_box, list_boxes, parse_boxes, write_boxes
from tinct.errors import CodecError
from tinct.media.mp4_bounds import check_tables

MANY = 60_000_000  # samples: FFmpeg takes 4.2 GB for them
Tree = list[BoxNode]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("mp4") / "tables.mp4"
    write_clip(path, frames=5, codec="mpeg4", audio="aac")
    return path.read_bytes()


@pytest.fixture(scope="module")
def fragments(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("mp4") / "fragments.mp4"
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    write_clip(path, frames=5, codec="mpeg4", container_options=options)
    return path.read_bytes()


def full(*numbers: int) -> bytes:
    """Return the payload of a box with version and flags 0 and these 32-bit numbers."""
    return struct.pack(f">{len(numbers) + 1}I", 0, *numbers)


def set_tables(tree: Tree, **payloads: bytes) -> None:
    for kind, payload in payloads.items():
        find_box(tree, kind.encode()).data = payload


def name_equal_samples(tree: Tree) -> None:
    set_tables(tree, stsz=full(100, MANY), stts=full(1, MANY, 512), stsc=full(1, 1, MANY, 1))


def name_pictures(tree: Tree) -> None:
    """A seek among pictures that an edit list hides takes the square of their number in steps."""
    count = 1 << 20
    set_tables(tree, stsz=full(100, count), stts=full(1, count, 1), stsc=full(1, 1, count, 1))


def name_small_samples(tree: Tree) -> None:
    find_box(tree, b"stsz").kind = b"stz2"
    set_tables(tree, stz2=full(4, MANY))


def name_sound_samples(tree: Tree) -> None:
    """Sound of which a tick is a sample is indexed by its chunks."""
    (sound,) = (
        node
        for node in list_boxes(tree)
        if node.kind == b"trak" and any(b"soun" in inner.data for inner in node.walk())
    )
    set_tables([sound], stsz=full(1, 9), stts=full(1, 9, 1), stsc=full(1, 1, (1 << 31) - 1, 1))
    set_tables([sound], stco=full(1000, *[9] * 1000))


def name_offsets(tree: Tree) -> None:
    set_tables(tree, stco=full(1 << 30, 1))


def name_edits(tree: Tree) -> None:
    """Each edit repeats the index of all samples."""
    set_tables(tree, stsz=full(1, 50_000), stts=full(1, 50_000, 512), stsc=full(1, 1, 50_000, 1))
    set_tables(tree, elst=full(1000, *[100_000, 0, 1 << 16] * 1000))


def name_groups(tree: Tree) -> None:
    kind = int.from_bytes(b"sync", "big")
    find_box(tree, b"stbl").inner.append(BoxNode(b"sbgp", full(kind, 1, MANY, 1)))


def name_kinds_of_groups(tree: Tree) -> None:
    kind = int.from_bytes(b"sync", "big")
    payload = struct.pack(">4I", 1 << 24, kind, 1, MANY)
    find_box(tree, b"stbl").inner.append(BoxNode(b"sgpd", payload))


def name_stills(tree: Tree) -> None:
    find_box(tree, b"stbl").inner.append(BoxNode(b"iinf", struct.pack(">II", 1 << 24, MANY)))


def name_places_of_stills(tree: Tree) -> None:
    payload = struct.pack(">IHI", 2 << 24, 0x4400, MANY)
    find_box(tree, b"stbl").inner.append(BoxNode(b"iloc", payload))


def hide_in_descriptions(tree: Tree) -> None:
    find_box(tree, b"stsd").data += BoxNode(b"stsz", full(100, MANY)).write()


def hide_at_the_top(tree: Tree) -> None:
    tree.append(BoxNode(b"stbl", inner=[BoxNode(b"stsz", full(100, MANY))]))


def hide_in_free_space(tree: Tree) -> None:
    movie = find_box(tree, b"moov")
    name_equal_samples([movie])
    movie.kind = b"free"


def compress(tree: Tree) -> None:
    movie = find_box(tree, b"moov")
    name_equal_samples([movie])
    data = movie.write()
    body = struct.pack(">I", len(data)) + zlib.compress(data)
    codec = BoxNode(b"dcom", b"zlib").write() + BoxNode(b"cmvd", body).write()
    movie.inner = [BoxNode(b"cmov", codec)]


def compress_to_much(tree: Tree) -> None:
    body = struct.pack(">I", 1 << 30) + zlib.compress(bytes(1 << 20))
    codec = BoxNode(b"dcom", b"zlib").write() + BoxNode(b"cmvd", body).write()
    find_box(tree, b"moov").inner = [BoxNode(b"cmov", codec)]


def name_metadata(tree: Tree) -> None:
    """FFmpeg clears the memory for names of metadata before it reads them."""
    handler = BoxNode(b"hdlr", full(0, int.from_bytes(b"mdta", "big"), 0, 0, 0))
    keys = BoxNode(b"keys", full(1 << 29))
    data = BoxNode(b"meta", handler.write() + keys.write())
    find_box(tree, b"moov").inner.append(data)


def name_long_metadata(tree: Tree) -> None:
    handler = BoxNode(b"hdlr", full(0, int.from_bytes(b"mdta", "big"), 0, 0, 0))
    keys = BoxNode(b"keys", full(1, (1 << 32) - 1) + b"mdta")
    find_box(tree, b"moov").inner.append(BoxNode(b"meta", handler.write() + keys.write()))


TABLES = (
    *(name_equal_samples, name_small_samples, name_sound_samples, name_offsets, name_edits),
    *(hide_in_descriptions, hide_at_the_top, hide_in_free_space, compress, compress_to_much),
    *(name_metadata, name_long_metadata, name_groups, name_kinds_of_groups, name_pictures),
    *(name_stills, name_places_of_stills),
)


def expect_refusal(data: bytes, tmp_path: Path, words: str) -> None:
    path = tmp_path / "attack.mp4"
    path.write_bytes(data)
    for read in (tinct.info, tinct.open):
        with pytest.raises(CodecError, match=words) as caught:
            read(str(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", TABLES, ids=lambda change: change.__name__)
def test_tables_that_name_too_much_are_refused(
    tables: bytes, tmp_path: Path, change: Callable[[Tree], None]
) -> None:
    tree = parse_boxes(tables)
    change(tree)
    expect_refusal(write_boxes(tree), tmp_path, "tables of samples that fit the size of the file")


@pytest.mark.parametrize("length", [0, 3, 9])
def test_tables_that_end_early_are_no_error(tables: bytes, tmp_path: Path, length: int) -> None:
    """What follows is taken for the rest of a table, as FFmpeg takes it."""
    tree = parse_boxes(tables)
    for node in list_boxes(tree):
        node.data = node.data[:length]
    path = tmp_path / "short.mp4"
    path.write_bytes(write_boxes(tree))
    with suppress(CodecError):
        check_tables(str(path))


def test_runs_that_name_too_much_are_refused(fragments: bytes, tmp_path: Path) -> None:
    tree = parse_boxes(fragments)
    find_box(tree, b"trun").data = full(MANY)
    expect_refusal(write_boxes(tree), tmp_path, "tables of samples that fit the size of the file")


def test_many_fragments_of_many_tracks_are_refused(fragments: bytes, tmp_path: Path) -> None:
    """FFmpeg keeps a place for each fragment of each track."""
    tree = parse_boxes(fragments)
    find_box(tree, b"moov").inner += [BoxNode(b"trak", inner=[BoxNode(b"free")])] * 700
    tree += [BoxNode(b"sidx", full(1, 1000, 0, 0, 60_000) + bytes(12 * 60_000))]
    expect_refusal(write_boxes(tree), tmp_path, "tables of samples that fit the size of the file")


def test_millions_of_boxes_are_not_walked(tables: bytes, tmp_path: Path) -> None:
    data = BoxNode(b"udta", BoxNode(b"free").write() * 500_000)
    expect_refusal(tables + data.write(), tmp_path, "expected at most .* boxes in a file of")


@pytest.mark.parametrize(
    ("suffix", "audio"), [("mp4", None), ("mp4", "aac"), ("mov", "pcm_s16le"), ("mov", "pcm_u8")]
)
def test_ordinary_files_are_read(tmp_path: Path, suffix: str, audio: str | None) -> None:
    """Sound of 8 bits has as many samples as bytes, and no table of them."""
    path = tmp_path / f"a.{suffix}"
    write_clip(path, frames=50, rate=1, size=(16, 16), codec="mpeg4", audio=audio)
    check_tables(str(path))
    assert tinct.info(str(path)).frames == 50


def test_a_file_of_another_format_has_no_tables(tinct_path: Path, tmp_path: Path) -> None:
    check_tables(str(tinct_path))
    for name in ("a.ts", "a.avi", "a.y4m"):
        codec = {"a.ts": "mpeg2video", "a.avi": "mpeg4", "a.y4m": "rawvideo"}[name]
        write_clip(tmp_path / name, frames=3, codec=codec)
        check_tables(str(tmp_path / name))
