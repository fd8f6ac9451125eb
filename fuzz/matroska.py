"""A Matroska file as a tree that can be changed and written again, wrong sizes included."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from tinct.media.ebml import (
    ATTACHED_FILE,
    ATTACHMENTS,
    CLUSTER,
    CRC,
    FILE_DATA,
    FILE_NAME,
    SEGMENT,
    TRACK,
    TRACKS,
    parse_elements,
)

SIMPLE_BLOCK, BLOCK_GROUP, BLOCK = 0xA3, 0xA0, 0xA1
CODEC_PRIVATE, TRACK_NUMBER, VIDEO = 0x63A2, 0xD7, 0xE0
# Levels that are parsed: a few bytes of nonsense can hold themselves a thousand times.
MAX_LEVELS = 16
# Elements with others inside.
MASTERS = {
    *(SEGMENT, TRACKS, TRACK, VIDEO, CLUSTER, BLOCK_GROUP, ATTACHMENTS, ATTACHED_FILE),
    *(0x1A45DFA3, 0x114D9B74, 0x4DBB, 0x1549A966, 0x1C53BB6B, 0xBB, 0xB7, 0x1254C367),
    *(0x7373, 0x63C0, 0x67C8, 0x1043A770, 0x45B9, 0xB6, 0xE1),
}


@dataclass(eq=False)
class Node:
    """An element: bytes, or elements inside. `claimed` is a wrong size that its head states."""

    identity: int
    data: bytes = b""
    inner: list["Node"] = field(default_factory=list)
    claimed: int | None = None

    def walk(self) -> Iterator["Node"]:
        yield self
        for node in self.inner:
            yield from node.walk()

    def holds(self, other: "Node") -> bool:
        """Return whether the other is this element or somewhere inside."""
        return any(node is other for node in self.walk())

    def copy(self) -> "Node":
        return Node(self.identity, self.data, [node.copy() for node in self.inner], self.claimed)

    def write(self) -> bytes:
        payload = b"".join(node.write() for node in self.inner) if self.inner else self.data
        size = len(payload) if self.claimed is None else self.claimed
        identity = self.identity.to_bytes((self.identity.bit_length() + 7) // 8, "big")
        return identity + ((1 << 56) + min(size, (1 << 56) - 1)).to_bytes(8, "big") + payload


def parse(data: bytes, levels: int = MAX_LEVELS) -> list[Node]:
    """Return the elements of a file; malformed ones are lost, but at the deepest level."""
    return [
        Node(identity, inner=parse(payload, levels - 1))
        if identity in MASTERS and levels
        else Node(identity, payload)
        for identity, payload in parse_elements(data)
    ]


def list_nodes(tree: list[Node]) -> list[Node]:
    """Return all elements, outer before inner."""
    return [node for top in tree for node in top.walk()]


def write(tree: list[Node]) -> bytes:
    return b"".join(node.write() for node in tree)


def seal(tree: list[Node]) -> None:
    """Make every checksum hold again, as an attacker would."""
    for node in list_nodes(tree):
        if node.inner and node.inner[0].identity == CRC:
            node.inner[0].data = zlib.crc32(write(node.inner[1:])).to_bytes(4, "little")


def list_attachments(tree: list[Node]) -> Iterator[tuple[bytes, Node]]:
    """Yield name and data of each attached file."""
    for node in list_nodes(tree):
        if node.identity == ATTACHED_FILE:
            parts = {inner.identity: inner for inner in node.inner}
            if FILE_NAME in parts and FILE_DATA in parts:
                yield parts[FILE_NAME].data, parts[FILE_DATA]


def attachments_in(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return name and bytes of each file that is attached to a file."""
    return [(name, node.data) for name, node in list_attachments(parse(data))]
