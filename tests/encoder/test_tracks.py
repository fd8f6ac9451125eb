"""What each track codes: grey planes of a compatible track, entry points and QPs of colour."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from synthetic import draw_clip, make_frames, make_info

from tinct.bitstream.base import PictureEncoder
from tinct.bitstream.codecs import BaseSettings
from tinct.bitstream.decoding import PictureDecoder
from tinct.bitstream.pictures import Packet, stack_chroma
from tinct.bitstream.qp import chroma_qp, other_qp
from tinct.encoder.keyframes import Group
from tinct.encoder.tracks import (
    HINT_QP_OFFSET,
    ChromaTrack,
    FullTrack,
    LumaForm,
    PictureTrack,
)
from tinct.frames import Frame, VideoInfo
from tinct.media.planes import Planes

COLOUR_QP = 24  # of key frames whose luma has KEY_QP
KEY_QP = 32


def make_settings(about: VideoInfo, structure: str) -> BaseSettings:
    return BaseSettings(structure=structure, info=about, qp=KEY_QP)


# ── luma ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("bit_depth", "grey"), [(8, 128), (10, 512)])
def test_chroma_of_a_compatible_luma_track_is_grey(bit_depth: int, grey: int) -> None:
    (frame,) = make_frames(draw_clip(1, 63, 47, bit_depth), make_info(63, 47, bit_depth=bit_depth))
    y, cb, cr = LumaForm(compatible=True).list_planes(frame, is_key=False)
    assert np.array_equal(y, frame.y)
    for plane in (cb, cr):
        assert plane.shape == frame.cb.shape
        assert plane.dtype == frame.cb.dtype
        assert (plane == grey).all()


def test_luma_is_alone_in_a_track_that_is_not_compatible() -> None:
    (frame,) = make_frames(draw_clip(1), make_info())
    (y,) = LumaForm().list_planes(frame, is_key=False)
    assert np.array_equal(y, frame.y)


def test_hints_are_the_colour_of_a_frame_and_the_mean_colour_of_a_key_frame() -> None:
    """Key frames have their colour in another track: there the hint is for other players alone."""
    (frame,) = make_frames(draw_clip(1), make_info())
    form = LumaForm(hints=True)
    _, cb, cr = form.list_planes(frame, is_key=False)
    assert np.array_equal(cb, frame.cb)
    assert np.array_equal(cr, frame.cr)
    y, cb, _ = form.list_planes(frame, is_key=True)
    assert np.array_equal(y, frame.y)
    assert abs(cb.mean() - frame.cb.mean()) < 2
    assert cb.std() < frame.cb.std() / 2


def test_a_key_boost_does_not_make_hints_coarser() -> None:
    """Boosted, luma between key frames has a higher QP: the offset of chroma takes that back."""
    about = make_info()
    for boost, nominal in ((0, 30), (10, 30), (20, 30), (30, 30)):
        settings = make_settings(about, "intra")
        adapted = LumaForm(hints=True, boost=boost).adapt(settings)
        assert adapted.chroma_qp_offset + other_qp(nominal, boost) == nominal + HINT_QP_OFFSET
    assert LumaForm(boost=20).adapt(settings) == settings
    beyond = LumaForm(hints=True, boost=40).adapt(settings)
    assert beyond.chroma_qp_offset == -12
    assert PictureTrack(beyond, about, grey=False).header  # raises where x265 refuses


def code_luma(structure: str, qps: Sequence[int]) -> list[int]:
    """Return the sizes in bytes of pictures that are all the same, each coded at its QP."""
    about = make_info()
    track = PictureTrack(make_settings(about, structure), about, grey=True)
    (picture,) = [(y,) for y, _, _ in draw_clip(1)]
    packets = [p for n, qp in enumerate(qps) for p in track.encode(picture, n, qp)]
    return [len(p.data) for p in sorted(packets + track.flush(), key=lambda p: p.pts)]


@pytest.mark.parametrize("structure", ["intra", "intra-main"])
def test_an_intra_track_has_a_qp_for_each_picture(structure: str) -> None:
    fine, coarse, fine_again = code_luma(structure, [20, 40, 20])
    assert fine > 2 * coarse
    assert fine_again > 2 * coarse


@pytest.mark.parametrize("structure", ["low-delay", "random-access"])
def test_a_predicted_track_has_one_qp(structure: str) -> None:
    assert code_luma(structure, [20, 40, 20]) == code_luma(structure, [32, 32, 32])


# ── colour ────────────────────────────────────────────────────────────────────────────────────────


def make_groups(count: int, length: int, about: VideoInfo) -> list[Group]:
    """Return groups of `length` frames, of which only the first and the last are there."""
    groups = []
    for n, planes in enumerate(draw_clip(count, about.width, about.height)):
        first = Frame(*planes, n * length, about)
        last = Frame(*planes, (n + 1) * length - 1, about)
        groups.append(Group(frames=(first, last), closed=True))
    return groups


def code_colour(groups: list[Group], key_qps: Sequence[int], about: VideoInfo) -> list[Packet]:
    """Return the packets of a colour track, after checking that every picture decodes."""
    track = ChromaTrack(make_settings(about, "colour"), about, key_qp=KEY_QP, colour_qp=COLOUR_QP)
    packets: list[Packet] = []
    for group, key_qp in zip(groups, key_qps, strict=True):
        packets += track.encode(group, key_qp)
    packets += track.flush()
    decoder = PictureDecoder(track.header, low_delay=True)
    pictures: list[tuple[int, Planes]] = []
    for packet in packets:
        pictures += decoder.decode(packet.data, packet.pts)
    pictures += decoder.flush()
    assert [pts for pts, _ in pictures] == [group.frames[0].pts for group in groups]
    assert decoder.damaged == 0
    return packets


def key_times(packets: list[Packet]) -> list[int]:
    return [p.pts for p in packets if p.keyframe]


@pytest.mark.parametrize(
    ("rate", "length", "expected"),
    [
        (4, 8, [0, 40, 80, 120]),  # 10 s are 40 frames, and a group ends there
        (4, 9, [0, 36, 72, 108]),  # the group that begins at 36 ends at 45
        (5, 17, [0, 34, 68, 102]),  # the last frame of a group is 10 s after the IDR picture
    ],
)
def test_colour_can_be_entered_every_ten_seconds(
    rate: int, length: int, expected: list[int]
) -> None:
    """A key frame is an IDR picture where its group ends 10 s or more after the last one."""
    about = make_info(frame_rate=Fraction(rate))
    groups = make_groups(expected[-1] // length + 2, length, about)
    packets = code_colour(groups, [KEY_QP] * len(groups), about)
    assert [p.pts for p in packets] == [length * n for n in range(len(groups))]
    assert key_times(packets) == expected


@pytest.mark.parametrize(
    ("key_qps", "restarts"),
    [
        ([32, 33, 34, 34, 34], []),
        ([32, 34, 35, 35, 35], [2]),
        ([32, 31, 30, 29, 29], [3]),
        ([32, 35, 36, 37, 38], [1, 4]),  # the drift counts from the last restart
        ([32, 26, 32, 32, 26], [1, 2, 4]),
    ],
)
def test_the_colour_coder_restarts_at_a_qp_drift_of_3(
    key_qps: list[int], restarts: list[int]
) -> None:
    """A restarted coder begins with an IDR picture at the new QP."""
    about = make_info()
    groups = make_groups(len(key_qps), 6, about)
    packets = code_colour(groups, key_qps, about)
    assert key_times(packets) == [groups[n].frames[0].pts for n in (0, *restarts)]
    coded = {p.pts: p.data for p in packets}
    offset = COLOUR_QP - chroma_qp(KEY_QP)
    for n in (0, *restarts):
        frame = groups[n].frames[0]
        stacked = stack_chroma(frame.cb, frame.cr)
        qp = chroma_qp(key_qps[n]) + offset
        settings = replace(make_settings(about, "colour"), qp=qp)
        fresh = PictureEncoder(settings, (stacked.shape[0], stacked.shape[1]), grey=True)
        first = fresh.encode((stacked,), frame.pts, idr=True) + fresh.flush()
        assert coded[frame.pts] == first[0].data


def test_whole_key_frames_are_all_entry_points_at_their_own_qps() -> None:
    about = make_info()
    track = FullTrack(make_settings(about, "intra"), about)
    (planes,) = draw_clip(1)
    packets: list[Packet] = []
    for pts, qp in ((0, 20), (6, 40), (12, 20)):
        group = Group(frames=(Frame(*planes, pts, about),), closed=True)
        packets += track.encode(group, qp)
    packets += track.flush()
    assert key_times(packets) == [0, 6, 12]
    fine, coarse, fine_again = (len(p.data) for p in packets)
    assert min(fine, fine_again) > 2 * coarse
