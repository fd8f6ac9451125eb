"""A video's own generator from encode to decode: the file, its bits and colours, and refusals."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import synthetic
from helpers import leave_to_nightly

import tinct
from tinct.adapt.budget import Budget, Step
from tinct.adapt.gan import Samples, Training
from tinct.adapt.gan_update import ROUNDING_STEPS, KeyFrameCollector, encode_generator
from tinct.adapt.recipes import CPU
from tinct.bitstream.container import read_file_manifest, read_update
from tinct.bitstream.manifest import Manifest, read_manifest, write_manifest
from tinct.cli.app import main
from tinct.colour import to_rgb, unit_matrix, upsample_chroma
from tinct.errors import CodecError
from tinct.frames import ColourTags
from tinct.limits import MAX_UPDATE_BYTES
from tinct.networks.gan import decode_generator, list_shapes, to_planes
from tinct.networks.gan_config import GanConfig
from tinct.networks.trainable.baselines import make_generator
from tinct.networks.trainable.gan import Generator, fold
from tinct.networks.weights import hash_weights

KINDS = ["multiresunet", "pix2pix", "pix2pix-attention", "pix2pixhd", "cyclegan"]
PAPER_ON_CPU = ["--preset", "paper", "--recipe", "cpu"]
OPTIONS = {"qp": 32, "channels": 8, "recipe": "cpu", "adapt": "20steps", "device": "cpu"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums depend on the number of threads; on small pictures several are slower, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two groups and one frame, where the pictures do not matter."""
    path = tmp_path_factory.mktemp("short") / "short.mkv"
    synthetic.write_clip(path, frames=13)
    return path


@pytest.fixture(scope="module")
def gan_path(clip_path: Path, make_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The clip in the paper's layout, with a generator of its own."""
    config = tinct.preset("paper", **OPTIONS)

    def make(folder: Path) -> None:
        tinct.encode(str(clip_path), str(folder / "gan.mkv"), config)

    return make_once("gan", make) / "gan.mkv"


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-9)))


@pytest.mark.slow
def test_a_decoder_in_another_process_shows_what_the_encoder_measured(
    clip_path: Path, gan_path: Path, tmp_path: Path
) -> None:
    report = tinct.encode(
        str(clip_path), str(tmp_path / "again.mkv"), tinct.preset("paper", **OPTIONS)
    )
    assert (tmp_path / "again.mkv").read_bytes() == gan_path.read_bytes(), (
        "steps, not seconds, were asked for"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tinct", "decode", str(gan_path), str(tmp_path / "out.mkv")],
        check=False,
    )
    assert done.returncode == 0
    source, decoded = list(tinct.open(str(clip_path))), list(tinct.open(str(tmp_path / "out.mkv")))
    measured = np.mean([psnr(a.y, b.y) for a, b in zip(source, decoded, strict=True)])
    assert measured == pytest.approx(report.psnr[0].mean_db, abs=0.01)
    assert report.update_bytes == tinct.info(str(gan_path)).bytes_by_part["update"] > 1000
    assert tinct.info(str(gan_path)).colouriser == "gan"


