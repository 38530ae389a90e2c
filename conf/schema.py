"""Defines every key of the configuration: its type, its allowed values, and which results it decides. A mistyped key or
value is an error before any work starts. The values, and what each key means, are in `config.yaml`.

A result is what a stage produces (stages/table.py). The keys that decide a result also decide its folder, so that a run
that needs the same result finds it. `lr` of `finetune` decides the result `finetune`, and through it everything that is
made from that. Keys that only set places, speed or what is shown decide nothing: with `interactions.processes=2` the
program finds the same values.

`data.source`, `data.target` and `model` are open: their keys are the arguments of the function in their `_target_`.
`trainer` is open to all options of Lightning's trainer.

A key that is added to a published version needs a `neutral` value: the one with which the program works as it did
before the key existed. A key with this value does not count in what decides a result, so that existing results stay
valid. The neutral value is never changed afterwards.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from conf.allowed import Choice, Flag, Kind, Number, Place, Seed, Shard, Text
from conf.measures import Measures
from conf.nested import Described, Epochs, Fields, Listed, Models, Options, Paths, Several

NOTHING: tuple[str, ...] = ()
SAMPLES = ("interactions/samples",)
VALUES = ("interactions/probe", "interactions/finetune", "interactions/scratch")
FEATURES = ("representations/pretrain", "representations/finetune")
SIMILAR = tuple(f"representations/similarity/{role}" for role in ("pretrain", "finetune", "scratch"))
ROLES = ("pretrain", "finetune", "scratch")
NO_NEUTRAL = object()
MANY = 10_000_000  # a larger count is surely a mistake
COUNT = Number(1, MANY, whole=True)
SIZES = Fields(dict.fromkeys(("train", "test", "classes", "tokens"), COUNT), ("train", "test", "classes"), null=True)
RATE = Number(0, without=(0,))  # the learning rate: with 0 nothing is learned


@dataclass(frozen=True)
class Key:
    """A key of the configuration. decides: names of results, in stages/table.py; None: those of its section."""

    allowed: Kind
    decides: tuple[str, ...] | None = None
    neutral: object = NO_NEUTRAL


def key(allowed: Kind, decides: tuple[str, ...] | None = None, neutral: object = NO_NEUTRAL) -> Any:
    return field(default=MISSING, metadata={"key": Key(allowed, decides, neutral)})


def section(kind: type, *decides: str) -> Any:
    return field(default_factory=kind, metadata={"decides": decides})


@dataclass
class Seeds:
    data: int = key(Seed, NOTHING)  # it reaches results through the tasks that ask for it
    samples: int = key(Seed, SAMPLES)
    pretrain: int = key(Seed, ("pretrain", "probe"))
    train: int = key(Seed, ("finetune", "scratch"))


@dataclass
class Labels:
    # Features and the similarity of layers are of inputs without labels; all else that is made from the task has some.
    random: int = key(Number(0, MANY), neutral=0)
    shift: int = key(Number(0, MANY), neutral=0)


@dataclass
class Data:
    source: Any = key(Described("conf/source/glyphs.yaml", bare=True, null=True), ("pretrain",))
    target: Any = key(
        Described("conf/data/digits.yaml"), ("probe", "finetune", "scratch", *FEATURES, *SIMILAR, *SAMPLES)
    )
    labels: Labels = section(Labels, "probe", "finetune", "scratch", *SAMPLES)
    root: str = key(Place())
    download: bool = key(Flag())
    skip_corrupt: bool = key(Flag())
    synthetic: int = key(Number(0, 1000))
    size: Any = key(SIZES)


@dataclass
class Training:
    epochs: int = key(Number(1, 100_000))
    iterations: int | None = key(Number(1, MANY), neutral=None)
    batch_size: int = key(Number(1, MANY))
    optimizer: str = key(Choice(("adamw", "adam", "sgd")))
    lr: float = key(RATE)
    weight_decay: float = key(Number(0))
    momentum: float = key(Number(0, 1))
    schedule: str = key(Choice(("cosine", "step", "constant")))
    step_epochs: int = key(Number(1, 100_000), neutral=30)
    step_factor: float = key(Number(0, 1, without=(0,)), neutral=0.1)


@dataclass
class Probe:
    solver: str = key(Choice(("lbfgs", "sgd")))
    l2: Any = key(Number(0, words=("auto",)))
    epochs: int = key(Number(1, 100_000))
    lr: float = key(RATE)
    batch_size: int = key(Number(1, MANY))


@dataclass
class Start:
    epoch: Any = key(Number(0, 100_000, words=("last",), whole=True), neutral="last")
    transfer: Any = key(
        Number(1, 100_000, words=("all", "nothing", "moments", "shuffled"), whole=True), ("finetune",), neutral="all"
    )
    head: str = key(Choice(("new", "kept")), ("finetune",), neutral="new")


@dataclass
class Checkpoints:
    epochs: Any = key(Epochs())  # the kept epochs do not change a training; the compared ones belong to the analysis


@dataclass
class Files:
    pretrain: Any = key(Paths(null=True))
    finetune: Any = key(Paths(null=True))
    scratch: Any = key(Paths(null=True))


@dataclass
class Interactions:
    n: int = key(Number(1, 20), SAMPLES)
    samples: int = key(Number(2, MANY), SAMPLES)
    split: str = key(Choice(("test", "train")), SAMPLES)
    grid: int = key(Number(1, 10_000), SAMPLES)
    margin: int = key(Number(0, 10_000), SAMPLES)
    baseline: str = key(Choice(("mean_image", "channel_mean", "zero")), SAMPLES)
    stop_words: Any = key(Listed(Text(), "a list of words such as [the, a]", null=True, words=("default",)), SAMPLES)
    background: str = key(Choice(("keep", "mask")), SAMPLES)
    shared_variables: bool = key(Flag(), SAMPLES, neutral=False)
    roles: list[str] = key(Several(ROLES))
    checkpoints: Files = field(default_factory=Files)
    precision: str = key(Choice(("float32", "float64", "bfloat16", "float16")), VALUES)
    noise_masks: int = key(Number(1, MANY), VALUES)
    engine: str = key(Choice(("auto", "dense", "local")))
    batch_size: Any = key(Number(1, MANY, words=("auto",), whole=True))
    lean: Any = key(Flag(words=("auto",)), neutral=False)
    compile: Any = key(Flag(words=("auto",)))
    processes: int = key(Number(1, 10_000))
    device: str = key(Text("a device such as cpu, cuda or cuda:1", words=("auto",)))
    shard: str | None = key(Shard(), NOTHING, neutral=None)


# Those of representations decide an analysis, too, which does not name them among what it is told by.
@dataclass
class Similarity:
    pretrain: list[str] = key(Models(), (SIMILAR[0], "analysis"), neutral=["initial"])
    finetune: list[str] = key(Models(), (SIMILAR[1], "analysis"), neutral=["pretrain", "initial"])
    scratch: list[str] = key(Models(), (SIMILAR[2], "analysis"), neutral=["initial"])
    inputs: int = key(Number(4, MANY), neutral=5000)
    pool: str = key(Choice(("mean", "none")), neutral="none")
    batch: int = key(Number(4, MANY), neutral=256)
    permutations: int = key(Number(20, 1_000_000), neutral=200)


@dataclass
class Representations:
    layers: list[str] = key(Listed(Text(), "a list of layers such as [penultimate, block2]"), (*FEATURES, "analysis"),
                            neutral=["penultimate"])  # fmt: skip
    pool: str = key(Choice(("mean", "none")), (*FEATURES, "analysis"), neutral="mean")
    similarity: Similarity = section(Similarity, *SIMILAR, "analysis")
    shard: str | None = key(Shard(), NOTHING, neutral=None)


@dataclass
class Analysis:
    measures: list[str] = key(Measures(), NOTHING)  # adding one must not cause the others to be computed again
    options: dict[str, Any] = key(Options(), neutral={})
    salient: bool = key(Flag())
    tau: float = key(Number(0, 1))
    empty_set: bool = key(Flag())
    normalise: bool = key(Flag())
    permutations: int = key(Number(1, MANY))
    resamples: int = key(Number(10, MANY))
    gallery: int = key(Number(0, MANY))


@dataclass
class Wandb:
    mode: str = key(Choice(("offline", "online", "disabled")))
    project: str = key(Text("the name of a project"))
    entity: str | None = key(Text("the name of a user or team"))
    system: bool = key(Flag(), neutral=True)


@dataclass
class Resources:
    """What one job of a scheduler gets. Of a training on several devices, each process."""

    partition: str | None = key(Text("the name of a partition"), NOTHING, neutral=None)
    minutes: int = key(Number(1, MANY, whole=True), NOTHING, neutral=1)
    cpus: int = key(COUNT, NOTHING, neutral=1)
    memory: float = key(Number(0, MANY, without=(0,)), NOTHING, neutral=1)
    gpus: int = key(Number(0, 10_000, whole=True), NOTHING, neutral=0)


@dataclass
class Shards(Resources):
    shards: int = key(COUNT, NOTHING, neutral=1)


@dataclass
class Cluster:
    partition: str | None = key(Text("the name of a partition"), NOTHING, neutral=None)
    account: str | None = key(Text("the name of an account"), NOTHING, neutral=None)
    constraint: str | None = key(Text("a feature of nodes"), NOTHING, neutral=None)
    setup: Any = key(Listed(Text(), "a list of shell commands", null=True), NOTHING, neutral=None)
    sbatch: dict[str, Any] = key(Options(), NOTHING, neutral={})
    timeouts: int = key(Number(0, 10_000, whole=True), NOTHING, neutral=0)
    at_once: int = key(COUNT, NOTHING, neutral=1)
    pretrain: Resources = field(default_factory=Resources)
    probe: Resources = field(default_factory=Resources)
    finetune: Resources = field(default_factory=Resources)
    scratch: Resources = field(default_factory=Resources)
    interactions: Shards = field(default_factory=Shards)
    representations: Shards = field(default_factory=Shards)
    join: Resources = field(default_factory=Resources)
    analysis: Resources = field(default_factory=Resources)


@dataclass
class Config:
    name: str = key(Text("the name of a folder in output"), NOTHING)
    seed: int = key(Seed, NOTHING)  # it reaches results through `seeds`
    seeds: Seeds = section(Seeds)
    repeat: str | None = key(Text("a word"), NOTHING, neutral=None)  # decides every result, see stages/identity.py
    stages: Any = key(
        Listed(Text(), "a stage such as finetune, or a list such as [finetune, analysis]", words=("all",), alone=True),
        NOTHING,
    )
    plan: bool = key(Flag(), NOTHING)
    wait: float | None = key(Number(0), NOTHING, neutral=None)
    output: str = key(Place(), NOTHING)
    run_dir: str | None = key(Place(), NOTHING)
    data: Data = section(Data)
    model: Any = field(
        default_factory=lambda: {"head": None, "layers": None},
        metadata={"key": Key(Described("conf/model/conv4.yaml"), ("pretrain", "scratch"))},
    )
    num_workers: int = key(Number(0, MANY), NOTHING)
    trainer: dict[str, Any] = field(
        default_factory=dict, metadata={"key": Key(Options(), ("pretrain", "finetune", "scratch"))}
    )
    global_batch: bool = key(Flag(), ("pretrain", "finetune", "scratch"), neutral=False)
    checkpoints: Checkpoints = section(Checkpoints)
    start: Start = section(Start, "probe", "finetune", "representations/pretrain")
    pretrain: Training = section(Training, "pretrain")
    probe: Probe = section(Probe, "probe")
    finetune: Training = section(Training, "finetune")
    scratch: Training = section(Training, "scratch")
    interactions: Interactions = section(Interactions)
    representations: Representations = section(Representations)
    analysis: Analysis = section(Analysis, "analysis")
    logger: str = key(Choice(("wandb", "tensorboard", "csv")), NOTHING, neutral="wandb")
    wandb: Wandb = section(Wandb)
    cluster: Cluster = section(Cluster)


def keys(kind: type = Config, before: str = "", decides: tuple[str, ...] = NOTHING) -> Iterator[tuple[str, Key]]:
    """Yields every key by its path, such as finetune.lr, with the results that it decides and the kind from its
    type."""
    for entry in fields(kind):
        path = f"{before}{entry.name}"
        if is_dataclass(entry.type):
            yield from keys(entry.type, f"{path}.", entry.metadata.get("decides", NOTHING))
        else:
            known = entry.metadata["key"]
            mine = decides if known.decides is None else known.decides
            yield path, Key(known.allowed.typed(entry.type), mine, known.neutral)


def deciding(result: str) -> Iterator[tuple[str, Key]]:
    """Returns the keys that decide the result of this name directly, not through the results that it is made from."""
    return ((path, known) for path, known in keys() if result in known.decides)


def register() -> None:
    ConfigStore.instance().store(name="schema", node=Config)
