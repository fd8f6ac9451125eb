"""The benchmark of interpolated frames: what it loses, compares, and picks for its sheet."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic import draw_clip, make_frames, make_info, write_clip

import tinct
from lab.benchmarks.frame_sheet import (
    BORDER,
    GAIN,
    LABEL_HEIGHT,
    MAX_BYTES,
    SIZES,
    BadFrame,
    amplify_difference,
    choose_rows,
    measure_distances,
    write_sheet,
)
from lab.benchmarks.interpolation import PLACES, choose_places, compare_kinds, number_kinds
from lab.benchmarks.packet_loss import (
    DRAWS,
    choose_lost,
    copy_without,
    count_damaged,
    count_differing,
    count_packets,
    count_worse,
    measure_loss,
)
from lab.benchmarks.shown_frames import (
    Shown,
    ShownFrame,
    hold_frames,
    measure_gradient_energy,
    relate_energies,
    show_file,
)
from tinct.decoder.damage import Damage

FRAMES = 13


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, and a file of it of which every third frame is sent between keys."""
    folder = tmp_path_factory.mktemp("interpolation")
    write_clip(folder / "clip.mkv", frames=FRAMES)
    config = tinct.EncodeConfig(
        colour="track",
        colouriser="none",
        group=6,
        interpolate=3,
        x265_preset="ultrafast",
    )
    tinct.encode(str(folder / "clip.mkv"), str(folder / "coded.mkv"), config)
    return folder


def make_shown(*rows: tuple[float, float]) -> Shown:
    """Return frames of these PSNRs and gradient energies, that of the source being 10."""
    frames = [
        ShownFrame(
            tick=tick, planes_db=(luma_db, 40, 40), digest=b"", energy=energy, source_energy=10
        )
        for tick, (luma_db, energy) in enumerate(rows)
    ]
    return Shown(frames=frames, damage=Damage())


def make_bad(clip: str, number: int, below_db: float) -> BadFrame:
    return BadFrame(
        clip=clip,
        qp=32,
        number=number,
        luma_db=30,
        below_db=below_db,
        before=1,
        after=2,
        source=Path("clip.mkv"),
        coded=Path("coded.mkv"),
    )


# ── lost packets ─────────────────────────────────────────────────────────────────────────────────


