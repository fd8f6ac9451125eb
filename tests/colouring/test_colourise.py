"""Grey footage coloured from references, from outside: files in, files out, what is refused and what is left behind."""

import errno
import re
from collections.abc import Callable
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from helpers import SHARED_CLIPS, one_line, payloads, psnr, run
from PIL import Image, ImageCms
from synthetic import clip, frames, info, scene, write_clip

import tinct
from tinct.colour import from_rgb
from tinct.frames import Frame
from tinct.media.sink import _Film, open_sink
from tinct.media.source import open_source

COUNT, SIZE = 30, (128, 96)  # width, height: enough for optical flow at chroma resolution


def write_grey(path: Path, pictures: list[Frame]) -> Path:
    with open_sink(str(path), pictures[0].info) as sink:
        for frame in pictures:
            flat = np.full_like(frame.cb, 128 << (frame.info.bit_depth - 8))
            sink.write(Frame(frame.y, flat, flat, frame.pts, frame.info))
    return path


@pytest.fixture(scope="module")
def truth() -> list[Frame]:
    return frames(clip(COUNT, *SIZE), info(*SIZE))


@pytest.fixture(scope="module")
def grey(truth: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grey(tmp_path_factory.mktemp("grey") / "grey.mkv", truth)


@pytest.fixture(scope="module")
def two_shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of 20 frames, then its mirror image upside down, 14 frames."""
    first = clip(20, *SIZE)
    second = [tuple(p[::-1, ::-1].copy() for p in scene(200 + 3 * n, *SIZE)) for n in range(14)]
    return write_grey(
        tmp_path_factory.mktemp("shots") / "shots.mkv", frames(first + second, info(*SIZE))
    )  # type: ignore[operator]


def chroma_psnr(found: list[Frame], expected: list[Frame]) -> float:
    pairs = list(zip(found, expected, strict=True))
    return psnr(
        *(np.concatenate([np.stack((pair[i].cb, pair[i].cr)) for pair in pairs]) for i in (0, 1))
    )


def save(frame: Frame, path: Path) -> Path:
    cv2.imwrite(str(path), frame.rgb()[..., ::-1])
    return path


# ── what comes out ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_colour_of_two_frames_reaches_all(grey: Path, truth: list[Frame], tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    report = tinct.colourise(
        str(grey),
        str(out),
        references={0: Image.fromarray(truth[0].rgb()), COUNT - 1: truth[-1].rgb()},
    )
    found = list(tinct.open(str(out)))
    assert [f.pts for f in found] == [f.pts for f in truth]
    assert all(np.array_equal(a.y, b.y) for a, b in zip(found, truth, strict=True))
    grey_psnr = chroma_psnr(list(open_source(str(grey))), truth)
    assert grey_psnr < 22
    assert 27 < chroma_psnr(found, truth) < 33  # the scene's bar moves otherwise than its luma
    assert [(laid.number, laid.way) for laid in report.references] == [
        (0, "as it is"),
        (COUNT - 1, "as it is"),
    ]
    assert min(laid.match for laid in report.references) > 0.95
    assert (report.frames, report.grey, report.damaged) == (COUNT, [], 0)


def test_the_command_line_does_the_same(grey: Path, truth: list[Frame], tmp_path: Path) -> None:
    save(truth[0], tmp_path / "first.png")
    last = save(truth[-1], tmp_path / "last.png")
    outputs = [tmp_path / name for name in ("api.mkv", "line.mkv")]
    moment = f"00:00:{(COUNT - 1) / 25}"
    tinct.colourise(
        str(grey),
        str(outputs[0]),
        references={0: str(tmp_path / "first.png"), (COUNT - 1) / 25: last},
    )
    arguments = ["--reference", f"0={tmp_path / 'first.png'}", "--reference", f"{moment}={last}"]
    done = run("colourise", grey, outputs[1], *arguments)
    assert done.returncode == 0, done.stderr
    assert "frame 29, match" in done.stderr.decode()
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_keyframes_go_round(two_shots: Path, tmp_path: Path) -> None:
    """`keyframes`, a painter who colours every picture red, `colourise --references`."""
    done = run("keyframes", two_shots, "--out", tmp_path / "frames")
    assert done.returncode == 0, done.stderr
    written = sorted(p.name for p in (tmp_path / "frames").iterdir())
    numbers = [int(name[:6]) for name in written]
    assert len([n for n in numbers if n < 20]) >= 1
    assert len([n for n in numbers if n >= 20]) >= 1
    source = list(open_source(str(two_shots)))
    for number, name in zip(numbers, written, strict=True):
        picture = np.asarray(Image.open(tmp_path / "frames" / name))
        assert np.array_equal(picture, source[number].rgb())
        Image.fromarray((picture * (1.0, 0.5, 0.5)).astype(np.uint8)).save(
            tmp_path / "frames" / name
        )
    done = run("colourise", two_shots, tmp_path / "out.y4m", "--references", tmp_path / "frames")
    assert done.returncode == 0, done.stderr
    for frame in tinct.open(str(tmp_path / "out.y4m")):
        assert frame.cr.mean() > 140
        assert frame.cb.mean() < 126


def test_count_of_keyframes(two_shots: Path, tmp_path: Path) -> None:
    for count in (1, 5):
        numbers, notes = tinct.write_keyframes(
            str(two_shots), str(tmp_path / str(count)), count=count
        )
        assert len(numbers) == len(list((tmp_path / str(count)).iterdir())) == count
        assert bool(notes) == (count == 1)
    assert (
        "shots without a frame: 20-33"
        in tinct.write_keyframes(str(two_shots), str(tmp_path / "a"), count=1)[1][0]
    )


def test_luma_is_kept_in_pngs_too(grey: Path, truth: list[Frame], tmp_path: Path) -> None:
    vivid = (truth[0].rgb().astype(float) * (1.0, 0.1, 0.1)).astype(
        np.uint8
    )  # far out of what R'G'B' shows on bright luma
    tinct.colourise(str(grey), str(tmp_path / "out"), references={0: vivid})
    for frame in truth[:3]:
        rgb = np.asarray(Image.open(tmp_path / "out" / f"{frame.pts:06}.png"))
        y, chroma = from_rgb(rgb, frame.info)
        assert np.array_equal(np.rint(y).astype(np.uint8), frame.y)
        assert np.abs(chroma).mean() > 5


def test_ten_bits_stay_ten(tmp_path: Path) -> None:
    truth = frames(clip(6, *SIZE, bit_depth=10), info(*SIZE, bit_depth=10))
    source = write_grey(tmp_path / "grey.mkv", truth)
    tinct.colourise(str(source), str(tmp_path / "out.mkv"), references={0: truth[0]})
    found = list(tinct.open(str(tmp_path / "out.mkv")))
    assert found[0].info.bit_depth == 10
    assert all(np.array_equal(a.y, b.y) for a, b in zip(found, truth, strict=True))
    assert psnr(found[0].cb, truth[0].cb, 1023) > 45


def test_sound_tags_and_times_go_along(truth: list[Frame], tmp_path: Path) -> None:
    write_clip(
        tmp_path / "in.mkv", frames=20, audio="flac", metadata={"title": "A film"}, rotation=90
    )
    first = next(iter(open_source(str(tmp_path / "in.mkv"))))
    tinct.colourise(
        str(tmp_path / "in.mkv"), str(tmp_path / "out.mkv"), references={0: first.rgb()}
    )
    assert payloads(tmp_path / "out.mkv", "audio") == payloads(tmp_path / "in.mkv", "audio")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.metadata["title"] == "A film"
    assert open_source(str(tmp_path / "out.mkv")).info.rotation == 90


def test_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    times = [0, 40, 95, 200, 220, 400, 417, 500]
    write_clip(tmp_path / "in.mkv", frames=8, vfr=times)
    first = next(iter(open_source(str(tmp_path / "in.mkv"))))
    report = tinct.colourise(
        str(tmp_path / "in.mkv"), str(tmp_path / "out.mkv"), references={0.1: first.rgb()}
    )
    assert report.references[0].number == 2  # what is shown at 100 ms
    assert [round(f.pts_seconds * 1000) for f in tinct.open(str(tmp_path / "out.mkv"))] == times


def test_windows_leave_no_seam(
    grey: Path, truth: list[Frame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A span longer than a window has the colour that it has in one piece, but for 16-bit flow at the seams."""
    references = {0: truth[0], COUNT - 1: truth[-1]}
    tinct.colourise(str(grey), str(tmp_path / "whole.mkv"), references=references)
    monkeypatch.setattr("tinct.colouring.passage.window_length", lambda info: 4)
    tinct.colourise(str(grey), str(tmp_path / "parts.mkv"), references=references)
    whole, parts = (list(tinct.open(str(tmp_path / name))) for name in ("whole.mkv", "parts.mkv"))
    assert chroma_psnr(parts, whole) > 50


# ── trust ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_no_reference_shows_loses_colour_and_trust(tmp_path: Path) -> None:
    """Half way through, a textured square that no reference has seen covers a quarter of the picture."""
    planes = [tuple(p.copy() for p in scene(0, *SIZE)) for _ in range(16)]
    noise = np.random.default_rng(1).integers(16, 235, (48, 64), np.uint8)
    for y, _, _ in planes[8:]:
        y[:48, :64] = noise
    truth = frames(planes, info(*SIZE))  # type: ignore[arg-type]
    source = write_grey(tmp_path / "in.mkv", truth)
    tinct.colourise(
        str(source),
        str(tmp_path / "out.mkv"),
        references={0: truth[0]},
        confidence=str(tmp_path / "trust.mkv"),
        leave_grey=True,
    )
    last, trust = (list(tinct.open(str(tmp_path / name)))[-1] for name in ("out.mkv", "trust.mkv"))

    def saturation(frame: Frame, rows: slice, columns: slice) -> float:
        return float(
            np.hypot(frame.cb[rows, columns] - 128.0, frame.cr[rows, columns] - 128.0).mean()
        )

    new, old = (slice(4, 20), slice(4, 28)), (slice(28, 46), slice(36, 62))
    assert saturation(last, *new) < 0.5 * saturation(truth[0], *new)
    assert saturation(last, *old) > 0.9 * saturation(truth[0], *old)
    assert trust.y[8:36, 8:52].mean() < 110
    assert trust.y[56:92, 72:124].mean() > 230
    assert trust.info.colour.full_range


def test_the_page_tells_of_shots_and_references(
    two_shots: Path, truth: list[Frame], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    references = {5: save(truth[5], tmp_path / "<5>.png")}
    report = tinct.colourise(
        str(two_shots),
        str(tmp_path / "out.mkv"),
        references=references,
        leave_grey=True,
        page=str(page),
    )
    text = page.read_text()
    assert report.grey == [range(20, 34)]
    assert 20 <= report.helpful[0] < 34
    assert (
        text.count('class="grey"')
        == text.count('class="shot"')
        == text.count('<path class="reference"')
        == 1
    )
    assert "&lt;5&gt;.png" in text
    assert "<5>.png" not in text
    assert f"help most: {report.helpful[0]}" in text
    assert len(re.findall(r'data-series="\w+"', text)) == 3
    found = list(tinct.open(str(tmp_path / "out.mkv")))
    assert all((frame.cb == 128).all() and (frame.cr == 128).all() for frame in found[20:])


# ── pictures ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Frame:
    """A frame with corners of many kinds: 320x240 of random discs."""
    random, size = np.random.default_rng(3), (320, 240)
    rgb = np.full((size[1], size[0], 3), 120, np.uint8)
    for _ in range(260):
        place, colour = (
            tuple(int(random.integers(side)) for side in size),
            random.integers(30, 225, 3).tolist(),
        )
        cv2.circle(rgb, place, int(random.integers(4, 22)), colour, -1, cv2.LINE_AA)
    about = info(*size)
    y, chroma = from_rgb(rgb, about)
    planes = [
        np.rint(p).clip(1, 254).astype(np.uint8)
        for p in (y, chroma[..., 0] + 128, chroma[..., 1] + 128)
    ]
    return Frame(planes[0], planes[1], planes[2], 0, about)


def rolled(rgb: np.ndarray) -> np.ndarray:
    return np.roll(rgb, (6, -9), (0, 1))


WAYS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "larger": (
        lambda rgb: cv2.resize(rgb, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC),
        0.98,
    ),
    "smaller": (
        lambda rgb: cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        0.9,
    ),
    "cropped": (lambda rgb: rgb[30:-20, 50:-36], 0.5),
    "cropped and larger": (lambda rgb: cv2.resize(rgb[30:-20, 50:-36], None, fx=1.8, fy=1.8), 0.5),
    "shifted": (rolled, 0.9),
    "brighter": (lambda rgb: (255 * (rgb / 255) ** 0.8).astype(np.uint8), 0.9),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_reference_is_laid_onto_its_frame(photo: Frame, tmp_path: Path, way: str) -> None:
    change, covered = WAYS[way]
    source = write_grey(tmp_path / "in.mkv", [photo])
    report = tinct.colourise(
        str(source),
        str(tmp_path / "out.mkv"),
        references={0: np.ascontiguousarray(change(photo.rgb()))},
    )
    found = next(iter(tinct.open(str(tmp_path / "out.mkv"))))
    middle = (slice(25, -25), slice(35, -30))
    assert report.references[0].match > 0.85
    assert covered < report.references[0].covered <= 1
    assert psnr(found.cb[middle], photo.cb[middle]) > (27 if way == "brighter" else 30)
    assert psnr(np.full_like(photo.cb, 128)[middle], photo.cb[middle]) < 22


def test_outside_a_cropped_reference_it_is_grey(photo: Frame, tmp_path: Path) -> None:
    source = write_grey(tmp_path / "in.mkv", [photo])
    tinct.colourise(
        str(source),
        str(tmp_path / "out.mkv"),
        references={0: np.ascontiguousarray(photo.rgb()[:, 160:])},
    )
    found = next(iter(tinct.open(str(tmp_path / "out.mkv"))))
    assert np.abs(found.cb[:, :70] - 128.0).max() <= 1
    assert psnr(found.cb[:, 90:-8], photo.cb[:, 90:-8]) > 30


def with_profile(rgb: np.ndarray) -> bytes:
    """A PNG in a colour space with red and green changed over, whose profile says so."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    data = bytearray(profile.tobytes())
    count = int.from_bytes(data[128:132], "big")
    tags = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb[..., [1, 0, 2]])).save(
        file, "PNG", icc_profile=bytes(data)
    )
    return file.getvalue()


def test_a_profile_is_heeded(photo: Frame, tmp_path: Path) -> None:
    source = write_grey(tmp_path / "in.mkv", [photo])
    (tmp_path / "0.png").write_bytes(with_profile(photo.rgb()))
    tinct.colourise(str(source), str(tmp_path / "out.mkv"), references={0: tmp_path / "0.png"})
    assert psnr(next(iter(tinct.open(str(tmp_path / "out.mkv")))).cr, photo.cr) > 38


def test_transparent_parts_say_nothing(photo: Frame, tmp_path: Path) -> None:
    source = write_grey(tmp_path / "in.mkv", [photo])
    alpha = np.zeros(photo.y.shape, np.uint8)
    alpha[:, 160:] = 255
    picture = Image.fromarray(np.dstack((photo.rgb(), alpha)))
    tinct.colourise(str(source), str(tmp_path / "out.mkv"), references={0: picture})
    found = next(iter(tinct.open(str(tmp_path / "out.mkv"))))
    assert np.abs(found.cr[:, :75] - 128.0).max() <= 1
    assert psnr(found.cr[:, 85:], photo.cr[:, 85:]) > 38


def test_a_flat_picture_of_a_flat_frame_is_its_reference(tmp_path: Path) -> None:
    y, half = np.full((48, 64), 90, np.uint8), np.full((24, 32), 128, np.uint8)
    source = write_grey(tmp_path / "in.mkv", [Frame(y, half, half, 0, info())])
    tinct.colourise(
        str(source),
        str(tmp_path / "out.mkv"),
        references={0: np.full((48, 64, 3), (120, 60, 60), np.uint8)},
    )
    assert next(iter(tinct.open(str(tmp_path / "out.mkv")))).cr.mean() > 145


def test_an_uncoloured_picture_is_no_reference(
    grey: Path, truth: list[Frame], tmp_path: Path
) -> None:
    references = {0: truth[0].rgb(), 15: next(open_source(str(grey)).between(15, 15)).rgb()}
    report = tinct.colourise(str(grey), str(tmp_path / "out.mkv"), references=references)
    assert [laid.number for laid in report.references] == [0]
    assert any("the reference at 15 has no colour" in note for note in report.notes)


# ── what is refused ────────────────────────────────────────────────────────────────────────────────────────────────


def refused(folder: Path, *arguments: str | Path) -> str:
    """The one line of a command that must end with code 2 and leave nothing in `folder`."""
    said = one_line(run(*arguments), 2)
    assert list(folder.iterdir()) == []
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_shot_without_a_reference_is_named(
    two_shots: Path, truth: list[Frame], tmp_path: Path, folder: Path
) -> None:
    picture = save(truth[5], tmp_path / "5.png")
    said = refused(folder, "colourise", two_shots, folder / "a.mkv", "--reference", f"5={picture}")
    assert "none in 1: frames 20-33" in said
    assert "--leave-grey" in said
    number = int(re.search(r"colour frames (\d+) first", said)[1])  # type: ignore[index]
    assert 20 <= number < 34


def test_a_picture_of_something_else_is_refused(
    grey: Path, photo: Frame, tmp_path: Path, folder: Path
) -> None:
    picture = save(photo, tmp_path / "7.png")
    said = refused(
        folder,
        "colourise",
        grey,
        folder / "a.mkv",
        "--reference",
        f"7={picture}",
        "--confidence",
        folder / "c.mkv",
    )
    assert re.search(
        r"expected .*7\.png to show frame 7, found (no common features|a match of \d+%)", said
    )


BAD: dict[str, tuple[str, str]] = {
    "no moment": ("here={picture}", "expected MOMENT=FILE"),
    "no file": ("0", "expected MOMENT=FILE"),
    "missing": ("0=nothing.png", "expected a picture, found nothing at nothing.png"),
    "text": ("0={text}", "expected a picture in a format that Pillow reads"),
    "cut off": ("0={broken}", "expected a whole picture"),
    "late frame": ("30={picture}", "expected frames 0 to 29 to be named, found 30"),
    "late time": (
        "1.3s={picture}",
        "expected times from 0 to the video's end at 1.200 s, found 1.3 s",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_references_are_refused_in_one_line(
    grey: Path, truth: list[Frame], tmp_path: Path, folder: Path, kind: str
) -> None:
    given, words = BAD[kind]
    picture = save(truth[0], tmp_path / "good.png")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "broken.png").write_bytes(picture.read_bytes()[:3000])
    given = given.format(
        picture=picture, text=tmp_path / "text.png", broken=tmp_path / "broken.png"
    )
    assert words in refused(folder, "colourise", grey, folder / "a.mkv", "--reference", given)


def test_bad_options_are_refused(
    grey: Path, tinct_path: Path, truth: list[Frame], tmp_path: Path, folder: Path
) -> None:
    picture = save(truth[0], tmp_path / "0.png")
    given = ["--reference", f"0={picture}"]
    cases: list[tuple[list[str | Path], str]] = [
        ([grey, folder / "a.mkv"], "expected references, found none"),
        (
            [grey, folder / "a.mkv", "--references", tmp_path / "no"],
            "expected a folder of pictures, found nothing",
        ),
        (
            [grey, folder / "a.mkv", "--references", tmp_path],
            "expected pictures named by a frame's number",
        ),
        ([grey, folder / "a.avi", *given], "expected a name ending in .mp4"),
        ([grey, grey, *given], "expected an output other than the input"),
        ([grey, folder / "a.mkv", *given, "--confidence", folder / "a.mkv"], "found .* twice"),
        ([grey, folder / "a.mkv", *given, "--adapt", "-1"], "--adapt: expected seconds above 0"),
        (["-", folder / "a.mkv", *given], "expected a file, found stdin"),
        ([tinct_path, folder / "a.mkv", *given], "expected grey footage, found a Tinct file"),
    ]
    (tmp_path / "notes.txt").write_text("not a picture")
    for arguments, words in cases:
        said = refused(folder, "colourise", *arguments)
        assert re.search(words, said), said
    assert "--count: expected auto or" in refused(
        folder, "keyframes", grey, "--out", folder / "f", "--count", "0"
    )
    with pytest.raises(tinct.CodecError, match="expected one reference for frame 1"):
        tinct.colourise(
            str(grey), str(folder / "a.mkv"), references={1: truth[1].rgb(), 0.04: truth[1].rgb()}
        )
    with pytest.raises(tinct.CodecError, match=r"expected uint8 \[H, W, 3\]"):
        tinct.colourise(
            str(grey), str(folder / "a.mkv"), references={0: truth[0].rgb().astype(float)}
        )
    assert list(folder.iterdir()) == []


def test_nothing_stays_when_it_is_interrupted(grey: Path, truth: list[Frame], folder: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        if done == 10:
            raise KeyboardInterrupt

    outputs = {"confidence": str(folder / "c.mkv"), "page": str(folder / "p.html")}
    with pytest.raises(KeyboardInterrupt):
        tinct.colourise(
            str(grey), str(folder / "a.mkv"), references={0: truth[0]}, progress=stop, **outputs
        )
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("fails", ["main", "map"])
def test_of_two_outputs_both_appear_or_none(
    fails: str, grey: Path, truth: list[Frame], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full when the last bytes of one are written leaves neither."""
    whole = _Film.close
    asked: list[bool] = []

    def close(film: _Film) -> None:
        asked.append(True)
        whole(film)
        if len(asked) == {"main": 1, "map": 2}[fails]:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_Film, "close", close)
    with pytest.raises(tinct.CodecError, match="No space left"):
        tinct.colourise(
            str(grey),
            str(folder / "a.mkv"),
            references={0: truth[0]},
            confidence=str(folder / "c.mkv"),
        )
    assert list(folder.iterdir()) == []


# ── a network taught by the references ─────────────────────────────────────────────────────────────────────────────


def test_adapting_takes_three_references(grey: Path, truth: list[Frame], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    report = tinct.colourise(
        str(grey), str(tmp_path / "a.mkv"), references={0: truth[0], 29: truth[29]}, adapt_seconds=1
    )
    assert any(note.startswith("not adapted: it takes 3 references") for note in report.notes)


def test_adapting_learns_where_there_is_something_to_learn() -> None:
    """Colour follows luma and trust is low: what is taught holds on the picture held back; with whole trust nothing changes."""
    pytest.importorskip("torch")
    from tinct.adapt.budget import Budget
    from tinct.colouring.adapting import Lesson, adapt, corrected
    from tinct.colouring.mixing import Mix, Reference
    from tinct.motion.views import LumaView

    lessons = []
    for seed in range(3):
        y = cv2.GaussianBlur(
            np.random.default_rng(seed).integers(0, 255, (96, 128), np.uint8), (0, 0), 6
        )
        y = cv2.normalize(y, None, 20, 230, cv2.NORM_MINMAX)  # type: ignore[call-overload]
        luma = LumaView(y, 8, seed)
        half = luma.half.astype(np.float32)
        colour = np.dstack((half - 120, 100 - half)) * np.float32(0.4)
        one = np.ones(half.shape, np.float32)
        lessons.append(
            Lesson(Reference(seed, luma, colour, one), Mix(colour * np.float32(0.3), 0.3 * one))
        )
    result = adapt(lessons, Budget(steps=40))
    assert result.network is not None, result.text()
    assert result.error_after < 0.6 * result.error_before
    held_back = lessons[1]
    trusted = Mix(held_back.target.colour, np.ones_like(held_back.made.trust))
    assert np.allclose(
        corrected(result.network, held_back.target.luma, trusted).colour, trusted.colour, atol=1e-4
    )


# ── real clips ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least_db", "most_db"), [("mother_daughter", 44, 48), ("carphone", 42, 47)]
)
def test_a_real_clip(name: str, least_db: float, most_db: float, tmp_path: Path) -> None:
    """Chroma from two frames, 95 apart; less flicker than the true colour has through x265 (see docs/colourise.md)."""
    path = next(SHARED_CLIPS.glob(f"{name}.*"), None)
    if path is None:
        pytest.skip("needs the shared clips")
    truth = list(islice(open_source(str(path)), 96))
    source = write_grey(tmp_path / "grey.mkv", truth)
    tinct.colourise(str(source), str(tmp_path / "out.mkv"), references={0: truth[0], 95: truth[95]})
    found = list(tinct.open(str(tmp_path / "out.mkv")))
    assert all(np.array_equal(a.y, b.y) for a, b in zip(found, truth, strict=True))
    assert least_db < chroma_psnr(found, truth) < most_db


@pytest.mark.slow
def test_the_page_draws_in_a_browser(two_shots: Path, truth: list[Frame], tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    import shutil

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    tinct.colourise(
        str(two_shots),
        str(tmp_path / "out.mkv"),
        references={5: truth[5]},
        leave_grey=True,
        page=str(tmp_path / "page.html"),
    )
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        assert page.locator("#thumbs img").evaluate_all(
            "all => all.every(one => one.naturalWidth > 0)"
        )
        boxes = [
            page.locator(f'[data-series="{name}"]').bounding_box()
            for name in ("trust", "colourfulness", "flicker")
        ]
        assert all(box is not None and box["width"] > 500 for box in boxes)
        assert page.locator("path.reference").count() == 1
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        browser.close()
