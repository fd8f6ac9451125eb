"""Files made to do harm: each is refused in one line, or decoded as far as it is undamaged.

`test_damage` has damage by accident.
"""

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import read_message, remux, run
from synthetic import make_info, write_clip

import tinct
from fuzz.matroska import (
    BLOCK,
    BLOCK_GROUP,
    CODEC_PRIVATE,
    SIMPLE_BLOCK,
    TRACK_NUMBER,
    Node,
    list_attachments,
    list_nodes,
    parse,
    seal,
    write,
)
from tinct.bitstream.manifest import read_manifest
from tinct.encoder.refusals import check_size
from tinct.errors import CodecError
from tinct.limits import (
    MAX_ATTACHMENTS,
    MAX_GROUP,
    MAX_HEAD_BYTES,
    MAX_LIVE_ELEMENTS,
    MAX_MANIFEST_BYTES,
    MAX_RANK,
    MAX_TRACKS,
    MAX_UPDATE_BYTES,
    max_compact_frames,
    max_group_frames,
    max_live_elements,
)
from tinct.media.ebml import (
    ATTACHED_FILE,
    ATTACHMENTS,
    CLUSTER,
    CRC,
    CUES,
    FILE_DATA,
    FILE_NAME,
    SEEK,
    SEEK_HEAD,
    SEEK_ID,
    SEEK_POSITION,
    SEGMENT,
    TRACK,
    VOID,
    check_bounds,
    count_broken_checksums,
)
from tinct.networks.compact import load_network
from tinct.networks.compact_update import list_update_shapes
from tinct.networks.gan_config import GanConfig
from tinct.networks.weights import (
    QuantisedTensor,
    decode_weights,
    encode_weights,
    hash_weights,
    quantise,
)

LUMA_TRACK, COLOUR_TRACK = 1, 2
TRACK_UID, NAME = 0x73C5, 0x536E
# Clusters that the file has at most: the first packet of each may come late without damage.
CLUSTERS = 3
MAX_MEGABYTES = 250  # memory of a process; 110 MB of that are libraries
Tree = list[Node]


@pytest.fixture
def tree(tinct_path: Path) -> Tree:
    """An undamaged file of layout `chroma` as a tree: 40 frames, a key frame every 8."""
    return parse(tinct_path.read_bytes())


def save(tree: Tree, tmp_path: Path) -> Path:
    """Write the tree with valid checksums."""
    path = tmp_path / "attack.mkv"
    seal(tree)
    path.write_bytes(write(tree))
    return path


def find_node(tree: Tree, identity: int) -> Node:
    """Return the first element of this identity."""
    return next(node for node in list_nodes(tree) if node.identity == identity)


def list_blocks(tree: Tree, track: int) -> list[Node]:
    """Return the blocks of a track."""
    return [
        node
        for node in list_nodes(tree)
        if node.identity == SIMPLE_BLOCK and node.data[0] == 0x80 | track
    ]


def find_manifest(tree: Tree) -> Node:
    """Return the data of the manifest's attachment."""
    return next(node for name, node in list_attachments(tree) if name == b"tinct.json")


def change_keys(tree: Tree, **changes: Any) -> None:
    """Change these keys of the manifest."""
    node = find_manifest(tree)
    node.data = json.dumps(json.loads(node.data) | changes).encode()


def move_block(block: Node, milliseconds: int) -> Node:
    """Return the block with another time, counted from its cluster's."""
    return Node(
        SIMPLE_BLOCK, block.data[:1] + milliseconds.to_bytes(2, "big", signed=True) + block.data[3:]
    )


def expect_refusal(path: Path, words: str) -> None:
    """Check that `info` and `verify` refuse a file with these words, in one line and 5 s."""
    began = time.process_time()
    for read in (tinct.info, tinct.verify):
        with pytest.raises(CodecError, match=words) as caught:
            read(str(path))
        assert "\n" not in str(caught.value)
    assert time.process_time() - began < 5


def decode_file(path: Path) -> tuple[list[tinct.Frame], Any]:
    """Return the frames of a file and the damage found."""
    video = tinct.open(str(path))
    return list(video), video.damage


PEAK = """
import sys
from tinct.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


def measure_peak(code: int, *arguments: str | Path) -> tuple[int, str]:
    """Return a process's peak memory in MB and its one line, after checking its exit code."""
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said, peak = done.stderr.splitlines()
    assert done.returncode == code, done.stderr
    return int(peak) // 1024, said


# ── more than limits allow ────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_100_000_attachments_are_refused_before_one_is_read(tree: Tree, tmp_path: Path) -> None:
    """A count of attachments beyond the limit is refused: FFmpeg makes a stream of each."""
    files = find_node(tree, ATTACHMENTS)
    small = Node(ATTACHED_FILE, inner=[Node(FILE_NAME, b"a.ttf"), Node(FILE_DATA, b"x")])
    files.inner += [small] * 100_000
    expect_refusal(
        save(tree, tmp_path),
        f"expected at most {MAX_ATTACHMENTS} attachments in a file, found 100,001",
    )


