"""Properties of a video read from its first decoded frame and its track: colour, rotation, HDR10.

`timing` judges rate and duration; `source` opens the file.
"""

import struct
from fractions import Fraction
from typing import Any

import av
from av.video.stream import VideoStream

from tinct.colour import BT601, BT709
from tinct.frames import ColourTags, Hdr, VideoInfo
from tinct.media.conversion import TRANSPARENCY_NOTE, describe_conversion, is_grey, is_rgb
from tinct.media.description import Crop, Description
from tinct.media.timing import Timing


def probe_video(
    frame: av.VideoFrame, stream: VideoStream, *, timing: Timing, about: Description
) -> tuple[VideoInfo, list[str]]:
    """Return a video's properties, and notes for the user on what is converted or lost.

    Frame count and duration are left as None.
    """
    rotation, notes = _read_rotation(frame)
    info = VideoInfo(
        width=frame.width - about.crop.left - about.crop.right,
        height=frame.height - about.crop.top - about.crop.bottom,
        bit_depth=10 if max(part.bits for part in frame.format.components) > 8 else 8,
        time_base=timing.time_base,
        frame_rate=timing.rate,
        frame_count=None,
        duration_seconds=None,
        colour=_read_colour(frame, stream),
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        rotation=rotation,
        chroma_location=about.chroma_location,
        hdr=_read_hdr(frame),
    )
    notes += describe_conversion(frame.format, info)
    # VP8 and VP9 in WebM: the decoders' pictures lack the alpha plane.
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if tags.get("alpha_mode") == "1":
        notes.append(TRANSPARENCY_NOTE)
    if about.crop != Crop():
        notes.append(
            f"the container's crop is applied: {frame.width}x{frame.height} "
            f"becomes {info.width}x{info.height}"
        )
    if timing.rate is None:
        notes.append("variable frame rate: times are kept to the millisecond")
    return info, notes


def _read_colour(frame: av.VideoFrame, stream: VideoStream) -> ColourTags:
    """Return the frame's tags, else the track's. RGB becomes limited BT.709 or BT.601."""
    context = stream.codec_context
    primaries, transfer, matrix = (
        int(ours) if ours not in (0, 2, 3) else int(theirs or 2)
        for ours, theirs in (
            (frame.color_primaries, context.color_primaries),
            (frame.color_trc, context.color_trc),
            (frame.colorspace, context.colorspace),
        )
    )
    if is_rgb(frame.format):
        matrix = BT709 if frame.height >= 720 else BT601
        return ColourTags(primaries, transfer, matrix, full_range=False)
    full_range = {1: False, 2: True}.get(int(frame.color_range) or int(context.color_range))
    if frame.format.name.startswith(("yuvj", "mono")):
        full_range = True
    if full_range is None and is_grey(frame.format):
        full_range = True  # as FFmpeg, players and cameras take untagged grey
    return ColourTags(primaries, transfer, 2 if matrix == 0 else matrix, full_range=full_range)


def _read_rotation(frame: av.VideoFrame) -> tuple[int, list[str]]:
    """Return the rotation in degrees clockwise, a multiple of 90, and notes on what is lost."""
    data = _get_side_data(frame, "DISPLAYMATRIX")
    if data is None:
        return 0, []
    notes = []
    a, b, _, c, d = struct.unpack("=9i", data)[:5]
    if a * d - b * c < 0:
        notes.append("mirroring in the display matrix is not kept")
    clockwise = -frame.rotation % 360
    rotation = round(clockwise / 90) * 90 % 360
    if clockwise % 90:
        notes.append(f"rotation by {clockwise} degrees is taken as {rotation}")
    return rotation, notes


def has_captions(frame: av.VideoFrame) -> bool:
    """Return whether a frame carries CEA-608/708 text; broadcasts also send empty captions.

    ANSI/CTA-708: three bytes each, of which bit 2 of the first marks the other two as valid.
    """
    data = _get_side_data(frame, "A53_CC") or b""
    return any(
        data[at] & 4 and any(byte & 0x7F for byte in data[at + 1 : at + 3])
        for at in range(0, len(data), 3)
    )


def _read_hdr(frame: av.VideoFrame) -> Hdr:
    display = _get_side_data(frame, "MASTERING_DISPLAY_METADATA")
    light = _get_side_data(frame, "CONTENT_LIGHT_LEVEL")
    return Hdr(
        master_display=_format_master_display(display) if display is not None else None,
        max_cll="{},{}".format(*struct.unpack_from("=2I", light)) if light is not None else None,
    )


def _get_side_data(frame: av.VideoFrame, kind: str) -> bytes | None:
    """Return FFmpeg's struct as it lies in memory."""
    data: Any = frame.side_data.get(kind)
    return None if data is None else bytes(data)


def _format_master_display(data: bytes) -> str | None:
    """Return x265's text of an AVMasteringDisplayMetadata, None where a part is not set.

    The struct has 10 rationals (R, G, B, white, lowest and highest luminance) and 2 flags.
    """
    numbers = struct.unpack_from("=22i", data)
    if not (numbers[20] and numbers[21]):
        return None
    values = [
        Fraction(n, d) if d else Fraction(0)
        for n, d in zip(numbers[0:20:2], numbers[1:20:2], strict=True)
    ]
    red, green, blue, white = ([round(v * 50000) for v in values[i : i + 2]] for i in (0, 2, 4, 6))
    least, most = (round(v * 10000) for v in values[8:])
    named = (("G", green), ("B", blue), ("R", red), ("WP", white))
    points = "".join(f"{name}({x},{y})" for name, (x, y) in named)
    return f"{points}L({most},{least})"
