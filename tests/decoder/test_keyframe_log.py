"""The log of key frames: which lost their colour, and how many frames that leaves without a key."""

from tinct.decoder.damage import KeyFrameLog


def test_frames_of_a_lost_key_frame_are_counted() -> None:
    """Packets are decoded ahead of the frames that are shown."""
    log = KeyFrameLog()
    for pts, is_decoded in ((0, True), (3, False), (5, True), (8, False)):
        log.add(pts, is_decoded=is_decoded)
    counts = []
    for pts in range(10):
        log.count_frame(pts)
        counts.append(log.keyless_frames)
    assert counts == [0, 0, 0, 1, 2, 2, 2, 2, 3, 4]
    assert log.count == 4
    assert log.lost_times == {3, 8}


def test_frames_before_the_first_key_frame_are_not_counted() -> None:
    log = KeyFrameLog()
    log.add(4, is_decoded=False)
    log.count_frame(3)
    assert log.keyless_frames == 0
