"""What the paper's tables compare, each variant a codec of the lab; `reproduce` runs them."""

from collections.abc import Sequence
from dataclasses import dataclass

from tinct.errors import CodecError
from tinct.limits import MAX_WEIGHTS
from tinct.networks.gan import count_weights
from tinct.networks.gan_config import GanConfig, GeneratorKind
from tinct.presets import preset

# What can be reproduced, and the QPs that each is printed for. `channels` is not the paper's: it
# asks from which length of a video on a network of C channels pays.
TABLES = {
    "table2": (27, 32, 37, 42),
    "table3": (37,),
    "table4": (37,),
    "table6": (37,),
    "table7": (27,),
    "figure5": (37,),
    "channels": (27, 32, 37, 42),
}
HEVC, NONE, COMPACT = "HEVC 4:2:0", "none", "compact"
PROPOSED = "proposed"
ANCHOR = "x265:intra"
COMPACT_CODEC = "tinct:intra,colouriser=compact"
PLAIN = {HEVC: ANCHOR, NONE: "tinct:intra,preset=paper,colouriser=none"}
CHANNELS = (8, 16, 32)
RIVALS: dict[str, GeneratorKind] = {
    "pix2pix": "pix2pix",
    "pix2pix+attention": "pix2pix-attention",
    "pix2pixhd": "pix2pixhd",
    "cyclegan": "cyclegan",
}


@dataclass(frozen=True)
class Experiment:
    """What is trained: the paper's C, the recipe, and the budget, as `--adapt` takes it.

    `vgg19` is the file of VGG-19's weights where they are not to be fetched. Each variant is
    trained with `seeds` seeds, from `seed` on.
    """

    channels: int = 64
    recipe: str = "paper"
    budget: str = "auto"
    content_loss: str | None = None
    vgg19: str | None = None
    seed: int = 0
    seeds: int = 1

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise CodecError(f"--seeds: expected 1 or more, found {self.seeds}")


Variants = dict[str, dict[int | None, str]]  # by name and seed: None where nothing is trained


def list_variants(table: str, experiment: Experiment) -> Variants:
    """Return the lab's codecs of a table, by the name that the paper gives each, and by seed.

    HEVC and `none` stand before them. Raise CodecError for a table that is not known.
    """
    if table not in TABLES:
        raise CodecError(f"expected to reproduce: published, {', '.join(TABLES)}; found {table}")
    plain = PLAIN | ({COMPACT: COMPACT_CODEC} if table == "channels" else {})
    found: Variants = {name: {None: codec} for name, codec in plain.items()}
    for seed in range(experiment.seed, experiment.seed + experiment.seeds):
        for name, codec in _list_trained(table, experiment).items():
            found.setdefault(name, {})[seed] = f"{codec},seed={seed}" if seed else codec
    return found


def _list_trained(table: str, experiment: Experiment) -> dict[str, str]:
    """Return the codecs of a table that train a network, with the seed 0."""
    config = preset("paper", recipe=experiment.recipe, content_loss=experiment.content_loss)

    def options(channels: int = experiment.channels) -> str:
        asked = f"channels={channels},recipe={experiment.recipe},adapt={experiment.budget}"
        return f"intra,preset=paper,{asked}"

    def variant(
        extra: str = "",
        losses: Sequence[str] = config.loss_terms,
        channels: int = experiment.channels,
    ) -> str:
        weights = f",vgg19={experiment.vgg19}" if experiment.vgg19 and "content" in losses else ""
        return f"tinct:{options(channels)},losses={'+'.join(losses)}{weights}{extra}"

    def rival(kind: GeneratorKind) -> str:
        fits = count_weights(GanConfig(experiment.channels, kind)) <= MAX_WEIGHTS
        return f"{'tinct' if fits else 'beside'}:{options()},generator={kind}"

    g1 = ("gan", "mse")
    with_content = {
        "G3 G1+1000content": variant("", (*g1, "content")),
        "G4 all": variant("", (*g1, "colour", "content")),
    }
    proposed = {PROPOSED: variant()}
    tables = {
        "table2": proposed,
        "table3": {"original RC": variant(",residual=original"), "proposed RC": variant()},
        "table4": {"without SA": variant(",attention=none"), "with SA": variant()},
        "table6": {
            "G1 gan+100mse": variant("", g1),
            "G2 G1+100color": variant("", (*g1, "colour")),
            **(with_content if experiment.content_loss != "none" else {}),
        },
        "figure5": proposed,
        "channels": {f"C = {channels}": variant(channels=channels) for channels in CHANNELS},
    }
    if table == "table7":
        return {name: rival(kind) for name, kind in RIVALS.items()} | proposed
    return tables[table]


def choose_qps(tables: Sequence[str]) -> list[int]:
    """Return the QPs of the paper. Raise CodecError for tables of different QPs."""
    qps = {table: TABLES.get(table, ()) for table in tables}
    if len(set(qps.values())) > 1:
        found = ", ".join(f"{table} ({' '.join(map(str, own))})" for table, own in qps.items())
        raise CodecError(
            f"expected tables of the same QPs, found {found}; "
            "do them one after the other, or name --qp"
        )
    return list(qps[tables[0]])
