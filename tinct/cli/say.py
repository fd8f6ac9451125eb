"""What the commands say when they are done: exit codes, notes, and the reports in words."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

from tinct.errors import CodecError
from tinct.text import escape_controls

if TYPE_CHECKING:
    from tinct.colouring import ColouriseReport
    from tinct.decoder.inspection import FileInfo
    from tinct.encoder.api import EncodeReport
    from tinct.psnr import Psnr

DONE, REFUSED, DAMAGED, INTERRUPTED = 0, 2, 3, 130  # exit codes
STDIN = "the video from stdin"  # in messages, for the name "-"


def say(message: str) -> None:
    """Print one line on stderr. Where nobody can be told, the exit code tells."""
    with suppress(OSError):
        print(f"tinct: {make_printable(message)}", file=sys.stderr, flush=True)


def say_all(notes: Sequence[str]) -> None:
    for note in notes:
        say(note)


def make_printable(text: str) -> str:
    """Return one line that cannot control a terminal: names and tags come from strangers' files."""
    return escape_controls(" ".join(text.split()))


def put(lines: Sequence[str]) -> None:
    """Print what was asked for on stdout."""
    print("\n".join(map(escape_controls, lines)))


def format_json(value: object) -> list[str]:
    """Return the lines of a value as JSON, in printable ASCII."""
    return json.dumps(value, indent=2).replace("\x7f", "\\u007f").splitlines()


def put_report(lines: Sequence[str]) -> None:
    """Print what was done on stderr."""
    for line in lines:
        print(escape_controls(line), file=sys.stderr)


def tell(
    report: "EncodeReport | ColouriseReport", lines: Sequence[str], *, source: str, done: str
) -> None:
    """Print notes and `lines` of an output; exit with code 3 where its source is damaged."""
    say_all(report.notes)
    put_report(lines)
    if report.damaged:
        lost = f"{report.damaged} packets or frames of it are lost, the rest is {done}"
        say(f"{STDIN if source == '-' else source} is damaged: {lost}")
        raise typer.Exit(DAMAGED)


@contextmanager
def explain_missing(extra: str, what: str) -> Iterator[None]:
    """Turn a library that is not installed into an error that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tinct"):
            raise
        raise CodecError(
            f"{what} needs {error.name}, which is not installed; "
            f"get all of it: pip install 'tinct[{extra}]'"
        ) from error


def psnr_text(psnr: "tuple[Psnr, Psnr, Psnr]") -> str:
    """Return PSNR by plane, as the mean over frames and from the pooled squared error."""
    named = zip("YUV", psnr, strict=True)
    return ", ".join(f"{name} {p.mean_db:.2f} dB (pooled {p.pooled_db:.2f})" for name, p in named)


def encode_lines(report: "EncodeReport", output: str) -> list[str]:
    """Return what `encode` reports: sizes, speed, quality, and what else was possible."""
    parts = {
        "luma" if report.tinct else "video": report.luma_bytes,
        "colour": report.colour_bytes,
        "update": report.update_bytes,
    }
    parts["other"] = report.size_bytes - sum(parts.values())
    sizes = ", ".join(f"{name} {size:,}" for name, size in parts.items() if size)
    speed = report.frames / report.seconds
    share = ""
    if report.source_bytes:
        share = f", {report.size_bytes / report.source_bytes:.0%} of the source"
    lines = [
        f"{output}: {report.frames} frames, {report.size_bytes:,} bytes{share} ({sizes}), "
        f"{speed:.1f} frames/s",
        f"PSNR {psnr_text(report.psnr)}"
        if report.psnr is not None
        else f"PSNR was not measured; tinct verify {output} --against SOURCE measures it",
    ]
    if report.config.bitrate_kbps is not None:
        asked = f"{report.config.bitrate_kbps:g} asked for"
        lines.append(f"{report.video_kbps:.1f} kbit/s of video, {asked}; sound is not counted")
    if report.advice is not None:
        lines.append(report.advice)
    return [*lines, saving_line(report), *estimate_lines(report)]


def saving_line(report: "EncodeReport") -> str:
    """Return what the decoder's work saves of the bits of plain video, by the samples, if any."""
    plan = report.plan
    if report.tinct and plan.track is not None and plan.plain is not None:
        makers = "colour made at the decoder"
        if plan.has_shipped_network:
            makers += " and a network"
        saved = 1 - plan.track.bits / plan.plain.bits
        share = f"save {saved:.0%} of the" if saved > 0 else f"take {-saved:.0%} more than the"
        return f"{makers} {share} bits of plain {report.codec} on samples"
    if report.tinct and report.saved_share is not None:
        net = report.saved_share
        worth = f"is worth {net:.1%}" if net > 0 else f"costs {-net:.1%}"
        plain = f"of the bits of plain {report.codec}, which is what other players show"
        return f"a network at the decoder {worth} {plain}"
    if report.tinct:
        return f"the decoder finishes what it shows: other players show the {report.codec} in it"
    if plan.plain is None and report.saved_share is None:
        return f"this is plain {report.codec}: nothing in it needs Tinct"
    tried = "colour on a track of its own" if report.saved_share is None else "the network"
    return f"{tried} does not pay on this video: this is plain {report.codec}"


