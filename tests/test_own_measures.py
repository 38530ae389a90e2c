"""A measure of the user's, from a folder of their own: table, figure, samples, report and W&B follow from its file."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from studies import ROOT, Studies, check_refused, contents

MEASURES = "analysis.measures=[decomposition,my_measures.mean_strength]"
ALL = "analysis.measures=[decomposition,ratio,jaccard,accuracy,faithfulness,noise,my_measures.mean_strength]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the measure that CONTRIBUTING.md shows, as a module of the user's."""
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    code = re.search(r"^# analysis/measures/mean_strength\.py\n(.*?)^```", guide, flags=re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "mine" / "my_measures").mkdir(parents=True)
    (tmp_path / "mine" / "my_measures" / "mean_strength.py").write_text(code)
    (tmp_path / "mine" / "my_measures" / "__init__.py").touch()
    return tmp_path / "mine"


def test_a_measure_added_to_a_finished_analysis_is_computed_alone(resumable: Studies, folder: Path) -> None:
    analysis = resumable.output / "digits" / "seed=0" / "analysis"
    before = contents(analysis)
    result = resumable(ALL, "wandb.mode=offline", PYTHONPATH=str(folder))
    assert result.code == 0, result.err
    assert "analysis: to do; mean_strength has not been computed yet" in result.out
    after = contents(analysis)
    written = {name for name in after if after[name] != before.get(name)}
    new = {"samples/mean_strength.npz", "tables/mean_strength.csv"}
    new |= {f"figures/mean_strength.{kind}" for kind in ("png", "svg")}
    written_again = {"measures.json", "report.html", "tables/claims.csv", "verdicts.txt", "tracked.json"}
    assert written == new | written_again | {"done.json", "inputs.json", "config.yaml"}
    assert after["tables/claims.csv"][1] == before["tables/claims.csv"][1]
    _check_numbers(resumable, analysis)
    report = (analysis / "report.html").read_text()
    assert report.index("<h2>Which orders are free of numerical noise?</h2>") < report.index("<h2>mean strength</h2>")
    assert "Mean strength of each model&#39;s interactions over all subsets" in report
    assert list(resumable.output.rglob("wandb/offline-run-*/files/media/table/tables/mean_strength_*.table.json"))
    assert list(resumable.output.rglob("wandb/offline-run-*/files/media/images/figures/mean_strength_*.png"))
    again = resumable(ALL, "wandb.mode=offline", PYTHONPATH=str(folder))
    assert (again.code, again.replaced) == (0, [])


def test_a_measure_that_is_not_asked_for_any_more_is_not_shown_and_nothing_is_computed(resumable: Studies) -> None:
    analysis = resumable.output / "digits" / "seed=0" / "analysis"
    before, report = contents(analysis), (analysis / "report.html").read_text()
    fewer = resumable("analysis.measures=[noise,ratio]")
    assert fewer.code == 0, fewer.err
    assert "analysis: to do; it shows decomposition, ratio, jaccard, ..." in fewer.out
    headings = re.findall("<h2>(.*?)</h2>\n<figure>", (analysis / "report.html").read_text())
    assert headings == ["Which orders are free of numerical noise?",
                        "How much of the preserved could be learned from scratch?"]  # fmt: skip
    with (analysis / "tables" / "claims.csv").open(newline="") as file:
        assert {row["measure"] for row in csv.DictReader(file)} == {"ratio"}
    assert resumable().code == 0
    again = (analysis / "report.html").read_text()
    assert _without_place(again) == _without_place(report)
    after = contents(analysis)
    kept = [name for name in after if name.startswith(("samples/", "figures/", "gallery/"))]
    assert kept
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after["tables/claims.csv"][1] == before["tables/claims.csv"][1]


def _without_place(report: str) -> str:
    return re.sub("<dt>run</dt>.*", "", report)


MISTAKES = {
    "no_table": ("def table(", "def tables(", "my_measures.no_table has no table"),
    "no_model": ('Needs("interactions")', 'Needs("interactions", each=("teacher",))', "my_measures.no_model.NEEDS"),
    "typo": ('Needs("interactions")', 'Needs("interaction")', "my_measures.typo.NEEDS"),
    "one_number": (".mean(1) for", ".mean() for", "pretrain has the shape []: a first axis of 10 samples is expected"),
    "taken": ("{model: (abs", "{f'about/{model}': (abs", "about/pretrain is not allowed as a name"),
    "column": ('["model", "estimate"]', '["runs", "estimate"]', "runs is not allowed as a column"),
    "order": ('["model", "estimate"]', '["model", "mean"]', "keys, then estimate (or mean, low, high)"),
    "twice": ("in measured.observed]", "in [*measured.observed] * 2]", "two rows have the same model"),
    "words": (
        '["model", "estimate"]',
        '["model", "estimate"]).assign(remark="a"',
        "the column remark has to be numbers",
    ),
    "leaves": ('    """Of each model [samples]."""', "    raise SystemExit(0)", "left in the middle by sys.exit(0)"),
    "half": ("CAPTION =", "SUBJECT = None; claims = CAPTION =", "claims need both"),
}


