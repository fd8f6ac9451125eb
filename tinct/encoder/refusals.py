"""All that an encode refuses before any work: options, names, sizes, what a decoder does not read.

Values are checked by `config` where they are given. A rule on combinations stands with the
colouriser or the layout that owns it; `resolve` asks them all.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tinct.bitstream.avc import AVC
from tinct.bitstream.base import BASES
from tinct.bitstream.container import read_file_manifest
from tinct.bitstream.hevc import HEVC
from tinct.bitstream.manifest import ATTACHMENT_BYTES, COLOUR, LUMA
from tinct.bitstream.programs import find_program
from tinct.config import Colour, EncodeConfig
from tinct.encoder.colourisers import OF_GAN, PIPE, name_changed, select_colouriser
from tinct.encoder.kinds import fill_kind
from tinct.errors import CodecError
from tinct.files import check_output
from tinct.frames import VideoInfo
from tinct.limits import (
    INDEX_BYTES,
    MAX_ATTACHMENTS,
    MAX_FRAMES,
    MAX_HEAD_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_TRACKS,
    MAX_UPDATE_BYTES,
    is_frame_rate,
    max_group_frames,
)
from tinct.media.demux import TINCT_ATTACHMENTS, list_attachments, open_input
from tinct.media.passthrough import is_cover, read_first_packet
from tinct.media.source import Source
from tinct.media.tags import count_tag_bytes


def resolve(config: EncodeConfig) -> EncodeConfig:
    """Return the configuration with its defaults filled in.

    Raise CodecError for a combination that the format does not have.
    """
    colouriser = select_colouriser(config)
    filled = fill_kind(config)
    filled = replace(filled, colour=_choose_colour(filled, trains=colouriser.trains))
    rules = (
        *([] if colouriser.trains else _training_rules(filled)),
        *_rate_rules(filled),
        *_base_rules(filled),
        *_program_rules(filled),
        *_whole_key_rules(filled),
        *_in_band_rules(filled),
        *_key_boost_rules(filled),
        *_interpolation_rules(filled, trains=colouriser.trains),
        *_blind_rules(filled, trains=colouriser.trains),
        *colouriser.contradictions(filled),
        *_adapt_rules(filled),
    )
    for is_broken, message in rules:
        if is_broken:
            raise CodecError(f"contradictory options: {message}")
    _check_program(filled)
    has_own_qps = BASES[filled.base].has_own_qps
    if filled.interpolate == "auto" and not (
        filled.is_intra and has_own_qps and not colouriser.trains
    ):
        filled = replace(filled, interpolate="off")
    if filled.key_boost == "auto" and not has_own_qps:
        filled = replace(filled, key_boost=0)
    filled = colouriser.complete(filled)
    return replace(
        filled,
        key_form=filled.key_form or "chroma",
        adapt="off" if filled.is_blind or filled.adapt is None else filled.adapt,
    )


def _choose_colour(config: EncodeConfig, *, trains: bool) -> Colour:
    """Return where colour goes; `auto` stays only where samples decide."""
    colour: Colour = config.colour or ("auto" if config.is_intra else "in-band")
    if colour != "auto":
        return colour
    if config.has_whole_keys:
        return "track"
    if config.crf is not None:
        return "in-band"
    if not BASES[config.base].codes_grey:
        return "in-band"
    if config.is_blind:  # what usually pays
        return "track" if config.is_intra else "in-band"
    return "track" if trains else "auto"


Rules = Iterable[tuple[bool, str]]  # whether a rule is broken, and what to say then


def _training_rules(config: EncodeConfig) -> Rules:
    of_gan = name_changed(config, OF_GAN)
    yield bool(of_gan), f"{of_gan} needs --colouriser gan, or --preset paper"


def _rate_rules(config: EncodeConfig) -> Rules:
    has_both = config.crf is not None and config.bitrate_kbps is not None
    yield has_both, "--crf and --bitrate exclude each other"
    is_on_track = config.crf is not None and not config.is_in_band
    yield is_on_track, "--crf needs --colour in-band; use --qp or --bitrate"


def _base_rules(config: EncodeConfig) -> Rules:
    base, named = BASES[config.base], f"--base {config.base}"
    if not base.codes_grey:
        needs = f"{named} needs --colour in-band: its pictures are not grey"
        yield not config.is_in_band, needs
    of_x265 = name_changed(config, ("x265_preset", "x265_tune"))
    yield bool(of_x265) and base is not HEVC, f"{of_x265} needs --base {HEVC.name}"
    if config.base_preset is not None:
        yield (
            config.base_preset not in base.presets,
            f"--base-preset {config.base_preset} is none of {named}, which has "
            f"{', '.join(base.presets) or 'none'}",
        )
    if config.crf is not None:
        yield config.crf > base.highest_crf, f"--crf {config.crf:g} needs --base av1"
    lossless = config.crf == 0 or (config.crf is None and config.qp == 0)
    yield base is AVC and lossless, "--base avc needs a QP of 1 or more: at 0 it is lossless"


def _program_rules(config: EncodeConfig) -> Rules:
    """Yield what a program needs, and what it does not do: it codes all pictures at one QP."""
    base, named = BASES[config.base], f"--base {config.base}"
    if base.make_command is None:
        owners = [row.name for row in BASES.values() if row.make_command is not None]
        given = name_changed(config, ("encoder", "encoder_config"))
        yield bool(given), f"{given} needs --base {' or '.join(owners)}"
        return
    yield (
        config.encoder is None,
        f"{named} needs --encoder FILE, a program",
    )
    yield config.encoder_config is None, f"{named} needs --encoder-config FILE, that of the program"
    rate = name_changed(config, ("crf", "bitrate_kbps"))
    yield bool(rate), f"{rate} does not go with {named}, which has --qp alone"
    boost = f"--key-boost {config.key_boost} does not go with {named}, which has one QP for all"
    yield config.key_boost not in ("auto", 0), boost
    left_out = f"--interpolate {config.interpolate} does not go with {named}"
    yield isinstance(config.interpolate, int), left_out


def _check_program(config: EncodeConfig) -> None:
    """Refuse a program that is not there, or whose configuration is not."""
    if config.encoder is None or config.encoder_config is None:
        return
    if find_program(config.encoder) is None:
        is_there = Path(config.encoder).exists()
        found = "none that can be run" if is_there else "none"
        raise CodecError(f"--encoder: expected a program, found {found} at {config.encoder}")
    if not os.access(config.encoder_config, os.R_OK) or Path(config.encoder_config).is_dir():
        raise CodecError(
            f"--encoder-config: expected a file that can be read, found none at "
            f"{config.encoder_config}"
        )


def _whole_key_rules(config: EncodeConfig) -> Rules:
    if config.has_whole_keys:
        yield not config.is_intra, "--key-form full needs --structure intra"
        yield config.is_in_band, "--key-form full needs --colour track"
        yield config.group == "auto", "--key-form full needs a fixed --group, such as 6"
        yield config.group == 1, "--key-form full needs --group 2 or more"


def _in_band_rules(config: EncodeConfig) -> Rules:
    if config.is_in_band:
        yield config.group != "auto", "--group needs --colour track; in-band has no groups"
        yield config.compatible, "--compatible needs --colour track; in-band already is 4:2:0"
        yield config.hints == "on", "--hints on needs --colour track; in-band has all the colour"


def _key_boost_rules(config: EncodeConfig) -> Rules:
    if config.key_boost not in ("auto", 0):
        yield not config.is_intra, "--key-boost needs --structure intra"
        yield config.is_in_band, "--key-boost needs --colour track"


def _adapt_rules(config: EncodeConfig) -> Rules:
    if config.adapt not in (None, "auto", "off"):
        yield not config.is_intra, "--adapt needs --structure intra"
        yield config.is_in_band, "--adapt needs --colour track"


def _interpolation_rules(config: EncodeConfig, *, trains: bool) -> Rules:
    if isinstance(config.interpolate, int):
        named = f"--interpolate {config.interpolate}"
        yield not config.is_intra, f"{named} needs --structure intra"
        yield config.is_in_band, f"{named} needs --colour track"
        yield trains, f"{named} does not go with --colouriser {config.colouriser}"


def _blind_rules(config: EncodeConfig, *, trains: bool) -> Rules:
    if config.is_blind:
        yield trains, f"--search off does not go with --colouriser {config.colouriser}"
        learns = config.adapt not in (None, "auto", "off")
        yield learns, "--search off needs --adapt off: what is learnt comes from frames as decoded"


def check_names(source: str, target: Path, config: EncodeConfig, *, overwrite: bool) -> None:
    """Refuse an output that cannot be written, and a source that is encoded already."""
    check_output(str(target), source, overwrite=overwrite)
    if source != PIPE and read_file_manifest(source) is not None:
        raise CodecError(
            f"expected a video to encode, found a Tinct file in {source}; "
            f"decode it first (tinct decode {source} out.mkv)"
        )
    _check_checkpoint(config, source, target)


def check_rate(info: VideoInfo, source: str) -> None:
    """Refuse a rate that the format does not hold: its frames share milliseconds."""
    if info.frame_rate is not None and not is_frame_rate(info.frame_rate):
        raise CodecError(
            f"expected frames at least a millisecond apart, as Matroska keeps times, "
            f"found {float(info.frame_rate):.10g} frames/s in {source}; "
            "take frames out (ffmpeg -i in -vf fps=500 out.mkv) "
            "or slow it down (-vf setpts=10*PTS)"
        )


def check_length(video: Source, config: EncodeConfig, source: str) -> None:
    """Refuse a video whose frames, times or index are more than a decoder reads.

    How long a pipe is shows at its end.
    """
    info = video.info
    if info.frame_count is None:
        return
    most = MAX_HEAD_BYTES // INDEX_BYTES if config.is_intra else MAX_FRAMES
    if info.frame_count > most:
        raise CodecError(
            f"expected at most {most:,} frames in a file, found {info.frame_count:,} in {source}; "
            "cut it into parts first (ffmpeg -i in -c copy -f segment -segment_time 36000 %d.mkv)"
        )
    if video.ticks[-1] > MAX_FRAMES:
        seconds, limit = (float(ticks * info.time_base) for ticks in (video.ticks[-1], MAX_FRAMES))
        raise CodecError(
            f"expected frames within {limit:,.0f} s, found one at {seconds:,.0f} s in {source}; "
            "set its clock back first (ffmpeg -i in -vf setpts=PTS-STARTPTS out.mkv)"
        )


def check_extras(source: str) -> None:
    """Refuse a source that has more beside its video than a decoder reads in one file."""
    if source == PIPE:
        return
    with open_input(source) as container:
        copied = [stream for stream in container.streams if stream.type in ("audio", "subtitle")]
        files = [
            stream for stream in list_attachments(container) if stream.name not in TINCT_ATTACHMENTS
        ]
        covers = [stream for stream in container.streams.video if is_cover(stream)]
        head_bytes = count_tag_bytes(container)
        attached_bytes = sum(len(stream.data) + ATTACHMENT_BYTES for stream in files)
    attached_bytes += sum(
        len(read_first_packet(source, stream.index) or b"") + ATTACHMENT_BYTES for stream in covers
    )
    room = MAX_HEAD_BYTES - MAX_MANIFEST_BYTES - MAX_UPDATE_BYTES
    for count, most, what in (
        (len(copied), MAX_TRACKS - len((LUMA, COLOUR)), "tracks of sound and subtitles"),
        (len(files) + len(covers), MAX_ATTACHMENTS - len(TINCT_ATTACHMENTS), "attached files"),
        (attached_bytes, room, "bytes of attached files"),
        (head_bytes, room, "bytes of tags and chapters"),
    ):
        if count > most:
            raise CodecError(
                f"expected at most {most:,} {what} beside the video, found {count:,} in {source}; "
                "leave some out first (ffmpeg -i in -map 0:v:0 -map 0:a:0 -c copy out.mkv)"
            )


def check_size(info: VideoInfo, config: EncodeConfig) -> None:
    """Refuse a group that no decoder can hold, and pictures too large for the colouriser."""
    longest = max_group_frames(info.width, info.height)
    if isinstance(config.group, int) and config.group > longest:
        raise CodecError(
            f"--group: expected at most {longest} at {info.width}x{info.height}; "
            f"found {config.group}"
        )
    select_colouriser(config).check_size(config, info)


def _check_checkpoint(config: EncodeConfig, source: str, target: Path) -> None:
    """Refuse a checkpoint where no training can be saved."""
    if config.checkpoint is None:
        return
    checkpoint = Path(config.checkpoint)
    check_output(config.checkpoint, source, overwrite=True)
    if checkpoint.is_dir() or checkpoint.absolute() == target.absolute():
        found = "a folder" if checkpoint.is_dir() else "the output"
        raise CodecError(
            f"--checkpoint: expected a file of its own, found {found} in {checkpoint}; "
            "name another, such as run.ckpt"
        )


def check_written(path: Path) -> None:
    """Refuse a file beyond a decoder's limits: some show only when all is written."""
    try:
        read_file_manifest(str(path))
    except CodecError as error:
        found = str(error).replace(str(path), "it")
        raise CodecError(
            f'expected to write a file that can be read, found "{found}"; '
            "encode a part of the video, or leave tracks, attachments and tags out"
        ) from error
