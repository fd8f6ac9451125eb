"""Losses: what did not arrive, and the frames that are touched by it.

A touched frame is shown otherwise than from the whole file. `restorer` and `inband` report what
arrived, group by group or frame by frame; `video` counts each touched frame once, when it is shown.
`damage` has the counts.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from tinct.decoder.filling import Gaps


class LossLog:
    """What was lost in one decoding of a file, and the touched frames.

    `span` are the ticks of all frames of the video, None where the rate varies: then nothing tells
    which frames did not arrive. `interpolated` are the times of the frames that were never sent.
    With `follows_group` a frame is restored from all frames of its group, else from itself and key
    frames. With `whole_keys` a key frame has no other luma than that of the colour track.

    `key_count` is the number of packets of the colour track so far, `lost_keys` are the times of
    those that do not decode, ascending. `filled` counts frames that nobody promised and that are
    interpolated where they should have arrived.
    """

    def __init__(
        self,
        span: range | None = None,
        interpolated: Sequence[int] = (),
        *,
        follows_group: bool = False,
        whole_keys: bool = False,
    ) -> None:
        self._span, self._interpolated = span, interpolated
        self._follows_group, self._whole_keys = follows_group, whole_keys
        self.key_count = self.filled = 0
        self.lost_keys: list[int] = []
        self._touched: set[int] = set()  # times of touched frames that are not shown so far
        self._keyless_groups = 0
        self._rests: Counter[int] = Counter()  # groups by their number of frames not touched
        self._last_rest, self._last_time = 0, -1  # of the latest group

    @property
    def fills_gaps(self) -> bool:
        """Return whether each tick has a frame, so that one which did not arrive can be made."""
        return self._span is not None and bool(self._interpolated)

    def add_key(self, pts: int, *, is_decoded: bool) -> None:
        """Take the next packet of the colour track."""
        self.key_count += 1
        if not is_decoded and (not self.lost_keys or pts > self.lost_keys[-1]):
            self.lost_keys.append(pts)

    def has_lost_key(self, pts: int) -> bool:
        """Return whether the colour of a key frame at a time does not decode."""
        return self._has_lost_key(pts, pts + 1)

    def add_group(
        self,
        key: int | None,
        others: Sequence[int],
        end: int | None,
        *,
        gaps: Gaps,
        is_merged: bool = False,
        is_cut_off: bool = False,
        is_plain: bool = False,
    ) -> None:
        """Take the times of a group's frames, and of the frames to be interpolated in its `gaps`.

        `key` is the time of its key frame, None where that did not arrive; `end` that of the next
        key frame, None where none follows. A group `is_merged` where only the luma of one of its
        key frames is lost, `is_cut_off` where the next key frame never came, and `is_plain` where
        it is restored without a network.
        """
        has_lost_key = self._has_lost_key(0 if key is None else key + 1, end)
        lacks_colour = is_cut_off or has_lost_key or (key is None and not is_merged)
        lacks_frames = self._lacks_frames(key, others, end)
        follows_group = self._follows_group and not is_plain
        members = {*others, *gaps.times}
        is_keyless = lacks_colour or is_merged
        touches_all = is_keyless or (lacks_frames and follows_group)
        touched = members if touches_all else members.intersection(gaps.touched)
        self._touched.update(touched)
        self.filled += gaps.lost
        self._keyless_groups += lacks_colour
        self._last_rest = len(members) - len(touched)
        self._last_time = max((*others, key if key is not None else -1))
        if lacks_frames or not self._whole_keys:  # a lost whole key frame leaves a gap
            self._rests[self._last_rest] += 1

    def add_window(self, pts: int, window: Sequence[int], reach: int) -> None:
        """Take the times of the frames that the in-band frame at `pts` is restored from.

        Of the whole file these are up to `reach` frames on either side.
        """
        if self._span is None or pts not in self._span:
            return
        first, last = max(pts - reach, self._span[0]), min(pts + reach, self._span[-1])
        if list(window) != list(range(first, last + 1)):
            self._touched.add(pts)

    def pop_touched(self, pts: int) -> bool:
        """Return whether a frame that is shown is touched, and forget it."""
        is_touched = pts in self._touched
        self._touched.discard(pts)
        return is_touched

    def count_unlocated(self, key_count: int) -> int:
        """Return the most frames that can be touched by lost key frames whose place is not known.

        `key_count` is the number of packets that the colour track has in the whole file. Where one
        before an IDR picture is lost all others decode, and its group became a part of the one
        before it, whichever that is: the largest groups are counted. In a file that ends early, by
        more than the last frame that was sent, the last group alone lacks a key frame.
        """
        missing = key_count - self.key_count - self._keyless_groups
        if self._span is None or missing <= 0:
            return 0
        if self._count_sent(self._last_time + 1, self._span.stop) > 1:
            return self._last_rest
        return sum(sorted(self._rests.elements(), reverse=True)[:missing])

    def _has_lost_key(self, start: int, end: int | None) -> bool:
        first = bisect_left(self.lost_keys, start)
        return first < (len(self.lost_keys) if end is None else bisect_left(self.lost_keys, end))

    def _lacks_frames(self, key: int | None, others: Sequence[int], end: int | None) -> bool:
        """Return whether frames were sent from a key frame to the next that did not arrive."""
        if self._span is None or key is None:
            return self._span is not None
        return 1 + len(others) < self._count_sent(key, self._span.stop if end is None else end)

    def _count_sent(self, start: int, stop: int) -> int:
        """Return how many frames were sent from one time to another, at a constant rate."""
        first, last = (bisect_left(self._interpolated, time) for time in (start, stop))
        return stop - start - (last - first)
