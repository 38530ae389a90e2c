"""References that need several runs, on runs with stores of hand-made interactions, against the definitions."""

import json
import shutil
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from analysis.claims import as_table
from analysis.formulas.decomposition import by_order
from analysis.formulas.jaccard import jaccard
from analysis.formulas.ratio import learned, terms
from analysis.formulas.references import matched, shared
from analysis.loading import load
from analysis.runs.across import with_stand_ins
from analysis.runs.claims import claims
from analysis.runs.found import Run
from analysis.runs.settings import in_order
from interactions.mobius import orders

N, SAMPLES = 3, 6
ORDER = orders(N)
MEASURES = ("decomposition", "ratio", "jaccard")
RESULTS = {"pretrain": "probe", "finetune": "finetune", "scratch": "scratch"}


@pytest.fixture
def make(study_of, default):
    """make(pretrain, finetune, scratch, pretrained="a", samples="s"): a run, as it is read from its folder. What is
    equal is of one result; scratch may be None."""
    config, known, count = OmegaConf.create(OmegaConf.to_container(default, resolve=True)), [], 0

    def digest(array: np.ndarray) -> str:
        known.append(array)
        return str(next(at for at, other in enumerate(known) if np.array_equal(array, other)))

    def made(pretrain, finetune, scratch, pretrained: str = "a", samples: str = "s") -> Run:
        nonlocal count
        count += 1
        study = study_of(pretrain, [finetune], [] if scratch is None else [scratch])
        folder = study.samples.folder.parent
        OmegaConf.save(config, folder / "config.yaml")
        paths = {"interactions/samples": ("samples", samples), "pretrain": ("none", pretrained)}
        for model, array in (("pretrain", pretrain), ("finetune", finetune), ("scratch", scratch)):
            if array is not None:
                paths[f"interactions/{RESULTS[model]}"] = (model, digest(array))
        paths["probe"] = ("none", digest(pretrain))
        content = {name: {"path": path, "digest": of} for name, (path, of) in paths.items()}
        (folder / "results.json").write_text(json.dumps(content))
        return _analysed(folder, study, count)

    return made


def _analysed(folder: Path, study, seed: int) -> Run:
    """The analysis of a run, in its folder and as it is read."""
    tables, about, samples, judged = {}, {}, {}, []
    for measure in [load(name, {}) for name in MEASURES]:
        if measure.lacking(study):
            continue
        measured = measure.samples(study)
        tables[measure.name], pseudo = measure.table(measured)
        found = [] if measure.claims_lack(study) else measure.claims(measured)
        table, of_claims = as_table(measure.name, found, [True] * len(found))
        judged.append(table)
        pseudo = {f"rows/{name}": array for name, array in pseudo.items()}
        pseudo |= {f"claims/{name}": array for name, array in of_claims.items()}
        file = folder / "analysis" / "samples" / f"{measure.name}.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        measured.write(file, "digits/test", np.arange(SAMPLES), pseudo)
        about[measure.name] = measure.about
        samples[measure.name] = pseudo | {"data": np.array("digits/test"), "index": np.arange(SAMPLES)}
    tables["claims"] = pd.concat(judged, ignore_index=True)
    groups = {"groups": {"data": "digits", "model": "conv4"}, "keys": {}}
    return Run(folder, "digits", {}, {"seed": seed}, groups, str(seed), "", tables, about, samples)


@pytest.fixture
def arrays():
    """Interactions of many models that share a part."""
    draw = np.random.default_rng(0)
    common = draw.normal(size=(SAMPLES, 2**N))
    return common + 0.7 * draw.normal(size=(12, SAMPLES, 2**N))


def extended(*runs):
    found, lines = with_stand_ins(*in_order(list(runs)))
    assert lines == []
    return found


@pytest.fixture
def three(make, arrays):
    """Two fine-tunings of one pre-training, and one of another; scratch differs in each."""
    pretrain, other = arrays[:2]
    return [make(pretrain, arrays[2], arrays[5]), make(pretrain, arrays[3], arrays[6]),
            make(other, arrays[4], arrays[7], "b")]  # fmt: skip


def means(run, measure, *keys):
    return run.tables[measure].set_index(list(keys))


def test_of_what_is_preserved_another_fine_tuning_is_the_ceiling_and_another_pre_training_a_reference(three, arrays):
    first, second, third = extended(*three)
    pretrain, finetune = arrays[0], arrays[2]
    ceiling = shared(matched(arrays[3], pretrain, ORDER), finetune)
    other = shared(pretrain, arrays[4])
    table = means(first, "decomposition", "quantity", "order")
    for name, preserved in (("ceiling", ceiling), ("other", other)):
        for part, strength in (("preserved", preserved), ("discarded", abs(pretrain) - preserved),
                               ("new", abs(finetune) - preserved)):  # fmt: skip
            np.testing.assert_allclose(table.loc[part][name], by_order(strength, ORDER).mean(0), rtol=1e-9)
    assert table.loc["pretrain"][["ceiling", "other"]].isna().all(axis=None)
    scaled = [each / abs(each).sum(1, keepdims=True) for each in (pretrain, arrays[4])]
    equal = by_order(shared(*scaled), ORDER).mean(0)
    np.testing.assert_allclose(table.loc["preserved"]["equal_other"], equal, rtol=1e-9)
    assert "ceiling" not in third.tables["decomposition"], "it has no sibling"
    both = (shared(arrays[1], arrays[2]) + shared(arrays[1], arrays[3])) / 2
    found = means(third, "decomposition", "quantity", "order").loc["preserved"]["other"]
    np.testing.assert_allclose(found, by_order(both, ORDER).mean(0), rtol=1e-9)
    assert "ceiling" in second.tables["decomposition"]


