"""Where reading starts for a cut, on hand-made packets.

A packet is written as its track (L: luma, C: colour) and its time in ticks; decoding of the track
can start where a * follows. The packets of a line are in the order of a file.
"""

import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from synthetic import make_info

import tinct
from tinct.bitstream.container import read_file_manifest
from tinct.bitstream.layouts import CHROMA, FULL, IN_BAND, LayoutRow
from tinct.bitstream.manifest import COLOUR, LUMA
from tinct.decoder.entry import (
    Entry,
    Lead,
    TrackPacket,
    count_ticks,
    find_first_tick,
    select_lead,
)
from tinct.media.demux import open_input

TRACKS = {"L": LUMA, "C": COLOUR}
LETTERS = {track: letter for letter, track in TRACKS.items()}


def parse(text: str) -> Iterator[TrackPacket]:
    for word in text.split():
        yield TrackPacket(
            track=TRACKS[word[0]],
            pts=int(word[1:].rstrip("*")),
            is_keyframe=word.endswith("*"),
            data=word.encode(),
        )


def write(packets: Iterable[TrackPacket]) -> str:
    return " ".join(
        f"{LETTERS[packet.track]}{packet.pts}{'*' * packet.is_keyframe}" for packet in packets
    )


def lead_of(text: str, row: LayoutRow, *, start: int, reach: int = 0) -> Lead:
    return select_lead(parse(text), row, start=start, reach=reach)


@pytest.mark.parametrize(
    ("row", "start", "file", "lead"),
    [
        pytest.param(
            CHROMA,
            7,
            "C0* L0* L1 L2 C3 L3* L4 L5 C6 L6* L7 L8 C9 L9*",
            "C0* C3 L3* L4 L5 C6 L6* L7 L8",
            id="all colour, luma from the last start before the key frame",
        ),
        pytest.param(
            CHROMA,
            6,
            "C0* L0* L1 L2 C3 L3* L4 L5 C6 L6* L7 L8",
            "C0* C3 L3* L4 L5 C6 L6* L7",
            id="a key frame at the start of the cut counts",
        ),
        pytest.param(
            CHROMA,
            5,
            "C0* L0* L1 L2 C3 L3* L4 L5 C6 L6*",
            "C0* L0* L1 L2 C3 L3* L4 L5 C6",
            id="a key frame after the start of the cut does not",
        ),
        pytest.param(
            CHROMA,
            4,
            "C0* L0* L2 L1 L4* L3 C3 L5",
            "C0* L0* L2 L1 L4* L3 C3 L5",
            id="luma that is shown after the key frame is no start for it",
        ),
        pytest.param(
            CHROMA,
            3,
            "C1 L1* C2 L2 C3* L3 L4",
            "L1* L2 C3* L3 L4",
            id="colour before the first start of its decoding is left out",
        ),
        pytest.param(
            FULL,
            6,
            "C0* L1* L2* C3* L4* L5* C6* L7* L8*",
            "C0* C3* L5* C6* L7*",
            id="whole key frames",
        ),
        pytest.param(
            FULL,
            3,
            "C3* L4* L5*",
            "C3* L4*",
            id="a whole key frame needs no luma",
        ),
        pytest.param(IN_BAND, 3, "L0* L2 L1 L4* L3 L5", "L0* L2 L1 L4*", id="in-band"),
    ],
)
def test_a_lead_is_what_the_cut_needs(row: LayoutRow, start: int, file: str, lead: str) -> None:
    found = lead_of(file, row, start=start)
    assert write(found.packets) == lead
    assert found.can_start


@pytest.mark.parametrize(
    ("row", "file"),
    [
        pytest.param(CHROMA, "L1* C2 L2 L3 C5* L5", id="no colour"),
        pytest.param(CHROMA, "C1* L1 L2 C3 L3 L4*", id="no luma by the key frame"),
        pytest.param(IN_BAND, "L1 L2 L3* L4", id="no luma by the first picture needed"),
        pytest.param(IN_BAND, "", id="no packets"),
    ],
)
def test_a_lead_that_cannot_be_decoded_is_told(row: LayoutRow, file: str) -> None:
    assert not lead_of(file, row, start=3, reach=1).can_start


def test_in_band_the_first_frame_needs_pictures_before_it() -> None:
    assert lead_of("L3* L4 L5 L6", IN_BAND, start=5, reach=2).can_start
    assert not lead_of("L3* L4 L5 L6", IN_BAND, start=5, reach=3).can_start


def test_reading_ends_when_every_track_has_reached_the_cut() -> None:
    """Packets after that are left to the caller."""
    packets = parse("C0* L0* L1 L2 C4* L3 L4")
    assert write(select_lead(packets, CHROMA, start=1, reach=0).packets) == "C0* L0* L1 L2"
    assert write(packets) == "C4* L3 L4"
    packets = parse("L0* L2 L3 C3 C4* L4 L5")  # the colour track starts late
    assert write(select_lead(packets, CHROMA, start=1, reach=0).packets) == "L0* L2 L3 C4*"
    assert write(packets) == "L4 L5"


@pytest.mark.parametrize("luma", ["*", ""], ids=["any luma starts", "no luma starts"])
def test_a_lead_is_chosen_in_linear_time(luma: str) -> None:
    """With 20,000 key frames before the cut, a copy of the lead for each takes half a minute."""
    count = 20_000
    text = " ".join(f"C{n}{'*' * (n == 0)} L{n}{luma}" for n in range(count))
    began = time.process_time()
    lead = lead_of(text, CHROMA, start=count - 2)
    assert time.process_time() - began < 5
    assert len(lead.packets) == (count + 2 if luma else 2 * count - 1)
    assert lead.can_start == bool(luma)


def test_frames_are_counted_in_ticks() -> None:
    assert count_ticks(2, make_info(frame_rate=Fraction(30))) == 2
    about = make_info(frame_rate=None, frame_count=90, duration_seconds=3.0)
    assert count_ticks(2, about) == 67  # milliseconds, at 30 frames a second


def test_packets_of_a_file_come_in_ticks(tinct_path: Path) -> None:
    """All-intra, key frames 8 apart: a cut at 17 is read from key frame 16 on, and all colour."""
    manifest = read_file_manifest(str(tinct_path))
    assert manifest is not None
    about = tinct.open(str(tinct_path)).info
    assert find_first_tick(str(tinct_path), manifest, about) == 0
    entry = Entry(path=str(tinct_path), manifest=manifest, info=about, start=17)
    with open_input(str(tinct_path)) as container:
        packets = list(entry.read(container))
    assert [packet.pts for packet in packets if packet.track == COLOUR] == [0, 8, 16, 24, 32, 39]
    luma = [packet.pts for packet in packets if packet.track == LUMA]
    assert luma == list(range(luma[0], 40))
    assert 8 <= luma[0] <= 16
