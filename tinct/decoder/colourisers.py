"""The colouriser that a file asks for: loaded and checked for the decoder."""

from typing import TYPE_CHECKING

from tinct.bitstream.manifest import Manifest
from tinct.errors import CodecError
from tinct.frames import VideoInfo
from tinct.networks.interface import Around, Colouriser, none

if TYPE_CHECKING:
    from tinct.networks.compact import Network


def colouriser_of(manifest: Manifest, update: bytes | None, info: VideoInfo) -> Colouriser:
    """What finishes the frames of a file with a colour track. Raises CodecError where that is not installed, or another."""
    if manifest.colouriser == "none" or manifest.layout == "in-band":
        return none
    if manifest.generator is not None:
        assert update is not None
        from tinct.networks.gan import gan, weights_of

        try:
            return gan(manifest.generator, weights_of(manifest.generator, update), info)
        except ModuleNotFoundError as error:
            raise CodecError(
                f"this file's network, {manifest.generator.kind}, needs {error.name}, which is not installed; "
                "get it: pip install 'tinct[networks]'"
            ) from error
    from tinct.networks.compact import compact

    network = _network_of(manifest)
    if manifest.rank is not None:
        from tinct.networks.compact_update import decoded

        assert update is not None
        network = decoded(network, update, manifest.rank)
    return compact(network, (info.height, info.width), info.bit_depth)


def around_of(manifest: Manifest, info: VideoInfo) -> Around | None:
    """What restores the frames of an in-band file, if anything. Raises CodecError like `colouriser_of`."""
    if manifest.colouriser != "compact" or manifest.layout != "in-band":
        return None
    from tinct.networks.compact import in_band

    return in_band(_network_of(manifest), (info.height, info.width), info.bit_depth)


def _network_of(manifest: Manifest) -> "Network":
    from tinct.networks.compact import load_network

    assert manifest.network is not None
    name, identity = manifest.network
    network = load_network(name)
    if network.identity != identity:
        raise CodecError(
            f"expected the network {name}-{identity}, which the file was made with; this tinct has {name}-{network.identity}: "
            "decode it with the version that encoded it"
        )
    return network
