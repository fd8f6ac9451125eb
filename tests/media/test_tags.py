"""Tags of phones, which are keys with dots, come through `encode` and `decode` to MP4 and MOV."""

from pathlib import Path

import av
import pytest
from synthetic import write_clip

import tinct

PHONE = {
    "com.apple.quicktime.make": "Phone",
    "com.apple.quicktime.location.ISO6709": "+47.3769+008.5417/",
    "com.android.version": "14",
    "title": "A walk",
}
IN_BAND = tinct.EncodeConfig(colour="in-band", adapt="off", x265_preset="ultrafast", qp=30)


def read_tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return dict(container.metadata)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_keys_of_phones_come_through_with_their_case(tmp_path: Path, suffix: str) -> None:
    write_clip(
        tmp_path / "a.mp4",
        frames=2,
        codec="libx264",
        container_options={"movflags": "use_metadata_tags"},
        metadata=PHONE,
    )
    tinct.encode(str(tmp_path / "a.mp4"), str(tmp_path / "b.mkv"), IN_BAND)
    target = tmp_path / f"c{suffix}"
    assert tinct.decode(str(tmp_path / "b.mkv"), str(target)).notes == []
    assert read_tags(target).items() >= PHONE.items()


def test_other_tags_stay_where_players_look_for_them(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mkv", frames=2, metadata={"title": "A walk", "IMDB": "tt1"})
    notes = tinct.decode(str(tmp_path / "a.mkv"), str(tmp_path / "b.mp4")).notes
    assert notes == ["tags that mp4 does not take are left out: IMDB"]
    assert read_tags(tmp_path / "b.mp4")["title"] == "A walk"
    assert b"\xa9nam" in (tmp_path / "b.mp4").read_bytes()
