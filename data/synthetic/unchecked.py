"""Torchvision's readers without checksums: generated files can't have those of the real ones, so only their presence is
checked."""

from typing import ClassVar

from torchvision import datasets


class CIFAR10(datasets.CIFAR10):
    train_list = tuple((name, None) for name, _ in datasets.CIFAR10.train_list)
    test_list = tuple((name, None) for name, _ in datasets.CIFAR10.test_list)
    meta = datasets.CIFAR10.meta | {"md5": None}


class CIFAR100(datasets.CIFAR100):
    train_list = tuple((name, None) for name, _ in datasets.CIFAR100.train_list)
    test_list = tuple((name, None) for name, _ in datasets.CIFAR100.test_list)
    meta = datasets.CIFAR100.meta | {"md5": None}


class SVHN(datasets.SVHN):
    split_list: ClassVar = {split: (url, name, None) for split, (url, name, _) in datasets.SVHN.split_list.items()}


class Flowers102(datasets.Flowers102):
    """With the four classes that are generated."""

    _file_dict: ClassVar = {key: (name, None) for key, (name, _) in datasets.Flowers102._file_dict.items()}
    classes = datasets.Flowers102.classes[:4]
