"""QP arithmetic of HEVC: the QP of chroma for a QP of luma, and the QPs that a key boost gives.

QPs here are nominal, for every base codec. The table of H.264 lies one step below HEVC's at 34 and
from 44 on, at 51 six steps.
"""

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
    """Return the QP of chroma where 4:2:0 luma has `qp` (ITU-T H.265 table 8-10)."""
    return qp if qp < 30 else CHROMA_QP.get(qp, qp - 6)


def key_qp(qp: int, boost: int) -> int:
    """Return the QP of key frames' luma at nominal `qp`; that of other frames is `other_qp`."""
    return min(max(qp - round(0.4 * boost), 0), MAX_QP)


def other_qp(qp: int, boost: int) -> int:
    """Return the QP of luma between key frames at nominal `qp`."""
    return min(max(qp + round(0.6 * boost), 0), MAX_QP)
