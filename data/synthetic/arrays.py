"""Synthetic data sets of small images whose official files hold many each: `per_class` images of each class, in the
training and in the test set."""

import pickle
import struct
from pathlib import Path

import numpy as np
from scipy.io import savemat

from data.synthetic.once import once
from data.synthetic.pictures import pictures

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100 = ("apple", "aquarium_fish", "baby", "bear")


@once
def cifar10(folder: Path, per_class: int) -> None:
    """Writes the pickled batches of CIFAR-10 for Python."""
    base = folder / "cifar-10-batches-py"
    base.mkdir(parents=True)
    for stream, (name, parts) in enumerate((("data_batch_{}", 5), ("test_batch", 1))):
        pixels, labels = pictures(stream, len(CIFAR10), per_class, 32)
        for part, mine in enumerate(np.array_split(np.arange(len(labels)), parts), 1):
            _pickle(base / name.format(part), {"data": _rows(pixels[mine]), "labels": labels[mine].tolist()})
    _pickle(base / "batches.meta", {"label_names": list(CIFAR10)})


@once
def cifar100(folder: Path, per_class: int) -> None:
    """Writes the first four classes of CIFAR-100, pickled for Python."""
    base = folder / "cifar-100-python"
    base.mkdir(parents=True)
    for stream, name in enumerate(("train", "test")):
        pixels, labels = pictures(stream, len(CIFAR100), per_class, 32)
        _pickle(base / name, {"data": _rows(pixels), "fine_labels": labels.tolist()})
    _pickle(base / "meta", {"fine_label_names": list(CIFAR100)})


@once
def svhn(folder: Path, per_class: int) -> None:
    """Writes the MATLAB files of SVHN, in which the digit 0 has the label 10."""
    folder.mkdir()
    for stream, split in enumerate(("train", "test")):
        pixels, labels = pictures(stream, 10, per_class, 32)
        y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(folder / f"{split}_32x32.mat", {"X": pixels.transpose(1, 2, 3, 0), "y": y})


@once
def mnist(folder: Path, per_class: int) -> None:
    """Writes the IDX files of MNIST, in grey."""
    base = folder / "MNIST" / "raw"
    base.mkdir(parents=True)
    for stream, split in enumerate(("train", "t10k")):
        pixels, labels = pictures(stream, 10, per_class, 28)
        grey = pixels.mean(axis=3).astype(np.uint8)
        (base / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, *grey.shape) + grey.tobytes())
        (base / f"{split}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2i", 2049, len(labels)) + bytes(labels.tolist())
        )


def _rows(pixels: np.ndarray) -> np.ndarray:
    """Returns [N, 3072]: an image in a row, one colour after the other."""
    return pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)


def _pickle(path: Path, content: dict) -> None:
    path.write_bytes(pickle.dumps(content))
