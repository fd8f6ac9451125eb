"""Moments of a video as users type them: a frame's number, seconds, or hours, minutes, seconds."""

import math
import re
from typing import TypeAlias

from tinct.errors import CodecError

Moment: TypeAlias = int | float  # a frame's number from 0, or a time in seconds
MOMENT = "a frame's number (120) or a time (12.5, 12.5s, 00:00:12.5; in a file's name 00-00-12.5)"
TIME = "a time such as 90, 12.5 or 00:01:12.5"
_NUMBER = re.compile(r"\d{1,18}")
_SECONDS = re.compile(r"(\d+\.\d*|\.\d+)s?|\d+s")
_CLOCK = re.compile(r"(?:(\d+)[:-])?(\d+)[:-](\d+(?:\.\d*)?)")


def parse_moment(text: str) -> Moment | None:
    """Return the frame number (digits alone) or seconds (all else) in `text`; None if neither."""
    if _NUMBER.fullmatch(text):
        return int(text)
    if _SECONDS.fullmatch(text):
        return float(text.removesuffix("s"))
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return 3600 * hours + 60 * minutes + seconds
    return None


def parse_seconds(text: str) -> float | None:
    """Return the seconds in `text`, digits alone among them; None where it is no time."""
    moment = parse_moment(text)
    seconds = None if moment is None else float(moment)
    return seconds if seconds is not None and math.isfinite(seconds) else None


def read_seconds(text: str, flag: str) -> float:
    """Return the seconds that the option `flag` was given. Raise CodecError for no time."""
    seconds = parse_seconds(text)
    if seconds is None:
        raise CodecError(f"{flag}: expected {TIME}; found {text}")
    return seconds


def format_seconds(seconds: float) -> str:
    """Return a duration as people read it, such as "0:45", "2:05" or "1:02:05"."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
