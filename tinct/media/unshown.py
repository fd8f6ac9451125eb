"""Packets that show no frame by design: hidden frames of VP8, and MPEG-4's "as before".

`timing` counts the frames of a file without decoding it, so that a frame which no packet promised
is no damage.
"""

from collections.abc import Callable

from av.video.stream import VideoStream

Unshown = Callable[[bytes], bool]  # whether the packet with these bytes shows no frame
_START = b"\0\0\1"
_VOP = 0xB6  # ISO/IEC 14496-2, table 6-3: start codes
_LAYERS = range(0x20, 0x30)


def find_unshown(stream: VideoStream) -> Unshown:
    """Return what tells the packets of a stream that show no frame."""
    make = _CODECS.get(stream.codec_context.name)
    return make(stream) if make is not None else lambda data: False


def _make_vp8(_: VideoStream) -> Unshown:
    return lambda data: not data[0] & 0x10  # RFC 6386, 9.1: show_frame


def _make_mpeg4(stream: VideoStream) -> Unshown:
    """Return what tells a VOP that is not coded: the picture stays as before.

    DivX and Xvid pack two VOPs into one packet, so that AVI holds B-frames: one that is not coded
    follows, soon after, in the place of the second.
    """
    time_bits = _read_time_bits(stream.codec_context.extradata or b"")
    held = 0  # VOPs that came with the one before them and have had no place yet

    def is_unshown(data: bytes) -> bool:
        nonlocal time_bits, held
        time_bits = _read_time_bits(data) or time_bits
        place = data.find(_START + bytes([_VOP]))
        if time_bits == 0 or place < 0:
            return False
        if _is_coded(data[place + 4 : place + 20], time_bits):
            held += data.count(_START + bytes([_VOP]), place) - 1
            return False
        is_placeholder, held = held > 0, max(0, held - 1)
        return not is_placeholder

    return is_unshown


def _is_coded(vop: bytes, time_bits: int) -> bool:
    bits = _Bits(vop)
    bits.read(2)  # vop_coding_type
    while bits.read(1):  # modulo_time_base
        pass
    bits.read(1 + time_bits + 1)  # vop_time_increment between two markers
    return bool(bits.read(1))  # vop_coded


_CODECS: dict[str, Callable[[VideoStream], Unshown]] = {"vp8": _make_vp8, "mpeg4": _make_mpeg4}


class _Bits:
    """Reads bits from the highest of the first byte on; behind the end they are 0."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, count: int) -> int:
        self._left -= count
        value = self._value >> self._left if self._left >= 0 else 0
        return value & ((1 << count) - 1)


def _read_time_bits(data: bytes) -> int:
    """Return the bits of vop_time_increment by a video object layer's header; 0 without one.

    ISO/IEC 14496-2, 6.2.3.
    """
    place = data.find(_START)
    while 0 <= place < len(data) - 4 and data[place + 3] not in _LAYERS:
        place = data.find(_START, place + 3)
    if not 0 <= place < len(data) - 4:
        return 0
    bits = _Bits(data[place + 4 : place + 60])
    bits.read(1 + 8)  # random_accessible_vol, video_object_type_indication
    if bits.read(1):  # is_object_layer_identifier
        bits.read(4 + 3)
    if bits.read(4) == 15:  # aspect_ratio_info
        bits.read(8 + 8)
    if bits.read(1):  # vol_control_parameters
        bits.read(2 + 1)
        if bits.read(1):  # vbv_parameters
            bits.read(79)
    bits.read(2 + 1)  # shape, marker
    return max(1, (bits.read(16) - 1).bit_length())  # vop_time_increment_resolution
