"""Files that hold no weights, or weights that reading would have to run code for."""

import argparse
import pickle
import zipfile

import pytest
import torch
from torch import nn

from conf.errors import BadInput
from models.vision import conv4
from models.weights import read


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)


class Options:
    pass


def script(file):
    torch.jit.script(nn.Linear(2, 2)).save(file)


def exported(file):
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), file)


def zipped(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "b")


def pickled(content):
    return lambda file: file.write_bytes(pickle.dumps(content))


def saved(content, new=True):
    return lambda file: torch.save(content, file, _use_new_zipfile_serialization=new)


SAVED = {
    "model": (saved(Network()), r"can't be read \(it is a whole pickled model"),
    "model, before torch 1.6": (saved(conv4(3, width=4), new=False), r"can't be read \(it is a whole pickled model"),
    "model in a dict": (saved({"model": Network(), "epoch": 3}), r"can't be read \(it is a whole pickled model"),
    "TorchScript": (script, r"can't be read as weights \(it is a TorchScript program\)"),
    "exported": (exported, r"can't be read as weights \(it is a program of torch\.export\)"),
    "objects": (saved({"model": {"a": torch.ones(1)}, "args": Options()}),
                r"can't be read \(a pickle with objects of \S+\.Options, "),
    "objects, before torch 1.6": (saved({"args": Options()}, new=False),
                                  r"can't be read \(a pickle with objects of \S+\.Options, "),
    "objects in arguments": (saved({"args": argparse.Namespace(options=Options())}),
                             r"can't be read \(a pickle .*Options"),
    "pickle": (pickled({"a": torch.ones(1)}), r"can't be read \(its content is damaged, or torch.save did not"),
    "archive": (zipped, r"can't be read \(a zip archive that torch.save did not write"),
    "list": (saved([torch.ones(1)]), r"is not a plain state dict \(it holds an object of class list\)"),
    "empty": (saved({}), r"is not a plain state dict \(its dict is empty\)"),
    "numbers": (saved({"epoch": 3, "best": {"loss": 0.1}}), r"is not a plain state dict \(its keys are epoch, best\)"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of what torch writes here, no longer or not yet
@pytest.mark.parametrize("kind", SAVED)
def test_it_is_said_what_the_file_is_and_nothing_else(tmp_path, kind, recwarn):
    write, said = SAVED[kind]
    write(tmp_path / "a.pt")
    recwarn.clear()
    with pytest.raises(BadInput, match=rf"a\.pt {said}") as refused:
        read(tmp_path / "a.pt")
    message = str(refused.value)
    assert not {"\n", "\x1b"} & set(message)
    assert not any(word in message for word in ("weights_only", "safe_globals", "PyTorch 2.6", "trust"))
    assert "save model.state_dict()" in message or kind in ("pickle", "archive")
    assert not list(recwarn)
