"""The runs of a study, composed from the words that `python run.py` takes, sweeps and experiments that are sweeps
included:

    experiment=digits seeds.train=0,1    ->    experiment=digits seeds.train=0
                                               experiment=digits seeds.train=1
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write

from conf.errors import BadInput
from conf.refusals import is_refused, refusal
from conf.sweeps import of_experiment
from stages.composed import prepared, register
from stages.identity import Results, memory_of, results_of

CONF = Path(__file__).resolve().parents[1] / "conf"
SWEEP, FOLDER = ("-m", "--multirun"), ("-cd", "--config-dir")
ELSEWHERE = ("hydra.mode=", "hydra.sweep.", "hydra/launcher=", "hydra.launcher.")  # how Hydra itself would start runs


@dataclass(frozen=True)
class Run:
    """words: what composes it alone; chosen: content of its chosen.json (stages/view.py)."""

    words: tuple[str, ...]
    cfg: DictConfig
    chosen: dict[str, dict]
    results: Results


@contextmanager
def hydras() -> Iterator[None]:
    """Makes the configuration known to Hydra."""
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def runs_of(words: Sequence[str]) -> list[Run]:
    """Returns the study's runs. Raises BadInput for the first one that can't be composed, and for two different ones
    with one folder."""
    runs = [composed(one) for one in dict.fromkeys(map(tuple, split(words)))]
    first: dict[str, Run] = {}
    for run in runs:
        before = first.setdefault(run.cfg.run_dir, run).results
        if any(before[name].digest != run.results[name].digest for name in before.keys() & run.results.keys()):
            raise BadInput(f"run_dir={run.cfg.run_dir} is the folder of two different runs: leave run_dir out")
    return runs


def composed(words: Sequence[str]) -> Run:
    """Returns the run that these words describe. Raises BadInput, also for what jobs are told in another way."""
    try:
        cfg = compose("config", list(words), return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        with read_write(cfg), open_dict(cfg):
            cfg.pop("hydra")
        chosen = prepared(cfg)
    except Exception as error:
        if not is_refused(error):
            raise
        raise refusal(error, words) from error
    _check(cfg)
    memory = memory_of(cfg)
    results = results_of(cfg, memory)
    memory.save()
    return Run(tuple(words), cfg, chosen, results)


def _check(cfg: DictConfig) -> None:
    if cfg.plan:
        raise BadInput("plan=true is not allowed here: dry=true shows what would be submitted")
    for stage in ("interactions", "representations"):
        if cfg[stage].shard:
            raise BadInput(
                f"{stage}.shard={cfg[stage].shard} is not allowed here: cluster.{stage}.shards says over how many jobs "
                f"the work is spread"
            )


def split(words: Sequence[str]) -> list[list[str]]:
    """Returns the words of each run of a sweep; a single list of them if it is none. Raises BadInput."""
    words = _with_own_folder([word for word in words if word not in SWEEP])
    if flags := [word for word in words if word.startswith("-")]:
        raise BadInput(f"{flags[0]} is not known here: settings are given as KEY=VALUE, such as dry=true or seed=0,1,2")
    try:
        hydra = GlobalHydra.instance().hydra
        whole = hydra.compose_config("config", words, run_mode=RunMode.MULTIRUN, with_log_configuration=False).hydra
        if whole.sweeper.get("_target_", "").rpartition(".")[2] != BasicSweeper.__name__:
            raise BadInput("hydra/sweeper is not allowed here: jobs are submitted before any of them has ended")
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        given = [f"{key}={values}" for key, values in of_experiment(whole).items()] + list(whole.overrides.task)
        last = {override.get_key_element(): override for override in parser.parse_overrides(given)}
        [batch] = BasicSweeper.split_arguments(list(last.values()), None)
    except Exception as error:
        if not is_refused(error):
            raise
        raise refusal(error, words) from error
    besides = [word for word in whole.overrides.hydra if not word.startswith(ELSEWHERE)]
    return [[*besides, *job] for job in batch]


def _with_own_folder(words: list[str]) -> list[str]:
    """Replaces Hydra's flag for a further folder of configurations by the key that says the same of each run."""
    for place, word in enumerate(words):
        flag, given, folder = word.partition("=")
        if flag in FOLDER:
            rest = words[place + 1 :]
            folder = folder if given else (rest.pop(0) if rest else "")
            return [*words[:place], *rest, f"hydra.searchpath=[file://{Path(folder).absolute()}]"]
    return words
