"""Files for shapiq: that package reads them, and draws them."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from studies import Finished

import interactions
from interactions import export
from interactions.variables.names import members

shapiq = pytest.importorskip("shapiq")


@pytest.fixture(scope="module")
def folder(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("shapiq") / "export"
    export.main([f"run={finished.output / 'digits' / 'seed=0'}", "to=shapiq", f"output={output}", "epochs=all"])
    return output


def test_shapiq_reads_the_interactions_to_the_last_digit(finished: Finished, folder: Path) -> None:
    run = interactions.load(finished.output / "digits" / "seed=0")
    listed = pd.read_csv(folder / "files.csv")
    assert set(listed["file"]) == {path.name for path in folder.glob("*.json")} - {"export.json"}
    assert len(listed) == 7 * 10
    for row in listed.itertuples():
        v, strength = (ask(row.role, row.epoch)[row.sample] for ask in (run.values, run.interactions))
        found = shapiq.InteractionValues.load(folder / row.file)
        assert (found.index, found.n_players, found.min_order, found.max_order) == ("Moebius", 3, 0, 3)
        assert not found.estimated
        assert len(found.dict_values) == 8
        for subset in range(8):
            assert abs(found[tuple(members(subset))] - strength[subset]) < 1e-12
        assert abs(found.baseline_value - v[0]) < 1e-12
        assert abs(found.values.sum() - v[-1]) < 1e-9
        assert (row.value_of_all_masked, row.value_of_input) == pytest.approx((v[0], v[-1]), abs=1e-12)
        assert row.index == run.samples["index"][row.sample]


def test_the_format_is_the_one_that_shapiq_writes(folder: Path, tmp_path: Path) -> None:
    """In the same order, too."""
    file = next(folder.glob("finetune*.json"))
    shapiq.InteractionValues.load(file).to_json_file(tmp_path / "theirs.json")
    ours, theirs = (json.loads(path.read_text()) for path in (file, tmp_path / "theirs.json"))
    assert list(ours) == list(theirs)
    assert list(ours["data"].items()) == list(theirs["data"].items())
    assert ours["metadata"] == theirs["metadata"]
    assert {ours[key] for key in ("object_name", "data_type")} == {theirs[key] for key in ("object_name", "data_type")}


def test_its_plots_work_on_them_with_the_names_of_the_players(folder: Path) -> None:
    file = folder / "scratch_epoch_002_sample_004.json"
    names = json.loads(file.read_text())["parameters"]["players"]
    assert len(names) == 3
    assert all(name.startswith("patch (") for name in names)
    found = shapiq.InteractionValues.load(file)
    assert found.plot_network(feature_names=names, show=False) is not None
    assert found.plot_si_graph(feature_names=names, show=False) is not None
    assert found.plot_upset(feature_names=names, show=False) is not None
    assert found.plot_force(feature_names=np.array(names), show=False) is not None
    plt.close("all")
