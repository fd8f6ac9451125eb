"""Packets that show no frame by design are told from frames that are lost."""

from pathlib import Path

import av
from helpers import assert_same_frames, read_payloads
from synthetic import write_clip

import tinct
from tinct.media.source import open_source

VOP = b"\0\0\1\xb6"  # start code of a picture, then two bits of its type
B_FRAME = 2
B_FRAMES = {"bf": "1", "b_strategy": "0"}


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
    frames = list(source)
    assert len(frames) == source.info.frame_count == 24 - skipped
    shown = [number for number in range(24) if number % 5 != 4]
    assert [frame.pts - frames[0].pts for frame in frames] == [40 * number for number in shown]
    assert source.damaged == 0
    config = tinct.EncodeConfig(colour="track", colouriser="none", interpolate="off")
    report = tinct.encode(str(tmp_path / "b.avi"), str(tmp_path / "c.mkv"), config)
    assert report.damaged == 0
    assert tinct.verify(str(tmp_path / "c.mkv"), str(tmp_path / "b.avi")).whole


def pack_pairs(source: Path, target: Path) -> None:
    """Copy an MPEG-4 file as DivX packs it: a B-frame lies in the packet before its place."""
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        pictures = [bytes(packet) for packet in given.demux(video=0) if packet.size]
        first = pictures[0].find(VOP)
        pictures[0] = pictures[0][:first] + b"\0\0\1\xb2DivX503b1393p" + pictures[0][first:]
        for number in range(len(pictures) - 1):
            following = pictures[number + 1]
            if following[following.find(VOP) + 4] >> 6 == B_FRAME:
                pictures[number] += following
                pictures[number + 1] = make_unshown(following[following.find(VOP) :])
        for number, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = given.streams.video[0].time_base, stream
            packet.is_keyframe = number == 0
            out.mux(packet)


def read_pair_count(path: Path) -> int:
    return sum(data.count(VOP) == 2 for _, data in read_payloads(path, "video"))


def test_pairs_of_pictures_in_one_packet_are_both_shown(tmp_path: Path) -> None:
    """What follows such a pair is no picture "as before", but stands for the second."""
    write_clip(tmp_path / "a.avi", frames=24, codec="mpeg4", codec_options=B_FRAMES)
    pack_pairs(tmp_path / "a.avi", tmp_path / "b.avi")
    plain, packed = (open_source(str(tmp_path / name)) for name in ("a.avi", "b.avi"))
    assert read_pair_count(tmp_path / "b.avi") >= 8
    assert packed.info.frame_rate == 25
    assert_same_frames(list(packed), list(plain))
    assert packed.info.frame_count == 24
    assert packed.damaged == 0
