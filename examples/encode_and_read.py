"""Encode a video with Tinct and read the frames of the new file back.

python examples/encode_and_read.py talk.mp4 talk.mkv
"""

import sys

import tinct


def main(source: str, destination: str) -> None:
    """Encode `source` to the Matroska file `destination`, then print what each second shows."""
    config = tinct.EncodeConfig(qp=32)
    report = tinct.encode(source, destination, config, overwrite=True)
    assert report.psnr is not None  # it is measured unless search is "off"
    luma_psnr_db = report.psnr[0].mean_db
    print(f"{report.frames} frames, {report.size_bytes:,} bytes, PSNR Y {luma_psnr_db:.2f} dB")

    video = tinct.open(destination)
    print(f"{video.info.width}x{video.info.height}, {float(video.info.mean_rate):.3f} frames/s")
    next_seconds = 0.0
    for frame in video:  # decoded one after the other: memory does not grow with the video
        if frame.pts_seconds >= next_seconds:
            red, green, blue = frame.rgb().mean(axis=(0, 1))  # rgb() is uint8 [height, width, 3]
            print(f"{frame.pts_seconds:.3f} s: mean R'G'B' {red:.0f} {green:.0f} {blue:.0f}")
            next_seconds += 1.0


if __name__ == "__main__":
    main(*sys.argv[1:])
