"""Bounds on what a file may make its reader do, each with its reason.

`docs/security.md` has the threat model. Readers check a bound before they take the memory or
begin the work. What `encode` writes stays within all of them.
"""

from collections.abc import Collection
from fractions import Fraction

# ── pictures ─────────────────────────────────────────────────────────────────────────────────────

MAX_SIDE = 16384  # pixels; HEVC level 6.2 and every still camera stay below it
MAX_PIXELS = 8192 * 4352  # of a picture: HEVC level 6.2 has 35,651,584 luma samples
MAX_FRAMES = 1 << 31  # two years at 30 frames a second
MAX_RATE_TERM = (1 << 31) - 1  # of numerator and denominator; FFmpeg's have 32 bits
MAX_RATE = 1000  # constant rates are below it, and from its inverse on: Matroska keeps milliseconds
MAX_GROUP = 96  # frames; the decoder holds one group, 88 MB of luma at 1280x720
# Luma samples that wait for their key frame: 3.4 GB at 8 bit; 192 frames up to 4096x4352.
MAX_HELD_PIXELS = 96 * MAX_PIXELS
# In-band luma samples that an encoder holds beside its originals; a second of 1920x1080 at
# 60 frames/s is half of it.
MAX_JUDGED_PIXELS = 1 << 28
# Missing frames that are filled with the frame before them; base codecs are told to give an entry
# point every 250 frames.
MAX_GAP_FRAMES = 256
# Frames of a file that are interpolated: six days at 30 frames a second, 130 MB of times in memory.
MAX_INTERPOLATED = 1 << 24
MAX_INTERPOLATED_RUN = 256  # frames in a row between two that are sent
MAX_STEP_BYTES = 5  # of the step from one time to the next: 2^35 ms are a year


def is_frame_rate(rate: Fraction) -> bool:
    """Return whether the format holds a constant rate, in frames a second."""
    has_short_terms = max(rate.numerator, rate.denominator) <= MAX_RATE_TERM
    return has_short_terms and Fraction(1, MAX_RATE) <= rate < MAX_RATE


def max_held_frames(width: int, height: int) -> int:
    """Return how many frames a decoder holds while it waits for a key frame.

    That is twice the longest group, or fewer where frames are large.
    """
    return min(2 * MAX_GROUP, MAX_HELD_PIXELS // (width * height))


def max_group_frames(width: int, height: int) -> int:
    """Return the longest distance between key frames, in frames, that a decoder can hold."""
    return max_held_frames(width, height) // 2


def max_judged_frames(width: int, height: int) -> int:
    """Return how many in-band frames an encoder compares at a time, with and without a network."""
    return max(1, MAX_JUDGED_PIXELS // (width * height))


# ── the container ────────────────────────────────────────────────────────────────────────────────

# Video, sound and subtitles: a film has a dozen, all programmes of a transmitter a hundred.
MAX_TRACKS = 256
MAX_ATTACHMENTS = 512  # fonts of a subtitled film are a hundred or so
# Bytes of all attachments, and of index, tags and chapters each: FFmpeg holds them in memory.
MAX_HEAD_BYTES = 1 << 28
# Elements beside the packets that are walked before a file is opened.
MAX_ELEMENTS = 1 << 18
# Clusters, and elements in clusters that do not state their size (eight hours of live video and
# sound): so many in any file, and in large files one for each so many bytes, since walking them
# takes less time than reading the file. All-intra video has a cluster of 4 KB or more for each
# frame.
MAX_LIVE_ELEMENTS = 1 << 21
CLUSTER_BYTES, LIVE_ELEMENT_BYTES = 1024, 128
MAX_MANIFEST_BYTES = 1 << 24  # a million cuts are half of it
# What an encoder writes at most of open groups, of places and of strengths for each plane, and of
# changes of QP: 11 bytes for each time, 3 for each QP and 4 for strengths make less than
# MAX_MANIFEST_BYTES. A film has 2,000 cuts.
MAX_OPEN_GROUPS, MAX_PLAIN_PLACES = 300_000, 200_000
MAX_STRENGTHS = 60_000
MAX_QP_CHANGES = 150_000
# Bytes of the index for each key frame, all tracks together; FFmpeg writes 21 to 45.
INDEX_BYTES = 48
MAX_MANIFEST_KEYS = 64  # version 2 has 20
# Version 2 has 15, none deeper than two: a manifest takes at most a hundred times its size in
# memory.
MAX_MANIFEST_LISTS = 64

# Of the tables of MP4: beside the size of the file, so many bytes are granted, and a sample that is
# listed nowhere counts as so many. FFmpeg takes 70 bytes of memory for a sample.
SPARE_TABLE_BYTES = 1 << 23
EQUAL_SAMPLE_BYTES = 8
BOX_BYTES = 32  # of a box of MP4 and what it describes; fragments of one frame take 50 and more


def max_boxes(size_bytes: int) -> int:
    """Return how many boxes an MP4 file of this size may have."""
    return MAX_ELEMENTS + size_bytes // BOX_BYTES


def max_clusters(size_bytes: int) -> int:
    """Return how many clusters a Matroska file of this size may have."""
    return MAX_ELEMENTS + size_bytes // CLUSTER_BYTES


def max_live_elements(size_bytes: int) -> int:
    """Return how many elements clusters of unknown size may have in a file of this size."""
    return MAX_LIVE_ELEMENTS + size_bytes // LIVE_ELEMENT_BYTES


# ── the network ──────────────────────────────────────────────────────────────────────────────────

MAX_UPDATE_BYTES = 1 << 24  # the paper's network, C = 64, takes 1 to 2 MB
MAX_WEIGHTS = 1 << 24  # 64 MiB of floats; the paper's network has 2.2 million
# Of coded weights: a trained network's 4-bit weights come to about 3 a byte, so 64 is a bomb.
MAX_WEIGHTS_PER_BYTE = 64
# Rank of the change that a video makes to the shipped network: the highest that was measured,
# 9,402 or 18,017 weights.
MAX_RANK = 8
# Memory for each pixel of a frame that `compact` is working on; measured at 640x360: 82.
COMPACT_BYTES = 90
MAX_COMPACT_BYTES = 4 << 30  # in all; the largest picture takes 3.2 GB, one at a time
# Memory for each pixel and channel of a video's own network; measured: 21 to 45.
GENERATOR_BYTES = 50
# Of one picture: four times what the paper's 64 channels take at 1920x1080.
MAX_ATTENTION_MACS = 1 << 42
MAX_GENERATOR_BYTES = 8 << 30  # at a time; the paper's 64 channels count as 6.6 GB at 1920x1080


def max_compact_frames(width: int, height: int) -> int:
    """Return how many frames `compact` may work on at a time, at least one."""
    return max(1, MAX_COMPACT_BYTES // (COMPACT_BYTES * width * height))


def max_gan_frames(width: int, height: int, channels: int) -> int:
    """Return how many frames a video's own network may make at a time; 0 if one is too large."""
    return MAX_GENERATOR_BYTES // (GENERATOR_BYTES * channels * width * height)


def count_attention_macs(width: int, height: int, *, channels: int, levels: Collection[int]) -> int:
    """Return the multiply-accumulates of the paper's self-attention for one picture.

    Each position attends to a quarter of all positions.
    """
    found = 0
    for level in levels:
        positions = -(-width // (1 << (level - 1))) * -(-height // (1 << (level - 1)))
        found += 2 * channels * (1 if level <= 2 else 2) * positions * positions // 4
    return found