def test_lost_packets_are_the_same_in_every_run_and_others_in_another_draw() -> None:
    draws = [choose_lost(1000, 0.05, seed=seed) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert [len(draw) for draw in draws] == [50] * 3
    assert all(0 < number < 1000 for draw in draws for number in draw)


@pytest.mark.parametrize(("packet_count", "expected"), [(20, 1), (150, 2), (2, 1), (1, 0)])
def test_one_packet_at_least_is_lost_but_never_the_first(packet_count: int, expected: int) -> None:
    lost = choose_lost(packet_count, 0.01, seed=0)
    assert len(lost) == expected
    assert 0 not in lost


def test_a_copy_without_loss_shows_the_same(folder: Path, tmp_path: Path) -> None:
    copy_without(folder / "coded.mkv", tmp_path / "a.mkv", set())
    whole, copied = (
        show_file(path, folder / "clip.mkv") for path in (folder / "coded.mkv", tmp_path / "a.mkv")
    )
    assert whole.frames == copied.frames
    assert not copied.damage


@pytest.mark.parametrize(("lost", "differing"), [(1, 5), (3, 5)])
def test_frames_without_their_packet_differ_and_are_counted(
    folder: Path, tmp_path: Path, lost: int, differing: int
) -> None:
    """A sent frame is lost between two key frames: all others of the group are made of it."""
    copy_without(folder / "coded.mkv", tmp_path / "a.mkv", {lost})
    whole, damaged = (
        show_file(path, folder / "clip.mkv") for path in (folder / "coded.mkv", tmp_path / "a.mkv")
    )
    assert count_differing(whole, damaged) == differing
    assert count_damaged(damaged.damage) == differing


def test_a_loss_is_measured_in_every_draw(folder: Path) -> None:
    whole = show_file(folder / "coded.mkv", folder / "clip.mkv")
    count = count_packets(folder / "coded.mkv")
    found = measure_loss(folder / "coded.mkv", folder / "clip.mkv", whole=whole, share=0.4)
    draws = found["draws"]
    assert found["packets"] == count < FRAMES
    assert len(draws) == DRAWS
    assert [draw["lost_packets"] for draw in draws] == [round(0.4 * count)] * DRAWS
    assert all(draw["differing_frames"] >= draw["worse_frames"] >= 1 for draw in draws)
    assert found["lower_by_db"] == pytest.approx(
        whole.mean_db - sum(draw["psnr_y_db"] for draw in draws) / DRAWS
    )


def test_a_frame_is_worse_where_a_plane_is() -> None:
    whole = make_shown((40, 10), (40, 10), (40, 10))
    luma = make_shown((39.4, 10), (39.6, 10), (41, 10))
    assert count_worse(whole, luma) == 1
    frames = [replace(frame, planes_db=(40, 40, 39)) for frame in whole.frames[:2]]
    assert count_worse(whole, replace(whole, frames=[*frames, whole.frames[2]])) == 2


def test_a_viewer_sees_the_frame_before_where_one_is_missing() -> None:
    info = make_info(frame_rate=Fraction(25))
    frames = make_frames(draw_clip(4), info, [1, 2, 5, 6])
    held = hold_frames(frames, [n / 25 for n in range(6)])
    assert [frame.pts for frame in held] == [1, 1, 2, 2, 2, 5]


# ── places, kinds, energies ──────────────────────────────────────────────────────────────────────


def test_places_are_the_same_in_every_run() -> None:
    times = [n / 25 for n in range(96)]
    assert choose_places(times) == choose_places(times)
    assert len(set(choose_places(times))) == PLACES
    assert sorted(choose_places(times[:3])) == times[:3]


def test_gradient_energy_by_hand() -> None:
    """Two pairs side by side differ by 1 and 3, two one above the other by 2 and 4."""
    assert measure_gradient_energy(np.array([[10, 11], [12, 15]], np.uint8)) == (1 + 9 + 4 + 16) / 4
    assert measure_gradient_energy(np.full((3, 3), 255, np.uint8)) == 0


def test_energies_of_frames_are_added_up() -> None:
    assert relate_energies(make_shown((30, 9), (30, 5)).frames) == pytest.approx(0.7)


def test_interpolated_frames_beside_sent_ones_by_hand() -> None:
    shown = make_shown((40, 10), (36, 6), (37, 6), (38, 8))
    kinds = {"interpolated": [1, 2], "sent": [0, 3], "key": [0]}
    found = compare_kinds(shown, kinds)
    assert found["lower_by_db"] == pytest.approx(39 - 36.5)
    assert found["gradient_ratio"] == pytest.approx(0.6 / 0.9)
    assert found["key"] == {"frames": 1, "psnr_y_db": 40, "gradient_energy": 1}
    assert (shown.mean_db, shown.worst_frame_db) == (37.75, 1.5)


def test_a_file_without_interpolated_frames_has_no_comparison() -> None:
    kinds: dict[str, list[int]] = {"interpolated": [], "sent": [0], "key": []}
    assert set(compare_kinds(make_shown((40, 10)), kinds)) == {"sent"}


def test_kinds_are_those_of_the_file(folder: Path) -> None:
    shown = show_file(folder / "coded.mkv", folder / "clip.mkv")
    kinds = number_kinds(folder / "coded.mkv", shown)
    assert sorted(kinds["interpolated"] + kinds["sent"]) == list(range(FRAMES))
    assert len(kinds["sent"]) == count_packets(folder / "coded.mkv")
    assert {0, 6, 12} == set(kinds["key"]) <= set(kinds["sent"])


# ── the sheet ────────────────────────────────────────────────────────────────────────────────────


def test_the_worst_frames_come_first_and_a_clip_only_so_often() -> None:
    frames = [make_bad("a", n, 9 - n) for n in range(5)] + [make_bad("b", n, 8.5) for n in range(2)]
    chosen = [(frame.clip, frame.number) for frame in choose_rows(frames, rows=4, rows_a_clip=2)]
    assert chosen == [("a", 0), ("b", 0), ("b", 1), ("a", 1)]
    assert len(choose_rows(frames, rows=9, rows_a_clip=3)) == 5


def test_distances_are_to_the_nearest_sent_frames() -> None:
    assert measure_distances([0, 4, 9], 5) == (1, 4)


def test_a_difference_is_amplified_around_grey() -> None:
    source, decoded = (np.array([[[10, 250, 7]]], np.uint8), np.array([[[12, 100, 7]]], np.uint8))
    assert amplify_difference(source, decoded).tolist() == [[[128 + 2 * GAIN, 0, 128]]]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_sheet_is_small_and_has_a_row_a_frame(folder: Path, tmp_path: Path, suffix: str) -> None:
    paths = {"source": folder / "clip.mkv", "coded": folder / "coded.mkv"}
    frames = [BadFrame(**{**vars(make_bad("a", number, 5)), **paths}) for number in (1, 4)]
    write_sheet(tmp_path / f"sheet{suffix}", frames)
    picture = cv2.imread(str(tmp_path / f"sheet{suffix}"))
    height, width = picture.shape[:2]
    assert width == 3 * SIZES[0][0]
    assert height == 2 * (width // 3 * 48 // 64 + LABEL_HEIGHT + BORDER)
    assert (tmp_path / f"sheet{suffix}").stat().st_size <= MAX_BYTES
