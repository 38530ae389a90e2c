"""For every key that there is, and every argument of ours: what can't be used is refused in one line, which names the
key and says what is expected. All in one process, found in conf/, so that a new key is covered without a word here.
"""

import inspect
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import lightning
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf import schema
from conf.allowed import Kind, Text
from conf.arguments import check_arguments, declared
from conf.check import OF_MODELS, check
from conf.errors import BadInput
from conf.nested import Fields
from conf.refusals import refusal
from conf.trainer import ALLOWED, OURS
from data.splits import build as build_data
from models.backbone import NO_ARGUMENTS
from models.backbone import build as build_model
from stages.table import chosen

CONF = Path(__file__).resolve().parents[1] / "conf"
OPTIONS = {group: sorted(file.stem for file in (CONF / group).glob("*.yaml")) for group in ("data", "model", "source")}
EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
KEYS = {path: known.allowed for path, known in schema.keys()}  # noqa: SIM118
# Of other types, out of any range, nothing at all. No value is of use to all keys, and each is refused by some.
VALUES = [None, "", "abc", "a\nb", True, -1, 0, 1.5, math.nan, 10**30, [], [1], ["a", "a"], {}, {"_target_": 5}]
OUTPUT = "/tmp/outputs"

schema.register()


@cache
def composed(*overrides: str) -> DictConfig:
    """Without interpolations, which take time in every copy."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", [f"output={OUTPUT}", *overrides])
    OmegaConf.resolve(cfg)
    return cfg


def refused(cfg: DictConfig, path: str, value: object) -> BadInput | None:
    """What is said before any work if this key has this value; None if it is allowed."""
    try:
        other = cfg.copy()
        OmegaConf.update(other, path, value, merge=False, force_add=True)
        check(other)
        chosen(other)
    except OmegaConfBaseException as error:  # as when the command line is put together
        return refusal(error)
    except BadInput as error:
        return error
    return None


def check_line(line: BadInput, path: str, *expected: str) -> None:
    text = str(line)
    assert "\n" not in text
    assert text.startswith(path), text
    assert "Traceback" not in text
    assert "full_key" not in text
    assert "object_type" not in text
    assert any(words in text for words in expected), (text, expected)


def expected_by(kind: Kind) -> list[str]:
    """What it says it wants, or what it says of a part."""
    return [kind.expected, *(part.expected for part in (kind.of.values() if isinstance(kind, Fields) else ()))]


# Said by what knows more than the key alone.
MORE = {
    "name": ("the name of a folder in output", "the program itself calls something"),
    "run_dir": ("a folder in output",),
    "checkpoints.epochs": ("no training has such an epoch",),
    "num_workers": ("cores",),
    "interactions.processes": ("cores",),
    "stages": ("a list of at least one of pretrain, probe, finetune",),
}


@pytest.mark.parametrize("path", KEYS)
def test_every_key_is_allowed_or_refused_in_its_own_words(path: str) -> None:
    allowed, kind = [], KEYS[path]
    for value in VALUES:
        if line := refused(composed(), path, value):
            check_line(line, path, *expected_by(kind), *MORE.get(path, ()))
        else:
            allowed.append(value)
    assert len(allowed) < len(VALUES), "nothing is refused"
    assert "" not in allowed
    assert (None in allowed) == kind.null
    assert isinstance(kind, Text) or math.nan not in allowed


@pytest.mark.parametrize("key", OF_MODELS)
def test_what_every_model_has_is_checked(key: str) -> None:
    lines = [refused(composed(), f"model.{key}", value) for value in VALUES]
    assert lines[1], "an empty text is refused"
    for line in filter(None, lines):
        check_line(line, f"model.{key}", OF_MODELS[key].expected)


@pytest.mark.parametrize("key", inspect.signature(lightning.Trainer).parameters)
def test_every_option_of_the_trainer(key: str) -> None:
    """Is set by the program itself, or checked; callbacks are where they are made."""
    if key == "callbacks":
        return
    lines = [refused(composed(), f"trainer.{key}", value) for value in (VALUES if key in ALLOWED else VALUES[:4])]
    assert (key in OURS) != (key in ALLOWED)
    assert all(lines) if key in OURS else any(lines)
    for line in filter(None, lines):
        check_line(line, f"trainer.{key}", OURS.get(key) or ALLOWED[key].expected)


@pytest.mark.parametrize("override", [
    "limit_train_batches=0", "precision=16-true", "accumulate_grad_batches=0", "accumulate_grad_batches=0.5",
    "gradient_clip_val=-1", "devices=0", "devices=[]", "devices='0,0'", "num_nodes=0", "num_nodes=two", "min_epochs=0",
    "limit_train_batches=1.5", "precision=8", "fast_dev_run=true", "max_epochs=3", "devices=-2",
])  # fmt: skip
def test_what_would_end_a_stage_without_weights_is_refused(override: str) -> None:
    key, _, value = override.partition("=")
    assert str(refused(composed(), f"trainer.{key}", OmegaConf.create(f"x: {value}").x)).startswith(f"trainer.{key}=")


@pytest.mark.parametrize("override", [
    "devices=auto", "devices=-1", "devices='2'", "devices='0,'", "devices=[0,1]", "limit_train_batches=0.5",
    "limit_train_batches=3", "precision=32", "precision=bf16-mixed", "gradient_clip_val=0.5", "deterministic=warn",
    "gradient_clip_val=null", "callbacks=[]", "an_option_of_another_version=3",
])  # fmt: skip
def test_what_lightning_can_do_is_allowed(override: str) -> None:
    key, _, value = override.partition("=")
    assert refused(composed(), f"trainer.{key}", OmegaConf.create(f"x: {value}").x) is None


def configurations() -> Iterator[tuple[str, DictConfig]]:
    """One for each option of a group, with data and models that go together."""
    for name in OPTIONS["data"]:
        text = name in ("csv", "phrases", "sst2")
        yield f"data={name}", composed(f"data={name}", f"model={'bert_tiny' if text else 'conv4'}")
    for name in OPTIONS["model"]:
        data = "phrases" if "bert" in name else "digits"
        yield f"model={name}", composed(f"model={name}", f"data={data}")


def nodes(cfg: DictConfig) -> Iterator[tuple[str, dict]]:
    """Every `_target_` with its arguments, by its path."""
    whole = OmegaConf.to_container(cfg, resolve=True)
    tops = {"data.source": whole["data"]["source"], "data.target": whole["data"]["target"]}
    tops["model"] = {key: value for key, value in whole["model"].items() if key not in NO_ARGUMENTS}
    waiting = [(path, node) for path, node in tops.items() if node]
    while waiting:
        path, node = waiting.pop()
        if "_target_" in node:
            yield path, node
        waiting += [(f"{path}.{key}", part) for key, part in node.items() if isinstance(part, dict)]


def arguments() -> dict[str, tuple[str, dict, str]]:
    """Every argument of every target in conf/, each once: (path of its target, the target, name)."""
    found = {}
    for _, cfg in configurations():
        for path, node in nodes(cfg):
            for name, argument in inspect.signature(get_object(node["_target_"])).parameters.items():
                if argument.kind is not argument.VAR_KEYWORD and name != "num_classes":
                    found[f"{node['_target_']}({name})"] = (path, node, name)
    return found


ARGUMENTS = arguments()


def alone(node: dict) -> dict:
    """Without what lies inside it, and files that the user has to name."""
    inside = {"files": {"_target_": "collections.Counter"}} if "files" in node else {}
    return node | inside | ({"path": "pets"} if node.get("path", "") is None else {})


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_every_argument_of_ours_is_allowed_or_refused_in_its_own_words(argument: str) -> None:
    path, node, name = ARGUMENTS[argument]
    kind = declared(get_object(node["_target_"])).get(name)
    assert kind, "nothing says what it may be"
    refusals = []
    for value in VALUES:
        try:
            check_arguments(path, alone(node) | {name: value}, ("num_classes",))
        except BadInput as error:
            refusals.append(error)
            at = (kind.at if isinstance(kind, Fields) else "") or f"{path}.{name}"
            said_otherwise = isinstance(kind, Fields) and str(error) == kind.lacking
            if not said_otherwise:
                check_line(error, at, *expected_by(kind))
    assert refusals, "nothing is refused"


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_an_argument_that_is_missing_or_unknown_is_named(argument: str) -> None:
    path, node, name = ARGUMENTS[argument]
    function = get_object(node["_target_"])
    node = alone(node)
    without = {key: value for key, value in node.items() if key != name}
    if inspect.signature(function).parameters[name].default is inspect.Parameter.empty:
        with pytest.raises(BadInput, match=rf"^{path}\.{name} has no value: .* is expected$"):
            check_arguments(path, without, ("num_classes",))
    if not any(one.kind is one.VAR_KEYWORD for one in inspect.signature(function).parameters.values()):
        with pytest.raises(
            BadInput, match=rf"^{path}\.made is not an argument of {node['_target_']}, which takes: .*{name}"
        ):
            check_arguments(path, node | {"made": 5}, ("num_classes",))


CHEAP = [name for name in ARGUMENTS if name.startswith(("data.embedded.", "data.phrases.", "models.vision.vit_tiny"))]
CHEAP += [name for name in ARGUMENTS if name.startswith(("models.vision.conv4", "models.text.bert("))]


@pytest.mark.parametrize("argument", CHEAP)
def test_what_is_allowed_can_be_built_or_is_refused_in_one_line(argument: str) -> None:
    path, node, name = ARGUMENTS[argument]
    if argument.startswith("data.phrases."):  # with tokens of its own, which need no file
        node = node | {"input": {"tokenizer": None, "max_length": 64, "truncate": False}}
    lines = []
    for value in [1, 2, 3, 17, 0.5, "", None, -1, [-1]]:
        options = OmegaConf.create(node | {name: value})
        try:
            build_data(options, path) if path.startswith("data.") else build_model(options, 3)
        except BadInput as error:
            lines.append(str(error))
    assert lines, "nothing is refused"
    for line in lines:
        assert "\n" not in line
        assert line.startswith(("data.", "model")), line


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_is_stored_is_allowed(name: str) -> None:
    cfg = composed(f"experiment={name}")
    check(cfg)
    for path, node in nodes(cfg):
        check_arguments(path, node, ("num_classes",))


def test_who_declares_nothing_is_asked_nothing() -> None:
    check_arguments("data.target", {"_target_": "collections.Counter", "anything": -1})
    check_arguments("data.target", {"_target_": "no.such.module", "anything": -1})
    with pytest.raises(BadInput, match=r"^data\.target can't be built: .*'strange'"):
        build_data(OmegaConf.create({"_target_": "collections.deque", "strange": 1}), "data.target")
