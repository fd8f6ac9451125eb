"""Compare Tinct with all-intra x265 on a clip: real files, every bit counted, and a BD-rate.

python examples/sweep_bd_rate.py talk.mp4 [QP ...]        (needs the extra `lab`)
"""

import sys

from tinct.evaluation import bd_rate, sweep

ANCHOR = "x265:intra"
TEST = "tinct:intra,adapt=off"  # family:structure, then any option of `tinct encode`
QPS = [27, 32, 37, 42]  # unless the command line names others
FRAMES = 24  # of the clip, from its start


def main(clip: str, *qps: str) -> None:
    """Encode, decode and measure both codecs at every QP, then compare the two curves."""
    codecs = [ANCHOR, TEST]
    points = sweep([clip], codecs, [int(qp) for qp in qps] or QPS, frames=FRAMES, jobs=2)
    for point in points:
        psnr_db = point.means["psnr_yuv611"]
        print(f"{point.codec:24} QP {point.qp}: {point.rate_kbps():8.1f} kbit/s, {psnr_db:.2f} dB")

    anchor, test = ([p for p in points if p.codec == codec] for codec in (ANCHOR, TEST))
    delta = bd_rate(anchor, test, "psnr_yuv611")  # percent of the anchor's rate at equal quality
    print(f"BD-rate on (6Y+U+V)/8 PSNR: {delta.text()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
