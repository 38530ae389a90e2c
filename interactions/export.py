"""Writes a run's interactions or tables for other tools:

    python -m interactions.export run=outputs/digits/seed=0 to=shapiq output=digits_shapiq
    python -m interactions.export run=outputs/digits/seed=0 to=xarray output=digits_xarray epochs=all
    python -m interactions.export run=outputs/digits/seed=0 to=parquet output=digits_tables

run=...           a run's folder
to=shapiq         a JSON file per model, epoch and sample, for the package shapiq and its plots
to=xarray         one NetCDF file (format=netcdf, the default) or Zarr folder (format=zarr) of named dimensions
to=parquet        every table of the analysis, and the samples, as Parquet files with a data-set card for a hub;
                  with interactions=true every value and interaction as well
output=...        a new folder; the same export replaces itself, everything else is refused
roles=...         all (the default), or a list such as [finetune] of pretrain, finetune, scratch
epochs=...        last (the default: of each model its last one), all, or a list such as [0,5]
samples=...       all (the default), or a list such as [0,3]: their places in the run

xarray and Zarr need further packages: pip install ".[export]"
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from conf.allowed import Choice
from conf.errors import BadInput
from interactions.exports import parquet, shapiq, xarray
from interactions.exports.chosen import Chosen
from interactions.exports.place import check, replaced
from interactions.loaded import Run
from stages.command import errors_in_one_line
from stages.words import HELP, given

TARGETS: dict[str, ModuleType] = {"shapiq": shapiq, "xarray": xarray, "parquet": parquet}
NEEDED = ("run", "to", "output")


def main(words: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if words is None else words
    if HELP & set(words):
        print(__doc__)
        return
    with errors_in_one_line():
        keys = dict.fromkeys([*NEEDED, *(key for target in TARGETS.values() for key in target.OPTIONS)])
        asked = given(words, keys, NEEDED)
        export(*(asked.pop(key) for key in NEEDED), asked)


def export(run: str, to: str, output: str, options: dict[str, str]) -> None:
    """Writes an export. options: as the command takes them. Raises BadInput, before anything is written."""
    Choice(tuple(TARGETS)).check("to", to)
    target, place = TARGETS[to], Path(output)
    if extra := [key for key in options if key not in target.OPTIONS]:
        raise BadInput(f"{extra[0]}=... is not for to={to}, which takes {', '.join(target.OPTIONS)}")
    found = Run(run)
    chosen = Chosen.asked(found, **{key: options[key] for key in ("roles", "epochs", "samples") if key in options})
    values = {name: digest for name, digest in found.digests.items() if name.startswith("interactions/")}
    about = {"to": to, "run": found.name, "of": values}
    check(place, about)
    target.check(chosen, place, options)
    with replaced(place, about) as folder:
        target.write(chosen, folder, options)
    print(f"exported: {place}")


if __name__ == "__main__":
    main()