def test_1000_tracks_are_refused(tree: Tree, tmp_path: Path) -> None:
    tracks = next(
        node for node in list_nodes(tree) if any(inner.identity == TRACK for inner in node.inner)
    )
    tracks.inner += [find_node(tree, TRACK)] * 1000
    expect_refusal(
        save(tree, tmp_path), f"expected at most {MAX_TRACKS} tracks in a file, found 1,002"
    )


def test_what_stands_before_the_segment_does_not_hide_it(tree: Tree, tmp_path: Path) -> None:
    """Limits hold where the segment is not the second element, for FFmpeg finds it there too."""
    find_node(tree, ATTACHMENTS).inner += [
        Node(ATTACHED_FILE, inner=[Node(FILE_NAME, b"a.ttf"), Node(FILE_DATA, b"x")])
    ] * 1000
    tree.insert(1, Node(VOID, bytes(9)))
    expect_refusal(save(tree, tmp_path), "attachments in a file, found 1,001")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["segment", "attachments"])
def test_millions_of_empty_elements_are_not_walked(tree: Tree, tmp_path: Path, place: str) -> None:
    """Elements of two bytes are counted and refused: walking 20 MB of them takes half a minute."""
    void = Node(VOID, bytes([VOID, 0x80]) * 10_000_000)
    (find_node(tree, ATTACHMENTS) if place == "attachments" else tree[1]).inner.append(void)
    path = save(tree, tmp_path)
    path.write_bytes(
        path.read_bytes().replace(b"\xec\x01" + len(void.data).to_bytes(7, "big"), b"")
    )
    expect_refusal(path, "elements in a file, found")


def write_with_hole(tree: Tree, path: Path, *, node: Node, size: int) -> Path:
    """Write the file with `size` bytes of zeros in one element, as a hole in a sparse file."""
    mark = os.urandom(32)
    node.data = mark
    small = write(tree)
    node.claimed = size
    for outer in list_nodes(tree):
        if outer is not node and outer.holds(node):
            outer.claimed = len(b"".join(inner.write() for inner in outer.inner)) + size - len(mark)
    head, tail = write(tree).split(mark)
    assert len(small) == len(head) + len(mark) + len(tail)
    with path.open("wb") as file:
        file.write(head)
        file.seek(size, os.SEEK_CUR)
        file.write(tail)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        (
            "tinct.json",
            1 << 30,
            f"damaged tinct.json: expected at most {MAX_MANIFEST_BYTES:,} bytes, "
            "found 1,073,741,824",
        ),
        (
            "update.bin",
            1 << 30,
            f"damaged update.bin: expected at most {MAX_UPDATE_BYTES:,} bytes, found 1,073,741,824",
        ),
        (
            "font.ttf",
            1 << 30,
            f"expected at most {MAX_HEAD_BYTES:,} bytes beside the pictures and sound",
        ),
    ],
)
def test_an_attachment_of_1_gb_is_refused_unread(
    tree: Tree, tmp_path: Path, name: str, size: int, words: str
) -> None:
    """An attachment of 1 GB is refused in little memory, before it is read or parsed."""
    data = Node(FILE_DATA)
    find_node(tree, ATTACHMENTS).inner.append(
        Node(ATTACHED_FILE, inner=[Node(FILE_NAME, name.encode()), data])
    )
    megabytes, said = measure_peak(
        2, "info", write_with_hole(tree, tmp_path / "a.mkv", node=data, size=size)
    )
    assert words in said
    assert megabytes < MAX_MEGABYTES


