"""Chooses the device of all computations outside of Lightning's training loop."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from conf.errors import BadInput
from conf.first_line import first_line


def device(name: str) -> torch.device:
    """Returns the device; "auto" is the accelerator if the machine has one. Raises BadInput if the machine lacks the
    device."""
    if name == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    try:
        torch.zeros(1, dtype=torch.float64, device=name).cpu()  # fails for devices that hold no values, such as meta
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = first_line(error)
        raise BadInput(
            f"interactions.device={name} can't be used here ({reason}); allowed: auto, cpu, cuda, cuda:0, ..."
        ) from error
    return torch.device(name)


@contextmanager
def exact_float32() -> Iterator[None]:
    """Turns TF32 off: its noise of 1e-3 in v becomes 2**(|S|/2) times that in I(S)."""
    matmul, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = convolutions
