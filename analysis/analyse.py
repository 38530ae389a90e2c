"""The stage that computes each measure once, and writes the report.

<run>/analysis/samples/<measure>.npz     what it found for each sample, under each reference as well
<run>/analysis/tables/<measure>.csv      keys, mean, low, high, reference levels; claims.csv: all claims, with verdicts
<run>/analysis/figures/<measure>.{png,svg}, gallery/*.{png,svg}, report.html, verdicts.txt
<run>/analysis/measures.json             which measures it holds (analysis/kept.py)
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from analysis import gallery, samples_shown
from analysis.answer import answer, of_one_epoch
from analysis.claims import as_table, ordered
from analysis.drawing.style import save
from analysis.inputs import data_of, study_of
from analysis.kept import Kept
from analysis.loading import load
from analysis.measure import PAPER, Measure, Sizes
from analysis.measured import OWN, PSEUDO, Measured
from analysis.mirrored import log_analysis
from analysis.moved import MEASURE as MOVED
from analysis.moved import moved
from analysis.report.opening import how_to_read, left_out, noise_warnings, question, summary
from analysis.report.page import FigureEntry, write_report
from analysis.robust import Noisy, doubtful, with_noise
from analysis.study import Study
from analysis.synthetic import KEY, warning
from analysis.told import claim_lines, told
from analysis.verdicts import FILE
from conf.errors import BadInput
from conf.measures import ours
from data.splits import Splits, task
from representations.asked import widths
from stages.files import remove, write_text, written
from stages.identity import Result, Results
from stages.measures import REPRESENTATIONS, VALUED, measured_on, name_of
from stages.memory import check_memory
from stages.need import Need
from stages.progress import Bar
from stages.results import finish, nested, start
from stages.span import Span
from tracking.tracked import tracked

NOT_FREE = (*OWN, "file")  # as names of arrays in an archive
PREFIXES = ("about/", "equal/", *PSEUDO)
SECONDS = Span(4, 30)  # from the default study to 100 samples of 2**12 masked inputs and 50 checkpoints


def check(cfg: DictConfig, results: Results) -> Need:
    wanted, splits = measures(cfg), task(cfg, "target")
    seconds = SECONDS
    _check_memory(cfg, len(splits.test))
    if REPRESENTATIONS in measured_on(cfg):
        sizes = Sizes(len(splits.train), len(splits.test), widths(cfg)[0], len(splits.classes))
        seconds = sum((measure.check(sizes) for measure in wanted), seconds)
    return Need(disk=10_000_000, besides=seconds)  # figures, gallery and report


def measures(cfg: DictConfig) -> list[Measure]:
    """Returns the requested measures. Raises BadInput if one can't be found, or for options of a measure that was
    not requested."""
    options = OmegaConf.to_container(cfg.analysis.options, resolve=True)
    names = [name_of(module) for module in cfg.analysis.measures]
    if extra := sorted(options.keys() - {*names, *ours()}):  # those of our own may wait for their measure
        raise BadInput(f"analysis.options.{extra[0]}: analysis.measures has no {extra[0]}, it has {', '.join(names)}")
    return [load(module, options.get(name_of(module)) or {}) for module in cfg.analysis.measures]


def _check_memory(cfg: DictConfig, test: int) -> None:
    """Checks the memory for the largest arrays of `shuffled.permutations`, `estimate.resamples` and
    `estimate.bootstrap_t`. test: samples of the test set."""
    options, samples, values = cfg.analysis, cfg.interactions.samples, cfg.interactions.samples * 2**cfg.interactions.n
    columns = 5 * max(cfg.interactions.n, cfg.finetune.epochs, cfg.scratch.epochs) + 5  # in five arrays at most
    draws = 16 * options.resamples * max(samples, test)
    both = 8 * 8 * options.resamples * columns
    check_memory(
        8 * values * (options.permutations + 8), f"analysis.permutations={options.permutations}", "choose fewer of them"
    )
    check_memory(draws + both, f"analysis.resamples={options.resamples}", "choose fewer of them")


def run(cfg: DictConfig, results: Results, name: str) -> None:
    splits, result, wanted = task(cfg, "target"), results[name], measures(cfg)
    study = study_of(cfg, result, splits)
    folder = start(result)
    with tracked(cfg, result) as tracker:
        kept, noisy = Kept(folder, result.digest), with_noise(study)
        beware = left_out(wanted, study) | noise_warnings(study)
        for title, text in beware.items():
            print(f"analysis: {title}: {text}", flush=True)
        missing = [measure for measure in wanted if not kept.has(measure.name, result.parts[measure.name])]
        data = data_of(cfg, result, splits) if missing else ""
        for measure in Bar(missing, desc="measures", leave=False):
            digest = result.parts[measure.name]
            if why := measure.lacking(study):
                kept.add(measure.name, digest, [], left_out=why)
            else:
                files, claims, count = _measure(measure, study, noisy, folder, data)
                kept.add(measure.name, digest, files, **measure.about, claims=claims, samples=count,
                         start=study.source.epoch)  # fmt: skip
        if kept.gallery is None and study.samples:
            _add_gallery(kept, study, splits, cfg.analysis.gallery)
        kept.show([measure.name for measure in wanted])
        claims = _claims(kept)
        which = os.path.relpath(cfg.run_dir, cfg.output)  # as a browser's tabs tell reports apart
        nothing = warning(result.decided() | {KEY: cfg.data.synthetic})
        text = _answer(kept, claims, study, nothing)
        about = beware | summary(cfg, results, study)
        _report(result, which, about, claims, kept, text, bool(study.samples), nothing)
        log_analysis(tracker, kept, claims, text, result.parts)
    finish(result)


def _add_gallery(kept: Kept, study: Study, splits: Splits, count: int) -> None:
    """Draws `count` samples, and writes what the report's sample picker shows of all of them; nothing if it is 0."""
    folder = kept.folder / "gallery"
    cards = gallery.show(study, splits, count, folder)
    kept.add_gallery(cards, samples_shown.write(study, splits, folder) if count else None)


