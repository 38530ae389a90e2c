"""The stages of a study, in order, and what each reads. The program knows nothing else about its stages: to add one,
add a line here, its keys to conf/schema.py and conf/config.yaml, and the module.

A stage makes one result with the stage's name, or one for each of its `parts`: `interactions` makes the chosen
samples (interactions/samples), and the values of each role's checkpoints (interactions/finetune).

The analysis reads what its measures are measured on, and `stages: all` runs what leads there: without a measure of
interactions none are computed, and without scratch among the roles none is trained.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from omegaconf import DictConfig, OmegaConf

from conf.nested import Several
from conf.schema import FEATURES, SIMILAR, VALUES
from stages.given import of_role, weights_of
from stages.measures import PREDICTIONS, REPRESENTATIONS, SIMILARITY, TRAININGS, VALUED, measured_on


@dataclass(frozen=True, eq=False)
class Stage:
    """A stage. module: has `check(cfg, results) -> Need` and `run(cfg, results, name)`, see stages/runner.py;
    number: raised whenever the stage computes something else than before, so that no older result is taken for it;
    reads: names of the results that it is made from; parts: replaces `reads`, with the names for each part;
    trains: whether it trains a network, on all devices; in_run: whether its result is in the run's own folder.
    """

    name: str
    module: str
    does: str
    number: int
    reads: tuple[str, ...] = ()
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    trains: bool = False
    in_run: bool = False

    @property
    def results(self) -> dict[str, tuple[str, ...]]:
        """Returns the name of each result -> the names of those that it is made from."""
        return {f"{self.name}/{part}": reads for part, reads in self.parts.items()} or {self.name: self.reads}


STAGES = (
    Stage(
        "pretrain",
        "pretrain_probe.pretrain",
        "the source task, from random weights; or takes external weights",
        number=1,
        trains=True,
    ),
    Stage(
        "probe",
        "pretrain_probe.probe",
        "a linear classifier on the frozen pre-trained features of the target task",
        number=1,
        reads=("pretrain",),
    ),
    Stage(
        "finetune",
        "finetune.finetune",
        "the target task, from the pre-trained backbone and a new head",
        number=1,
        reads=("pretrain",),
        trains=True,
    ),
    Stage(
        "scratch",
        "scratch.scratch",
        "the target task, from random weights",
        number=1,
        trains=True,
    ),
    Stage(
        "interactions",
        "interactions.evaluate",
        "the values of all 2^n masked inputs of the chosen samples, for every checkpoint",
        number=1,
        parts={
            "samples": (),
            **{stage: (stage, "interactions/samples") for stage in ("probe", "finetune", "scratch")},
        },
    ),
    Stage(
        "representations",
        "representations.compute",
        "features of the target task's inputs, and how similar the layers of two models are",
        number=1,
        parts={
            "pretrain": ("pretrain",),
            "finetune": ("finetune",),
            **{
                f"similarity/{role}": ("pretrain", "finetune", "scratch")
                for role in ("pretrain", "finetune", "scratch")
            },
        },
    ),
    Stage(
        "analysis",
        "analysis.analyse",
        "tables, figures, gallery, report",
        number=4,
        reads=("interactions/samples", *VALUES, "pretrain", *FEATURES, *SIMILAR, "probe", "finetune", "scratch"),
        in_run=True,
    ),
)

# What a measure is measured on (analysis/measure.py: Needs) -> the results that the analysis then reads.
MEASURED_ON = {
    VALUED: ("interactions/samples", *VALUES, "probe", "finetune", "scratch"),
    PREDICTIONS: ("probe", "finetune", "scratch"),
    REPRESENTATIONS: ("pretrain", *FEATURES, "probe", "finetune"),
    SIMILARITY: ("pretrain", *SIMILAR, "finetune", "scratch"),
    TRAININGS: ("pretrain", "finetune", "scratch"),
}

# The stage whose checkpoints stand for each model: the pre-trained one is seen through its linear probe.
ROLES = {"pretrain": "probe", "finetune": "finetune", "scratch": "scratch"}


def names() -> tuple[str, ...]:
    return tuple(stage.name for stage in STAGES)


def described() -> str:
    """Returns a line for each stage, as --help shows them."""
    return "\n".join(f"  {stage.name:<12} {stage.does}" for stage in STAGES)


def chosen(cfg: DictConfig) -> list[Stage]:
    """Returns the requested stages, in order; of `all`, those that lead to the analysis, and those that it never reads.
    Raises BadInput for an unknown name."""
    if cfg.stages == "all":
        made = {name: names for stage in STAGES for name, names in stage.results.items()}
        others = made.keys() - _closure("analysis", made.__getitem__)
        needed = set().union(*(_closure(name, lambda of: reads(cfg, of)) for name in {"analysis", *others}))
        return [stage for stage in STAGES if needed & stage.results.keys()]
    wanted = cfg.stages if OmegaConf.is_list(cfg.stages) else OmegaConf.create([cfg.stages])
    Several(names()).check("stages", wanted)
    return [stage for stage in STAGES if stage.name in wanted]


def roles(cfg: DictConfig) -> list[str]:
    """Returns the models that are compared, in the order of ROLES."""
    return [role for role in ROLES if role in cfg.interactions.roles]


def role_of(result: str) -> str:
    """Returns the model whose values or features the result of this name holds, or whose epochs it compares."""
    part = result.rpartition("/")[2]
    return part if result in (*FEATURES, *SIMILAR) else next(role for role, stage in ROLES.items() if stage == part)


def compared_with(cfg: DictConfig, role: str) -> list[str]:
    """Returns the models that the epochs of a role are compared with, as far as there are such models: without our own
    pre-training there is no initial model, and a pre-trained model that was given has no epochs."""
    absent = {name for name in ("finetune", "scratch") if name not in roles(cfg)}
    if cfg.interactions.checkpoints.pretrain or weights_of(cfg) != "pretrain":
        absent |= {"initial"} if role != "scratch" else set()
        if role == "pretrain":
            return []
    if cfg.interactions.checkpoints[role] and not (role == "scratch" and 0 in of_role(cfg, role)):
        absent.add("initial")
    wanted = OmegaConf.select(cfg, f"representations.similarity.{role}", default=[]) if role in roles(cfg) else []
    return [model for model in wanted if model.partition("@")[0] not in absent]


def is_made(cfg: DictConfig, result: str) -> bool:
    """Tells whether a study has a result of this name: one of a model that is compared, and of representations one
    that a measure reads. Where no measure reads any, features are made if the stage is asked for."""
    if result not in (*VALUES, *FEATURES, *SIMILAR):
        return True
    kinds = measured_on(cfg)
    if result in SIMILAR:
        return SIMILARITY in kinds and bool(compared_with(cfg, role_of(result)))
    return role_of(result) in roles(cfg) and (result in VALUES or REPRESENTATIONS in kinds or SIMILARITY not in kinds)


def reads(cfg: DictConfig, result: str) -> list[str]:
    """Returns the names of the results that a result is made from: without trainings in whose place the user
    gives checkpoints. An analysis is made from what its measures are measured on."""
    if result == "analysis":
        every = _of_compared(cfg, [name for kind in measured_on(cfg) for name in MEASURED_ON[kind]])
        return [name for name in every if is_made(cfg, name)]
    if result in SIMILAR:
        return _of_similarity(cfg, role_of(result))
    names = next(stage.results[result] for stage in STAGES if result in stage.results)
    given = result in (*VALUES, *FEATURES) and cfg.interactions.checkpoints[role_of(result)]
    return [name for name in names if not given or name.startswith("interactions/")]


def _of_similarity(cfg: DictConfig, role: str) -> list[str]:
    """Returns the trainings whose models are compared."""
    against = [model.partition("@")[0] for model in compared_with(cfg, role)]
    initial = {"initial": "pretrain" if role == "finetune" else role}
    models = dict.fromkeys([role, *(initial.get(model, model) for model in against)])
    return [name for name in ("pretrain", "finetune", "scratch")
            if name in models and not cfg.interactions.checkpoints[name]]  # fmt: skip


def identified_by(cfg: DictConfig) -> list[str]:
    """Returns the names of the results by which an analysis is told from others, whatever its measures are: adding one
    must not make the program compute the others again."""
    return _of_compared(cfg, MEASURED_ON[VALUED])


def _of_compared(cfg: DictConfig, names: list[str] | tuple[str, ...]) -> list[str]:
    """Leaves out models that are not compared, and trainings in whose place the user gives checkpoints."""
    absent = {role for role in ROLES if role not in roles(cfg)}
    given = {role for role in roles(cfg) if cfg.interactions.checkpoints[role]}
    trained = {ROLES[role] for role in absent | given} | ({"pretrain"} if "pretrain" in absent | given else set())
    held = {name for name in (*VALUES, *FEATURES, *SIMILAR) if role_of(name) in absent}
    return [name for name in dict.fromkeys(names) if name not in trained | held]


def _closure(result: str, read: Callable[[str], Iterable[str]]) -> set[str]:
    """Returns a result, what it is made from, and so on."""
    return {result}.union(*(_closure(name, read) for name in read(result)))
