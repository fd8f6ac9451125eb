"""Give frames their colour from luma and two key frames, and measure it, without a Tinct file.

python examples/restore_frames.py talk.mp4 [NETWORK]
"""

import sys

import numpy as np

import tinct

GROUP = 8  # frames from key frame to key frame


def psnr_db(ours: np.ndarray, true: np.ndarray) -> float:
    """Return the PSNR of a plane of 8 bit in dB."""
    error = np.mean((ours.astype(np.float64) - true) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def main(source: str, name: str = "fast") -> None:
    """Restore the frames between the first key frames of `source` with the network `name`."""
    network = tinct.load_network(name)
    print(network)
    with tinct.open(source) as video:
        before, *between, after = video[: GROUP + 1]
    luma = [frame.y for frame in between]  # all that the network is given of these frames
    restored = network.restore_between(luma, before=before, after=after)
    for frame, (y, cb, cr) in zip(between, restored, strict=True):
        pairs = ((y, frame.y), (cb, frame.cb), (cr, frame.cr))
        figures = " ".join(f"{psnr_db(*pair):.2f}" for pair in pairs)
        print(f"{frame.pts_seconds:.3f} s: PSNR Y, Cb, Cr {figures} dB")


if __name__ == "__main__":
    main(*sys.argv[1:])