def test_of_the_ratio_another_fine_tuning_stands_in_for_scratch_and_another_scratch_for_fine_tuned(three, arrays):
    first, _, third = extended(*three)
    pretrain, finetune, scratch = arrays[0], arrays[2], arrays[5]
    preserved = shared(pretrain, finetune)
    table = means(first, "ratio", "definition")
    for name, (above, below) in terms(preserved, learned(preserved, pretrain, arrays[3])).items():
        assert table.loc[name, "ceiling"] == pytest.approx(above.mean() / below.mean())
    stand_ins = [shared(pretrain, matched(other, finetune, ORDER)) for other in arrays[6:8]]
    each = [terms(kept, learned(kept, pretrain, scratch)) for kept in stand_ins]
    for name in each[0]:
        above, below = (np.mean([found[name][part] for found in each], axis=0) for part in (0, 1))
        assert table.loc[name, "task"] == pytest.approx(above.mean() / below.mean())
    assert "ceiling" not in third.tables["ratio"]
    assert "task" in third.tables["ratio"]


def test_of_similarities_the_last_epochs_of_two_trainings_are_the_ceiling(three, arrays):
    first, *_ = extended(*three)
    table = means(first, "jaccard", "model", "epoch")
    assert table.loc[("finetune", 0), "ceiling"] == pytest.approx(jaccard(arrays[2], arrays[3]).mean())


def test_claims_have_the_further_references_and_keep_what_noise_could_do(three, arrays):
    first, *_ = extended(*three)
    old, new = (run.tables["claims"].set_index("key") for run in (three[0], first))
    assert set(new.index) - set(old.index) == {"preserved/other"}
    for key in old.index:
        assert new.loc[key, "mean"] == old.loc[key, "mean"] or np.isnan(old.loc[key, "mean"])
    assert set(new["noise"].drop("preserved/other")) == {"could overturn"}
    some = ORDER > 0
    preserved, level = (shared(arrays[0], arrays[at])[:, some].sum() for at in (2, 4))
    assert new.loc["preserved/other", "mean"] == pytest.approx(1 - level / preserved)
    assert new.loc["ratio/weighted", "ceiling"] == pytest.approx(means(first, "ratio", "definition")["ceiling"].iloc[2])
    pseudo = first.samples["decomposition"]
    assert pseudo["claims/mean"].shape == (SAMPLES, (new["measure"] == "decomposition").sum())
    assert {"rows/ceiling_excess", "rows/other_excess", "data", "index"} <= set(pseudo)


def test_how_often_another_pairing_shares_as_much_is_counted_exactly(make, arrays):
    """Of four pre-trainings: 24 pairings."""
    before, after, count = arrays[:4], arrays[:4] * 0.5 + arrays[4:8], range(4)
    runs = [make(one, other, None, str(at)) for at, (one, other) in enumerate(zip(before, after, strict=True))]
    strength = np.array([[shared(one, other)[:, 1:].sum() for other in after] for one in before])
    sums = [strength[count, list(pairing)].sum() for pairing in permutations(count)]
    expected, less = (np.mean(sign * (np.array(sums) - sums[0]) >= -1e-9) for sign in (1, -1))
    assert expected + less >= 25 / 24, "the pairing itself counts on both sides"
    assert 1 / 24 <= expected < 0.5
    for run in extended(*runs):
        table = run.tables["claims"].set_index("key")
        assert list(table.loc["preserved/other", ["p", "p_less"]]) == pytest.approx([expected, less])
        assert table["p"].drop("preserved/other").isna().all()
    over = claims(*in_order(extended(*runs))).set_index("key")
    assert over.loc["preserved/other", "p"] == pytest.approx(expected)


def test_a_pre_training_counts_once_in_pairings_and_one_alone_has_none(make, arrays):
    twice = [make(arrays[0], arrays[at], None) for at in (1, 2)]
    alone = extended(*twice)[0].tables["claims"]
    assert alone[["p", "p_less"]].isna().all(axis=None)
    assert "preserved/other" not in set(alone["key"])
    three = extended(*twice, make(arrays[3], arrays[3], None, "b"))
    p = three[0].tables["claims"].set_index("key").loc["preserved/other", "p"]
    assert p in (0.5, 1.0), "two pre-trainings have two pairings"


def test_the_same_fine_tuning_is_no_ceiling_of_itself(make, arrays):
    """Runs may differ in scratch alone."""
    runs = extended(make(*arrays[:3]), make(arrays[0], arrays[1], arrays[3]))
    for run in runs:
        assert all("ceiling" not in table for table in run.tables.values())


def test_runs_on_other_samples_or_alone_are_left_as_they_are(make, arrays):
    runs = [make(*arrays[:3]), make(arrays[0], *arrays[3:5], samples="others")]
    assert extended(*runs) == in_order(runs)[0]


@pytest.mark.parametrize("gone", ["finetune", "finetune/epoch_000/values.npy", "samples", "config.yaml"])
def test_runs_whose_values_are_gone_are_left_as_they_are_and_that_is_said_once(three, gone):
    place = three[1].folder / gone
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    found, lines = with_stand_ins(*in_order(three))
    assert found == three
    (line,) = lines
    assert line.startswith("references over runs (ceiling, other) are not there: ")
    assert str(three[1].folder) in line
