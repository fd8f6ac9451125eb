"""The colourisers on the decoder's side: one row each, what it needs of a file and how it starts.

`encoder.colourisers` has the other half of each row, by the same name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinct.bitstream.layouts import LAYOUTS
from tinct.bitstream.manifest import Manifest
from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.motion.interpolation import interpolate_frame
from tinct.networks.interface import (
    Colouriser,
    InBandColouriser,
    Interpolator,
    propagate_group,
)

if TYPE_CHECKING:
    from tinct.networks.compact import Network

StartOnTracks = Callable[[Manifest, bytes | None, VideoInfo], Colouriser]
StartInBand = Callable[[Manifest, VideoInfo], InBandColouriser]
StartBetween = Callable[[Manifest, VideoInfo], Interpolator]


@dataclass(frozen=True, kw_only=True)
class DecoderColouriser:
    """One colouriser, as the decoder uses it.

    `start` takes the manifest, the bytes of the update and the video's properties of a file with a
    colour track; `start_in_band`, where there is one, those of a file without. `start_between` is
    for the frames that were not sent. All raise CodecError where the network that the file names is
    not installed, or is another one. With `follows_group` a frame is restored from all frames of
    its group, else from itself and key frames.
    """

    name: str
    start: StartOnTracks
    start_between: StartBetween = lambda manifest, info: interpolate_frame
    start_in_band: StartInBand | None = None
    follows_group: bool = False


def start_colouriser(manifest: Manifest, update: bytes | None, info: VideoInfo) -> Colouriser:
    """Return what finishes the frames of a file with a colour track; `none` for a file without."""
    if not LAYOUTS[manifest.layout].has_colour_track:
        return propagate_group
    return COLOURISERS[manifest.colouriser].start(manifest, update, info)


def start_in_band_colouriser(manifest: Manifest, info: VideoInfo) -> InBandColouriser | None:
    """Return what restores the frames of an in-band file; None where nothing does."""
    start = COLOURISERS[manifest.colouriser].start_in_band
    if start is None or LAYOUTS[manifest.layout].has_colour_track:
        return None
    return start(manifest, info)


def start_interpolator(manifest: Manifest, info: VideoInfo) -> Interpolator:
    """Return what makes the frames that were not sent."""
    return COLOURISERS[manifest.colouriser].start_between(manifest, info)


def _start_none(manifest: Manifest, update: bytes | None, info: VideoInfo) -> Colouriser:
    return propagate_group


def _start_compact(manifest: Manifest, update: bytes | None, info: VideoInfo) -> Colouriser:
    from tinct.networks.compact import make_compact_colouriser
    from tinct.networks.compact_update import decode_update

    network = _load_network(manifest)
    if manifest.rank is not None:
        assert update is not None
        network = decode_update(network, update, manifest.rank)
    return make_compact_colouriser(network, (info.height, info.width), info.bit_depth)


def _start_compact_between(manifest: Manifest, info: VideoInfo) -> Interpolator:
    from tinct.networks.compact import make_interpolator

    return make_interpolator(_load_network(manifest), (info.height, info.width), info.bit_depth)


def _start_compact_in_band(manifest: Manifest, info: VideoInfo) -> InBandColouriser:
    from tinct.networks.compact import make_in_band_colouriser

    network = _load_network(manifest)
    return make_in_band_colouriser(network, (info.height, info.width), info.bit_depth)


def _load_network(manifest: Manifest) -> "Network":
    """Return the network that ships under the manifest's name, if it is the one the file needs."""
    from tinct.networks.compact import load_network

    assert manifest.network is not None
    name, identity = manifest.network
    network = load_network(name)
    if network.identity != identity:
        raise CodecError(
            f"expected the network {name}-{identity}, which the file was made with; "
            f"this tinct has {name}-{network.identity}: decode it with the version that encoded it"
        )
    return network


def _start_gan(manifest: Manifest, update: bytes | None, info: VideoInfo) -> Colouriser:
    from tinct.networks.gan import decode_generator, make_gan_colouriser

    assert manifest.generator is not None
    assert update is not None
    try:
        weights = decode_generator(manifest.generator, update)
        return make_gan_colouriser(manifest.generator, weights, info)
    except ModuleNotFoundError as error:
        raise CodecError(
            f"this file's network, {manifest.generator.kind}, needs {error.name}, which is not "
            "installed; get it: pip install 'tinct[networks]'"
        ) from error


NONE = DecoderColouriser(name="none", start=_start_none)
COMPACT = DecoderColouriser(
    name="compact",
    start=_start_compact,
    start_between=_start_compact_between,
    start_in_band=_start_compact_in_band,
    follows_group=True,
)
GAN = DecoderColouriser(name="gan", start=_start_gan)
COLOURISERS = {row.name: row for row in (NONE, COMPACT, GAN)}