def test_mistakes_in_a_measure_are_one_line_each(resumable: Studies, folder: Path) -> None:
    """Each run is one of a sweep, which goes on with the next."""
    code = (folder / "my_measures" / "mean_strength.py").read_text()
    for name, (old, new, _) in MISTAKES.items():
        assert old in code, name
        changed = code.replace(old, new)
        (folder / "my_measures" / f"{name}.py").write_text(changed)
    choices = ",".join(f"[my_measures.{name}]" for name in MISTAKES)
    result = resumable("-m", f"analysis.measures={choices}", PYTHONPATH=str(folder))
    assert result.code == 1, result.err
    assert f"0 done, {len(MISTAKES)} failed" in result.out
    failed = result.out[result.out.index("0 done") :].splitlines()[1:]
    for line, (name, (_, _, words)) in zip(failed, MISTAKES.items(), strict=True):
        assert f"[my_measures.{name}]" in line
        assert words in line, line


def test_over_runs(resumable: Studies, folder: Path) -> None:
    """Two sets of samples: a sweep, which ends with a summary that has the measure."""
    result = resumable("-m", "seeds.samples=0,1", MEASURES, "analysis.gallery=0", PYTHONPATH=str(folder))
    assert result.code == 0, result.err
    assert "2 done" in result.out.splitlines()
    summary = resumable.output / "digits" / "summary"
    with (summary / "tables" / "mean_strength.csv").open(newline="") as file:
        over = {row["model"]: row for row in csv.DictReader(file)}
    with (summary / "tables" / "mean_strength_by_run.csv").open(newline="") as file:
        by_run = list(csv.DictReader(file))
    for model in ("pretrain", "finetune", "scratch"):
        means = [float(row["mean"]) for row in by_run if row["model"] == model]
        assert len(set(means)) == 2 == int(over[model]["runs"])
        assert float(over[model]["mean"]) == pytest.approx(np.sqrt(np.prod(means))), "of strengths, the geometric mean"
        runs = sorted((resumable.output / "digits").rglob("mean_strength.npz"))
        pseudo = [np.load(run)["rows/mean"][:, list(over).index(model)] for run in runs]
        within = np.mean([each.var(ddof=1) / len(each) for each in pseudo])  # of the logarithm
        variance = max(np.log(means[1] / means[0]) ** 2 / 2, within) / 2  # between runs, as their own samples at least
        half = 12.706204736 * np.sqrt(variance)  # Student's t of one degree of freedom
        assert float(over[model]["high"]) == pytest.approx(np.sqrt(np.prod(means)) * np.exp(half))
    assert (summary / "figures" / "mean_strength.png").exists()
    assert "<h2>mean strength</h2>" in (summary / "report.html").read_text()


def _check_numbers(study: Studies, analysis: Path) -> None:
    with (analysis / "tables" / "mean_strength.csv").open(newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["pretrain", "finetune", "scratch"]
    with np.load(analysis / "samples" / "mean_strength.npz") as kept:
        for model, row in rows.items():
            assert float(row["mean"]) == pytest.approx(kept[model].mean())
            assert float(row["low"]) < float(row["mean"]) < float(row["high"])
        with np.load(analysis / "samples" / "decomposition.npz") as others:
            np.testing.assert_array_equal(kept["index"], others["index"])
            subsets = others["about/subsets"]
            np.testing.assert_allclose(kept["finetune"], others["finetune"] @ subsets / subsets.sum())


def test_its_code_and_options_decide_it(resumable: Studies, folder: Path) -> None:
    def table() -> str:
        (file,) = resumable.output.rglob("**/mean_strength.csv")
        return file.read_text()

    options = (MEASURES, "analysis.gallery=0", "+analysis.options.mean_strength.power=2")
    refused = resumable(*options[:-1], "+analysis.options.mean_strength.power=0", PYTHONPATH=str(folder))
    check_refused(refused, "analysis.options.mean_strength.power=0", "number above 0")
    assert resumable(*options, PYTHONPATH=str(folder)).code == 0
    squared, file = table(), folder / "my_measures" / "mean_strength.py"
    file.write_text(file.read_text().replace("** power)", "** power * 3)"))
    result = resumable(*options, PYTHONPATH=str(folder))
    assert result.code == 0, result.err
    assert [name for name in result.replaced if "samples/" in name] == [
        "digits/analysis.gallery=0,analysis.options.mean_strength.power=2/seed=0/analysis/samples/mean_strength.npz"
    ]
    means = [[float(line.split(",")[1]) for line in text.splitlines()[1:]] for text in (squared, table())]
    np.testing.assert_allclose(means[1], 3 * np.array(means[0]))


def test_an_interrupted_analysis_goes_on_with_the_next_measure(resumable: Studies) -> None:
    run = "digits/analysis.gallery=0/seed=0/analysis"
    killed = resumable("analysis.gallery=0", kill_at=("before", f"{run}/tables/accuracy.csv"))
    assert killed.code == -9
    made = [name for name in killed.replaced if name.endswith(".csv")]
    assert [Path(name).stem for name in made] == ["decomposition", "ratio", "jaccard"]
    result = resumable("analysis.gallery=0")
    assert result.code == 0, result.err
    made = [Path(name).stem for name in result.replaced if name.endswith(".csv")]
    assert made == ["accuracy", "faithfulness", "noise", "claims"]
    for name in ("claims", "jaccard", "noise"):
        tables = [resumable.output / run / "tables", resumable.output / "digits" / "seed=0" / "analysis" / "tables"]
        assert len({(folder / f"{name}.csv").read_bytes() for folder in tables}) == 1
