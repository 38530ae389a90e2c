"""The stages of a study, in order, and what each reads. The program knows nothing else about its stages: to add one,
add a line here, its keys to conf/schema.py and conf/config.yaml, and the module.

A stage makes one result with the stage's name, or one for each of its `parts`: `interactions` makes the chosen
samples (interactions/samples), and the values of each role's checkpoints (interactions/finetune).
"""

from dataclasses import dataclass, field

from omegaconf import DictConfig, OmegaConf

from conf.nested import Several
from conf.schema import VALUES


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
        "analysis",
        "analysis.analyse",
        "tables, figures, gallery, report",
        number=3,
        reads=("interactions/samples", *VALUES, "probe", "finetune", "scratch"),
        in_run=True,
    ),
)

# The stage whose checkpoints stand for each model: the pre-trained one is seen through its linear probe.
ROLES = {"pretrain": "probe", "finetune": "finetune", "scratch": "scratch"}


def names() -> tuple[str, ...]:
    return tuple(stage.name for stage in STAGES)


def described() -> str:
    """Returns a line for each stage, as --help shows them."""
    return "\n".join(f"  {stage.name:<12} {stage.does}" for stage in STAGES)


def chosen(cfg: DictConfig) -> list[Stage]:
    """Returns the requested stages, in order. Raises BadInput for an unknown name."""
    if cfg.stages == "all":
        return list(STAGES)
    wanted = cfg.stages if OmegaConf.is_list(cfg.stages) else OmegaConf.create([cfg.stages])
    Several(names()).check("stages", wanted)
    return [stage for stage in STAGES if stage.name in wanted]


def roles(cfg: DictConfig) -> list[str]:
    """Returns the models that are compared, in the order of ROLES."""
    return [role for role in ROLES if role in cfg.interactions.roles]


def role_of(result: str) -> str:
    """Returns the model whose values the result of this name holds."""
    return next(role for role, stage in ROLES.items() if result == f"interactions/{stage}")
