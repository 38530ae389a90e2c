"""The stage that turns the store into tables, figures, a gallery and a report.

<run>/analysis/tables/*.csv, figures/*.{png,svg}, gallery/*.{png,svg}, report.html
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import wandb
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import Dataset

from analysis import figures, tables
from analysis.claims import claims
from analysis.drawing.gallery import Card, Picture, draw
from analysis.drawing.sentence import Sentence
from analysis.drawing.style import save
from analysis.formulas.accuracy import Outcomes, outcomes
from analysis.measures import Measures, possible
from analysis.report.opening import left_out, noise_warnings, summary
from analysis.report.page import CAPTIONS, FigureEntry, write_report
from analysis.robust import doubtful
from analysis.study import Options, Study
from data.splits import Splits
from data.splits import build as build_data
from interactions.store import Samples, Store
from stages.files import written
from stages.identity import Result, Results
from stages.memory import check_memory
from stages.need import Need
from stages.progress import Bar
from stages.reading import parsed
from stages.results import epochs_of, finish, nested, start
from stages.span import Span
from stages.table import ROLES, roles
from training.tracking import not_vital, tracked

HOW_TO_READ = """Intervals are 95 % bootstrap intervals over samples: those of the interactions, or the test set where \
accuracy is concerned. They say nothing of what another seed would give: each model here is one training run.