@pytest.mark.slow
def test_the_papers_network_decodes_without_pytorch(gan_path: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from tinct.cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["decode", str(gan_path), str(tmp_path / "a.y4m"), "--quiet"]
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    for mine, theirs in zip(
        tinct.open(str(gan_path)), tinct.open(str(tmp_path / "a.y4m")), strict=True
    ):
        assert np.array_equal(mine.cb, theirs.cb)


@pytest.mark.nightly
def test_it_learns_colours_that_luma_alone_does_not_have(clip_path: Path, tmp_path: Path) -> None:
    tinct.encode(
        str(clip_path),
        str(tmp_path / "a.mkv"),
        tinct.preset("paper", **{**OPTIONS, "adapt": "150steps", "channels": 12}),
    )
    tinct.encode(
        str(clip_path),
        str(tmp_path / "b.mkv"),
        tinct.preset("paper", qp=OPTIONS["qp"], colouriser="none"),
    )
    between = [n for n in range(40) if n % 6]
    source, decoded, plain = (
        list(tinct.open(str(path))) for path in (clip_path, tmp_path / "a.mkv", tmp_path / "b.mkv")
    )
    grey = [psnr(source[n].cb, np.full_like(source[n].cb, 128)) for n in between]
    found = [psnr(source[n].cb, decoded[n].cb) for n in between]
    assert np.mean(found) > np.mean(grey) + 3
    assert all(np.array_equal(decoded[n].cb, plain[n].cb) for n in range(0, 40, 6)), (
        "key frames are shown as they were coded"
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", leave_to_nightly(KINDS, but=["multiresunet", "pix2pixhd"]))
def test_every_kind_goes_into_a_file_and_comes_out(
    kind: str, clip_path: Path, tmp_path: Path
) -> None:
    config = tinct.preset(
        "paper", **{**OPTIONS, "adapt": "3steps", "generator": kind, "channels": 6}
    )
    report = tinct.encode(str(clip_path), str(tmp_path / "a.mkv"), config)
    manifest = read_file_manifest(str(tmp_path / "a.mkv"))
    assert manifest is not None
    assert manifest.generator is not None
    assert manifest.generator.kind == kind
    decoded = list(tinct.open(str(tmp_path / "a.mkv")))
    source = list(tinct.open(str(clip_path)))
    assert np.mean([psnr(a.y, b.y) for a, b in zip(source, decoded, strict=True)]) == pytest.approx(
        report.psnr[0].mean_db, abs=0.01
    )


@pytest.mark.slow
def test_ten_bit_and_odd_sizes_work_too(tmp_path: Path) -> None:
    synthetic.write_clip(tmp_path / "odd.mkv", frames=14, size=(65, 47), pix_fmt="yuv420p10le")
    config = tinct.preset("paper", **{**OPTIONS, "losses": "mse"})
    tinct.encode(str(tmp_path / "odd.mkv"), str(tmp_path / "a.mkv"), config)
    decoded = list(tinct.open(str(tmp_path / "a.mkv")))
    assert (len(decoded), decoded[0].y.shape, decoded[0].y.dtype) == (14, (47, 65), np.uint16)
    assert decoded[1].y.max() > 255


@pytest.mark.slow
def test_key_frames_may_be_chroma_alone(clip_path: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "adapt": "5steps"}
    report = tinct.encode(
        str(clip_path),
        str(tmp_path / "a.mkv"),
        tinct.EncodeConfig(colouriser="gan", group=8, **options),
    )  # type: ignore[arg-type]
    assert (report.plan.layout, tinct.info(str(tmp_path / "a.mkv")).colouriser) == ("chroma", "gan")
    assert len(list(tinct.open(str(tmp_path / "a.mkv")))) == 40


def test_pictures_become_planes_and_back(tmp_path: Path) -> None:
    """R'G'B' loses little in 4:2:0; a Y'CbCr picture is only rounded."""
    for depth, tags in (
        (8, ColourTags(matrix=6, full_range=False)),
        (10, ColourTags(matrix=1, full_range=True)),
    ):
        about = synthetic.make_info(bit_depth=depth, colour=tags)
        frame = next(iter(synthetic.make_frames(synthetic.draw_clip(1, bit_depth=depth), about)))
        peak = (1 << depth) - 1
        rgb = (to_rgb(frame) / 127.5 - 1).astype(np.float32).transpose(2, 0, 1)
        for mine, theirs in zip(
            to_planes(rgb, "rgb", about), (frame.y, frame.cb, frame.cr), strict=True
        ):
            assert np.abs(mine.astype(float) - theirs).mean() < 1.2 * (1 << (depth - 8))
        up = [upsample_chroma(plane, about.height, about.width) for plane in (frame.cb, frame.cr)]
        picture = np.stack([frame.y, *up]).astype(np.float32) * (2 / peak) - 1
        assert np.array_equal(to_planes(picture, "ycbcr", about)[0], frame.y)
        shown = (
            np.tensordot(unit_matrix(about)[:, :3], picture, 1)
            + unit_matrix(about)[:, 3, None, None]
        )
        wanted = to_rgb(frame).transpose(2, 0, 1).astype(float)
        assert np.abs(np.clip((shown + 1) * 127.5, 0, 255) - wanted).max() <= 0.51


def collect(count: int) -> Samples:
    """Return the samples of a clip of which every other frame is a key frame."""
    about = synthetic.make_info()
    collector = KeyFrameCollector(about)
    for n, frame in enumerate(synthetic.make_frames(synthetic.draw_clip(count), about)):
        collector.add(frame, frame.y, key=n % 2 == 0)
    return collector.build_samples()


def train_small() -> tuple[torch.nn.Module, Samples]:
    samples = collect(8)
    recipe = replace(CPU, content=0.0, colour=0.0, gan=0.0, learning_rate=5e-4)
    return Training(samples, GanConfig(8, output="ycbcr"), recipe).run(Budget(steps=200)), samples


@pytest.mark.nightly
def test_dearer_bits_give_a_smaller_update_within_a_tenth_of_a_decibel() -> None:
    network, samples = train_small()
    config = GanConfig(8, output="ycbcr")
    free, dear = (
        encode_generator(network, config, samples, error_per_bit=price, steps=50)
        for price in (0.0, 1e-5)
    )
    assert len(dear.data) < 0.9 * len(free.data)
    assert free.loss_db < 0.05
    assert dear.loss_db <= 0.1
    sent = decode_generator(config, dear.data)
    assert sent.keys() == dear.weights.keys()
    assert all(np.array_equal(sent[name], weight) for name, weight in dear.weights.items())


@pytest.mark.slow
@pytest.mark.parametrize(("trained", "expected"), [(3, 3), (5000, ROUNDING_STEPS)])
def test_learning_the_rounding_takes_no_longer_than_the_weights(
    trained: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def note_steps(
        network: object, sent: object, inputs: object, *, steps: int, limit: object
    ) -> object:
        asked.append(steps)
        return sent

    monkeypatch.setattr("tinct.adapt.gan_update.learn_rounding", note_steps)
    config = GanConfig(6, output="ycbcr")
    network = make_generator(config, norm=True)
    assert isinstance(network, Generator)
    encode_generator(fold(network), config, collect(2), error_per_bit=0.0, steps=trained)
    assert set(asked) == {expected}


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_no_memory_is_said_in_one_line(
    error: Exception,
    clip_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Training, "take_step", fail)
    options = ["--preset", "paper", "--content-loss", "none", "--channels", "8"]
    options += ["--adapt", "5steps"]
    code, said = run_cli(["encode", str(clip_path), str(tmp_path / "a.mkv"), *options], capsys)
    assert code == 2
    assert (
        "tinct: expected memory enough to train with --channels 8, found none left; use fewer"
        in said
    )
    assert not list(tmp_path.glob("a.mkv"))


def test_any_other_error_of_pytorch_is_not_hidden(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(Training, "take_step", fail)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        tinct.encode(str(clip_path), str(tmp_path / "a.mkv"), tinct.preset("paper", **OPTIONS))


def test_key_frames_are_gathered_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    about = synthetic.make_info()
    monkeypatch.setattr(
        "tinct.adapt.gan_update.MAX_SAMPLE_BYTES", 5 * 4 * about.width * about.height
    )
    collector = KeyFrameCollector(about)
    frame = next(iter(synthetic.make_frames(synthetic.draw_clip(1), about)))
    for number in range(40):
        collector.add(frame, np.full_like(frame.y, number), key=True)
        collector.add(frame, frame.y, key=False)
    kept = collector.build_samples().luma[:, 0, 0, 0].tolist()
    assert kept == [0, 8, 16, 24, 32]


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_are_those_of_the_network_and_no_tensor_is_made(kind: str) -> None:
    config = GanConfig(8, kind)  # type: ignore[arg-type]
    assert list_shapes(config) == {
        name: tuple(t.shape) for name, t in make_generator(config, norm=False).state_dict().items()
    }


def test_a_network_beyond_the_limit_is_refused_before_it_is_made() -> None:
    with pytest.raises(
        CodecError, match="expected a generator of at most 16,777,216 weights, found 5"
    ):
        list_shapes(GanConfig(64, "pix2pix"))


def test_the_manifest_says_what_the_network_is() -> None:
    config = GanConfig(16, attention=(), residual="original", output="ycbcr")
    for generator, text in (
        (GanConfig(), "{}"),
        (config, '{"channels":16,"attention":[],"residual":"original","output":"ycbcr"}'),
    ):
        manifest = Manifest(
            size=(64, 48),
            frames=12,
            keys=2,
            layout="full",
            colouriser="gan",
            generator=generator,
            update="0123456789abcdef",
        )
        data = write_manifest(manifest)
        assert f'"generator":{text},"update":"0123456789abcdef"'.encode() in data
        assert read_manifest(data) == manifest


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": 5},
        {"channels": 129},
        {"channels": "16"},
        {"attention": [5]},
        {"attention": [4, 3]},
        {"attention": 3},
        {"output": "cmyk"},
        {"residual": 1},
        {"kind": "transformer"},
        {"depth": 1},
        [],
        None,
    ],
)
def test_generators_that_there_are_not_are_refused(wrong: object) -> None:
    fields = {
        "tinct": 1,
        "size": [64, 48],
        "frames": 12,
        "colouriser": "gan",
        "generator": wrong,
        "update": "0" * 16,
    }
    with pytest.raises(CodecError, match="'generator' is not as format 1 has it"):
        read_manifest(json.dumps(fields).encode())


def with_update(source: Path, target: Path, data: bytes, **changes: object) -> None:
    """Write the file with another `update.bin`, whose hash the manifest names unless changed."""
    import av

    manifest = read_file_manifest(str(source))
    assert manifest is not None
    manifest = replace(manifest, **{"update": hash_weights(data), **changes})  # type: ignore[arg-type]
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams.video}
        for index, stream in streams.items():
            stream.metadata["title"] = old.streams[index].metadata["title"]
        new.add_attachment("tinct.json", "application/json", write_manifest(manifest))
        new.add_attachment("update.bin", "application/octet-stream", data)
        for packet in old.demux(old.streams.video):
            if packet.size:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)


