"""The last picture of a video lasts as long as in the source, in every file."""

from pathlib import Path

import av
import pytest
from PIL import Image
from synthetic import draw_clip

import tinct
from tinct.media.source import open_source

DURATIONS = (100, 200, 300, 3000)  # ms of each picture


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slides") / "a.gif"
    pictures = [Image.fromarray(planes[0]) for planes in draw_clip(4)]
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=list(DURATIONS), loop=0
    )
    return path


def last_seconds(path: Path) -> float:
    """Return the duration that a file states."""
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / 1e6


def end_seconds(path: Path) -> float:
    """Return when the last packet of a file ends."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.pts is not None]
    return max(float((p.pts + (p.duration or 0)) * p.time_base) for p in packets)


@pytest.mark.parametrize("options", [{"colour": "in-band"}, {"colour": "track"}], ids=str)
def test_slides_keep_their_durations(slides: Path, tmp_path: Path, options: dict[str, str]) -> None:
    config = tinct.EncodeConfig(**options, colouriser="none")  # type: ignore[arg-type]
    tinct.encode(str(slides), str(tmp_path / "a.mkv"), config)
    assert last_seconds(tmp_path / "a.mkv") == pytest.approx(3.6, abs=2e-3)
    assert tinct.open(str(tmp_path / "a.mkv")).info.duration_seconds == pytest.approx(3.6, abs=2e-3)
    for name in ("b.mp4", "b.mkv"):
        tinct.decode(str(tmp_path / "a.mkv"), str(tmp_path / name))
        assert last_seconds(tmp_path / name) == pytest.approx(3.6, abs=2e-3)
        assert list(open_source(str(tmp_path / name)).ticks) == [0, 100, 300, 600]


@pytest.mark.parametrize(("start", "duration", "seconds"), [(0, 0.5, 0.5), (0.2, None, 3.4)])
def test_a_cut_of_slides_lasts_as_long_as_asked(
    slides: Path, tmp_path: Path, start: float, duration: float | None, seconds: float
) -> None:
    """The last slide of a cut is shown to the cut's end, not to its own."""
    config = tinct.EncodeConfig(colour="track", colouriser="none", x265_preset="ultrafast")
    tinct.encode(str(slides), str(tmp_path / "a.mkv"), config)
    for source in (slides, tmp_path / "a.mkv"):
        for name in ("b.mp4", "b.mkv"):
            tinct.decode(
                str(source),
                str(tmp_path / name),
                start_seconds=start,
                duration_seconds=duration,
                overwrite=True,
            )
            assert end_seconds(tmp_path / name) == pytest.approx(seconds, abs=2e-3)
