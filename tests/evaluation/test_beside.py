"""A network beside its file: the pictures of one inside, both counted, however large."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from tinct.decoder.video import Video
from tinct.evaluation import sweep
from tinct.evaluation.beside import decode_beside
from tinct.evaluation.codecs import parse_codec, parse_config
from tinct.limits import MAX_WEIGHTS
from tinct.networks.gan import count_weights

OPTIONS = "intra,preset=paper,channels=8,adapt=2steps,generator=pix2pix"


@pytest.mark.nightly
def test_a_network_beside_does_what_one_inside_does_and_is_counted(
    clip_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"
    codecs = [f"beside:{OPTIONS}", f"tinct:{OPTIONS}"]
    beside, inside = sweep([clip_path], codecs, [32], out=out, frames=13)
    assert beside.keys == inside.keys
    assert beside.file is not None
    video = out / beside.file
    network = video.with_suffix(".net")
    assert beside.parts["update"] == network.stat().st_size
    assert beside.size_bytes == video.stat().st_size + network.stat().st_size
    weights = count_weights(parse_config(parse_codec(codecs[0])).generator_config())
    assert 0.5 * weights < network.stat().st_size < 1.2 * weights, "at most 8 bits a weight"
    # the same training, but for the bits of a weight
    assert beside.means["psnr_rgb"] == pytest.approx(inside.means["psnr_rgb"], abs=0.2)
    without = list(Video(str(video)))
    config = parse_config(parse_codec(codecs[0]))
    made = decode_beside(str(video), config=config, most_weights=MAX_WEIGHTS)
    same = [(a.y == b.y).all() for a, b in zip(made, without, strict=True)]
    assert [number for number, is_same in enumerate(same) if is_same] == beside.keys