Chance is what the same quantity comes to for models that share nothing: the second model's interactions are permuted \
within each sample and order. For faithfulness the values themselves are permuted among masked inputs that keep \
equally many variables; for accuracy chance is the most frequent class, and for a difference in accuracy none.
"""
SECONDS = Span(4, 30)  # from the default study to 100 samples of 2**12 masked inputs and 50 checkpoints
# Which figure shows which table.
FIGURES = {
    "decomposition": "decomposition",
    "ratio": "ratio",
    "jaccard": "jaccard",
    "convergence": "accuracy",
    "faithfulness": "faithfulness",
    "noise": "noise",
}


def check(cfg: DictConfig, results: Results) -> Need:
    splits = build_data(cfg.data.target, "data.target")
    _check_memory(cfg, len(splits.test))
    return Need(disk=10_000_000, besides=SECONDS)  # figures, gallery and report


def _check_memory(cfg: DictConfig, test: int) -> None:
    """test: samples of the test set. What is largest of what `chance.permutations`, `estimate.resamples` and
    `estimate.estimate` hold."""
    options, samples, values = cfg.analysis, cfg.interactions.samples, cfg.interactions.samples * 2**cfg.interactions.n
    columns = 5 * max(cfg.interactions.n, cfg.finetune.epochs, cfg.scratch.epochs) + 5  # of five arrays at most
    draws = 16 * options.resamples * max(samples, test)
    both = 8 * options.resamples * (options.permutations + 1) * columns
    check_memory(
        8 * values * (options.permutations + 8), f"analysis.permutations={options.permutations}", "choose fewer of them"
    )
    check_memory(draws + both, f"analysis.resamples={options.resamples}", "choose fewer of them")


def run(cfg: DictConfig, results: Results, name: str) -> None:
    splits, result = build_data(cfg.data.target, "data.target"), results[name]
    study = _study(cfg, result)
    labels = np.asarray(splits.test.labels)
    known = [stage for stage in ("finetune", "scratch", "probe") if stage in result.inputs]
    trained = {stage: _outcomes(result.inputs[stage].folder, labels) for stage in known}
    folder = start(result)
    with tracked(cfg, result) as tracker:
        wanted, noise = list(cfg.analysis.measures), tables.noise(study)
        beware = left_out(wanted, study.models) | noise_warnings(study, noise)
        for title, text in beware.items():
            print(f"analysis: {title}: {text}", flush=True)
        made = _tables(study, trained, labels, noise, wanted)
        for title, table in made.items():
            _write_table(table, folder / "tables" / f"{title}.csv")
        drawn = _figures(made, folder, study.unit)
        cards = _gallery(study, splits, cfg.analysis.gallery, folder / "gallery")
        _report(result, beware | summary(cfg, results, study), made, drawn, cards)
        with not_vital("tables and figures"):
            _log(tracker, made, drawn, cards)
    finish(result)


def _study(cfg: DictConfig, result: Result) -> Study:
    """Of the roles that are compared."""
    samples = Samples(result.inputs["interactions/samples"].folder)
    values = {role: result.inputs[f"interactions/{stage}"] for role, stage in ROLES.items() if role in roles(cfg)}
    stores = {role: Store(read.folder, samples) for role, read in values.items()}
    return Study(samples, stores, {role: epochs_of(read) for role, read in values.items()}, _options(cfg))


def _outcomes(trained: Path, labels: np.ndarray) -> Outcomes:
    predictions, losses = (parsed(trained / f"{name}.npy", np.load) for name in ("predictions", "losses"))
    return outcomes(predictions, losses, labels)


def _options(cfg: DictConfig) -> Options:
    keys = ("salient", "tau", "empty_set", "normalise", "permutations", "resamples")
    return Options(**{key: cfg.analysis[key] for key in keys}, seed=cfg.seeds.samples)


def _tables(
    study: Study, trained: dict[str, Outcomes], labels: np.ndarray, noise: pd.DataFrame, wanted: list[str]
) -> dict[str, pd.DataFrame]:
    """The wanted tables, by name: those that there is anything to fill with. noise: that table."""
    options, measures = study.options, Measures(study)
    makers = {
        "claims": lambda: _claims(measures, trained, noise),
        "decomposition": lambda: tables.decomposition(measures),
        "ratio": lambda: tables.ratio(measures),
        "jaccard": lambda: tables.jaccard(measures),
        "accuracy": lambda: tables.accuracy(trained, labels, options.resamples, options.seed),
        "faithfulness": lambda: tables.faithfulness(measures),
        "noise": lambda: noise,
    }
    chosen = [name for name in makers if name in wanted and possible(name, study.models)]
    made = {name: makers[name]() for name in _progress(chosen, "tables")}
    return {name: table for name, table in made.items() if len(table)}  # of given weights there are no predictions


def _claims(measures: Measures, trained: dict[str, Outcomes], noise: pd.DataFrame) -> pd.DataFrame:
    found = claims(measures, trained)
    return tables.claims(found, doubtful(measures.study, found, noise))


def _progress(steps: list, what: str) -> Iterable:
    return Bar(steps, desc=what, leave=False)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    with written(path) as beside:
        table.to_csv(beside, index=False)


def _figures(made: dict[str, pd.DataFrame], folder: Path, unit: str) -> list[FigureEntry]:
    entries = []
    for name, table in _progress(list(FIGURES.items()), "figures"):
        if table in made:
            options = {"unit": unit} if name == "decomposition" else {}
            png, _ = save(getattr(figures, name)(made[table], **options), folder / "figures", name)
            entries.append(FigureEntry(name, CAPTIONS[name], png, folder / "tables" / f"{table}.csv"))
    return entries


def _gallery(study: Study, splits: Splits, count: int, folder: Path) -> list[tuple[str, Path]]:
    """Draws `count` of the samples, spread over the classes; (title, picture) of each."""
    shutil.rmtree(folder, ignore_errors=True)
    about = study.about
    dataset = getattr(splits, about["split"])
    last = {model: (study.final(model), study.values(model, study.last(model))) for model in study.models}
    spread = np.unique(np.linspace(0, study.samples - 1, min(count, study.samples)).astype(int))
    drawn = []
    for position in _progress(spread.tolist(), "gallery"):
        sample = about["samples"][position]
        title = f"{about['split']} sample {sample['index']}, class {sample['class']}"
        card = Card(
            title=title,
            shown=_shown(sample, dataset, splits),
            interactions={model: strength[position] for model, (strength, _) in last.items()},
            values={model: v[position, -1] for model, (_, v) in last.items()},
        )
        png, _ = save(draw(card, tau=study.options.tau, unit=study.unit), folder, f"sample_{sample['index']:05d}")
        drawn.append((title, png))
    return drawn


def _shown(sample: dict, dataset: Dataset, splits: Splits) -> Picture | Sentence:
    if splits.kind == "text":
        return Sentence(sample["words"], [variable["position"] for variable in sample["variables"]])
    return Picture(splits.picture(dataset[sample["index"]][0]), [tuple(box) for box in sample["variables"]])


def _report(
    result: Result, summary: dict[str, str], made: dict[str, pd.DataFrame], drawn: list[FigureEntry], cards: list
) -> None:
    write_report(
        result.folder / "report.html",
        title="Why does pre-training help?",
        summary=summary,
        claims=made.get("claims", pd.DataFrame(columns=tables.CLAIMS)),
        figures=drawn,
        gallery=cards,
        how_to_read=HOW_TO_READ,
        settings=OmegaConf.to_yaml(OmegaConf.create(nested(result.decided()))),
    )


def _log(tracker: wandb.Run, made: dict[str, pd.DataFrame], drawn: list[FigureEntry], cards: list) -> None:
    tracker.log({f"tables/{name}": wandb.Table(dataframe=table) for name, table in made.items()})
    tracker.log({f"figures/{entry.name}": wandb.Image(str(entry.image)) for entry in drawn})
    if cards:
        tracker.log({"gallery": [wandb.Image(str(png), caption=title) for title, png in cards]})
