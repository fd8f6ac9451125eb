"""Mutations of an MP4 file: of its boxes, their sizes, and the numbers in their tables."""

import struct
from collections.abc import Callable
from random import Random

from fuzz.mp4 import BoxNode, list_boxes, parse_boxes, write_boxes
from fuzz.mutate import MAX_BYTES, NUMBERS, drop_inner, mutate_bytes

TABLES = (
    *(b"stsz", b"stts", b"ctts", b"stsc", b"stco", b"stss", b"elst", b"trun", b"sidx", b"tfhd"),
    *(b"trex", b"sdtp", b"sbgp", b"saiz", b"stsd", b"hdlr", b"mdhd", b"mvhd", b"tkhd"),
)
Tree = list[BoxNode]


def mutate_mp4(data: bytes, random: Random) -> bytes:
    """Return a file with one to four things wrong."""
    tree = parse_boxes(data)
    is_plain = not tree or random.random() < 0.1
    if not is_plain:
        for _ in range(random.choice((1, 1, 2, 3, 4))):
            random.choice(_MUTATIONS)(tree, random)
        data = write_boxes(tree)
    if is_plain or random.random() < 0.1:
        data = mutate_bytes(data, random)
    return data


def _pick(tree: Tree, random: Random, *kinds: bytes) -> BoxNode | None:
    found = [node for node in list_boxes(tree) if not kinds or node.kind in kinds]
    return random.choice(found) if found else None


def _bend_table(tree: Tree, random: Random) -> None:
    """Change a number of a table: how many entries it has, or one of them."""
    if (node := _pick(tree, random, *TABLES)) is not None and len(node.data) >= 8:
        place = 4 * random.randrange(min(len(node.data) // 4, 8))
        number = random.choice(NUMBERS) & 0xFFFFFFFF
        node.data = node.data[:place] + struct.pack(">I", number) + node.data[place + 4 :]


def _name_many(tree: Tree, random: Random) -> None:
    """Let the tables of samples name the same large number."""
    number = random.choice((1 << 16, 1 << 20, 1 << 24, 1 << 28, (1 << 32) - 1))
    payloads = {
        b"stsz": struct.pack(">3I", 0, random.choice((0, 1, 100)), number),
        b"stts": struct.pack(">4I", 0, 1, number, random.choice((1, 512))),
        b"stsc": struct.pack(">5I", 0, 1, 1, number, 1),
        b"ctts": struct.pack(">4I", 0, 1, number, 1),
        b"trun": struct.pack(">2I", random.choice((0, 1, 0x200, 0x701)), number),
    }
    for node in list_boxes(tree):
        if node.kind in payloads and random.random() < 0.7:
            node.data = payloads[node.kind]


def _claim(tree: Tree, random: Random) -> None:
    """State a size that is wrong."""
    if (node := _pick(tree, random)) is not None:
        node.claimed = random.choice((*NUMBERS, len(node.data) + 9, max(len(node.data) + 7, 0)))


def _bend(tree: Tree, random: Random) -> None:
    if (node := _pick(tree, random)) is not None and not node.inner:
        node.data = mutate_bytes(node.data, random)


def _rename(tree: Tree, random: Random) -> None:
    node, other = _pick(tree, random), _pick(tree, random)
    if node is not None and other is not None:
        node.kind = random.choice((other.kind, *TABLES, b"cmov", b"meta", b"keys", b"free"))


def _drop(tree: Tree, random: Random) -> None:
    drop_inner(_pick(tree, random), random)


def _repeat(tree: Tree, random: Random) -> None:
    if (node := _pick(tree, random)) is not None and node.inner:
        again = random.choice(node.inner)
        count = max(1, min(random.choice((1, 1, 2, 100)), MAX_BYTES // len(again.write())))
        node.inner += [again.copy() for _ in range(count)]


def _move(tree: Tree, random: Random) -> None:
    """Move a box to where it has no place."""
    outer = [node for node in list_boxes(tree) if node.inner]
    if len(outer) > 1:
        origin, target = random.choice(outer), random.choice(outer)
        moved = origin.inner.pop(random.randrange(len(origin.inner)))
        if not any(node is target for node in moved.walk()):
            target.inner.insert(random.randrange(len(target.inner) + 1), moved)


# A mutation that stands several times is drawn more often.
_MUTATIONS: tuple[Callable[[Tree, Random], None], ...] = (
    *(_bend_table, _bend_table, _bend_table, _name_many, _name_many, _claim, _bend, _rename),
    *(_drop, _repeat, _move),
)
