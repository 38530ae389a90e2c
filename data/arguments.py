"""Defines kinds of arguments that many tasks and readers share (conf/arguments.py checks them)."""

from collections.abc import Mapping
from typing import Annotated

from conf.allowed import Choice, Flag, Number, Place, Text
from conf.allowed import Seed as SeedNumber
from conf.nested import Fields, PerChannel
from conf.schema import COUNT, SIZES

INTERPOLATION = ("bilinear", "bicubic")
SIDE = Number(1, 10_000, whole=True)  # pixels

Samples = Annotated[int, COUNT]
SomeOrAll = Annotated[int | None, COUNT]  # null: all
Side = Annotated[int, SIDE]
Seed = Annotated[int, SeedNumber]
Root = Annotated[str, Place("the folder of all data sets")]
Download = Annotated[bool, Flag()]
Synthetic = Annotated[int, Number(0, 1000)]
Origin = Annotated[str, Choice(("files", "hub"))]
Repository = Annotated[str, Text("the name of a repository such as stanfordnlp/sst2")]
Revision = Annotated[str | None, Text("a branch, tag or commit")]

Size = Annotated[Mapping | None, SIZES]

IMAGES = Fields(
    {
        "size": SIDE,
        "mean": PerChannel(Number(-1e6, 1e6)),
        "std": PerChannel(Number(0, 1e6, without=(0,))),
        "interpolation": Choice(INTERPOLATION),
    },
    needed=("size", "mean", "std"),
    lacking="an image task needs an image model, and model.input has no size: choose another model= or data=",
    at="model.input",
)
SENTENCES = Fields(
    {
        "tokenizer": Text("the name or the folder of a tokenizer, such as google-bert/bert-base-uncased", null=True),
        "max_length": Number(3, 1_000_000, whole=True),
        "truncate": Flag(),
    },
    needed=("tokenizer", "max_length", "truncate"),
    lacking="sentences need a text model, and model.input has no tokenizer: choose another model= or data=",
    at="model.input",
)
