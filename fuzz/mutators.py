"""The mutation of each part of the corpus."""

from collections.abc import Callable
from random import Random

from fuzz.mutate import mutate_bytes, mutate_file, mutate_manifest
from fuzz.mutate_mp4 import mutate_mp4
from fuzz.mutate_ts import mutate_ts

MUTATORS: dict[str, Callable[[bytes, Random], bytes]] = {
    "file": mutate_file,
    "manifest": mutate_manifest,
    "update": mutate_bytes,
    "mp4": mutate_mp4,
    "ts": mutate_ts,
}
