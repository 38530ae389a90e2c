"""Says in one line why a file can't be read as weights, instead of torch's advice to read it unsafely."""

import re
import zipfile
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError

from conf.errors import BadInput
from conf.first_line import first_line

INSTEAD = "save model.state_dict() instead"


def program(file: Path) -> BadInput | None:
    """Returns why a zip archive does not hold weights, by the names of its files; None if torch.save wrote it."""
    names = zipfile.ZipFile(file).namelist()
    if any(name.endswith("/constants.pkl") for name in names):
        return BadInput(f"{file} can't be read as weights (it is a TorchScript program): {INSTEAD}")
    if any(name.endswith("/archive_format") for name in names):
        return BadInput(f"{file} can't be read as weights (it is a program of torch.export): {INSTEAD}")
    if not any(name.endswith("/data.pkl") for name in names):
        return BadInput(f"{file} can't be read (a zip archive that torch.save did not write)")
    return None


def refusal(file: Path, error: Exception) -> BadInput:
    """Returns the message for an error that occurred when `file` was read."""
    first, *others = _refused(file, error) or [""]
    if any(name.startswith("torch.nn.modules.") for name in (first, *others)):
        return BadInput(f"{file} can't be read (it is a whole pickled model, or holds layers: {first}): {INSTEAD}")
    if first:
        return BadInput(f"{file} can't be read (a pickle with objects of {first}, which could run code): {INSTEAD}")
    if isinstance(error, UnpicklingError):
        return BadInput(f"{file} can't be read (its content is damaged, or torch.save did not write it)")
    if isinstance(error, SafetensorError):
        return BadInput(f"{file} can't be read (not a complete safetensors file: {first_line(error)})")
    return BadInput(f"{file} can't be read ({first_line(error)})")


def _refused(file: Path, error: Exception) -> list[str]:
    """Returns the classes and functions that torch refuses to take from a pickle, the outermost first; in the format
    before torch 1.6 only that one."""
    first = re.findall(r"GLOBAL (\S+) was not an allowed global", str(error))
    if first and zipfile.is_zipfile(file):
        return first + torch.serialization.get_unsafe_globals_in_checkpoint(file)
    return first
