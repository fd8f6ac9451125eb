"""Mutations of a Tinct file: of elements, packets, tracks, attachments, the manifest, plain bytes.

The same random numbers give the same file: a case of a campaign can be made again.
"""

import json
from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any
from zlib import compress

from fuzz.matroska import (
    BLOCK,
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
from tinct.bitstream.times import pack_times
from tinct.media.ebml import ATTACHED_FILE, ATTACHMENTS, CLUSTER, TRACK
from tinct.networks.weights import hash_weights

NUMBERS = (
    *(0, 1, 2, 3, 127, 128, 255, 256, 32767, 65535, 1 << 24, (1 << 31) - 1),
    *(1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1),
)
VALUES: tuple[Any, ...] = (
    *NUMBERS,
    *(-1, 1.5, 1e308, True, None),
    *("", "chroma", "full", "in-band", "none", "compact", "gan"),
    *([], [0], [1, 0], [0, 0], {}, [48, 32], [16384, 16384], [16384, 2176], [8192, 4352]),
    *([30000, 1001], [999, 1], [1, 1000], ["fast", "0" * 16], [[], [], []], [[0], [3], [6]]),
    *({"channels": 128}, {"kind": "cyclegan"}, {"attention": [1, 2, 3, 4]}, {"output": "ycbcr"}),
    *("0" * 16, "9" * 5000, [[[[[[[[]]]]]]]]),
    # texts of `interpolated`: frames 1 and 2, 0 to 8, a step of a year, 16 million, half a text
    *map(pack_times, ([1, 2], range(9), [(1 << 35) - 2])),
    b64encode(compress(bytes([1]) * (1 << 24), wbits=-15)).decode(),
    pack_times(range(9))[:-2],
    # texts of `strengths`: the strongest, a share of the network that no file may ask for
    *(["0w___", "0gAAA", "0wA_A,1oggg,2g_A_"], ["", "", "0xggg"], ["0k", "", ""]),
)
KEYS = (
    *("tinct", "layout", "size", "rate", "frames", "keys", "open", "colouriser"),
    *("network", "qps", "generator", "rank", "update", "plain", "strengths", "interpolated"),
    *("hints", "x"),
)
Tree = list[Node]
# Repetitions of repetitions would take the fuzzer's own memory: an element grows to this at most.
MAX_BYTES = 32 << 20


def mutate_file(data: bytes, random: Random) -> bytes:
    """Return a file with one to four things wrong."""
    tree = parse(data)
    plain = not tree or random.random() < 0.15
    if not plain:
        for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
            random.choice(_STRUCTURED)(tree, random)
        if random.random() < 0.7:
            seal(tree)
        data = write(tree)
    if plain or random.random() < 0.1:
        data = mutate_bytes(data, random)
    return data


def mutate_bytes(data: bytes, random: Random) -> bytes:
    """Return bytes that were changed, cut, doubled, put in or taken out."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if not found:
            return bytes(found)
        at, length = random.randrange(len(found)), random.choice((1, 1, 2, 4, 8, 100))
        kind = random.randrange(6)
        if kind == 0:
            found[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            found[at : at + length] = random.randbytes(length)
        elif kind == 2:
            del found[at : at + length]
        elif kind == 3:
            found[at:at] = found[at : at + length]
        elif kind == 4:
            found[at : at + 8] = random.choice(NUMBERS).to_bytes(8, "big")
        else:
            del found[at:]
    return bytes(found)


def mutate_manifest(data: bytes, random: Random) -> bytes:
    """Return a manifest with wrong values, or bytes that are no JSON."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, random)
    if not isinstance(fields, dict) or random.random() < 0.1:
        return mutate_bytes(data, random)
    for _ in range(random.choice((1, 1, 2, 3))):
        key = random.choice((*fields, *KEYS))
        kind = random.randrange(5)
        if kind == 0:
            fields.pop(key, None)
        elif kind == 1 and isinstance(fields.get(key), list) and fields[key]:
            fields[key][random.randrange(len(fields[key]))] = deepcopy(random.choice(VALUES))
        elif kind == 2 and isinstance(fields.get(key), int):
            fields[key] += random.choice((-1, 1, 2, 100))
        else:
            fields[key] = deepcopy(random.choice(VALUES))
    return json.dumps(fields, separators=(",", ":")).encode()


def _pick(tree: Tree, random: Random, *identities: int) -> Node | None:
    found = [node for node in list_nodes(tree) if not identities or node.identity in identities]
    return random.choice(found) if found else None


def copy_node(node: Node, number: int) -> Tree:
    return [node.copy() for _ in range(max(1, min(number, MAX_BYTES // len(node.write()))))]


def _lie_in_manifest(tree: Tree, random: Random) -> None:
    """Change the manifest."""
    for name, node in list_attachments(tree):
        if name == b"tinct.json":
            node.data = mutate_manifest(node.data, random)


def _bend_update(tree: Tree, random: Random) -> None:
    """Change the update, under a hash that is right for it."""
    files = dict(list_attachments(tree))
    update, manifest = files.get(b"update.bin"), files.get(b"tinct.json")
    if update is None or manifest is None:
        return _lie_in_manifest(tree, random)
    before = hash_weights(update.data)
    update.data = mutate_bytes(update.data, random)
    manifest.data = manifest.data.replace(before.encode(), hash_weights(update.data).encode())


def _flip_inside(tree: Tree, random: Random) -> None:
    if (node := _pick(tree, random)) is not None:
        node.data = mutate_bytes(node.data, random)


def _flip_packet(tree: Tree, random: Random) -> None:
    """Change a coded picture, behind the block's head of four bytes."""
    if (node := _pick(tree, random, SIMPLE_BLOCK, BLOCK)) is not None:
        node.data = node.data[:4] + mutate_bytes(node.data[4:], random)


def _bend_head(tree: Tree, random: Random) -> None:
    """Change a block's track, time or flags."""
    if (node := _pick(tree, random, SIMPLE_BLOCK, BLOCK)) is not None and len(node.data) > 4:
        kind = random.randrange(3)
        track = bytes([0x80 | random.choice((0, 1, 2, 3, 9))]) if kind == 0 else node.data[:1]
        time = random.randbytes(2) if kind == 1 else node.data[1:3]
        flags = random.randbytes(1) if kind == 2 else node.data[3:4]
        node.data = track + time + flags + node.data[4:]


def _bend_header(tree: Tree, random: Random) -> None:
    """Change parameter sets."""
    if (node := _pick(tree, random, CODEC_PRIVATE)) is not None:
        node.data = mutate_bytes(node.data, random)


def _shuffle_packets(tree: Tree, random: Random) -> None:
    if (node := _pick(tree, random, CLUSTER)) is not None:
        random.shuffle(node.inner)


def _swap(tree: Tree, random: Random) -> None:
    """Swap what two elements of a kind hold: packets, tracks, attachments."""
    first = _pick(tree, random)
    second = first and _pick(tree, random, first.identity)
    if first and second and not first.holds(second) and not second.holds(first):
        first.data, second.data, first.inner, second.inner = (
            second.data,
            first.data,
            second.inner,
            first.inner,
        )


def _swap_track_numbers(tree: Tree, random: Random) -> None:
    numbers = [node for node in list_nodes(tree) if node.identity == TRACK_NUMBER]
    if len(numbers) > 1:
        first, second = random.sample(numbers, 2)
        first.data, second.data = second.data, first.data


def _drop(tree: Tree, random: Random) -> None:
    drop_inner(_pick(tree, random), random)


def drop_inner(node: Any, random: Random) -> None:
    """Take one element out of a node of a tree, Matroska's or MP4's, that has some."""
    if node is not None and node.inner:
        del node.inner[random.randrange(len(node.inner))]


def _repeat(tree: Tree, random: Random) -> None:
    if (node := _pick(tree, random)) is not None and node.inner:
        again = random.choice(node.inner)
        node.inner[random.randrange(len(node.inner)) : 0] = copy_node(
            again, random.choice((1, 1, 1, 2, 100))
        )


def _many(tree: Tree, random: Random) -> None:
    """Add more attachments or tracks than any file has."""
    if (node := _pick(tree, random, ATTACHED_FILE, TRACK)) is not None:
        for outer in list_nodes(tree):
            if any(inner is node for inner in outer.inner):
                outer.inner += copy_node(node, random.choice((1, 10, 70, 1000)))
                return


def _resize(tree: Tree, random: Random) -> None:
    """Change the length of what an element holds, an attachment above all."""
    files = [node for _, node in list_attachments(tree)]
    node = random.choice(files) if files and random.random() < 0.5 else _pick(tree, random)
    if node is not None:
        length = random.choice(
            (0, 1, len(node.data) // 2, len(node.data) + 1, 2 * len(node.data), 100_000)
        )
        node.data = (node.data + bytes(length))[:length]


def _claim(tree: Tree, random: Random) -> None:
    """State a size that is wrong."""
    if (node := _pick(tree, random)) is not None:
        node.claimed = random.choice(
            (*NUMBERS, (1 << 56) - 1, len(node.data) + 1, max(len(node.data) - 1, 0))
        )


def _renumber(tree: Tree, random: Random) -> None:
    """Change a number among the elements: a size, a time, a place in the file."""
    small = [node for node in list_nodes(tree) if not node.inner and 1 <= len(node.data) <= 8]
    if small:
        number = random.choice(NUMBERS)
        random.choice(small).data = number.to_bytes(max((number.bit_length() + 7) // 8, 1), "big")


def _move(tree: Tree, random: Random) -> None:
    """Move an element to where it has no place."""
    outer = [node for node in list_nodes(tree) if node.inner]
    if len(outer) > 1:
        origin, target = random.choice(outer), random.choice(outer)
        moved = origin.inner.pop(random.randrange(len(origin.inner)))
        if not moved.holds(target):
            target.inner.insert(random.randrange(len(target.inner) + 1), moved)


def _empty(tree: Tree, random: Random) -> None:
    if (node := _pick(tree, random, ATTACHMENTS, CLUSTER, TRACK, SIMPLE_BLOCK)) is not None:
        node.inner, node.data = [], b""


# A mutation that stands several times is drawn more often.
_STRUCTURED: tuple[Callable[[Tree, Random], None], ...] = (
    *(_lie_in_manifest, _lie_in_manifest, _lie_in_manifest, _bend_update, _bend_update),
    *(_flip_inside, _flip_packet, _flip_packet, _bend_head, _bend_head, _bend_header),
    *(_shuffle_packets, _swap, _swap_track_numbers, _drop, _drop, _repeat, _many, _resize),
    *(_claim, _claim, _renumber, _renumber, _move, _empty),
)
