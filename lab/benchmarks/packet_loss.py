"""Files without some of their packets: what a viewer sees of them, and what the decoder counts.

`interpolation` measures Tinct's files and x265's by it.
"""

from itertools import count
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import av

from lab.benchmarks.shown_frames import Shown, show_file
from tinct.decoder.damage import Damage

SHARES = (0.01, 0.05)  # of packets, lost
WORSE_DB = 0.5  # PSNR of a plane below the undamaged file's, from which on a frame counts as worse
DRAWS = 5  # of lost packets: one packet of a short clip says little


def count_packets(path: Path) -> int:
    """Return the number of packets of a file's first video track: in Tinct's files the luma."""
    with av.open(str(path)) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))


def choose_lost(packet_count: int, share: float, *, seed: int) -> set[int]:
    """Return the numbers of the packets to lose, one at least and never the first."""
    lost_count = min(max(1, round(share * packet_count)), packet_count - 1)
    return set(Random(f"{share} {seed}").sample(range(1, packet_count), lost_count))


def copy_without(source: Path, target: Path, lost: set[int]) -> None:
    """Copy video tracks and attachments, but not packets of these numbers of the first track."""
    with av.open(str(source)) as given, av.open(str(target), "w", format="matroska") as out:
        copies = {}
        for stream in given.streams.video:
            copies[stream.index] = out.add_stream_from_template(stream)
            copies[stream.index].metadata.update(stream.metadata)
        for attachment in given.streams.attachments:
            data = bytes(attachment.data or b"")
            out.add_attachment(attachment.name or "", attachment.mimetype or "", data)
        numbers, first = count(), given.streams.video[0].index
        for packet in given.demux(*given.streams.video):
            index = packet.stream_index
            if packet.size and not (index == first and next(numbers) in lost):
                packet.stream = copies[index]
                out.mux(packet)


def count_differing(whole: Shown, shown: Shown) -> int:
    """Return how many frames do not show what those of the whole file show."""
    pairs = zip(whole.frames, shown.frames, strict=True)
    return sum(one.digest != other.digest for one, other in pairs)


def count_worse(whole: Shown, shown: Shown) -> int:
    """Return how many frames have a plane whose PSNR is WORSE_DB or more below the whole file's.

    Motion is followed from frame to frame and a network mixes neighbours, so that a lost packet
    changes every frame of its group a little: most frames that differ are as good as before.
    """
    return sum(
        any(
            before - after >= WORSE_DB
            for before, after in zip(one.planes_db, other.planes_db, strict=True)
        )
        for one, other in zip(whole.frames, shown.frames, strict=True)
    )


def count_damaged(damage: Damage) -> int:
    """Return how many frames the decoder says that it concealed or did not show."""
    return damage.concealed_frames + damage.missing_frames


def measure_loss(path: Path, clip: Path, *, whole: Shown, share: float) -> dict[str, Any]:
    """Return PSNR-Y with and without packets, and the frames that suffer and that are counted."""
    packet_count = count_packets(path)
    draws: list[dict[str, Any]] = []
    for seed in range(DRAWS):
        lost = choose_lost(packet_count, share, seed=seed)
        copy_without(path, path.with_name("damaged.mkv"), lost)
        shown = show_file(path.with_name("damaged.mkv"), clip)
        draws.append(
            {
                "lost_packets": len(lost),
                "psnr_y_db": shown.mean_db,
                "differing_frames": count_differing(whole, shown),
                "worse_frames": count_worse(whole, shown),
                "counted_frames": count_damaged(shown.damage),
            }
        )
    mean_db = fmean(draw["psnr_y_db"] for draw in draws)
    return {
        "packets": packet_count,
        "psnr_y_db": {"before": whole.mean_db, "after": mean_db},
        "lower_by_db": whole.mean_db - mean_db,
        "all_counted": {
            kind: all(draw["counted_frames"] >= draw[f"{kind}_frames"] for draw in draws)
            for kind in ("differing", "worse")
        },
        "draws": draws,
    }
