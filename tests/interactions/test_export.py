"""The command of exports: what it says, what it refuses, and that nothing of the user's is overwritten."""

import json
import os
import sys
from pathlib import Path

import pytest
from studies import Finished

from interactions import export
from interactions.exports import place, shapiq

PLACE = Path("digits", "seed=0")


@pytest.fixture
def run(finished: Finished) -> Path:
    return finished.output / PLACE


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "new" / "export"


def refused(capsys: pytest.CaptureFixture, *words: object) -> str:
    """The one line."""
    with pytest.raises(SystemExit) as stop:
        export.main([str(word) for word in words])
    assert stop.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    return line


def made(run: Path, output: Path, *words: str, to: str = "shapiq") -> dict[str, bytes]:
    export.main([f"run={run}", f"to={to}", f"output={output}", *words])
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_help_is_the_page(capsys: pytest.CaptureFixture) -> None:
    export.main(["--help"])
    said = capsys.readouterr().out
    assert all(f"to={target}" in said for target in export.TARGETS)
    assert all(f"{key}=" in said for target in export.TARGETS.values() for key in target.OPTIONS)


def test_by_default_all_models_last_epochs_and_all_samples(
    run: Path, output: Path, capsys: pytest.CaptureFixture
) -> None:
    files = made(run, output)
    expected = {f"{role}_epoch_002_sample_{sample:03d}.json" for role in ("pretrain", "finetune", "scratch")
                for sample in range(10)}  # fmt: skip
    assert set(files) == expected | {"files.csv", "export.json"}
    said = capsys.readouterr().out
    assert said.startswith("31 files, at most ")
    assert str(output) in said
    assert os.listdir(output.parent) == ["export"]


def test_roles_epochs_and_samples_are_chosen(run: Path, output: Path, capsys: pytest.CaptureFixture) -> None:
    files = made(run, output, "roles=[pretrain,scratch]", "epochs=[0,1]", "samples=[7,3]")
    assert set(files) - {"files.csv", "export.json"} == {
        f"scratch_epoch_00{epoch}_sample_00{sample}.json" for epoch in (0, 1) for sample in (3, 7)
    }
    assert "pretrain is left out: its epochs are 2\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["to=excel"], "to=excel is not allowed: shapiq, xarray or parquet is expected"),
        (["to=shapiq", "roles=[probe]"], "roles=[probe] is not allowed: all, or some of [pretrain, finetune, scratch]"),
        (["to=shapiq", "epochs=[0,7]"], "epochs=[0,7] is not allowed: all, or some of [0, 1, 2], or last, is expected"),
        (["to=shapiq", "epochs=[true]"], "epochs=[true] is not allowed"),
        (["to=shapiq", "samples=[]"], "samples=[] is not allowed"),
        (["to=shapiq", "samples=[1"], "samples=[1 is not allowed"),
        (["to=shapiq", "format=zarr"], "format=... is not for to=shapiq, which takes roles, epochs, samples"),
        (["to=xarray", "format=csv"], "format=csv is not allowed: netcdf or zarr is expected"),
        (["to=parquet", "epochs=all"], "epochs=all is only for interactions, which to=parquet writes with inter"),
        (["to=parquet", "interactions=yes"], "interactions=yes is not allowed: true or false is expected"),
    ],
)
def test_wrong_words_are_refused_before_work(
    run: Path, output: Path, words: list[str], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert refused(capsys, f"run={run}", f"output={output}", *words).startswith(said)
    assert not output.parent.exists()


def test_a_folder_that_is_no_run_is_refused(output: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert "is no run's folder" in refused(capsys, f"run={tmp_path}", "to=shapiq", f"output={output}")


def test_the_same_export_replaces_itself(run: Path, output: Path) -> None:
    first = made(run, output)
    assert made(run, output) == first  # to the byte
    fewer = made(run, output, "samples=[0]", "roles=[finetune]")
    assert set(fewer) == {"finetune_epoch_002_sample_000.json", "files.csv", "export.json"}
    assert os.listdir(output.parent) == ["export"]


def test_everything_else_is_left_alone(run: Path, output: Path, capsys: pytest.CaptureFixture) -> None:
    words = (f"run={run}", f"output={output}")
    output.mkdir(parents=True)
    before = made(run, output)  # an empty folder is taken
    assert "holds another export (to=shapiq, of digits/seed=0)" in refused(capsys, *words, "to=parquet")
    (output / "notes.txt").write_text("mine")
    assert "notes.txt was changed or added since the export" in refused(capsys, *words, "to=shapiq")
    (output / "notes.txt").unlink()
    (output / "files.csv").write_text("mine")
    assert "files.csv was changed or added" in refused(capsys, *words, "to=shapiq")
    (output / "files.csv").write_bytes(before["files.csv"])
    record = json.loads((output / "export.json").read_text())
    record["of"]["interactions/scratch"] = "another"
    del record["checksum"]
    (output / "export.json").write_text(json.dumps(record))
    assert "holds another export" in refused(capsys, *words, "to=shapiq")
    (output / "export.json").unlink()
    assert "is not empty and holds no export" in refused(capsys, *words, "to=shapiq")
    assert "is a file" in refused(capsys, f"run={run}", f"output={output / 'files.csv'}", "to=shapiq")


def test_an_export_that_fails_leaves_what_was_there(run: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = made(run, output)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shapiq, "write_text", fail)  # after the first files
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        export.main([f"run={run}", "to=shapiq", f"output={output}"])
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    assert os.listdir(output.parent) == ["export"]


def test_a_full_disk_is_known_before(
    run: Path, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(place, "free_disk", lambda _: 1000)
    for to in ("shapiq", "parquet"):
        assert "no space left on" in refused(capsys, f"run={run}", f"to={to}", f"output={output}")
    assert not output.parent.exists()


@pytest.mark.parametrize(
    ("words", "package"),
    [
        (["to=xarray"], "xarray"),
        (["to=xarray"], "h5py"),
        (["to=xarray", "format=zarr"], "zarr"),
        (["to=parquet"], "pyarrow"),
    ],
)
def test_missing_packages_are_named(
    run: Path,
    output: Path,
    words: list[str],
    package: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    for name in ("xarray", "h5netcdf", "h5py", "zarr", "pyarrow"):
        if name != package and name not in sys.modules:
            monkeypatch.setitem(sys.modules, name, sys)  # as if it were installed
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("interactions.exports.packages.find_spec", lambda name: sys.modules[name])
    line = refused(capsys, f"run={run}", f"output={output}", *words)
    assert f'needs {package}, which is not installed: pip install ".[export]"' in line
