"""Rehearsals of choices, compared with the encodes that they estimate."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import find_sample_clip
from synthetic import draw_clip, make_frames, make_info

import tinct
from tinct.encoder.cost import Cost, judge_by
from tinct.encoder.keyframes import Spacing
from tinct.encoder.plan import Choice
from tinct.encoder.rehearsal import Rehearsal
from tinct.encoder.samples import Samples
from tinct.encoder.sending import Sending
from tinct.encoder.view import View
from tinct.evaluation.keyframes import find_key_frames
from tinct.frames import Frame
from tinct.networks.interface import propagate_group
from tinct.psnr import plane_errors

PLAIN = Cost(20_000.0, (10.0, 2.0, 2.0))  # about what plain HEVC takes at QP 32


def test_stretches_do_not_mix_though_each_counts_time_from_its_start() -> None:
    """Two stretches of different content cost the mean of what each costs alone."""
    about = make_info()
    first = make_frames(draw_clip(9), about)
    second = make_frames([(255 - y, cb, cr) for y, cb, cr in draw_clip(18)[9:]], about)
    choice = Choice(qp=32, boost=8, spacing=Spacing(group=4), colour_qp=20)

    def rehearse(stretches: list[list[Frame]]) -> Cost:
        samples = Samples(stretches, about)
        config = tinct.EncodeConfig(structure="intra", base="hevc")
        rehearsal = Rehearsal(samples, config, colouriser=propagate_group, plain=PLAIN)
        return rehearsal.cost(choice)

    alone = [rehearse([first]), rehearse([second])]
    both = rehearse([first, second])
    for plane in range(3):
        mean = (alone[0].error[plane] + alone[1].error[plane]) / 2
        assert both.error[plane] == pytest.approx(mean)


def test_choices_that_come_to_the_same_frames_are_restored_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    about = make_info()
    samples = Samples([make_frames(draw_clip(9), about)], about)
    rehearsal = Rehearsal(
        samples,
        tinct.EncodeConfig(structure="intra", base="hevc"),
        colouriser=propagate_group,
        plain=PLAIN,
    )
    restored: list[Choice] = []
    restore = Rehearsal._restore

    def count(self: Rehearsal, *args: Any, choice: Choice, **options: Any) -> Any:
        restored.append(choice)
        return restore(self, *args, choice=choice, **options)

    monkeypatch.setattr(Rehearsal, "_restore", count)
    dear = Sending(step=None, price=1e9)
    choice = Choice(qp=32, boost=8, spacing=Spacing(group=4), colour_qp=20, sending=dear)
    same = replace(choice, sending=replace(dear, price=1e10))
    other = replace(choice, spacing=Spacing(group=8))
    costs = [rehearsal.cost(one) for one in (choice, same, other)]
    assert restored == [choice, other]
    assert costs[0] == costs[1] != costs[2]


@pytest.mark.slow
def test_a_rehearsal_of_the_whole_is_the_encode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal of all frames has the errors, PSNR of key frames and size of the encode.

    Errors differ by rounding, and the size by that of the container. The post-filter is not
    rehearsed.
    """

    def judge(view: View, *planes: Any, current: Any) -> Any:
        return judge_by(view.originals)(*planes, current=current)

    monkeypatch.setattr(View, "_choose_strengths", judge)
    source = tmp_path / "source.mkv"
    tinct.decode(str(find_sample_clip("carphone_pristine.mp4")), str(source), duration_seconds=1.0)
    report = tinct.encode(
        str(source), str(tmp_path / "a.mkv"), tinct.EncodeConfig(structure="intra", base="hevc")
    )
    track = report.plan.track
    assert report.plan.colouriser == "compact"
    assert track is not None
    decoded = list(tinct.open(str(tmp_path / "a.mkv")))
    originals = list(tinct.open(str(source)))
    errors = [plane_errors(a, b) for a, b in zip(originals, decoded, strict=True)]
    for plane in range(3):
        mean = sum(e[plane] for e in errors) / len(errors)
        assert track.error[plane] == pytest.approx(mean, rel=0.02)
    luma_db = np.array([-10 * np.log10(e[0]) for e in errors])
    keys = find_key_frames(str(tmp_path / "a.mkv"))
    assert 0 < len(keys) < len(decoded)
    spread_db = luma_db[keys].mean() - np.delete(luma_db, keys).mean()
    assert track.spread_db == pytest.approx(spread_db, abs=0.2)
    assert spread_db > 1  # a spread near 0 would prove little
    assert track.bits * len(decoded) / 8 == pytest.approx(report.size_bytes, rel=0.1)
