"""Colour tags that a codec does not know are left out with a note, all others are kept."""

from dataclasses import replace
from pathlib import Path

import av
import pytest
from helpers import LIBRARY_BASES
from synthetic import draw_clip, make_info, write_clip

import tinct
from tinct.bitstream.base import BASES, PictureEncoder, drop_unknown_tags
from tinct.bitstream.codecs import BaseCodec, BaseSettings
from tinct.frames import ColourTags
from tinct.media.source import open_source

FAST = {"hevc": "ultrafast", "avc": "ultrafast"}
KINDS = {"primaries": "color_primaries", "transfer": "color_trc", "matrix": "colorspace"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", [BASES[name] for name in LIBRARY_BASES], ids=LIBRARY_BASES)
def test_a_code_that_is_known_is_in_the_pictures_and_others_are_named(
    base: BaseCodec, kind: str
) -> None:
    """Every code opens: libraries refuse some, and write others that no decoder knows."""
    for code in {*range(30), 255}:
        is_known = code in base.tags[kind]
        about = make_info(colour=replace(ColourTags(), **{kind: code}))  # type: ignore[arg-type]
        kept, notes = drop_unknown_tags(about.colour, base)
        assert getattr(kept, kind) == (code if is_known else 2)
        assert [str(code) in note for note in notes] == [True] * (not is_known)
        settings = BaseSettings(
            base=base.name, structure="intra", info=about, qp=32, preset=FAST.get(base.name, "8")
        )
        encoder = PictureEncoder(settings, (48, 64), grey=False)
        packets = [*encoder.encode(draw_clip(1)[0], 0), *encoder.flush()]
        decoder = av.CodecContext.create(base.decoder, "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.extradata = encoder.header
        packet = av.Packet(len(packets[0].data))  # not Python's bytes: see `PictureDecoder.decode`
        packet.update(packets[0].data)
        (picture,) = [*decoder.decode(packet), *decoder.decode(None)]
        shown = getattr(picture, KINDS[kind])
        if code or kind == "matrix":  # the other zeros are reserved, and read as 0 or 2
            assert shown == (code if is_known else 2), code


def test_a_video_with_ebu_3213_primaries_is_encoded(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=2, colour=ColourTags(22, 1, 1, full_range=False))
    assert open_source(str(tmp_path / "a.mkv")).info.colour.primaries == 22
    report = tinct.encode(
        str(tmp_path / "a.mkv"),
        str(tmp_path / "b.mkv"),
        tinct.EncodeConfig(colour="in-band", adapt="off", x265_preset="ultrafast", qp=30),
    )
    assert "the colour tag primaries = 22 is left out: x265 does not know it" in report.notes
    found = open_source(str(tmp_path / "b.mkv")).info.colour
    assert found == ColourTags(2, 1, 1, full_range=False)
