"""The data set of named dimensions, from NetCDF and from Zarr."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from studies import Finished

import interactions
from interactions import export
from interactions.exports import xarray as written
from interactions.exports.chosen import Chosen
from interactions.loaded import Run
from stages import memory

xarray = pytest.importorskip("xarray")


@pytest.fixture(scope="module")
def run(finished: Finished) -> Run:
    return interactions.load(finished.output / "digits" / "seed=0")


@pytest.fixture(params=["netcdf", "zarr"])
def found(request: pytest.FixtureRequest, run: Run, tmp_path: Path) -> "xarray.Dataset":
    for package in written.WRITERS[request.param]:
        pytest.importorskip(package)
    output = tmp_path / "export"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words = [f"run={run.folder}", "to=xarray", f"output={output}", f"format={request.param}", "epochs=all"]
        export.main(words)
        if request.param == "netcdf":
            return xarray.open_dataset(output / "interactions.nc")
        return xarray.open_zarr(output / "interactions.zarr")


def test_every_value_is_where_its_names_say(found: "xarray.Dataset", run: Run) -> None:
    assert found.value.dims == found.interaction.dims == ("role", "epoch", "sample", "subset")
    assert found.value.dtype == found.interaction.dtype == np.float64
    for model in run.models:
        for epoch in run.epochs[model]:
            one = found.sel(role=model, epoch=epoch)
            np.testing.assert_array_equal(one.value, run.values(model, epoch))
            np.testing.assert_array_equal(one.interaction, run.interactions(model, epoch))
    assert found.value.sel(role="pretrain", epoch=[0, 1]).isnull().all()
    assert "NaN" in found.attrs["missing"]
    assert found.last_epoch.values.tolist() == [2, 2, 2]


def test_coordinates_say_what_each_entry_is(found: "xarray.Dataset", run: Run) -> None:
    assert found.order.values.tolist() == [0, 1, 1, 2, 1, 2, 2, 3]
    assert found.bitmask.values.tolist() == list(range(8))
    for key in ("index", "label", "class"):
        assert found[key].values.tolist() == run.samples[key].tolist()
    assert found["name"].dims == ("sample", "variable")
    assert found["name"].values.tolist() == [run.names(sample) for sample in range(10)]
    assert (found.attrs["study"], found.attrs["n"]) == ("digits/seed=0", 3)
    assert found.attrs["source"].startswith("pretraining-interactions ")
    mean = found.interaction.sel(role="scratch", epoch=1).groupby("order").mean("subset")
    np.testing.assert_allclose(mean.sel(order=1), run.interactions("scratch", 1)[:, [1, 2, 4]].mean(1))


def test_a_part_keeps_the_places_of_its_samples(run: Run) -> None:
    found = written.dataset(Chosen.asked(run, "[scratch]", "[1]", "[3,7]"))
    assert found.sample.values.tolist() == [3, 7]
    np.testing.assert_array_equal(found.value.sel(role="scratch", epoch=1, sample=7), run.values("scratch", 1)[7])


def test_what_does_not_fit_into_memory_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for package in written.WRITERS["zarr"]:
        pytest.importorskip(package)
    words = [f"run={run.folder}", "to=xarray", f"output={tmp_path / 'export'}", "format=zarr"]
    monkeypatch.setattr(memory, "memory", lambda: 4 * 8 * 3 * 10 * 8 - 1)  # one byte too little
    with pytest.raises(SystemExit):
        export.main(words)
    assert "to=xarray is not allowed: it needs" in capsys.readouterr().err
    monkeypatch.setattr(memory, "memory", lambda: 4 * 8 * 3 * 10 * 8)
    export.main(words)