@pytest.mark.parametrize(
    "nested", [b"[" * 1000 + b"]" * 1000, b"[],", b"{},"], ids=["deep", "wide", "objects"]
)
def test_nested_lists_are_refused_before_they_are_parsed(nested: bytes) -> None:
    """A manifest of many lists is refused before parsing, which would take 25 times its size."""
    data = b'{"tinct":1,"size":[' + nested * (MAX_MANIFEST_BYTES // len(nested) - 10) + b"[]]}"
    began = time.process_time()
    with pytest.raises(CodecError, match="expected at most 64 lists, found"):
        read_manifest(data)
    assert time.process_time() - began < 1


def test_an_object_of_many_keys_is_refused_before_it_is_parsed() -> None:
    """A manifest of many keys is refused before parsing, which would take 25 times its size."""
    data = b'{"tinct":1,' + b",".join(b'"%06d":0' % n for n in range(1 << 20)) + b"}"
    began = time.process_time()
    with pytest.raises(CodecError, match="expected at most 64 keys, found 1,048,577"):
        read_manifest(data)
    assert time.process_time() - began < 1


def test_not_every_gap_of_a_few_frames_is_filled(tree: Tree, tmp_path: Path) -> None:
    """Gaps in luma are filled up to a limit: three frames do not become several hundred."""
    change_keys(tree, frames=3, keys=1)
    luma = list_blocks(tree, LUMA_TRACK)
    for node in list_nodes(tree):
        node.inner = [inner for inner in node.inner if inner not in luma[3:]]
    luma[1].data, luma[2].data = move_block(luma[1], 8000).data, move_block(luma[2], 16000).data
    frames, _ = decode_file(save(tree, tmp_path))
    assert [frame.pts for frame in frames] == [*range(201), 400]


def test_a_key_that_stands_twice_is_refused() -> None:
    """A key that occurs twice is refused: some parsers take the first value, others the last."""
    with pytest.raises(CodecError, match=r"^damaged tinct.json: expected JSON"):
        read_manifest(b'{"tinct":1,"size":[64,48],"size":[32,32],"frames":12}')


def test_an_update_that_unpacks_to_far_more_is_refused_before_it_does() -> None:
    """Weights are counted before they are decoded.

    Zeros cost next to nothing: these 4 kB would become 16 million weights.
    """
    shapes = {"w": (1000, 16_000)}
    rows = quantise(np.zeros((1000, 16)), 4)
    bomb = encode_weights({"w": rows})
    assert len(bomb) < 5000
    began = time.process_time()
    with pytest.raises(CodecError, match="expected the coded weights"):
        decode_weights(bomb, shapes)
    assert time.process_time() - began < 0.5


def test_a_picture_larger_than_any_level_of_hevc_is_refused(tree: Tree, tmp_path: Path) -> None:
    change_keys(tree, size=[16384, 16384])
    expect_refusal(save(tree, tmp_path), "damaged tinct.json: 'size'")


@pytest.mark.parametrize(
    ("size", "longest"), [((1280, 720), 96), ((4096, 4352), 96), ((8192, 4352), 48)]
)
def test_a_group_that_no_decoder_holds_is_not_made(size: tuple[int, int], longest: int) -> None:
    """The encoder refuses groups longer than the limit of the decoder's memory at that size."""
    assert max_group_frames(*size) == longest
    check_size(make_info(*size), tinct.EncodeConfig(group=longest))
    if longest < MAX_GROUP:
        with pytest.raises(
            CodecError,
            match=f"--group: expected at most {longest} at 8192x4352; found {longest + 1}",
        ):
            check_size(make_info(*size), tinct.EncodeConfig(group=longest + 1))


# ── extreme weights ───────────────────────────────────────────────────────────────────────────────


def encode_extreme_weights(shapes: dict[str, tuple[int, ...]]) -> bytes:
    """Return an update of the largest weights of the format, with random signs."""
    random = np.random.default_rng(0)
    tensors = {}
    for name, shape in shapes.items():
        rows = (shape[0], int(np.prod(shape[1:]))) if len(shape) > 1 else (1, shape[0])
        tensors[name] = QuantisedTensor(
            random.choice((-2047, 2047), rows).astype(np.int32), np.full(rows[0], 255, np.uint8), 12
        )
    return encode_weights(tensors)


def write_with_update(source: Path, target: Path, data: bytes, **changes: Any) -> Path:
    """Copy a Tinct file with this update and other changes of the manifest."""

    def attachments(name: str, old: bytes) -> Iterator[tuple[str, bytes]]:
        if name == "tinct.json":
            manifest = json.loads(old) | changes | {"update": hash_weights(data)}
            yield name, json.dumps(manifest).encode()
            yield "update.bin", data

    remux(source, target, attachments=attachments)
    return target


@pytest.mark.slow
def test_no_update_makes_weights_that_are_not_numbers() -> None:
    """No bytes decode to NaN, infinity or weights beyond the largest of the format.

    A weight is an integer of 12 bits times a power of two. Random bytes obey this as well.
    """
    most = 2047 * 2.0 ** (255 / 8 - 24)
    decoded = decode_weights(encode_extreme_weights({"w": (2, 3)}), {"w": (2, 3)})["w"]
    assert np.array_equal(np.abs(decoded), np.full((2, 3), most, np.float32))
    random, taken = np.random.default_rng(1), 0
    for _ in range(2000):
        data = random.integers(0, 256, 13, np.uint8)
        data[0] = random.integers(2, 13)
        try:
            weights = decode_weights(data.tobytes(), {"w": (2, 3)})["w"]
        except CodecError:
            continue
        taken += 1
        assert np.abs(weights).max() <= most
    assert taken > 20


@pytest.mark.slow
def test_a_change_to_the_network_gone_wild_shows_pictures(clip_path: Path, tmp_path: Path) -> None:
    """A file whose update overflows in every layer still decodes, without a warning.

    All weights of the update are about 480,000.
    """
    config = tinct.EncodeConfig(colour="track", group=8, colouriser="compact", adapt="off")
    tinct.encode(str(clip_path), str(tmp_path / "a.mkv"), config)
    shapes = list_update_shapes(load_network("fast").passes[-1][0], MAX_RANK)
    update = encode_extreme_weights(shapes)
    write_with_update(tmp_path / "a.mkv", tmp_path / "b.mkv", update, rank=MAX_RANK)
    done = run("decode", tmp_path / "b.mkv", tmp_path / "b.y4m", "--quiet")
    assert (done.returncode, done.stderr) == (0, b"")
    usual, strange = (list(tinct.open(str(tmp_path / name))) for name in ("a.mkv", "b.y4m"))
    assert len(strange) == 40
    assert any(not np.array_equal(a.y, b.y) for a, b in zip(usual, strange, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("output", [pytest.param("rgb", marks=pytest.mark.nightly), "ycbcr"])
def test_a_videos_own_network_gone_wild_shows_pictures(
    output: str, tinct_path: Path, tmp_path: Path
) -> None:
    """A file whose generator overflows still decodes, without a warning."""
    from tinct.networks.gan import list_shapes

    config = GanConfig(channels=6, output=output)  # type: ignore[arg-type]
    changes = {"colouriser": "gan", "generator": {"channels": 6, "output": output}}
    write_with_update(
        tinct_path, tmp_path / "b.mkv", encode_extreme_weights(list_shapes(config)), **changes
    )
    done = run("decode", tmp_path / "b.mkv", tmp_path / "b.y4m", "--quiet")
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(list(tinct.open(str(tmp_path / "b.y4m")))) == 40


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30], ids=str)
def test_pictures_of_a_network_gone_wild_are_pictures(value: float) -> None:
    """Any output of a network, infinite or not, is converted to 8-bit planes without a warning."""
    from tinct.networks.gan import to_planes

    picture = np.full((3, 4, 6), value, np.float32)
    with np.errstate(invalid="raise"):
        for output in ("rgb", "ycbcr"):
            planes = to_planes(picture, output, make_info(6, 4))  # type: ignore[arg-type]
            assert [plane.dtype for plane in planes] == [np.uint8] * 3


# ── tracks that do not fit each other ─────────────────────────────────────────────────────────────


def test_a_second_luma_track_is_refused(tree: Tree, tmp_path: Path) -> None:
    for node in list_nodes(tree):
        node.data = b"luma" if node.data == b"colour" else node.data
    expect_refusal(save(tree, tmp_path), "expected one track luma, found two")


def test_a_colour_track_of_another_size_is_refused(tree: Tree, tmp_path: Path) -> None:
    """A colour track of the luma track's size is refused."""
    tracks = {node.inner[0].data: node for node in list_nodes(tree) if node.identity == TRACK}
    luma, colour = tracks[b"\1"], tracks[b"\2"]
    colour.inner = [
        Node(TRACK_NUMBER, b"\2"),
        *(inner for inner in luma.inner if inner.identity not in (TRACK_NUMBER, TRACK_UID, NAME)),
    ]
    colour.inner += [Node(TRACK_UID, b"\2"), Node(NAME, b"colour")]
    expect_refusal(save(tree, tmp_path), "so track colour should be")


def test_a_colour_track_of_another_rate_colours_the_frames_that_it_names(
    tree: Tree, tmp_path: Path
) -> None:
    """All frames are decoded where times of colour lie between those of luma."""
    for block in list_blocks(tree, COLOUR_TRACK):
        block.data = move_block(block, int.from_bytes(block.data[1:3], "big") * 2 // 3 + 7).data
    frames, _ = decode_file(save(tree, tmp_path))
    assert [frame.pts for frame in frames] == list(range(40))


def test_more_key_frames_than_frames_are_refused(tree: Tree, tmp_path: Path) -> None:
    change_keys(tree, keys=41)
    expect_refusal(save(tree, tmp_path), "'keys' is not as format 1 has it, found 41")


def test_more_colour_than_luma_is_left_out(tree: Tree, tmp_path: Path) -> None:
    """Key frames behind the last frame are dropped and counted as damage."""
    last = list_blocks(tree, COLOUR_TRACK)[-1]
    find_node(tree, CLUSTER).inner += [move_block(last, 2000 + 40 * n) for n in range(100)]
    frames, damage = decode_file(save(tree, tmp_path))
    assert [frame.pts for frame in frames] == list(range(40))
    assert damage


def test_more_luma_than_the_manifest_says_is_left_out(tree: Tree, tmp_path: Path) -> None:
    """Frames beyond the manifest's count are dropped and counted as damage."""
    last = list_blocks(tree, LUMA_TRACK)[-1]
    cluster = [node for node in list_nodes(tree) if node.identity == CLUSTER][-1]
    now = int.from_bytes(last.data[1:3], "big")
    cluster.inner += [move_block(last, now + 40 * n) for n in range(1, 21)]
    frames, damage = decode_file(save(tree, tmp_path))
    assert (len(frames), damage.packets) == (40, 20)


@pytest.mark.parametrize("track", [LUMA_TRACK, COLOUR_TRACK])
def test_times_that_run_backwards_are_damage(tree: Tree, tmp_path: Path, track: int) -> None:
    own = list_blocks(tree, track)
    times = [block.data[1:3] for block in own]
    for block, time_bytes in zip(own, reversed(times), strict=True):
        block.data = block.data[:1] + time_bytes + block.data[3:]
    frames, damage = decode_file(save(tree, tmp_path))
    assert frames
    assert damage.packets >= len(own) - CLUSTERS


@pytest.mark.parametrize("track", [LUMA_TRACK, COLOUR_TRACK])
def test_times_that_repeat_are_damage(tree: Tree, tmp_path: Path, track: int) -> None:
    own = list_blocks(tree, track)
    for block in own:
        block.data = block.data[:1] + own[0].data[1:3] + block.data[3:]
    frames, damage = decode_file(save(tree, tmp_path))
    assert len({frame.pts for frame in frames}) == len(frames)
    assert damage.packets >= len(own) - CLUSTERS


@pytest.mark.slow
@pytest.mark.parametrize(
    "size",
    [(640, 480), pytest.param((48, 32), marks=pytest.mark.nightly)],
    ids=["larger", "smaller"],
)
@pytest.mark.parametrize("track", [LUMA_TRACK, COLOUR_TRACK])
def test_a_track_that_changes_size_in_the_middle_is_concealed(
    tree: Tree, tinct_path: Path, tmp_path: Path, track: int, size: tuple[int, int]
) -> None:
    """A picture of another size is concealed, before memory for it is taken."""
    write_clip(tmp_path / "other.mkv", frames=4, size=size)
    config = tinct.EncodeConfig(colour="track", group=2, colouriser="none")
    tinct.encode(str(tmp_path / "other.mkv"), str(tmp_path / "b.mkv"), config)
    other = parse((tmp_path / "b.mkv").read_bytes())
    private = [node.data for node in list_nodes(other) if node.identity == CODEC_PRIVATE][track - 1]
    count = private[22]
    assert count == 3
    sets, place = b"", 23
    for _ in range(count):  # VPS, SPS and PPS of hvcC, each framed by its length in 4 bytes
        length = int.from_bytes(private[place + 3 : place + 5], "big")
        sets += length.to_bytes(4, "big") + private[place + 5 : place + 5 + length]
        place += 5 + length
    own = list_blocks(tree, track)
    own[3].data = own[3].data[:4] + sets + list_blocks(other, track)[0].data[4:]
    frames, damage = decode_file(save(tree, tmp_path))
    assert all(frame.y.shape == (48, 64) for frame in frames)
    assert damage
    assert len(frames) >= 3


# ── impossible key frames and groups ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["open", "plain"])
def test_groups_that_lie_past_the_end_change_nothing(
    tree: Tree, tinct_path: Path, tmp_path: Path, key: str
) -> None:
    """Groups that the manifest lists behind the end have no effect."""
    times = [10_000, 1 << 30]
    change_keys(tree, **{key: times if key == "open" else [times, times, times]})
    frames, damage = decode_file(save(tree, tmp_path))
    assert not damage
    for ours, theirs in zip(frames, tinct.open(str(tinct_path)), strict=True):
        assert np.array_equal(ours.cb, theirs.cb)


@pytest.mark.slow
def test_colour_far_ahead_of_luma_is_not_hoarded(tree: Tree, tmp_path: Path) -> None:
    """Memory stays small where 30,000 key frames come before the first luma packet."""
    cluster, first = find_node(tree, CLUSTER), list_blocks(tree, COLOUR_TRACK)[0]
    cluster.inner = [*(move_block(first, n) for n in range(30_000)), *list_blocks(tree, LUMA_TRACK)]
    path = save(tree, tmp_path)
    megabytes, said = measure_peak(3, "decode", path, tmp_path / "out.y4m", "--quiet")
    assert "frames were concealed" in said
    assert megabytes < MAX_MEGABYTES


# ── flipped bits and other forms of blocks ────────────────────────────────────────────────────────


@pytest.mark.slow
def test_one_flipped_bit_anywhere_in_the_packets_is_named(tinct_path: Path, tmp_path: Path) -> None:
    """Checksums detect each flipped bit; HEVC's decoder overlooks most of them."""
    data = tinct_path.read_bytes()
    start = data.index(CLUSTER.to_bytes(4, "big")) + 40
    assert count_broken_checksums(io.BytesIO(data)) == 0
    for place in range(start, len(data) - 1000, 97):
        spoilt = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        assert count_broken_checksums(io.BytesIO(spoilt)) == 1, place
    (tmp_path / "a.mkv").write_bytes(spoilt)
    assert "1 checksums do not hold" in read_message(
        run("verify", tmp_path / "a.mkv", "--quiet"), 3
    )


def is_key_block(node: Node) -> bool:
    return node.identity == SIMPLE_BLOCK and bool(node.data[3] & 0x80)


def test_blocks_within_groups_of_their_own_are_read_as_any(
    tree: Tree, tinct_path: Path, tmp_path: Path
) -> None:
    """Packets in block groups, as other programs write them, are decoded as well."""
    cluster = find_node(tree, CLUSTER)
    cluster.inner = [
        Node(BLOCK_GROUP, inner=[Node(BLOCK, node.data)]) if is_key_block(node) else node
        for node in cluster.inner
        if node.identity != CRC
    ]
    frames, damage = decode_file(save(tree, tmp_path))
    assert len(frames) == 40
    assert not damage.broken_checksums
    assert np.array_equal(frames[5].y, list(tinct.open(str(tinct_path)))[5].y)


# ── outputs ───────────────────────────────────────────────────────────────────────────────────────

NAMES = (
    "two words.mkv",
    "two\nlines.mkv",
    "smörgås ☃.mkv",
    "-dash.mkv",
    "pipe:1.mkv",
    "%d.mkv",
    "quote'\".mkv",
)


@pytest.fixture
def precious_file(tmp_path: Path) -> Iterator[Path]:
    """A file that no output may change."""
    path = tmp_path / "precious"
    path.write_bytes(b"precious")
    yield path
    assert path.read_bytes() == b"precious"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["encode", "decode"])
@pytest.mark.parametrize("dangling", [False, True])
def test_a_symbolic_link_as_output_never_leads_anywhere(
    clip_path: Path, tmp_path: Path, precious_file: Path, command: str, dangling: bool
) -> None:
    """A link at the output's place is refused or replaced, and its target never written."""
    target = tmp_path / "gone" if dangling else precious_file
    link = tmp_path / "a.mkv"
    link.symlink_to(target)
    options = ["--colour=in-band"] if command == "encode" else []
    said = read_message(run(command, clip_path, link, "--quiet", *options), 2)
    assert "found a symbolic link" in said
    assert run(command, clip_path, link, "--quiet", "--overwrite", *options).returncode == 0
    assert not link.is_symlink()
    assert not (tmp_path / "gone").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_fifo_as_output_is_refused_and_not_waited_for(
    clip_path: Path, tmp_path: Path, command: str
) -> None:
    os.mkfifo(tmp_path / "a.mkv")
    for more in ((), ("--overwrite",)):
        assert "found a pipe or device" in read_message(
            run(command, clip_path, tmp_path / "a.mkv", *more), 2
        )


@pytest.mark.slow
def test_a_link_to_a_folder_for_pictures_is_refused(clip_path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "pictures").symlink_to(tmp_path / "elsewhere")
    assert "found a symbolic link" in read_message(
        run("decode", clip_path, tmp_path / "pictures"), 2
    )
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.slow
def test_a_link_under_a_hidden_name_is_not_followed(
    clip_path: Path, tmp_path: Path, precious_file: Path
) -> None:
    """Links under guessed names of hidden files are not followed."""
    for number in range(os.getpid(), os.getpid() + 300):
        (tmp_path / f".a.mkv.{number}.tinct-part").symlink_to(precious_file)
    assert run("decode", clip_path, tmp_path / "a.mkv", "--quiet").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_a_name(clip_path: Path, tmp_path: Path, name: str) -> None:
    options = ("--quiet", "--colour", "track", "--colouriser", "none")
    done = run("encode", *options, "--", clip_path, name, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert run("info", "--", name, cwd=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems want UTF-8")
def test_a_name_that_is_no_text_is_a_name(clip_path: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mkv")
    done = run("encode", "--quiet", "--colour", "in-band", clip_path, name, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert run("decode", name, "b.mkv", "--quiet", cwd=tmp_path).returncode == 0
    assert b"40 frames" in run("info", name, cwd=tmp_path).stdout
    assert "caf" in read_message(run("decode", name, name, cwd=tmp_path), 2)


@pytest.mark.slow
def test_an_error_with_lines_in_its_name_is_one_line(tmp_path: Path) -> None:
    said = read_message(run("info", "no\nsuch\x1b[2Jfile.mkv", cwd=tmp_path), 2)
    assert "\x1b" not in said
    assert re.search("found nothing at no such", said)


def test_a_name_that_stdout_cannot_encode_is_escaped(clip_path: Path, tmp_path: Path) -> None:
    (tmp_path / "\u65e5.mkv").write_bytes(clip_path.read_bytes())
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = run("info", "\u65e5.mkv", cwd=tmp_path, env=ascii_only)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"\\u65e5.mkv: no Tinct in it")


@pytest.mark.slow
def test_names_never_control_a_terminal(clip_path: Path, tmp_path: Path) -> None:
    """Names in reports, notes and pages are shown without their escapes."""
    name = "\x1b]0;owned\x07\x1b[31m.mkv"
    (tmp_path / name).write_bytes(clip_path.read_bytes())
    encoded = run("encode", name, f"b{name}", "--colour", "in-band", cwd=tmp_path)
    written = run("keyframes", name, "--out", "k\x1b[31m", "--count", "1", cwd=tmp_path)
    (picture,) = (tmp_path / "k\x1b[31m").iterdir()
    tinted = cv2.imread(str(picture)) // [1, 1, 2]
    cv2.imwrite(str(tmp_path / "0.\x1b[31m.png"), tinted)
    reference = ["--reference", f"{int(picture.stem)}=0.\x1b[31m.png", "--page", "page.html"]
    coloured = run("colourise", name, f"c{name}", *reference, cwd=tmp_path)
    for done in (encoded, written, coloured, run("info", name, cwd=tmp_path)):
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout + done.stderr
    assert b"[31m" in coloured.stderr
    assert b"\x1b" not in (tmp_path / "page.html").read_bytes()


# ── references to elsewhere ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wrapper", ["void", "cluster of unknown size", "file behind the segment"])
def test_parts_hidden_inside_others_are_found_before_they_are_read(
    tree: Tree, tmp_path: Path, wrapper: str
) -> None:
    """Attachments inside other elements are found and refused before FFmpeg reads them.

    FFmpeg gets there through a table of contents, or in a cluster of unknown size.
    """
    segment = find_node(tree, SEGMENT)
    (attachments,) = (node for node in segment.inner if node.identity == ATTACHMENTS)
    attachments.inner += [attachments.inner[-1]] * (MAX_ATTACHMENTS + 1)
    segment.inner = [
        node for node in segment.inner if node.identity not in (SEEK_HEAD, VOID, ATTACHMENTS)
    ]
    behind = b""
    if wrapper != "cluster of unknown size":
        seek = Node(
            SEEK,
            inner=[Node(SEEK_ID, ATTACHMENTS.to_bytes(4, "big")), Node(SEEK_POSITION, bytes(8))],
        )
        segment.inner.insert(0, Node(SEEK_HEAD, inner=[seek]))
        place = sum(len(node.write()) for node in segment.inner)
        if wrapper == "void":
            place += len(Node(VOID).write())
            segment.inner.append(Node(VOID, attachments.write()))
        else:
            behind = attachments.write()
        seek.inner[1].data = place.to_bytes(8, "big")
        words = "found a part inside another"
    else:
        find_node(tree, CLUSTER).claimed = (1 << 56) - 1
        segment.inner.append(attachments)
        words = f"expected at most {MAX_ATTACHMENTS} attachments"
    path = tmp_path / "attack.mkv"
    path.write_bytes(write(tree) + behind)
    with pytest.raises(CodecError, match=words):
        tinct.info(str(path))


def test_a_part_that_is_cut_off_in_its_head_is_no_attack(tree: Tree, tmp_path: Path) -> None:
    """A table of contents leads to a part of which only the first bytes are left."""
    path = save(tree, tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(CUES.to_bytes(4, "big")) + 5])
    assert tinct.info(str(path)).frames == 40


def test_a_stale_table_of_contents_is_no_attack(tree: Tree, tmp_path: Path) -> None:
    """An entry of a table of contents that leads nowhere is allowed: editing tools leave them."""
    find_node(tree, SEEK_POSITION).data = (123).to_bytes(2, "big")
    path = tmp_path / "edited.mkv"
    path.write_bytes(write(tree))
    assert tinct.info(str(path)).frames == 40


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.mkv", "ffconcat version 1.0\nfile p.mkv\n"),
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\np.ts\n"),
    ],
)
def test_lists_of_files_are_refused_before_one_is_opened(
    tmp_path: Path, name: str, text: str
) -> None:
    """Playlists are refused before a file is opened: a named pipe in one would block for ever."""
    for pipe in ("p.mkv", "p.ts"):
        os.mkfifo(tmp_path / pipe)
    (tmp_path / name).write_text(text)
    expect_refusal(tmp_path / name, "expected a video file, found text")


NEIGHBOURS = {
    "v.sub": b"# VobSub index file, v7 (do not modify this line!)\n",
    "v.M00": b"MLVI" + (52).to_bytes(4, "little") + b"v2.0\0" + bytes(60),
}


@pytest.mark.slow
@pytest.mark.parametrize("other", NEIGHBOURS)
def test_formats_that_open_their_neighbours_are_refused_before_they_do(
    tmp_path: Path, other: str
) -> None:
    """Formats that make FFmpeg open files of similar names are refused before it does."""
    for pipe in {other, other.lower(), other.upper()}:
        os.mkfifo(tmp_path / pipe)
    (tmp_path / "v.mkv").write_bytes(NEIGHBOURS[other] + bytes(2000))
    assert "expected a video file" in read_message(run("info", tmp_path / "v.mkv"), 2)


def test_a_name_with_a_pattern_is_not_that_of_other_pictures(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a1.png"), np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "a%d.png").write_bytes((tmp_path / "a1.png").read_bytes())
    with pytest.raises(CodecError, match="expected a video file, found text, pictures"):
        tinct.info(str(tmp_path / "a%d.png"))


def test_a_rate_that_ffmpeg_cannot_hold_is_refused(tree: Tree, tmp_path: Path) -> None:
    change_keys(tree, rate=[(1 << 31), (1 << 31) - 1])
    expect_refusal(save(tree, tmp_path), "damaged tinct.json: 'rate' is not")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_manifest_is_utf_8_and_nothing_else(tree: Tree, encoding: str) -> None:
    with pytest.raises(CodecError, match=r"damaged tinct.json: expected JSON"):
        read_manifest(find_manifest(tree).data.decode().encode(encoding))


@pytest.mark.slow
def test_a_start_beyond_all_ticks_is_refused(tinct_path: Path, tmp_path: Path) -> None:
    assert "expected a start from 0" in read_message(
        run("decode", tinct_path, tmp_path / "a.mkv", "--start", "9" * 13), 2
    )


@pytest.mark.slow
def test_a_name_longer_than_file_systems_take_is_one_line(tinct_path: Path, tmp_path: Path) -> None:
    assert "File name too long" in read_message(run("info", "a" * 300), 2)
    assert "File name too long" in read_message(
        run("decode", tinct_path, tmp_path / ("é" * 130 + ".mkv")), 2
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_errors_that_nobody_can_be_told_keep_their_exit_code() -> None:
    """The exit code stays 2 where stderr is full."""
    command = [sys.executable, "-m", "tinct", "info", "nothing.mkv"]
    with open("/dev/full", "w") as full:
        assert subprocess.run(command, stderr=full, check=False).returncode == 2


def test_self_attention_over_all_of_a_large_picture_is_refused() -> None:
    """Self-attention that would take hours for a frame is refused."""
    from tinct.networks.gan import check_size

    with pytest.raises(
        CodecError,
        match=r"expected self-attention of at most 4.4e\+12 .*; encode with --attention 4, or none",
    ):
        check_size(GanConfig(channels=6, attention=(1,)), make_info(5000, 5000))
    check_size(GanConfig(channels=64), make_info(1920, 1080))
    check_size(GanConfig(channels=16, attention=(1, 2, 3, 4)), make_info(352, 288))


def test_fewer_frames_at_a_time_where_they_are_large() -> None:
    """The number of frames in work at once falls with the size of the pictures."""
    assert max_compact_frames(8192, 4352) == 1
    assert max_compact_frames(1920, 1080) > 16


def test_a_network_too_large_for_its_pictures_is_refused_before_one_is_made() -> None:
    """A network that would take 200 GB at the file's size is refused before memory is taken."""
    from tinct.networks.gan import check_size, make_gan_colouriser

    config, nothing = GanConfig(channels=128), dict[str, np.ndarray]()
    with pytest.raises(
        CodecError,
        match="expected a network that takes at most 8 GiB for a picture, "
        "found 128 channels at 8192x4352",
    ):
        make_gan_colouriser(config, nothing, make_info(8192, 4352))
    check_size(config, make_info(1280, 720))


@pytest.mark.slow
def test_many_tables_of_contents_take_no_longer_than_one(tree: Tree, tmp_path: Path) -> None:
    """100,000 tables of contents are checked in linear time."""
    segment = find_node(tree, SEGMENT)
    line = Node(SEEK, inner=[Node(SEEK_ID, CLUSTER.to_bytes(4, "big")), Node(SEEK_POSITION, b"\0")])
    segment.inner += [Node(SEEK_HEAD, inner=[line])] * 100_000
    path = tmp_path / "attack.mkv"
    path.write_bytes(write(tree))
    began = time.process_time()
    check_bounds(str(path))
    assert time.process_time() - began < 10


@pytest.mark.slow
def test_a_cluster_that_never_ends_is_not_walked_without_end(tree: Tree, tmp_path: Path) -> None:
    """Elements in a cluster of unknown size are counted and refused beyond a limit."""
    find_node(tree, SEGMENT).claimed = (1 << 56) - 1
    path = tmp_path / "attack.mkv"
    head = write(tree).split(CLUSTER.to_bytes(4, "big"))[0] + CLUSTER.to_bytes(4, "big") + b"\xff"
    path.write_bytes(head + b"\xec\x80" * round(1.02 * MAX_LIVE_ELEMENTS))
    most = max_live_elements(path.stat().st_size)
    assert MAX_LIVE_ELEMENTS < most < 1.02 * MAX_LIVE_ELEMENTS
    with pytest.raises(
        CodecError, match=f"expected at most {most:,} elements in clusters of unknown size"
    ):
        check_bounds(str(path))
