"""Packets that show no frame by design are told from frames that are lost."""

from pathlib import Path

import av
from synthetic import write_clip

import tinct
from tinct.media.source import open_source


def skip_pictures(source: Path, target: Path, *, every: int) -> int:
    """Copy an MPEG-4 file with every n-th picture replaced by "as before"; return how many."""
    count = 0
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(given.demux(video=0)):
            if not packet.size:
                continue
            copy = packet
            if number % every == every - 1 and not packet.is_keyframe:
                copy = av.Packet(make_unshown(bytes(packet)))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                count += 1
            copy.stream = stream
            out.mux(copy)
    return count


def make_unshown(data: bytes) -> bytes:
    """Return a picture's header, at 25 frames/s, with vop_coded = 0."""
    bits = "".join(f"{byte:08b}" for byte in data[4:12])
    end = 2 + bits[2:].index("0") + 1 + 1 + 5 + 1
    head = bits[:end] + "00"
    head += "1" * (-len(head) % 8)
    return data[:4] + bytes(int(head[at : at + 8], 2) for at in range(0, len(head), 8))


def test_a_picture_as_before_is_no_damage(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.avi", frames=24, codec="mpeg4", codec_options={"bf": "0"})
    skipped = skip_pictures(tmp_path / "a.avi", tmp_path / "b.avi", every=5)
    source = open_source(str(tmp_path / "b.avi"))
    assert skipped == 4
    assert len(list(source)) == source.info.frame_count == 24 - skipped
    assert source.damaged == 0
    config = tinct.EncodeConfig(colour="track", colouriser="none", interpolate="off")
    report = tinct.encode(str(tmp_path / "b.avi"), str(tmp_path / "c.mkv"), config)
    assert report.damaged == 0
    assert tinct.verify(str(tmp_path / "c.mkv"), str(tmp_path / "b.avi")).whole
