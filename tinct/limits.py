"""What a file may make its reader do: every bound in one place, with its reason. `docs/security.md` has the threat model.

All are checked before the memory is taken or the work is begun. What `encode` writes stays within them.
"""

from collections.abc import Collection

# ── pictures ───────────────────────────────────────────────────────────────────────────────────────────────────────

MAX_SIDE = 16384  # pixels; HEVC level 6.2 and every still camera stay below it
MAX_PIXELS = 8192 * 4352  # of a picture: HEVC level 6.2 has 35,651,584 luma samples
MAX_FRAMES = 1 << 31  # two years at 30 frames a second
MAX_RATE_TERM = (1 << 31) - 1  # of numerator and denominator; FFmpeg's are of 32 bits
MAX_RATE = 1000  # frames a second; Matroska keeps milliseconds
MAX_GROUP = 96  # frames; the decoder holds one group, 88 MB of luma at 1280x720
MAX_HELD_PIXELS = (
    96 * MAX_PIXELS
)  # of luma that waits for its key frame, 3.4 GB at 8 bit; 192 frames up to 4096x4352
MAX_JUDGED_PIXELS = (
    1 << 28
)  # of in-band luma that an encoder holds beside its originals; a second of 1920x1080 at 60 frames/s is half
MAX_GAP_FRAMES = (
    256  # that are filled with the frame before them; x265 is told to give an entry point every 250
)


def held_frames(width: int, height: int) -> int:
    """How many frames of a size a decoder holds while it waits for a key frame: twice the longest group, fewer of large ones."""
    return min(2 * MAX_GROUP, MAX_HELD_PIXELS // (width * height))


def longest_group(width: int, height: int) -> int:
    """Frames from key frame to key frame that a decoder can hold."""
    return held_frames(width, height) // 2


def judged_frames(width: int, height: int) -> int:
    """How many in-band frames of a size an encoder weighs at a time, with a network and without."""
    return max(1, MAX_JUDGED_PIXELS // (width * height))


# ── the container ──────────────────────────────────────────────────────────────────────────────────────────────────

MAX_TRACKS = (
    256  # video, sound and subtitles; a film has a dozen, all programmes of a transmitter a hundred
)
MAX_ATTACHMENTS = 512  # fonts of a subtitled film are a hundred or so
MAX_HEAD_BYTES = (
    1 << 28
)  # of all attachments, and of the index, tags and chapters each: FFmpeg holds them in memory
MAX_ELEMENTS = (
    1 << 18
)  # that are walked before a file is opened; a day of video has 17,000 clusters
MAX_LIVE_ELEMENTS = (
    1 << 21
)  # in clusters that do not say their size, walked one by one: eight hours of live video and sound
MAX_MANIFEST_BYTES = 1 << 24  # a million cuts are half of it
MAX_MANIFEST_KEYS = 64  # version 1 has 19
MAX_MANIFEST_LISTS = (
    64  # version 1 has 15, none deeper than two: no bytes become a hundred times as many in memory
)
# ── the network ────────────────────────────────────────────────────────────────────────────────────────────────────

MAX_UPDATE_BYTES = 1 << 24  # the paper's network, C = 64, takes 1 to 2 MB
MAX_WEIGHTS = 1 << 24  # 64 MiB of floats; the paper's network has 2.2 million
MAX_WEIGHTS_PER_BYTE = 64  # coded; 4-bit weights of a trained network take about 3, so 64 is a bomb
MAX_RANK = 8  # of the change that a video makes to the network that ships: the most that was measured, 9,402 or 18,017 weights
COMPACT_BYTES = (
    90  # of memory for each pixel of a frame that `compact` has in work; measured at 640x360: 82
)
MAX_COMPACT_BYTES = 4 << 30  # in all; the largest picture takes 3.2 GB, one at a time
GENERATOR_BYTES = (
    50  # of memory for each pixel and channel of a video's own network; measured: 21 to 45
)
MAX_ATTENTION_MACS = (
    1 << 42
)  # of one picture: four times what the paper's 64 channels take at 1920x1080
MAX_GENERATOR_BYTES = 8 << 30  # at a time; the paper's 64 channels count as 6.6 GB at 1920x1080


def compacted_at_once(width: int, height: int) -> int:
    """How many frames of a size `compact` may have in work, at least one."""
    return max(1, MAX_COMPACT_BYTES // (COMPACT_BYTES * width * height))


def generated_at_once(width: int, height: int, channels: int) -> int:
    """How many frames of a size a video's own network may make at a time; 0 where one is too much."""
    return MAX_GENERATOR_BYTES // (GENERATOR_BYTES * channels * width * height)


def attention_macs(width: int, height: int, channels: int, levels: Collection[int]) -> int:
    """Multiply-accumulates that the paper's self-attention takes for a picture: each position sees a quarter of all."""
    found = 0
    for level in levels:
        positions = -(-width // (1 << (level - 1))) * -(-height // (1 << (level - 1)))
        found += 2 * channels * (1 if level <= 2 else 2) * positions * positions // 4
    return found
