"""Times of sound that its file does not tell, and what sound becomes where it is converted."""

from av.audio.codeccontext import AudioCodecContext

from tinct.media.demux import AnyPacket

_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
# Layouts that AAC stores and decoders return under their names; the sides are the same speakers.
_AAC_LAYOUTS = {
    name: name for name in ("mono", "stereo", "2.1", "3.0", "4.0", "quad", "5.0", "5.1", "7.1")
} | {"5.0(side)": "5.0", "5.1(side)": "5.1", "quad(side)": "quad"}
_FLAC_CHANNELS = 8
_OPUS_RATE = 48000
_OPUS_LAYOUTS = {
    name: name for name in ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
} | {"5.0(side)": "5.0", "5.1(side)": "5.1"}
_LAYOUTS = {"aac": _AAC_LAYOUTS, "libopus": _OPUS_LAYOUTS}


class SoundTimes:
    """Completes the times of one track's packets, given in the order of the file.

    A packet without a time, or with that of the packet before it, follows that one by its duration:
    RealMedia and laced Matroska tell the time of the first of several packets only.
    """

    def __init__(self) -> None:
        self._own: int | None = None  # the last time that the file told
        self._next: int | None = None  # when the last packet ends

    def complete(self, packet: AnyPacket) -> None:
        """Set the packet's times where it has none of its own and one before it has."""
        own = packet.pts if packet.pts is not None else packet.dts
        if self._next is not None and (own is None or self._is_repeated(own)):
            packet.pts = packet.dts = self._next
        if own is not None:
            self._own = own
        start = packet.pts if packet.pts is not None else packet.dts
        if start is not None:
            self._next = start + (packet.duration or 0)

    def _is_repeated(self, own: int) -> bool:
        """Return whether a time is the last packet's: rounding repeats those of one tick only."""
        return own == self._own and self._next is not None and self._next > own + 1


def choose_rate(context: AudioCodecContext, codec: str) -> int:
    """Return the samples per second of converted sound: the source's own where the codec has it."""
    if codec == "flac":
        return context.sample_rate
    if codec == "libopus":
        return _OPUS_RATE
    return min((near for near in _AAC_RATES if near >= context.sample_rate), default=_AAC_RATES[-1])


def choose_layout(context: AudioCodecContext, codec: str) -> str:
    """Return the channel layout for converted sound: the source's own where the codec has it."""
    if codec == "flac":
        return context.layout.name if context.channels <= _FLAC_CHANNELS else "stereo"
    fallback = "mono" if context.channels == 1 else "5.1" if context.channels >= 6 else "stereo"
    return _LAYOUTS[codec].get(context.layout.name, fallback)


def choose_flac_format(context: AudioCodecContext) -> str:
    """Return 24 bits for sound of more than 16 bits; what is lossy and float has no more than 16.

    FFmpeg's FLAC encoder takes 32-bit samples as 24.
    """
    is_lossless_float = context.name.startswith("pcm_f")
    return "s32" if context.format.name in ("s32", "s32p", "s64") or is_lossless_float else "s16"
