"""The manifest's bytes, and what its reader refuses."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import tinct.bitstream.manifest
from tinct.bitstream.manifest import Manifest, read_manifest, write_manifest
from tinct.bitstream.strengths import Strengths
from tinct.errors import CodecError
from tinct.limits import MAX_MANIFEST_BYTES

GOLDEN = {
    '{"tinct":1,"size":[64,48],"frames":12}': Manifest(size=(64, 48), frames=12),
    '{"tinct":1,"layout":"full","size":[1,16384],"frames":1}': Manifest(
        size=(1, 16384), frames=1, layout="full"
    ),
    '{"tinct":1,"layout":"in-band","size":[17,33],"frames":5}': Manifest(
        size=(17, 33), frames=5, layout="in-band"
    ),
    '{"tinct":1,"size":[64,48],"rate":[30000,1001],"frames":12}': Manifest(
        size=(64, 48), frames=12, rate=Fraction(30000, 1001)
    ),
    '{"tinct":1,"size":[64,48],"rate":[25,1],"frames":12,"keys":3,"open":[0,5]}': Manifest(
        size=(64, 48), frames=12, keys=3, rate=Fraction(25), open=(0, 5)
    ),
    '{"tinct":1,"layout":"full","size":[64,48],"rate":[25,1],"frames":12,"keys":2,'
    '"open":[6]}': Manifest(
        size=(64, 48), frames=12, keys=2, layout="full", rate=Fraction(25), open=(6,)
    ),
    '{"tinct":1,"size":[64,48],"frames":12,"keys":2,"colouriser":"compact",'
    '"network":["fast","0123456789abcdef"],"qps":[[0,7],[20,23],[40,43]],'
    '"plain":[[0],[],[0,7]]}': Manifest(
        size=(64, 48),
        frames=12,
        keys=2,
        colouriser="compact",
        network=("fast", "0123456789abcdef"),
        qps=((0, 20, 40), (7, 23, 43)),
        plain=((0,), (), (0, 7)),
    ),
    '{"tinct":4,"size":[64,48],"frames":12,"keys":2,"colouriser":"compact",'
    '"network":["fast","0123456789abcdef"],"qps":[[0],[20],[40]],'
    '"strengths":["","0oA_g,7oggg","12wghf"]}': Manifest(
        size=(64, 48),
        frames=12,
        keys=2,
        colouriser="compact",
        network=("fast", "0123456789abcdef"),
        qps=((0, 20, 40),),
        strengths=(
            (),
            ((0, Strengths(8, -32, 31, 0)), (7, Strengths())),
            ((12, Strengths(16, 0, 1, -1)),),
        ),
    ),
}


@pytest.mark.parametrize("text", GOLDEN)
def test_manifests_have_these_bytes(text: str) -> None:
    assert write_manifest(GOLDEN[text]) == text.encode()


@pytest.mark.parametrize("text", GOLDEN)
def test_reading_is_the_inverse_of_writing(text: str) -> None:
    assert read_manifest(text.encode()) == GOLDEN[text]


def test_a_manifest_is_never_built_by_position() -> None:
    with pytest.raises(TypeError, match="positional"):
        Manifest((64, 48), 12)  # type: ignore[misc]


def test_a_manifest_keeps_every_open_group() -> None:
    manifest = Manifest(
        size=(1920, 1080),
        frames=1 << 30,
        keys=30000,
        rate=Fraction(60000, 1001),
        open=tuple(range(0, 90000, 3)),
    )
    assert read_manifest(write_manifest(manifest)) == manifest


WHOLE = {"tinct": 1, "size": [64, 48], "frames": 12}
NONSENSE: dict[str, Any] = {
    "size of three": {"size": [64, 48, 3]},
    "size 0": {"size": [0, 48]},
    "size -1": {"size": [64, -1]},
    "size 16385": {"size": [16385, 48]},
    "size huge": {"size": [10**30, 48]},
    "size of text": {"size": ["64", "48"]},
    "size of bools": {"size": [True, True]},
    "size of floats": {"size": [64.0, 48.0]},
    "size of lists": {"size": [[64], [48]]},
    "size a number": {"size": 64},
    "size an object": {"size": {"0": 64, "1": 48}},
    "size null": {"size": None},
    "frames 0": {"frames": 0},
    "frames -1": {"frames": -1},
    "frames huge": {"frames": 10**12},
    "frames bool": {"frames": True},
    "keys -1": {"keys": -1},
    "keys text": {"keys": "2"},
    "keys beyond frames": {"keys": 13},
    "size of too many pixels": {"size": [16384, 2177]},
    "frames float": {"frames": 12.0},
    "frames text": {"frames": "12"},
    "frames list": {"frames": [12]},
    "rate 0": {"rate": [0, 1]},
    "rate by 0": {"rate": [25, 0]},
    "rate negative": {"rate": [-25, 1]},
    "rate of one": {"rate": [25]},
    "rate a number": {"rate": 25},
    "rate empty": {"rate": []},
    "rate null": {"rate": None},
    "rate bool": {"rate": [True, True]},
    "rate huge": {"rate": [10**30, 1]},
    "more open groups than key frames": {"open": [0, 4, 8], "keys": 2},
    "more plain groups than key frames": {"plain": [[], [0, 4, 8], []], "keys": 2},
    "open not ascending": {"open": [5, 0]},
    "open twice": {"open": [5, 5]},
    "open negative": {"open": [-1]},
    "open of lists": {"open": [[0], [1]]},
    "open mixed": {"open": [0, "a"]},
    "open a number": {"open": 0},
    "open null": {"open": None},
    "open a dict": {"open": {}},
    "layout unknown": {"layout": "sideways"},
    "layout a list": {"layout": ["chroma"]},
    "layout null": {"layout": None},
    "colouriser unknown": {"colouriser": "magic"},
    "colouriser a list": {"colouriser": ["none"]},
    "key unknown": {"author": "me"},
    "key in capitals": {"Size": [64, 48]},
}


@pytest.mark.parametrize("change", NONSENSE.values(), ids=NONSENSE)
def test_a_manifest_with_nonsense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CodecError, match=f"^damaged tinct.json: '{next(iter(change))}' is not"):
        read_manifest(json.dumps(WHOLE | change).encode())


@pytest.mark.parametrize("missing", ["size", "frames"])
def test_a_manifest_without_a_required_key_is_refused(missing: str) -> None:
    with pytest.raises(CodecError, match=missing):
        read_manifest(json.dumps({k: v for k, v in WHOLE.items() if k != missing}).encode())


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None, [1], {}], ids=repr)
def test_what_is_no_version_is_damage(version: object) -> None:
    with pytest.raises(CodecError, match=r"^damaged .*expected a format version"):
        read_manifest(json.dumps(WHOLE | {"tinct": version}).encode())


def test_a_missing_version_is_damage() -> None:
    with pytest.raises(CodecError, match=r"^damaged .*expected a format version"):
        read_manifest(b'{"size":[64,48],"frames":12}')


@pytest.mark.parametrize("data", [b'{"tinct":5}', b'{"tinct":5,"what":{"ever":[1]}}'])
def test_a_newer_version_is_named_whatever_else_it_holds(data: bytes) -> None:
    with pytest.raises(CodecError, match=r"version 4 or lower, found 5; .*newer tinct"):
        read_manifest(data)


NOT_JSON = {
    "empty": b"",
    "text": b"just some words",
    "half": b'{"tinct":1,"size":[64,',
    "two": b'{"tinct":1}{"tinct":1}',
    "repeated key": b'{"tinct":1,"size":[64,48],"frames":12,"frames":12}',
    "bytes": bytes(range(256)),
    "bad UTF-8": b'{"tinct":1,"size":[64,48],"frames":12,"\xff":1}',
    "deep": b"[" * 200_000,
    "long number": b'{"tinct":' + b"9" * 10_000 + b"}",
    "too long": b" " * (MAX_MANIFEST_BYTES + 1),
}
NOT_AN_OBJECT = {
    "list": b"[1]",
    "number": b"1",
    "null": b"null",
    "text": b'"tinct"',
    "nested": b"[" * 500 + b"]" * 500,
}


@pytest.mark.parametrize(
    "data", [*NOT_JSON.values(), *NOT_AN_OBJECT.values()], ids=[*NOT_JSON, *NOT_AN_OBJECT]
)
def test_what_is_no_manifest_is_damage(data: bytes) -> None:
    with pytest.raises(CodecError, match=r"^damaged tinct.json: expected"):
        read_manifest(data)


@pytest.mark.parametrize("depth", [900, 2000, 20_000])
def test_deep_values_are_refused_and_shown_in_short(depth: int) -> None:
    data = b'{"tinct":1,"size":' + b"[" * depth + b"]" * depth + b',"frames":12}'
    with pytest.raises(CodecError, match=r"^damaged tinct.json") as caught:
        read_manifest(data)
    assert len(str(caught.value)) < 200


def test_an_error_is_one_short_line() -> None:
    for change in ({"size": ["x\n" * 5000] * 2}, {"k\n" * 5000: 1}):
        with pytest.raises(CodecError) as caught:
            read_manifest(json.dumps(WHOLE | change).encode())
        assert len(str(caught.value)) < 300


FOUND = sorted((Path(__file__).parent / "found").iterdir())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_fuzzing_found_is_refused_in_one_short_line(path: Path) -> None:
    with pytest.raises(CodecError, match=r"^damaged tinct.json: ") as caught:
        read_manifest(path.read_bytes())
    assert len(str(caught.value)) < 200


NETWORKS = {  # [layout, network] and whether a reader takes them together
    ("chroma", "fast"): True,
    ("chroma", "best"): True,
    ("chroma", "in-band"): False,
    ("in-band", "in-band"): True,
    ("in-band", "fast"): False,
    ("chroma", "unknown"): False,
}


@pytest.mark.parametrize(("layout", "network"), NETWORKS, ids=str)
def test_a_network_belongs_to_its_layout(layout: str, network: str) -> None:
    fields = {"layout": layout, "colouriser": "compact", "qps": [[0], [20], [40]]}
    data = json.dumps(WHOLE | fields | {"network": [network, "0123456789abcdef"]}).encode()
    if NETWORKS[layout, network]:
        assert read_manifest(data).network == (network, "0123456789abcdef")
    else:
        with pytest.raises(CodecError, match=r"^damaged tinct.json: 'network' is not"):
            read_manifest(data)


def test_the_format_document_is_the_module_docstring() -> None:
    """Regenerate it with the command that the message of a failure shows."""
    document = Path(__file__).parent.parent.parent / "docs" / "format.md"
    command = "import tinct.bitstream.manifest as m; open('docs/format.md', 'w').write(m.__doc__)"
    assert document.read_text() == tinct.bitstream.manifest.__doc__, f'python -c "{command}"'
