"""Tables for a hub: the library that reads them there reads them here, and the card says what they are."""

import re
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
import yaml
from studies import Finished

import interactions
from interactions import export
from interactions.exports.columns import described
from interactions.loaded import Run


@pytest.fixture(scope="module")
def run(finished: Finished) -> Run:
    return interactions.load(finished.output / "digits" / "seed=0")


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("parquet") / "export"
    words = ["to=parquet", "interactions=true", "roles=[finetune,scratch]", "epochs=all", "samples=[2,5]"]
    export.main([f"run={run.folder}", f"output={output}", *words])
    return output


@pytest.fixture
def card(folder: Path) -> str:
    return (folder / "README.md").read_text()


def test_every_table_is_read_back_without_network(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    for name, table in run.tables.items():
        found = datasets.load_dataset(str(folder), name, cache_dir=str(tmp_path))["train"].to_pandas()
        pd.testing.assert_frame_equal(found, table, check_dtype=False, check_exact=True)
    samples = datasets.load_dataset(str(folder), "samples", cache_dir=str(tmp_path))["train"]
    assert samples["index"][:] == run.samples["index"].tolist()
    assert [list(names) for names in samples["variables"]] == [run.names(sample) for sample in range(10)]


def test_interactions_have_a_row_each(run: Run, folder: Path) -> None:
    table = pd.read_parquet(folder / "interactions.parquet")
    assert len(table) == 2 * 3 * 2 * 8
    for (role, epoch, sample), rows in table.groupby(["role", "epoch", "sample"]):
        assert rows["bitmask"].tolist() == list(range(8))
        assert rows["order"].tolist() == [0, 1, 1, 2, 1, 2, 2, 3]
        np.testing.assert_array_equal(rows["value"], run.values(role, epoch)[sample])
        np.testing.assert_array_equal(rows["interaction"], run.interactions(role, epoch)[sample])
    assert set(table["sample"]) == {2, 5}


def test_without_being_asked_for_they_are_left_out(run: Run, tmp_path: Path) -> None:
    export.main([f"run={run.folder}", "to=parquet", f"output={tmp_path / 'export'}"])
    names = {path.stem for path in (tmp_path / "export").glob("*.parquet")}
    assert names == {*run.tables, "samples"}


def test_the_card_can_be_read_by_a_hub(folder: Path, card: str) -> None:
    about = yaml.safe_load(card.split("---\n")[1])
    assert {config["data_files"] for config in about["configs"]} == {path.name for path in folder.glob("*.parquet")}
    assert all(config["data_files"] == f"{config['config_name']}.parquet" for config in about["configs"])
    assert (about["license"], about["size_categories"]) == ("unknown", ["n<1K"])
    assert "No license is set" in card
    assert "digits/seed=0" in about["pretty_name"]


def test_the_card_says_what_every_column_is(folder: Path, card: str) -> None:
    for file in folder.glob("*.parquet"):
        part = re.search(rf"^### {file.stem}\n(.*?)(?=^##|\Z)", card, flags=re.MULTILINE | re.DOTALL)[1]
        rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", part, flags=re.MULTILINE))
        assert list(rows) == list(pd.read_parquet(file).columns)
        assert all(rows.values()), [name for name, text in rows.items() if not text]


def test_the_card_names_the_command_and_no_folder_of_the_machine(run: Run, card: str) -> None:
    command = "python -m interactions.export run=outputs/digits/seed=0 to=parquet output=... interactions=true"
    assert command in card.replace(" roles=[finetune,scratch] epochs=all samples=[2,5]", "")
    assert "with pretraining-interactions " in card
    assert str(run.folder.parents[2]) not in card


def test_levels_are_described_with_what_belongs_to_them() -> None:
    assert (
        described("sign") == "the level that the quantity would have with independent effects, positive as often as now"
    )
    assert described("sign_low") == "lower end of the 95 % interval of sign_excess"
    assert described("equal_sign_excess") == (
        "the quantity minus its level sign; where both models are scaled to the same strength"
    )
    assert described("of_my_own") == ""
