"""Colour grey footage from a few coloured frames.

python examples/colourise_grey.py talk.mp4 colour.mkv

Somebody has to paint those frames. Here the input is a colour video: its own colour is ignored,
except in the frames that are worth colouring, where it takes the place of the painter.
"""

import sys
import tempfile
from pathlib import Path

import tinct


def main(source: str, destination: str) -> None:
    """Write `source` to `destination` in the colour of its own key frames, and print the trust."""
    with tempfile.TemporaryDirectory() as folder:
        # grey PNGs named by frame number, ready to be painted
        numbers, _ = tinct.write_keyframes(source, str(Path(folder) / "frames"))
    print("frames to paint:", *numbers)

    painted = {n: frame for n, frame in enumerate(tinct.open(source)) if n in numbers}
    report = tinct.colourise(source, destination, references=painted, overwrite=True)
    for laid in report.references:
        print(f"frame {laid.number}: the reference matches by {laid.match:.2f}")
    trust = sum(report.trust) / report.frames
    print(f"{report.frames} frames, mean trust {trust:.2f}, least {min(report.trust):.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
