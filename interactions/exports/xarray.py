"""Writes everything as one data set of named dimensions, which xarray reads (https://docs.xarray.dev).

interactions.nc      format=netcdf, the default: NetCDF 4, which R, Julia, MATLAB and others read as well
interactions.zarr    format=zarr: a folder, for parts of it to be read from disks far away

    data = xarray.open_dataset("interactions.nc")
    data.interaction.sel(role="finetune", epoch=5).groupby("order").mean()

Dimensions: role, epoch, sample, subset, variable. Models have different epochs: `epoch` has those of all of them, and
where a model has no values (the pre-trained one has one epoch alone) there is NaN.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from conf.allowed import Choice
from interactions.exports.chosen import Chosen
from interactions.exports.packages import check_installed
from interactions.exports.place import check_disk
from stages.memory import check_memory
from stages.versions import version_line

if TYPE_CHECKING:
    import xarray

OPTIONS = ("roles", "epochs", "samples", "format")
WRITERS = {"netcdf": ("h5netcdf", "h5py"), "zarr": ("zarr",)}
CHUNK = 2**17  # numbers that are compressed together: 1 MB
ABOUT = {
    "value": {"long_name": "log-odds of the true class of the masked input that keeps the subset", "units": "1"},
    "interaction": {"long_name": "strength I(S) of the subset: sum over T in S of (-1)^(|S|-|T|) value(T)",
                    "units": "1"},
    "order": {"long_name": "number of variables in the subset"},
    "bitmask": {"long_name": "the subset: bit i is set if it has variable i"},
    "index": {"long_name": "number of the sample in its split"},
    "label": {"long_name": "number of the true class"},
    "class": {"long_name": "name of the true class"},
    "name": {"long_name": "name of the variable: patch (row, column), from 1, or a word"},
    "last_epoch": {"long_name": "last epoch of the model that is in this file"},
}  # fmt: skip


def check(chosen: Chosen, output: Path, options: dict[str, str]) -> None:
    kind = options.get("format", "netcdf")
    Choice(tuple(WRITERS)).check("format", kind)
    check_installed("to=xarray", "xarray", *WRITERS[kind])
    size = 2 * 8 * int(np.prod(_shape(chosen), dtype=np.int64))
    # Both arrays, and as much again while the interactions are made and the file is written.
    check_memory(2 * size, "to=xarray", "export fewer epochs=..., samples=... or roles=...")
    check_disk(1, size + 2**20, output)


def write(chosen: Chosen, folder: Path, options: dict[str, str]) -> None:
    kind, found = options.get("format", "netcdf"), dataset(chosen)
    samples = max(1, min(len(chosen.samples), CHUNK >> chosen.run.n))
    chunks = (1, 1, samples, 2**chosen.run.n)
    if kind == "zarr":
        encoding = {name: {"chunks": chunks} for name in ("value", "interaction")}
        found.to_zarr(folder / "interactions.zarr", encoding=encoding, zarr_format=2, consolidated=True)
    else:
        how = {"zlib": True, "complevel": 1, "shuffle": True, "chunksizes": chunks}
        encoding = {name: how for name in ("value", "interaction")}
        found.to_netcdf(folder / "interactions.nc", engine="h5netcdf", encoding=encoding)


def dataset(chosen: Chosen) -> "xarray.Dataset":
    """Returns the data set in memory. value, interaction: [role, epoch, sample, subset] float64."""
    import xarray

    run, roles, epochs = chosen.run, list(chosen.epochs), _epochs(chosen)
    value, interaction = (np.full(_shape(chosen), np.nan) for _ in range(2))
    for model, epoch, v, strength in chosen.arrays():
        place = roles.index(model), epochs.index(epoch)
        value[place], interaction[place] = v, strength
    samples = run.samples.loc[chosen.samples]
    dims = ("role", "epoch", "sample", "subset")
    found = xarray.Dataset(
        {"value": (dims, value), "interaction": (dims, interaction)},
        {
            "role": roles,
            "epoch": epochs,
            "sample": chosen.samples,
            "order": ("subset", run.orders),
            "bitmask": ("subset", np.arange(2**run.n)),
            **{key: ("sample", samples[key].to_numpy()) for key in ("index", "label")},
            "class": ("sample", samples["class"].to_numpy(object)),
            "name": (("sample", "variable"), np.array([run.names(sample) for sample in chosen.samples], dtype=object)),
            "last_epoch": ("role", [known[-1] for known in chosen.epochs.values()]),
        },
        {
            "title": f"Interactions of the models of the study {run.name}",
            "study": run.name,
            "n": run.n,
            "kind": run.kind,
            "split": run.split,
            "missing": "NaN where a model has no values of an epoch: epochs are those of all models together",
            "source": version_line(),
            "xarray": xarray.__version__,
            "numpy": np.__version__,
        },
    )
    for name, attributes in ABOUT.items():
        found[name].attrs.update(attributes)
    return found


def _epochs(chosen: Chosen) -> list[int]:
    return sorted({epoch for known in chosen.epochs.values() for epoch in known})


def _shape(chosen: Chosen) -> tuple[int, int, int, int]:
    return len(chosen.epochs), len(_epochs(chosen)), len(chosen.samples), 2**chosen.run.n
