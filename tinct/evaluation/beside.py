"""A codec of the lab whose network lies beside the file, for networks that no file may hold.

    python -m tinct.evaluation.beside encode CODEC QP SOURCE TARGET [--checkpoint=FILE]
    python -m tinct.evaluation.beside decode CODEC SOURCE TARGET

The video file is that of the colouriser `none`; the network is trained on the same pictures as that
of `gan`, and coded with 8 bits a weight into a file of the same name that ends in .net. A
point's rate counts both. `codecs` makes the command lines.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tinct.config import DEFAULTS, EncodeConfig
from tinct.decoder.video import Video
from tinct.encoder.api import encode
from tinct.encoder.colourisers import OF_GAN
from tinct.encoder.refusals import resolve
from tinct.evaluation.clips import write_frames
from tinct.evaluation.codecs import FAMILIES, parse_codec, parse_config, place_network
from tinct.evaluation.keyframes import find_key_frames
from tinct.frames import Frame
from tinct.media.source import open_source
from tinct.networks.gan import check_size, decode_generator, load_generator, to_planes
from tinct.networks.weights import encode_weights, quantise

BITS = 8  # a weight; `gan_update` chooses fewer, by measuring each tensor's harm
CHECKPOINT = "--checkpoint="


def encode_beside(source: str, target: str, *, config: EncodeConfig, most_weights: int) -> None:
    """Write the video file, and beside it the network of at most `most_weights` weights."""
    from tinct.adapt.gan_update import KeyFrameCollector, prepare_training, train_generator

    setup = prepare_training(resolve(config), most_weights)
    video = open_source(source)
    check_size(setup.config, video.info)
    of_network = {name: DEFAULTS[name] for name in OF_GAN}
    without = replace(config, **of_network, colouriser="none", adapt=None)
    encode(source, target, without, overwrite=True)
    collector, keys = KeyFrameCollector(video.info), set(find_key_frames(target))
    for number, (original, shown) in enumerate(zip(video, Video(target), strict=True)):
        collector.add(original, shown.y, key=number in keys)
    generator, *_ = train_generator(setup, collector.build_samples(), None)
    tensors = {name: tensor.numpy() for name, tensor in generator.state_dict().items()}
    coded = encode_weights({name: quantise(tensor, BITS) for name, tensor in tensors.items()})
    place_network(Path(target)).write_bytes(coded)


def decode_beside(path: str, *, config: EncodeConfig, most_weights: int) -> Iterator[Frame]:
    """Yield the frames of a video file with the network beside it; key frames are as they came."""
    video, generator = Video(path), config.generator_config()
    data = place_network(Path(path)).read_bytes()
    weights = decode_generator(generator, data, most_weights)
    generate, keys = load_generator(generator, weights, video.info), set(find_key_frames(path))
    for number, frame in enumerate(video):
        if number in keys:
            yield frame
            continue
        y, cb, cr = to_planes(generate(frame.y), generator.output, video.info)
        yield Frame(y=y, cb=cb, cr=cr, pts=frame.pts, info=frame.info)


def main() -> None:
    """Encode or decode as the command line says."""
    verb, name, *words = sys.argv[1:]
    codec = parse_codec(name)
    config, most = parse_config(codec), FAMILIES[codec.family].most_weights
    if verb == "decode":
        source, target = words
        write_frames(
            target,
            Video(source).info,
            decode_beside(source, config=config, most_weights=most),
        )
        return
    qp, source, target, *rest = words
    checkpoints = [word.removeprefix(CHECKPOINT) for word in rest]
    checkpoint = checkpoints[0] if checkpoints else None
    config = replace(config, qp=int(qp), checkpoint=checkpoint)
    encode_beside(source, target, config=config, most_weights=most)


if __name__ == "__main__":
    main()
