"""The values on disk: stored v, from which interactions are derived whenever they are wanted.

interactions/samples/samples.json             which samples, their labels and variables, and where those lie
interactions/samples/baseline.npy             what masked variables are replaced by
interactions/<stage>/engine.json              how values are computed, chosen once
interactions/<stage>/epoch_012/values.npy     float64 [samples, 2**n], index = bitmask
interactions/<stage>/epoch_012/noise.npz      sample, subset [K] and v in float64 [K], of the last epoch
interactions/<stage>/epoch_012/meta.json      written last
interactions/<stage>/epoch_012/part_0-9.npy   values of a block of samples (0 to 9), while the evaluation goes on
"""

import json
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from conf.errors import BadInput
from stages.files import write_array, write_text, written


class Samples:
    """The chosen samples, which the stores of all roles share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict:
        """{"split", "n", "kind", "samples": [{"index", "label", "class", "variables"}]}"""
        return _read(self.folder / "samples.json", lambda path: json.loads(path.read_text()), self.folder)

    def write(self, about: dict) -> None:
        """One line per sample."""
        lines = ",\n".join(json.dumps(sample) for sample in about["samples"])
        head = json.dumps({key: value for key, value in about.items() if key != "samples"})
        write_text(self.folder / "samples.json", f'{head[:-1]}, "samples": [\n{lines}\n]}}\n')

    def baseline(self) -> np.ndarray:
        return _read(self.folder / "baseline.npy", np.load, self.folder)

    def write_baseline(self, baseline: np.ndarray) -> None:
        write_array(self.folder / "baseline.npy", baseline)


class Store:
    """The values of one role's checkpoints."""

    def __init__(self, folder: Path, samples: Samples) -> None:
        self.folder, self.samples = folder, samples

    def choices(self) -> dict[str, dict]:
        """What was chosen when the first value was computed; {} before."""
        path = self.folder / "engine.json"
        return _read(path, lambda path: json.loads(path.read_text())) if path.exists() else {}

    def write_choices(self, choices: dict[str, dict]) -> None:
        write_text(self.folder / "engine.json", json.dumps(choices, indent=1) + "\n")

    def unit(self, epoch: int) -> Path:
        return self.folder / f"epoch_{epoch:03d}"

    def has(self, epoch: int) -> bool:
        return all((self.unit(epoch) / name).exists() for name in ("meta.json", "values.npy"))

    def values(self, epoch: int) -> np.ndarray:
        """v: [samples, 2**n] float64."""
        about, path = self.samples.read(), self.unit(epoch) / "values.npy"
        v = _read(path, np.load, path.parent)
        shape = (len(about["samples"]), 2 ** about["n"])
        if v.shape != shape or not np.isfinite(v).all():
            raise _damaged(path, f"no finite array of shape {shape}", path.parent)
        return v

    def precision(self, epoch: int) -> str:
        """In which the values were computed."""
        unit = self.unit(epoch)
        return _read(unit / "meta.json", lambda path: json.loads(path.read_text())["precision"], unit)

    def noise(self, epoch: int) -> dict[str, np.ndarray]:
        """{"sample", "subset", "value"}, each [K]."""
        unit = self.unit(epoch)
        return _read(unit / "noise.npz", lambda path: dict(np.load(path)), unit)

    def has_noise(self, epoch: int) -> bool:
        return (self.unit(epoch) / "noise.npz").exists()

    def has_part(self, epoch: int, block: range) -> bool:
        return self._part(epoch, block).exists()

    def write_part(self, epoch: int, block: range, v: np.ndarray) -> None:
        write_array(self._part(epoch, block), v)

    def _part(self, epoch: int, block: range) -> Path:
        return self.unit(epoch) / f"part_{block[0]}-{block[-1]}.npy"

    def write_noise(self, epoch: int, **arrays: np.ndarray) -> None:
        with written(self.unit(epoch) / "noise.npz") as beside, beside.open("wb") as file:
            np.savez(file, **arrays)

    def complete(self, epoch: int, blocks: list[range], about: dict) -> None:
        """Joins the blocks to `values.npy` and marks the checkpoint complete."""
        unit = self.unit(epoch)
        write_array(unit / "values.npy", np.concatenate([np.load(self._part(epoch, block)) for block in blocks]))
        write_text(unit / "meta.json", json.dumps(about, indent=1) + "\n")
        self.remove_parts(unit)

    def remove_parts(self, folder: Path) -> None:
        for part in folder.rglob("part_*.npy"):
            part.unlink()


def _read(path: Path, read: Callable, unit: Path | None = None) -> object:
    """`unit` is what to delete if the file is damaged: the checkpoint's folder, or else the file itself."""
    try:
        return read(path)
    except (OSError, ValueError, EOFError, LookupError, TypeError, BadZipFile) as error:
        raise _damaged(path, str(error), unit or path) from error


def _damaged(path: Path, reason: str, delete: Path) -> BadInput:
    return BadInput(f"{path} can't be used ({reason}): delete {delete} and run stages=[interactions] again")
