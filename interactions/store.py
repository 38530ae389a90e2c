"""The values on disk: the program stores v, and derives interactions from it whenever they are needed.

interactions/samples/samples.json             which samples, their labels and variables, and where those lie
interactions/samples/baseline.npy             what masked variables are replaced by
interactions/<stage>/engine.json              how values are computed, chosen once
interactions/<stage>/epoch_012/values.npy     float64 [samples, 2**n], index = bitmask
interactions/<stage>/epoch_012/noise.npz      sample, subset [K] and v in float64 [K], for the last epoch only
interactions/<stage>/epoch_012/meta.json      written last
interactions/<stage>/epoch_012/part_0-9.npz   values of a block of samples (0 to 9), during the evaluation
interactions/<stage>/shards/...               values that other jobs have computed (interactions/shards.py)
"""

import json
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from stages.checksums import sha256
from stages.files import remove, write_archive, write_array, write_text
from stages.reading import Damaged, parsed
from stages.records import read_record, write_record


class Place(Protocol):
    """Where the values of a block are, and the device that computed them."""

    device: str

    def values(self) -> np.ndarray:
        """Returns [samples, 2**n]. Raises Damaged if they have changed."""


class Samples:
    """The chosen samples, which the stores of all roles share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict:
        """Returns {"split", "n", "kind", "samples": [{"index", "label", "class", "variables"}]}."""
        return parsed(self.folder / "samples.json", json.load)

    def write(self, about: dict) -> None:
        """Writes the description, one line per sample."""
        lines = ",\n".join(json.dumps(sample) for sample in about["samples"])
        head = json.dumps({key: value for key, value in about.items() if key != "samples"})
        write_text(self.folder / "samples.json", f'{head[:-1]}, "samples": [\n{lines}\n]}}\n')

    def baseline(self) -> np.ndarray:
        return parsed(self.folder / "baseline.npy", np.load)

    def write_baseline(self, baseline: np.ndarray) -> None:
        write_array(self.folder / "baseline.npy", baseline)


class Store:
    """The values of one role's checkpoints."""

    def __init__(self, folder: Path, samples: Samples) -> None:
        self.folder, self.samples = folder, samples
        self.shared: dict[tuple[int, range], Place] = {}  # (epoch, block) -> where a shard has left its values

    def choices(self) -> dict[str, dict]:
        """Returns how values are computed, as chosen with the first value; {} before that."""
        path = self.folder / "engine.json"
        if path.exists() and (known := read_record(path)) is None:
            print(f"{path} is damaged: checkpoints with missing values are computed again", flush=True)
            self.remove_parts(self.folder)
        return (path.exists() and known) or {}

    def write_choices(self, choices: dict[str, dict]) -> None:
        write_record(self.folder / "engine.json", choices)

    def unit(self, epoch: int) -> Path:
        return self.folder / f"epoch_{epoch:03d}"

    def has(self, epoch: int) -> bool:
        return all((self.unit(epoch) / name).exists() for name in ("meta.json", "values.npy"))

    def values(self, epoch: int) -> np.ndarray:
        """Returns v: [samples, 2**n] float64. Raises Damaged if the file holds something else."""
        about, path = self.samples.read(), self.unit(epoch) / "values.npy"
        v = parsed(path, np.load)
        shape = (len(about["samples"]), 2 ** about["n"])
        if v.shape != shape or not np.isfinite(v).all():
            raise Damaged.of(path, f"it holds no finite array of shape {shape}")
        return v

    def precision(self, epoch: int) -> str:
        """Returns the precision in which the values were computed."""
        return parsed(self.unit(epoch) / "meta.json", lambda file: json.load(file)["precision"])

    def noise(self, epoch: int) -> dict[str, np.ndarray]:
        """Returns {"sample", "subset", "value"}, each [K]."""
        return parsed(self.unit(epoch) / "noise.npz", _arrays)

    def has_noise(self, epoch: int) -> bool:
        return (self.unit(epoch) / "noise.npz").exists()

    def has_part(self, epoch: int, block: range) -> bool:
        return (epoch, block) in self.shared or self._part(epoch, block).exists()

    def write_part(self, epoch: int, block: range, v: np.ndarray) -> None:
        write_archive(self._part(epoch, block), v=v)

    def part(self, epoch: int, block: range) -> np.ndarray:
        """Returns the values of a block: [samples, 2**n]. Raises Damaged if they have changed."""
        if (epoch, block) in self.shared:
            return self.shared[epoch, block].values()
        return parsed(self._part(epoch, block), _arrays)["v"]

    def devices(self, epoch: int) -> set[str]:
        """Returns the devices of the shards that have computed values of a checkpoint."""
        return {place.device for (of, _), place in self.shared.items() if of == epoch}

    def _part(self, epoch: int, block: range) -> Path:
        return self.unit(epoch) / f"part_{block[0]}-{block[-1]}.npz"

    def write_noise(self, epoch: int, **arrays: np.ndarray) -> None:
        write_archive(self.unit(epoch) / "noise.npz", **arrays)

    def complete(self, epoch: int, blocks: list[range], about: dict) -> None:
        """Joins the blocks to `values.npy` and marks the checkpoint complete."""
        unit = self.unit(epoch)
        write_array(unit / "values.npy", np.concatenate([self.part(epoch, block) for block in blocks]))
        write_record(unit / "meta.json", about | {"sha256": sha256(unit / "values.npy")})
        self.remove_parts(unit)

    def remove_damaged(self) -> None:
        """Removes complete values whose file has changed since it was written, so that they are computed again."""
        for unit in sorted(self.folder.glob("epoch_*")):
            meta, values = unit / "meta.json", unit / "values.npy"
            if meta.exists() and values.exists() and (read_record(meta) or {}).get("sha256") != sha256(values):
                print(f"{values} is damaged: it was removed and is computed again", flush=True)
                remove(values)

    def discard(self, epoch: int) -> None:
        """Removes the blocks of a checkpoint."""
        self.remove_parts(self.unit(epoch))

    def remove_parts(self, folder: Path) -> None:
        for part in [*folder.glob("part_*"), *folder.glob("epoch_*/part_*")]:
            remove(part)


def _arrays(file: BinaryIO) -> dict[str, np.ndarray]:
    return dict(np.load(file))