def estimate_lines(report: "EncodeReport") -> list[str]:
    """Return what the samples said of the file and of its alternatives, in kbit a frame."""
    plan = report.plan
    if plan.plain is None or plan.random_access is None:
        return []
    chosen = plan.track or plan.plain
    texts = [f"plain {report.codec} {report.config.structure} {plan.plain.bits / 1000:.1f}"]
    if plan.track is not None:
        texts = [f"Tinct {plan.track.bits / 1000:.1f}", *texts]
    times = chosen.bits / plan.random_access.bits
    hint = f" ({times:.0f} times smaller: --structure random-access)" if times >= 1.5 else ""
    texts.append(f"random access {plan.random_access.bits / 1000:.1f}{hint}")
    return [f"estimate on samples, kbit a frame: {'; '.join(texts)}"]


def colour_lines(report: "ColouriseReport", output: str) -> list[str]:
    """Return what `colourise` reports: each reference, speed, trust, and what would help."""
    from tinct.colouring.analysis import format_shots

    lines = [
        f"{one.name}: frame {one.number}, match {one.match:.0%}, "
        f"covers {one.covered:.0%}, {one.way}"
        for one in report.references
    ]
    mean = sum(report.trust) / len(report.trust)
    speed = report.frames / report.seconds
    lines.append(f"{output}: {report.frames} frames, {speed:.1f} frames/s, mean trust {mean:.0%}")
    if report.grey:
        lines.append(f"shots without a reference, left grey: frames {format_shots(report.grey)}")
    if report.helpful:
        frames = ", ".join(map(str, report.helpful))
        lines.append(f"colour of these frames would help most: {frames}")
    return lines


def info_lines(found: "FileInfo") -> list[str]:
    """Return what `info` prints: the file's properties, then bytes and bitrate of each part."""
    kind = (
        f"Tinct, layout {found.layout}, colouriser {found.colouriser}"
        if found.layout
        else "no Tinct in it"
    )
    keys = f", {found.key_frames} of them key frames" if found.key_frames is not None else ""
    lines = [
        f"{found.path}: {kind}",
        f"{found.width}x{found.height}, {found.bit_depth} bit, {found.frames} frames{keys}, "
        f"{found.duration_seconds:.3f} s, {found.frame_rate} frames/s, {found.structure}",
    ]
    if found.interpolated_frames:
        lines.append(
            f"{found.sent_frames} frames are sent, {found.interpolated_frames} interpolated by the "
            f"decoder, at most {found.longest_run} in a row; "
            f"other players show {found.shown_per_second:.3g} frames/s"
        )
    if found.has_hints:
        lines.append("frames that are sent have a coarse hint of colour, which other players show")
    rates = found.rate_kbps
    for part, size in {**found.bytes_by_part, "total": found.size_bytes}.items():
        rate = f"{rates[part]:>12,.1f} kbit/s" if part in rates else ""
        lines.append(f"  {part:<10}{size:>14,} bytes{rate}{size / found.size_bytes:>8.1%}")
    return lines