def test_updates_of_anything_else_are_refused(gan_path: Path, tmp_path: Path) -> None:
    manifest = read_file_manifest(str(gan_path))
    assert manifest is not None
    data = read_update(str(gan_path), manifest)
    assert data is not None
    path = tmp_path / "a.mkv"
    for wrong, changes, message in (
        (data, {"update": "0" * 16}, "damaged update.bin: expected 0000000000000000"),
        (data[:-4], {}, "expected the coded weights of the network"),
        (data + b"\7", {}, "expected the coded weights of the network"),
        (b"\xff" * 5000, {}, "expected the coded weights of the network"),
        (
            data,
            {"generator": GanConfig(12, output="ycbcr")},
            "expected the coded weights of the network",
        ),
        (bytes(MAX_UPDATE_BYTES + 1), {}, "damaged update.bin: expected at most 16,777,216 bytes"),
    ):
        with_update(gan_path, path, wrong, **changes)
        with pytest.raises(CodecError, match=message):
            tinct.open(str(path))
    with_update(gan_path, path, data)
    assert len(list(tinct.open(str(path)))) == 40


def run_cli(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--adapt", "soon"],
            "--adapt: expected off, auto, a time, such as 300 or 00:05:00, or 2000steps or "
            "50epochs; "
            "found soon",
        ),
        (
            ["--adapt", "off"],
            "contradictory options: --colouriser gan needs --adapt: it is trained on the video",
        ),
        (["--channels", "5"], "--channels: expected 6 to 128; found 5"),
        (["--generator", "unet"], "--generator: expected one of multiresunet, pix2pix,"),
        (["--attention", "7"], "--attention: expected levels such as 3+4, or none; found 7"),
        (["--losses", "gan+l2"], "--losses: expected some of gan+mse+content+colour; found gan+l2"),
        (["--content-loss", "lpips"], "--content-loss: expected one of vgg19, none; found lpips"),
        (["--vgg19", "nowhere.pth"], "expected VGG-19 weights in nowhere.pth, found no such file"),
        (["--checkpoint", "nowhere/run.ckpt", "--content-loss", "none"], "expected the folder"),
        (
            ["--checkpoint", ".", "--content-loss", "none"],
            "--checkpoint: expected a file of its own, found a folder in .",
        ),
        (
            ["--colouriser", "none", "--channels", "16"],
            "contradictory options: --channels needs --colouriser gan, or --preset paper",
        ),
        (
            ["--preset", "default", "--content-loss", "none"],
            "contradictory options: --content-loss needs --colouriser gan, or --preset paper",
        ),
        (
            ["--generator", "cyclegan", "--conditional"],
            "contradictory options: --conditional needs --generator multiresunet",
        ),
        (
            ["--structure", "random-access"],
            "contradictory options: --key-form full needs --structure intra",
        ),
        (
            ["--colouriser", "none", "--adapt", "9"],
            "contradictory options: --adapt needs a network",
        ),
    ],
)
def test_bad_options_are_refused_before_any_work(
    options: list[str],
    message: str,
    clip_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = run_cli(
        ["encode", str(clip_path), str(tmp_path / "a.mkv"), "--preset", "paper", *options], capsys
    )
    assert code == 2
    assert f"tinct: {message}" in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_weights_of_vgg_both_ways_out_are_named(
    clip_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # No server listens there.
    monkeypatch.setattr("tinct.adapt.vgg19.VGG19_URL", "http://127.0.0.1:9/vgg19-dcbb9e9d.pth")
    code, said = run_cli(
        ["encode", str(clip_path), str(tmp_path / "a.mkv"), "--preset", "paper"], capsys
    )
    assert code == 2
    assert "--vgg19 PATH" in said
    assert "--content-loss none" in said
    assert not list(tmp_path.rglob("*.*"))


def test_a_video_without_frames_between_key_frames_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synthetic.write_clip(tmp_path / "one.mkv", frames=1)
    options = [*PAPER_ON_CPU, "--channels", "8", "--adapt", "5steps"]
    code, said = run_cli(
        ["encode", str(tmp_path / "one.mkv"), str(tmp_path / "a.mkv"), *options], capsys
    )
    assert (code, said.count("\n")) == (2, 1)
    assert "expected a video of at least one group of 6 frames to train on, found 1" in said
    assert [path.name for path in tmp_path.iterdir()] == ["one.mkv"]


def test_a_pipe_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run_cli(["encode", "-", str(tmp_path / "a.mkv"), "--preset", "paper"], capsys)
    assert code == 2
    assert "reads the video twice; found a pipe" in said


@pytest.mark.slow
def test_the_checkpoint_of_another_video_is_refused_and_kept(
    short_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synthetic.write_clip(tmp_path / "other.mkv", frames=9)
    options = [*PAPER_ON_CPU, "--channels", "8", "--adapt", "2steps", "--quiet"]
    checkpoint = tmp_path / "run.ckpt"
    main_options = [*options, "--checkpoint", str(checkpoint)]
    assert run_cli(["encode", str(short_path), str(tmp_path / "a.mkv"), *main_options], capsys) == (
        0,
        "",
    )
    kept = checkpoint.read_bytes()
    code, said = run_cli(
        ["encode", str(tmp_path / "other.mkv"), str(tmp_path / "b.mkv"), *main_options], capsys
    )
    assert code == 2
    assert "found another's; name a new one" in said
    assert checkpoint.read_bytes() == kept
    assert not (tmp_path / "b.mkv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["text", "of other options"])
def test_a_checkpoint_that_cannot_fit_is_refused_before_any_work(
    what: str,
    short_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint = str(tmp_path / "run.ckpt")
    options = [*PAPER_ON_CPU, "--adapt", "1steps", "--quiet", "--checkpoint", checkpoint]
    if what == "text":
        (tmp_path / "run.ckpt").write_text("notes")
    else:
        assert run_cli(
            ["encode", str(short_path), str(tmp_path / "a.mkv"), "--channels", "6", *options],
            capsys,
        ) == (0, "")
    monkeypatch.setattr(
        "tinct.encoder.api.open_source", lambda path: pytest.fail(f"{path} was opened")
    )
    code, said = run_cli(
        ["encode", str(short_path), str(tmp_path / "b.mkv"), "--channels", "8", *options], capsys
    )
    assert (code, said.count("\n")) == (2, 1)
    assert "expected a checkpoint of this training" in said


def test_the_output_is_no_checkpoint(
    clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*PAPER_ON_CPU, "--checkpoint", str(tmp_path / "a.mkv")]
    code, said = run_cli(["encode", str(clip_path), str(tmp_path / "a.mkv"), *options], capsys)
    assert (code, said.count("\n")) == (2, 1)
    assert "--checkpoint: expected a file of its own, found the output" in said
    options[-1] = str(clip_path)
    code, said = run_cli(["encode", str(clip_path), str(tmp_path / "a.mkv"), *options], capsys)
    assert (code, said.count("\n")) == (2, 1)


@pytest.mark.slow
def test_the_content_loss_trains_with_weights_of_vgg(
    clip_path: Path,
    vgg_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The paper's own loss, G4 of Table 6, from --vgg19 to a file that decodes."""
    monkeypatch.setattr(
        "tinct.adapt.vgg19.VGG19_SHA256", hashlib.sha256(vgg_file.read_bytes()).hexdigest()
    )
    config = tinct.preset("paper", channels=8, adapt="2steps", vgg19=str(vgg_file))
    steps: list[Step] = []
    tinct.encode(str(clip_path), str(tmp_path / "a.mkv"), config, training=steps.append)
    assert len(steps) == 2
    assert set(steps[0].terms) == {"gan", "mse", "content", "colour", "discriminator"}
    assert len(list(tinct.open(str(tmp_path / "a.mkv")))) == 40


@pytest.mark.nightly
def test_an_encode_that_is_killed_while_training_goes_on_to_the_same_file(
    short_path: Path, tmp_path: Path
) -> None:
    """After kill -9 in training, the same command writes the file of an encode without a stop."""
    code = (
        "import tinct.adapt.gan, sys; tinct.adapt.gan.CHECKPOINT_SECONDS = 0.1\n"
        "from tinct.cli.app import main; main(sys.argv[1:])"
    )
    options = [*PAPER_ON_CPU, "--channels", "8", "--adapt", "30steps", "--quiet"]

    def command(name: str, *more: str) -> list[str]:
        arguments = ["encode", str(short_path), str(tmp_path / name), *options, *more]
        return [sys.executable, "-c", code, *arguments]

    subprocess.run(command("whole.mkv"), check=True)
    again = command("killed.mkv", "--checkpoint", str(tmp_path / "run.ckpt"))
    process = subprocess.Popen(again)
    end = time.monotonic() + 60
    while not (tmp_path / "run.ckpt").exists():
        time.sleep(0.02)
        assert process.poll() is None
        assert time.monotonic() < end
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed.mkv").exists()
    assert 0 < torch.load(tmp_path / "run.ckpt", weights_only=True)["steps"] < 30
    subprocess.run(again, check=True)
    assert (tmp_path / "killed.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


@pytest.mark.nightly
def test_processes_of_torchrun_train_one_network_and_write_one_file(
    short_path: Path, tmp_path: Path
) -> None:
    encode = ["-m", "tinct", "encode", str(short_path)]
    together = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *encode]
    options = [*PAPER_ON_CPU, "--channels", "8", "--adapt", "2steps", "--quiet"]
    subprocess.run(
        [*together, str(tmp_path / "a.mkv"), *options],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]
    assert len(list(tinct.open(str(tmp_path / "a.mkv")))) == 13
    alone = [sys.executable, *encode, str(tmp_path / "b.mkv"), *options]
    subprocess.run(alone, check=True, env={**os.environ, "OMP_NUM_THREADS": "1", "RANK": "1"})
    assert (tmp_path / "a.mkv").read_bytes() != (tmp_path / "b.mkv").read_bytes(), (
        "the other process's crops are learnt from too"
    )


def test_a_decode_that_starts_in_the_middle_shows_the_same_frames(gan_path: Path) -> None:
    whole = list(tinct.open(str(gan_path)))
    part = list(tinct.open(str(gan_path), start_seconds=0.8))
    assert all(
        np.array_equal(a.y, b.y) and np.array_equal(a.cr, b.cr)
        for a, b in zip(whole[20:], part, strict=True)
    )