def _measure(
    measure: Measure, study: Study, noisy: list[Noisy], folder: Path, data: str
) -> tuple[list[Path], list[dict], int]:
    """Computes one measure. Returns the files that it wrote, the rows of its claims, and the number of samples."""
    measured = measure.samples(study)
    split, index = _which(measure, measured, study)
    name, (table, pseudo) = measure.name, measure.table(measured)
    table.attrs["unit"] = study.unit  # for the figure's axes
    claims = [] if measure.claims_lack(study) else measure.claims(measured)
    judged, of_claims = as_table(name, claims, doubtful(noisy, measure, claims))
    files = [folder / "samples" / f"{name}.npz", folder / "tables" / f"{name}.csv"]
    pseudo = {f"rows/{row}": each for row, each in pseudo.items()} | {
        f"claims/{row}": each for row, each in of_claims.items()
    }
    measured.write(files[0], f"{data}/{split}", index, pseudo)
    _write_table(table, files[1])
    if (figure := measure.figure(table)) is not None:
        files += save(figure, folder / "figures", name)
    return files, judged.to_dict("records"), measured.samples


def _which(measure: Measure, measured: Measured, study: Study) -> tuple[str, np.ndarray]:
    """Returns the split of the samples and their numbers in it. Raises BadInput if not all samples are measured."""
    if measure.needs.on == VALUED:
        split, index = study.about["split"], np.array([sample["index"] for sample in study.about["samples"]])
    else:
        split = measure.needs.split
        index = measured.about.get("index", np.arange(len(study.labels if split == "test" else study.train_labels)))
    if not measured.observed:
        raise BadInput(f"{measure.module.__name__}.samples has found nothing: an array [samples] at least is expected")
    for name, array in measured.observed.items():
        if name in NOT_FREE or name.startswith((*PREFIXES, *(f"{reference}/" for reference in measured.references))):
            raise BadInput(f"{measure.module.__name__}.samples: {name} is not allowed as a name, it is used already")
        if np.ndim(array) == 0 or len(array) != len(index):
            raise BadInput(
                f"{measure.module.__name__}.samples: {name} has the shape {list(np.shape(array))}: a first axis of "
                f"{len(index)} samples is expected"
            )
    return split, index


def _write_table(table: pd.DataFrame, path: Path) -> None:
    with written(path) as beside:
        table.to_csv(beside, index=False)


def _claims(kept: Kept) -> pd.DataFrame:
    """Returns the claims of all measures that are shown, and writes them to tables/claims.csv."""
    rows = [row for name in kept.shown for row in kept.measures[name].get("claims", [])]
    table, path = pd.DataFrame(rows), kept.folder / "tables" / "claims.csv"
    if not rows:
        remove(path)
        return table
    _write_table(table := ordered(table), path)
    return table


def _entries(kept: Kept) -> list[FigureEntry]:
    return [
        FigureEntry(name, about["question"], f"{about['caption']} {_over(about['samples'])}".strip(),
                    kept.file("figures", name), kept.file("tables", name), about.get("paper", PAPER), about["title"],
                    about.get("labels", {}))
        for name, about in ((name, kept.measures[name]) for name in kept.shown)
        if about["files"]
    ]  # fmt: skip


def _over(samples: int) -> str:
    return f"Intervals are over the {samples} samples of this run, and say nothing of another training."


def _answer(kept: Kept, claims: pd.DataFrame, study: Study, nothing: str) -> str:
    """Returns the answer to the title's question, and writes it with the claims to verdicts.txt. nothing: why it means
    nothing, or ""."""
    tables = {name: pd.read_csv(file) for name in kept.shown if (file := kept.file("tables", name))}
    measured_on = f"{study.count} samples and the test set" if study.samples else "the test set"
    known = (
        f"All of this is known of one training of each model, measured on {measured_on}: how far another training "
        f"differs, only further seeds tell."
    )
    said = [answer(claims, tables.get("decomposition"), "")] if len(claims) else []
    said += [of_one_epoch(tables["transfer"], study.source.epoch)] if "transfer" in tables else []
    said += [moved(tables[MOVED])] if MOVED in tables else []
    text = " ".join([*filter(None, said), known]) if any(said) else ""
    write_text(kept.folder / FILE, told([nothing, text], claim_lines(claims) if len(claims) else []))
    return text


def _samples(kept: Kept) -> Path | None:
    """Returns the file for the sample picker, which analyses of earlier versions lack."""
    path = kept.folder / "gallery" / samples_shown.FILE
    return path if kept.gallery and str(path.relative_to(kept.folder)) in kept.gallery["files"] else None


def _report(
    result: Result, which: str, summary: dict[str, str], claims: pd.DataFrame, kept: Kept, text: str, whole: bool,
    nothing: str,
) -> None:  # fmt: skip
    write_report(
        result.folder / "report.html",
        title=f"{which}: {question(kept.shown, whole)}",
        summary=summary,
        claims=claims,
        figures=_entries(kept),
        gallery=kept.cards,
        how_to_read=how_to_read(whole),
        settings=OmegaConf.to_yaml(OmegaConf.create(nested(result.decided()))),
        answer=text,
        warning=nothing,
        samples=_samples(kept),
    )
