"""Rehearsals against the encodes that they stand for."""

from pathlib import Path

import numpy as np
import pytest
from helpers import sample_clip
from synthetic import clip, frames, info

import tinct
from tinct.encoder.keyframes import Spacing
from tinct.encoder.plan import Choice
from tinct.encoder.rehearsal import Rehearsal
from tinct.encoder.samples import Samples
from tinct.evaluation.keyframes import find_key_frames
from tinct.networks.interface import propagate_group


def test_stretches_do_not_mix_though_each_counts_time_from_its_start() -> None:
    """Two stretches of other content cost the mean of what each costs alone."""
    about = info()
    first, second = (
        frames(clip(9), about),
        frames([(255 - y, cb, cr) for y, cb, cr in clip(18)[9:]], about),
    )
    choice = Choice(boost=8, spacing=Spacing(group=4), colour_qp=20)
    alone = [
        Rehearsal(Samples([part], about), tinct.EncodeConfig(), qp=32, colouriser=propagate_group).cost(choice)
        for part in (first, second)
    ]
    both = Rehearsal(
        Samples([first, second], about), tinct.EncodeConfig(), qp=32, colouriser=propagate_group
    ).cost(choice)
    for plane in range(3):
        assert both.error[plane] == pytest.approx(
            (alone[0].error[plane] + alone[1].error[plane]) / 2
        )


@pytest.mark.slow
def test_a_rehearsal_of_the_whole_is_the_encode(tmp_path: Path) -> None:
    """The same errors to rounding, key frames as far above the others, and the size of the file but for the container."""
    source = tmp_path / "source.mkv"
    tinct.decode(str(sample_clip("carphone_pristine.mp4")), str(source), duration_seconds=1.0)
    report = tinct.encode(
        str(source), str(tmp_path / "a.mkv"), tinct.EncodeConfig(network="fast", adapt="off")
    )
    track = report.plan.track
    assert report.plan.colouriser == "compact"
    assert track is not None
    shown = list(tinct.open(str(tmp_path / "a.mkv")))
    originals = list(tinct.open(str(source)))
    from tinct.psnr import plane_errors

    errors = [plane_errors(a, b) for a, b in zip(originals, shown, strict=True)]
    for plane in range(3):
        assert track.error[plane] == pytest.approx(
            sum(e[plane] for e in errors) / len(errors), rel=0.02
        )
    luma_db = np.array([-10 * np.log10(e[0]) for e in errors])
    keys = find_key_frames(str(tmp_path / "a.mkv"))
    assert 0 < len(keys) < len(shown)
    spread_db = luma_db[keys].mean() - np.delete(luma_db, keys).mean()
    assert track.spread_db == pytest.approx(spread_db, abs=0.2)
    assert spread_db > 1  # else this says little
    assert track.bits * len(shown) / 8 == pytest.approx(report.size_bytes, rel=0.1)
