"""docs/notebook.ipynb works as it stands: its code runs on a study, and its outputs are of no particular machine."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest
from studies import ROOT, Finished

FILE = ROOT / "docs" / "notebook.ipynb"
NOTEBOOK = json.loads(FILE.read_text())
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
FOLDER = re.compile(r'RUN = "\.\./outputs/digits/seed=0"')


def text(parts: str | list[str]) -> str:
    return parts if isinstance(parts, str) else "".join(parts)


def test_it_has_the_form_of_notebooks() -> None:
    """nbformat 4.5, as its schema demands."""
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert set(NOTEBOOK) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    ids = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in NOTEBOOK["cells"]:
        more = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | more
    assert FILE.stat().st_size < 500_000


def test_it_was_run_from_top_to_bottom_without_errors() -> None:
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    kinds = {output["output_type"] for cell in CODE for output in cell["outputs"]}
    assert kinds <= {"stream", "display_data", "execute_result"}
    assert not [output for cell in CODE for output in cell["outputs"] if output.get("name") == "stderr"]
    pictures = [output for cell in CODE for output in cell["outputs"] if "image/png" in output.get("data", {})]
    assert len(pictures) == 3


def test_its_outputs_name_no_folder_of_a_machine() -> None:
    for cell in CODE:
        for output in cell["outputs"]:
            shown = [output.get("text", ""), *(value for kind, value in output.get("data", {}).items()
                                               if kind.startswith("text/"))]  # fmt: skip
            for each in map(text, shown):
                plain = re.sub(r"</?\w+[^>]*>", "", each)  # of tables
                assert not re.search(r"(?<![\w.])/\w|[A-Z]:\\|~/", plain), each


def test_its_code_runs(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, with the folder of the first cell replaced by a tiny study's."""
    first, *others = (text(cell["source"]) for cell in CODE)
    assert FOLDER.fullmatch(first)
    monkeypatch.setattr(sys, "argv", ["notebook"])
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    names = {"RUN": str(finished.output / "digits" / "seed=0")}
    for code in others:
        if "interactions.indices" in code and not importlib.util.find_spec("interactions.indices"):
            continue
        exec(compile(code, FILE.name, "exec"), names)
    plt.close("all")
    assert names["v"].shape[-1] == 2 ** names["run"].n
    assert {path.name for path in (tmp_path / "digits_shapiq").iterdir()} == {
        "finetune_epoch_002_sample_004.json", "files.csv", "export.json"
    }  # fmt: skip
