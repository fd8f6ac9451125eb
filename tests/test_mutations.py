"""Mutations do not fail on what they made themselves, nor grow beyond the memory that the fuzzer has."""

from random import Random

from fuzz.matroska import BLOCK_GROUP, CLUSTER, MOST_LEVELS, Node, nodes, parse, write
from fuzz.mutate import MOST_BYTES, mutated


def test_elements_are_taken_apart_to_a_depth_only() -> None:
    data = b"x"
    for _ in range(2000):
        data = Node(BLOCK_GROUP, data).write()
    tree = parse(data)
    assert len(nodes(tree)) == MOST_LEVELS + 1
    assert write(tree) == data


def test_mutations_of_mutations_stay_small_enough() -> None:
    block = Node(0xA3, bytes(100_000))
    data = write([Node(CLUSTER, inner=[block] * 5)])
    for seed in range(300):
        data = mutated(data, Random(seed))[: 10 * MOST_BYTES]
        assert len(data) < 10 * MOST_BYTES
        data = data if 500_000 < len(data) < MOST_BYTES else write([Node(CLUSTER, inner=[block] * 5)])


def test_a_mutation_is_its_number() -> None:
    data = write([Node(CLUSTER, inner=[Node(0xA3, bytes(1000))] * 5)])
    assert [mutated(data, Random(seed)) for seed in range(50)] == [mutated(data, Random(seed)) for seed in range(50)]
