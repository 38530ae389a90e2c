"""What several views add to a summary over epochs: tables, a figure, a paragraph; nothing where there is one view."""

import numpy as np
import pandas as pd
import pytest

from analysis.runs.epochs import KEY
from analysis.runs.found import Run
from analysis.runs.settings import in_order
from analysis.together import figure, look, tables


def table(keys, rows):
    parts = [dict(zip(keys, name.split("/"), strict=True)) for name in rows]
    return pd.DataFrame(parts).assign(mean=list(rows.values()), low=np.nan, high=np.nan)


@pytest.fixture
def runs(tmp_path):
    def make(at=(1, 2, 4), seeds=5, only=("transfer", "logme"), **more):
        draw, made = np.random.default_rng(0), []
        for epoch in at:
            for seed in range(seeds):
                fe, score = draw.normal(size=2)
                every = {"transfer": table(["quantity"], {"fe": epoch + fe}),
                         "logme": table(["score"], {"logme": epoch + score})}  # fmt: skip
                given = dict.fromkeys(("seed", "seeds.data", "seeds.samples", "seeds.pretrain", "seeds.train"), seed)
                made.append(Run(tmp_path / f"{epoch}_{seed}", "digits", {KEY: epoch, **more}, given, None,
                                f"{epoch}_{seed}", "", {name: every[name] for name in only}))  # fmt: skip
        return in_order(made)

    return make


def test_the_tables_and_the_figure_are_written(runs, tmp_path):
    shown, why = look(*runs())
    assert why == ""
    files = {file.stem: pd.read_csv(file) for file in tables(tmp_path, shown)}
    assert set(files) == {"views", "views_by_run", "trends", "agreement"}
    assert len(files["views"]) == 2 * 3
    assert files["views_by_run"][["epoch", "seed"]].drop_duplicates().shape == (15, 2)
    assert files["agreement"][["view", "other", "seeds"]].values.tolist() == [["logme", "fe", 5]]
    kept, entry = figure(tmp_path, shown)
    assert [file.exists() for file in kept] == [True, True]
    assert entry.table == tmp_path / "tables" / "agreement.csv"
    assert shown.answer.startswith("2 views of 15 pairs of checkpoints")


def test_where_there_are_no_several_views_nothing_is_said(runs):
    assert look(*runs(only=("transfer",))) == (None, "")
    assert look(*runs(at=(1,))) == (None, "")
    assert look(*runs(at=(1, 2))) == (
        None,
        "whether several views of the same checkpoints agree: not measurable; 3 epochs or more are needed, the runs "
        "start from 2",
    )
