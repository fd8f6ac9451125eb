"""The codecs of decoded movies, one row each; `containers` says which container holds which.

`writers` codes with them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tinct.errors import CodecError
from tinct.frames import CHROMA_LOCATIONS, VideoInfo
from tinct.media.containers import CONTAINERS, Container
from tinct.text import suggest

# Limits of FFmpeg's FFV1 encoder: rows of slices, slices in all, and bits of one slice's planes.
MAX_FFV1_ROWS, MAX_FFV1_SLICES, MAX_FFV1_SLICE_BITS = 32, 256, 8 << 24
Options = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class MovieCodec:
    """A row of MOVIE_CODECS.

    `title` is what users read, `library` FFmpeg's encoder, `coded_as` its name of what is coded.
    `crf` is the usual quality and `highest_crf` the worst, None where the codec is lossless.
    `make_options` gives the encoder's options without the quality. `least` is the shortest side of
    a picture that the encoder is known to code well; with `needs_even` odd ones are padded.
    """

    title: str
    library: str
    coded_as: str
    crf: float | None
    highest_crf: float = 51
    make_options: Callable[[VideoInfo], Options]
    least: int = 1
    needs_even: bool = True


def _make_h264_options(info: VideoInfo) -> Options:
    parameters = {"mastering-display": info.hdr.master_display, "cll": info.hdr.max_cll}
    if info.chroma_location is not None:
        parameters["chromaloc"] = str(CHROMA_LOCATIONS[info.chroma_location])
    given = [f"{key}={value}" for key, value in parameters.items() if value]
    # Macroblock tree reads unset memory behind rows that are no multiple of 8 macroblocks: other
    # bytes from run to run.
    given += ["mbtree=0"] if (info.width + 15) // 16 % 8 else []
    options = {}
    if info.frame_rate is None:
        options["bf"] = "0"  # MP4 keeps steps between coded pictures: in order they are durations
    if given:
        options["x264-params"] = ":".join(given)
    return options


def _make_hevc_options(info: VideoInfo) -> Options:
    given = ["log-level=none", "frame-threads=1"]
    if info.hdr.master_display:
        given.append(f"master-display={info.hdr.master_display}")
    if info.hdr.max_cll:
        given.append(f"max-cll={info.hdr.max_cll}")
    if info.chroma_location is not None:
        given.append(f"chromaloc={CHROMA_LOCATIONS[info.chroma_location]}")
    if info.frame_rate is None:
        given.append("bframes=0")
    return {"preset": "medium", "x265-params": ":".join(given)}


def _make_av1_options(info: VideoInfo) -> Options:
    return {"preset": "8", "g": "240"}


def _make_vp9_options(info: VideoInfo) -> Options:
    return {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}


def _make_ffv1_options(info: VideoInfo) -> Options:
    slices = choose_ffv1_slices(info.width, info.height, bit_depth=info.bit_depth)
    if slices == 0:
        return {"level": "1"}  # one stream for the whole picture, without checksums
    return {"level": "3", "slices": str(slices), "slicecrc": "1"}


# The usual qualities are about equally good: on the first second of foreman (mean of the frames'
# PSNR, 2026-11-29) Y is 41.81 dB of H.264, 41.57 of HEVC, 41.77 of AV1 and 41.86 of VP9.
MOVIE_CODECS = {
    "h264": MovieCodec(
        title="H.264",
        library="libx264",
        coded_as="h264",
        crf=16,
        make_options=_make_h264_options,
    ),
    "hevc": MovieCodec(
        title="HEVC",
        library="libx265",
        coded_as="hevc",
        crf=18,
        make_options=_make_hevc_options,
        least=80,  # of smaller ones x265 reads and writes beyond its memory
    ),
    "av1": MovieCodec(
        title="AV1",
        library="libsvtav1",
        coded_as="av1",
        crf=20,
        highest_crf=63,
        make_options=_make_av1_options,
        least=64,
    ),
    "vp9": MovieCodec(
        title="VP9",
        library="libvpx-vp9",
        coded_as="vp9",
        crf=23,
        highest_crf=63,
        make_options=_make_vp9_options,
    ),
    "ffv1": MovieCodec(
        title="FFV1",
        library="ffv1",
        coded_as="ffv1",
        crf=None,
        make_options=_make_ffv1_options,
        needs_even=False,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Coding:
    """What a user asks of a movie's pictures; None is the usual."""

    codec: str | None = None
    crf: float | None = None


def choose_codec(coding: Coding, container: Container) -> MovieCodec:
    """Return the row of the codec that was asked for. Raise CodecError where it cannot be."""
    held = [name for name, row in MOVIE_CODECS.items() if row.coded_as in container.codecs]
    usual = next(row for row in MOVIE_CODECS.values() if row.coded_as == container.codecs[0])
    if coding.codec is not None and coding.codec not in MOVIE_CODECS:
        raise CodecError(
            f"--codec: expected one of {', '.join(MOVIE_CODECS)}; found {coding.codec}"
            f"{suggest(coding.codec, MOVIE_CODECS)}"
        )
    row = usual if coding.codec is None else MOVIE_CODECS[coding.codec]
    if row.coded_as not in container.codecs:
        others = [suffix for suffix, one in CONTAINERS.items() if row.coded_as in one.codecs]
        raise CodecError(
            f"--codec: expected {' or '.join(held)} in {container.title}, found {coding.codec}; "
            f"{row.title} goes into {', '.join(others)}"
        )
    if coding.crf is None:
        return row
    if row.crf is None:
        raise CodecError(
            f"--crf: expected no quality for {row.title}, which is lossless; found "
            f"{coding.crf:g}: choose another --codec, such as {held[1]}"
        )
    if not 0 <= coding.crf <= row.highest_crf:
        raise CodecError(
            f"--crf: expected 0 to {row.highest_crf:g} for {row.title}; found {coding.crf:g}"
        )
    return row


def choose_ffv1_slices(width: int, height: int, *, bit_depth: int) -> int:
    """Return a number of slices that FFmpeg's FFV1 version 3 takes for a 4:2:0 picture, or 0.

    FFmpeg looks for v rows of h slices, v <= h <= 2 v, as `encode_init` of its ffv1enc.c does: each
    slice has chroma and at most 128 Mbit, and a picture of more than 352x288 has two rows at
    least. Few of the narrow pictures of more than 352x288 have no such grid: 0.
    """
    preferred = 4 if min(width, height) >= 64 and width % 4 != 3 and height % 4 != 3 else 1
    most_h, most_v = (width + 1) // 2, (height + 1) // 2
    least = min(2 if width > 352 or height > 288 else 1, most_v)
    found = [
        h * v
        for v in range(least, min(MAX_FFV1_ROWS, most_v) + 1)
        if _fits_ffv1(height, v)
        for h in range(v, min(2 * v, most_h) + 1)
        if _fits_ffv1(width, h)
        and -(-width // h) * -(-height // v) * (bit_depth + 1) * 3 <= MAX_FFV1_SLICE_BITS
        and h * v <= MAX_FFV1_SLICES
    ]
    return preferred if preferred in found else min(found, default=0)


def _fits_ffv1(side: int, count: int) -> bool:
    """Return whether chroma fits where an odd side is divided: the last part has to be odd too."""
    last = side - side * (count - 1) // count
    return side % 2 == 0 or last % 2 == 1
