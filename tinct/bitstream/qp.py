"""QP arithmetic of HEVC: chroma's QP at a luma QP, and the QPs of key frames and of the others at a key boost."""

CHROMA_QP = {
    30: 29,
    31: 30,
    32: 31,
    33: 32,
    34: 33,
    35: 33,
    36: 34,
    37: 34,
    38: 35,
    39: 35,
    40: 36,
    41: 36,
    42: 37,
    43: 37,
}
MAX_QP = 51


def chroma_qp(qp: int) -> int:
    """The QP that 4:2:0 HEVC codes chroma with at luma `qp` (ITU-T H.265 table 8-10)."""
    return qp if qp < 30 else CHROMA_QP.get(qp, qp - 6)


def key_qp(qp: int, boost: int) -> int:
    """QP of key frames' luma at nominal `qp`; the other frames have `other_qp`."""
    return min(max(qp - round(0.4 * boost), 0), MAX_QP)


def other_qp(qp: int, boost: int) -> int:
    return min(max(qp + round(0.6 * boost), 0), MAX_QP)
