"""All that an encode refuses before any work."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tinct.bitstream.container import read_file_manifest
from tinct.config import EncodeConfig
from tinct.encoder.plan import Plan
from tinct.errors import CodecError
from tinct.files import check_output
from tinct.frames import VideoInfo
from tinct.limits import longest_group

if TYPE_CHECKING:
    from tinct.adapt.gan_update import Tuition


def _check_names(source: str, target: Path, config: EncodeConfig, *, overwrite: bool) -> None:
    """Refuse an output that cannot be, and a source that is encoded already."""
    if target.suffix.lower() != ".mkv" or target.is_dir():
        raise CodecError(
            f"expected an output name ending in .mkv, found {target}; a Tinct file is a Matroska file"
        )
    check_output(str(target), source, overwrite=overwrite)
    if source != "-" and read_file_manifest(source) is not None:
        raise CodecError(
            f"expected a video to encode, found a Tinct file in {source}; decode it first (tinct decode {source} out.mkv)"
        )
    _check_checkpoint(config, source, target)


def _check_size(info: VideoInfo, config: EncodeConfig, tuition: "Tuition | None") -> None:
    """Refuse a group that no decoder holds, and pictures that a network trained on them cannot take."""
    longest = longest_group(info.width, info.height)
    if isinstance(config.group, int) and config.group > longest:
        raise CodecError(
            f"--group: expected at most {longest} at {info.width}x{info.height}; found {config.group}"
        )
    if tuition is not None:
        from tinct.networks.gan import check_size

        check_size(tuition.config, info)


def _tuition(source: str, config: EncodeConfig) -> "Tuition | None":
    """What training on the video takes, where it is asked for. Raises CodecError for what is not there, before any work."""
    if config.colouriser != "gan":
        return None
    if source == "-":
        raise CodecError(
            "expected a file with --colouriser gan, which reads the video twice; found a pipe: save it first"
        )
    try:
        from tinct.adapt.gan_update import prepare
    except ModuleNotFoundError as error:
        raise CodecError(
            f"--colouriser gan needs {error.name}, which is not installed; get all of it: pip install 'tinct[networks]'"
        ) from error
    return prepare(config)


def _check_checkpoint(config: EncodeConfig, source: str, target: Path) -> None:
    """Whether a training can be saved there."""
    if config.checkpoint is None:
        return
    checkpoint = Path(config.checkpoint)
    check_output(config.checkpoint, source, overwrite=True)
    if checkpoint.is_dir() or checkpoint.absolute() == target.absolute():
        found = "a folder" if checkpoint.is_dir() else "the output"
        raise CodecError(
            f"--checkpoint: expected a file of its own, found {found} in {checkpoint}; name another, such as run.ckpt"
        )


def _check_adapt(source: str, config: EncodeConfig) -> None:
    """Whether `compact` can learn from the video, where that is asked for in so many words."""
    if config.adapt in ("auto", "off") or config.colouriser == "gan":
        return
    if source == "-":
        raise CodecError(
            f"expected a file with --adapt {config.adapt}, which reads the video twice; found a pipe: save it first"
        )
    if find_spec("torch") is None:
        raise CodecError(
            "--adapt needs torch, which is not installed; get all of it: pip install 'tinct[networks]'"
        )


def _tunes(source: str, config: EncodeConfig, plan: Plan) -> bool:
    """Whether `compact` learns from the video: unasked, where that can be read twice and PyTorch is there."""
    if config.adapt == "auto" and (source == "-" or find_spec("torch") is None):
        return False
    return plan.colouriser == "compact" and plan.layout != "in-band" and config.adapt != "off"
