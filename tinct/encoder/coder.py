"""Frames to packets: every track of the plan's layout, at the QPs that the rate control gives."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tinct.encoder.keyframes import Group

NOTED_QP_STEP = 3  # from what a network was told last; where a bitrate is kept, QPs change by 1 every few frames


def _ahead(cut: Iterator[Group]) -> Iterator[Group]:
    """The same groups, the next one read and cut on a thread while the caller codes this one."""
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(next, cut, None)
        while (group := following.result()) is not None:
            following = reader.submit(next, cut, None)
            yield group
