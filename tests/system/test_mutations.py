"""Mutations of the fuzzer: they terminate, are repeatable, and stay within its memory."""

from pathlib import Path
from random import Random

from helpers import read_payloads
from synthetic import write_clip

from fuzz.matroska import BLOCK_GROUP, CLUSTER, MAX_LEVELS, Node, list_nodes, parse, write
from fuzz.mp4 import BoxNode, parse_boxes, write_boxes
from fuzz.mutate import MAX_BYTES, copy_node, mutate_file
from fuzz.mutate_mp4 import mutate_mp4
from fuzz.mutate_ts import mutate_ts, shift_clocks


def test_elements_are_taken_apart_to_a_depth_only() -> None:
    """Elements are parsed to a limited depth, and written again as they were."""
    data = b"x"
    for _ in range(2000):
        data = Node(BLOCK_GROUP, data).write()
    tree = parse(data)
    assert len(list_nodes(tree)) == MAX_LEVELS + 1
    assert write(tree) == data


def test_repetitions_do_not_grow_beyond_their_bound_nor_share_what_they_hold() -> None:
    """Copies of an element stay within MAX_BYTES and share no part."""
    cluster = Node(CLUSTER, inner=[Node(0xA3, bytes(1_000_000))])
    copies = copy_node(cluster, 1000)
    assert len(copies) == MAX_BYTES // len(cluster.write())
    copies[0].inner[0].data = b""
    assert copies[1].write() == cluster.write()


def test_a_seed_gives_the_same_mutation() -> None:
    """The same seed gives the same mutation."""
    movie = BoxNode(b"moov", inner=[BoxNode(b"stsz", bytes(40))] * 5)
    samples = {
        mutate_file: write([Node(CLUSTER, inner=[Node(0xA3, bytes(1000))] * 5)]),
        mutate_mp4: write_boxes([movie]),
        mutate_ts: bytes([0x47, 0x40, 0, 0x10, *bytes(184)]) * 9,
    }
    for mutate, data in samples.items():
        cases = [mutate(data, Random(seed)) for seed in range(50)]
        assert cases == [mutate(data, Random(seed)) for seed in range(50)]
        assert len(set(cases)) > 10


def test_clocks_are_shifted_where_they_stand(tmp_path: Path) -> None:
    """Times of a transport stream move by the ticks asked for, and by nothing when moved back."""
    write_clip(tmp_path / "a.ts", frames=4, codec="mpeg2video")
    data = (tmp_path / "a.ts").read_bytes()
    packets = [bytearray(data[at : at + 188]) for at in range(0, len(data), 188)]
    for packet in packets:
        shift_clocks(packet, 90_000)
    (tmp_path / "b.ts").write_bytes(b"".join(packets))
    before, after = (read_payloads(tmp_path / name, "video") for name in ("a.ts", "b.ts"))
    assert [round(time - 1, 3) for time, _ in after] == [time for time, _ in before]
    for packet in packets:
        shift_clocks(packet, -90_000)
    assert b"".join(packets) == data


def test_boxes_are_written_as_they_were_read(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", frames=4, codec="mpeg4")
    data = (tmp_path / "a.mp4").read_bytes()
    assert write_boxes(parse_boxes(data)) == data
