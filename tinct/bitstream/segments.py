"""Pictures to packets by a program: a run of it for each segment of a track.

A segment is what lies between entry points. Its pictures wait in a file for the run, and the
stream that the program makes of them is decoded before it is believed. `base` codes by libraries,
`programs` runs the program.
"""

import os
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.error import FFmpegError

from tinct.bitstream.annexb import split_units
from tinct.bitstream.base import BASES, coded_shape, drop_unknown_tags
from tinct.bitstream.codecs import BaseSettings, Shape
from tinct.bitstream.pictures import Packet, PictureKind
from tinct.bitstream.programs import name_file, run_program
from tinct.errors import CodecError
from tinct.frames import CHROMA_LOCATIONS, VideoInfo
from tinct.media.planes import Planes, colour_range, pad_plane, pixel_format

SILENT_SECONDS = 1800.0  # without a word or a byte: reference encoders are slow
MAX_SEGMENT_BYTES = 512 << 20  # of pictures as they wait, beside one picture at least
# Pictures by which decoding may run ahead of showing, HEVC's bound on pictures kept.
MAX_REORDER = {"intra": 0, "intra-main": 0, "low-delay": 0, "random-access": 16}


class SegmentEncoder:
    """Codes a track at one QP by a program, for pictures of `shape`, padded to `self.shape`.

    Packets come with the last picture of each segment. `header` is the track's parameter sets,
    which a run on one grey picture gives: what is wrong with the program shows before any work.
    Raise CodecError where the program fails, hangs, or makes other than it was asked for.
    """

    def __init__(self, settings: BaseSettings, shape: Shape, *, grey: bool) -> None:
        assert settings.program is not None
        self._settings, self._base, self._grey = settings, BASES[settings.base], grey
        self.shape = coded_shape(shape, grey=grey, base=self._base)
        self._kind = PictureKind(
            width=self.shape[1],
            height=self.shape[0],
            pixels=pixel_format(settings.info.bit_depth, grey=grey),
        )
        info = settings.info
        picture_bytes = self.shape[0] * self.shape[1] * (1 if grey else 1.5) * _sample_bytes(info)
        frames = max(1, min(settings.entry_frames, int(MAX_SEGMENT_BYTES / picture_bytes)))
        self._most = frames
        # Tracks of which one has fewer pictures end their segments at the same times.
        self._span = max(1, round(frames / info.mean_rate / info.time_base))
        self._times: list[int] = []  # of the pictures that wait
        self._before: deque[int] = deque(maxlen=MAX_REORDER[settings.structure])
        self._file = self._open_file()
        self.header, self._sets = b"", frozenset[bytes]()
        self.header = self._try_program()
        self._sets = frozenset(split_units(self.header))

    def encode(self, planes: Planes, pts: int, qp: int) -> list[Packet]:
        """Take one picture; return the packets of the segment that ended before it, if one did."""
        assert qp == self._settings.qp, "one QP for all pictures of a program"
        is_full = len(self._times) == self._most
        is_over = bool(self._times) and pts // self._span != self._times[0] // self._span
        packets = self.flush() if is_full or is_over else []
        for plane, side in zip(planes, self._plane_shapes(), strict=True):
            self._file.write(pad_plane(plane, side).tobytes())
        self._times.append(pts)
        return packets

    def flush(self) -> list[Packet]:
        """Return the packets of the pictures that wait."""
        if not self._times:
            return []
        coded = self._code()
        packets = self._date(coded)
        self._times = []
        self._file.seek(0)
        self._file.truncate()
        return packets

    def _try_program(self) -> bytes:
        """Return the parameter sets of a grey picture, coded for them alone."""
        grey = 1 << (self._settings.info.bit_depth - 1)
        dtype = np.uint8 if self._settings.info.bit_depth == 8 else np.dtype("<u2")
        shapes = self._plane_shapes()
        self.encode(tuple(np.full(side, grey, dtype) for side in shapes), 0, self._settings.qp or 0)
        (packet,) = self.flush()
        self._before.clear()
        header, _ = self._base.split_header(packet.data)
        return header

    def _code(self) -> list[tuple[int, bytes, bool]]:
        """Run the program; return the packets of the segment in the order of decoding.

        Each is the place of its picture in the order of showing, its bytes, and whether decoding
        may begin there.
        """
        settings, count = self._settings, len(self._times)
        self._file.flush()
        with self._open_file() as stream:
            assert self._base.make_command is not None
            command = self._base.make_command(settings, self.shape, grey=self._grey)
            command += ["-i", name_file(self._file), "-f", str(count), "-b", name_file(stream)]
            outcome = run_program(
                command, files=(self._file, stream), silence_seconds=SILENT_SECONDS
            )
            if outcome.code:
                raise CodecError(f"{command[0]} failed: {outcome.complaint(reads_output=True)}")
            return self._read(stream)

    def _read(self, stream: IO[bytes]) -> list[tuple[int, bytes, bool]]:
        """Return the packets of a stream, as `_code` does, after a look at what they decode to."""
        if stream.seek(0, os.SEEK_END) == 0:  # which PyAV cannot open
            raise self._refuse("an empty stream")
        stream.seek(0)
        try:
            with ExitStack() as stack:
                container = av.open(stream, "r", format=self._base.raw_format)
                assert isinstance(container, InputContainer)
                stack.enter_context(container)
                packets = [packet for packet in container.demux(video=0) if packet.size]
                shown = self._decode(packets)
                packets = self._tell_tags(packets, container)
        except (FFmpegError, IndexError) as error:  # IndexError: no stream in it
            raise self._refuse("a stream that does not decode") from error
        if sorted(shown) != list(range(len(packets))) or len(shown) != len(self._times):
            raise self._refuse(f"{len(shown)}")
        places = {number: place for place, number in enumerate(shown)}
        return [
            (places[number], self._strip(bytes(packet)), bool(packet.is_keyframe))
            for number, packet in enumerate(packets)
        ]

    def _decode(self, packets: Sequence[av.Packet]) -> list[int]:
        """Return the numbers of packets in the order in which their pictures are shown."""
        context = av.CodecContext.create(self._base.decoder, "r")
        assert isinstance(context, av.VideoCodecContext)
        context.options = {"err_detect": "explode"}
        shown = []
        for number, packet in enumerate([*packets, None]):
            if packet is not None:
                packet.pts = number
            for picture in context.decode(packet):
                found = PictureKind.of(picture)
                if found != self._kind:
                    raise self._refuse(f"{found.width}x{found.height} {found.pixels}")
                assert picture.pts is not None
                shown.append(picture.pts)
        return shown

    def _tell_tags(self, packets: list[av.Packet], container: InputContainer) -> list[av.Packet]:
        """Return the packets of a stream that says what the source says of its pictures.

        These are tags of colour, the shape of pixels and the place of chroma, which programs are
        not told; without any of them the bytes stay as they are.
        """
        info = self._settings.info
        colour, _ = drop_unknown_tags(info.colour, self._base)
        ratio = info.sample_aspect_ratio
        place = None if self._grey else info.chroma_location
        told = {
            "colour_primaries": (colour.primaries, 2),
            "transfer_characteristics": (colour.transfer, 2),
            "matrix_coefficients": (colour.matrix, 2),
            "video_full_range_flag": (colour_range(colour.full_range) - 1, -1),
            "sample_aspect_ratio": (f"{ratio.numerator}/{ratio.denominator}", "1/1"),
            "chroma_sample_loc_type": (CHROMA_LOCATIONS[place] if place else None, None),
        }
        words = [f"{name}={value}" for name, (value, usual) in told.items() if value != usual]
        if not words:
            return packets
        name = f"{self._base.coded_as}_metadata={':'.join(words)}"
        tagged = BitStreamFilterContext(name, container.streams.video[0])
        return [found for packet in [*packets, None] for found in tagged.filter(packet)]

    def _strip(self, data: bytes) -> bytes:
        """Return a packet without the parameter sets that the header has."""
        return b"".join(unit for unit in split_units(data) if unit not in self._sets)

    def _date(self, coded: Sequence[tuple[int, bytes, bool]]) -> list[Packet]:
        """Return packets with their times; decoding runs as far ahead as the structure allows."""
        structure, times = self._settings.structure, self._times
        ahead = MAX_REORDER[structure]
        missing = ahead - len(self._before)
        first = (self._before or times)[0]
        decoded = [*range(first - missing, first), *self._before, *times]
        is_intra = structure.startswith("intra")
        for number, (place, _, is_entry) in enumerate(coded):
            if place < number - ahead or (number == 0 or is_intra) > is_entry:
                raise self._refuse(f"another one in picture {place}", f"the structure {structure}")
        self._before.extend(times)
        return [
            Packet(data=data, pts=times[place], dts=decoded[number], keyframe=is_entry)
            for number, (place, data, is_entry) in enumerate(coded)
        ]

    def _refuse(self, found: str, wanted: str | None = None) -> CodecError:
        kind, program = self._kind, self._settings.program
        assert program is not None
        count = len(self._times)
        wanted = wanted or f"{count} pictures of {kind.width}x{kind.height} {kind.pixels}"
        return CodecError(
            f"expected {wanted} from {program.path}, found {found}; "
            f"look at its configuration, {program.config}"
        )

    def _plane_shapes(self) -> list[Shape]:
        height, width = self.shape
        return [(height, width), *([] if self._grey else [(height // 2, width // 2)] * 2)]

    def _open_file(self) -> IO[bytes]:
        # the file has no name, so that it vanishes with the process
        program = self._settings.program
        folder = None if program is None else program.folder
        return tempfile.TemporaryFile(dir=folder)


def _sample_bytes(info: VideoInfo) -> int:
    return 1 if info.bit_depth == 8 else 2
