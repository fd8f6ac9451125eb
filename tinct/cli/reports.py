"""What the commands report in words: what came out, with the figures of `tinct info`, and hints.

A hint is a sentence with the option to use. `say` prints.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tinct.cli.say import DAMAGED, put_report, say, say_all

if TYPE_CHECKING:
    from tinct.colouring import ColouriseReport
    from tinct.decoder.inspection import FileInfo
    from tinct.encoder.api import EncodeReport
    from tinct.encoder.batch import FolderReport
    from tinct.psnr import Psnr

STDIN = "the video from stdin"  # in messages, for the name "-"


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


def tell_folder(report: "FolderReport", *, quiet: bool) -> None:
    """Print what became of several files; exit with code 3 where some failed."""
    say_all(report.notes)
    for path, reason in report.failed.items():
        say(f"{path} failed: {reason}")
    if not quiet:
        counts = (
            f"{len(report.encoded)} encoded, {len(report.skipped)} there already, "
            f"{len(report.failed)} failed"
        )
        sizes = f"{report.source_bytes:,} bytes became {report.size_bytes:,}"
        if report.source_bytes:
            sizes += f", {report.size_bytes / report.source_bytes:.0%} of them"
        put_report([f"{counts}; {sizes}"])
    if report.failed:
        raise typer.Exit(DAMAGED)


def file_line(path: str, frames: int, seconds: float, *, source_bytes: int | None = None) -> str:
    """Return what came out: its parts as `info` counts them, and how fast it was made."""
    from tinct.decoder import inspection
    from tinct.media.containers import CONTAINERS

    speed = f"{frames / max(seconds, 1e-3):.1f} frames/s"
    if Path(path).is_dir() or Path(path).suffix.lower() not in CONTAINERS:
        return f"{path}: {frames} frames, made at {speed}"
    found = inspection.info(path)
    share = f", {found.size_bytes / source_bytes:.0%} of the source" if source_bytes else ""
    parts = ", ".join(f"{part} {size:,}" for part, size in found.bytes_by_part.items() if size)
    total = f", {sum(found.rate_kbps.values()):,.1f} kbit/s" if found.rate_kbps else ""
    return (
        f"{path}: {found.codec} {found.structure}, {found.width}x{found.height}, "
        f"{frames} frames, {found.size_bytes:,} bytes{share} ({parts}){total}; made at {speed}"
    )


def psnr_text(psnr: "tuple[Psnr, Psnr, Psnr]") -> str:
    """Return PSNR by plane, as the mean over frames and from the pooled squared error."""
    named = zip("YUV", psnr, strict=True)
    return ", ".join(f"{name} {p.mean_db:.2f} dB (pooled {p.pooled_db:.2f})" for name, p in named)


def encode_lines(report: "EncodeReport", output: str) -> list[str]:
    """Return what `encode` reports: sizes, quality, what Tinct does here, and hints."""
    lines = [
        file_line(output, report.frames, report.seconds, source_bytes=report.source_bytes),
        f"PSNR {psnr_text(report.psnr)}"
        if report.psnr is not None
        else f"PSNR was not measured; tinct verify {output} --against SOURCE measures it",
    ]
    if report.config.bitrate_kbps is not None:
        asked = f"{report.config.bitrate_kbps:g} asked for"
        lines.append(f"{report.video_kbps:.1f} kbit/s of video, {asked}; sound is not counted")
    if report.advice is not None:
        lines.append(report.advice)
    return [*lines, saving_line(report, output), *estimate_lines(report)]


def saving_line(report: "EncodeReport", output: str) -> str:
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
    if Path(output).suffix.lower() != ".mkv":
        return (
            f"this is plain {report.codec}, which needs no Tinct to play; an output that ends in "
            ".mkv may have a network for the decoder, where it pays"
        )
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
    texts.append(f"random access {plan.random_access.bits / 1000:.1f}")
    lines = [f"estimate on samples, kbit a frame: {'; '.join(texts)}"]
    if times >= 1.5:
        lines.append(
            "where frames need not stand alone, --structure random-access makes a file about "
            f"{times:.0f} times smaller"
        )
    return lines


def colour_lines(report: "ColouriseReport", output: str) -> list[str]:
    """Return what `colourise` reports: each reference, speed, trust, and what would help."""
    from tinct.colouring.analysis import format_shots

    mean = sum(report.trust) / len(report.trust)
    lines = [
        *(
            f"{one.name}: frame {one.number}, match {one.match:.0%}, "
            f"covers {one.covered:.0%}, {one.way}"
            for one in report.references
        ),
        file_line(output, report.frames, report.seconds),
        f"mean trust in the colour: {mean:.0%}",
    ]
    if report.grey:
        lines.append(f"shots without a reference, left grey: frames {format_shots(report.grey)}")
    if report.helpful:
        frames = ", ".join(map(str, report.helpful))
        lines.append(
            f"colour of these frames would help most: {frames}; "
            "tinct colourise takes more of them (--reference FRAME=FILE)"
        )
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
        f"{found.duration_seconds:.3f} s, {found.frame_rate} frames/s, "
        f"{found.codec} {found.structure}",
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
