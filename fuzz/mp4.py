"""An MP4 file as a tree of boxes that can be changed and written again, wrong sizes included."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from tinct.media.mp4_bounds import walk_boxes

# Boxes with others inside.
CONTAINERS = {
    *(b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"ilst"),
    *(b"moof", b"traf", b"mvex", b"mfra", b"tref"),
}
MAX_LEVELS = 12


@dataclass(eq=False)
class BoxNode:
    """A box: bytes, or boxes inside. `claimed` is a wrong size that its head states."""

    kind: bytes
    data: bytes = b""
    inner: list["BoxNode"] = field(default_factory=list)
    claimed: int | None = None

    def walk(self) -> Iterator["BoxNode"]:
        yield self
        for node in self.inner:
            yield from node.walk()

    def copy(self) -> "BoxNode":
        return BoxNode(self.kind, self.data, [node.copy() for node in self.inner], self.claimed)

    def write(self) -> bytes:
        payload = b"".join(node.write() for node in self.inner) if self.inner else self.data
        size = 8 + len(payload) if self.claimed is None else self.claimed
        return min(size, (1 << 32) - 1).to_bytes(4, "big") + self.kind + payload


def parse_boxes(data: bytes, levels: int = MAX_LEVELS) -> list[BoxNode]:
    """Return the boxes of a file; malformed ones are lost, but at the deepest level."""
    found = []
    for box in walk_boxes(io.BytesIO(data), 0, len(data)):
        payload = data[box.start : box.end]
        if box.kind in CONTAINERS and levels:
            found.append(BoxNode(box.kind, inner=parse_boxes(payload, levels - 1)))
        else:
            found.append(BoxNode(box.kind, payload))
    return found


def list_boxes(tree: list[BoxNode]) -> list[BoxNode]:
    """Return all boxes, outer before inner."""
    return [node for top in tree for node in top.walk()]


def find_box(tree: list[BoxNode], kind: bytes) -> BoxNode:
    """Return the first box of a kind."""
    return next(node for node in list_boxes(tree) if node.kind == kind)


def write_boxes(tree: list[BoxNode]) -> bytes:
    return b"".join(node.write() for node in tree)
