"""Mutations of the fuzzer: they terminate, are repeatable, and stay within its memory."""

from random import Random

from fuzz.matroska import BLOCK_GROUP, CLUSTER, MAX_LEVELS, Node, list_nodes, parse, write
from fuzz.mutate import MAX_BYTES, copy_node, mutate_file


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
    data = write([Node(CLUSTER, inner=[Node(0xA3, bytes(1000))] * 5)])
    assert [mutate_file(data, Random(seed)) for seed in range(50)] == [
        mutate_file(data, Random(seed)) for seed in range(50)
    ]
