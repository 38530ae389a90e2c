"""The exact interactions of a study's models. In a notebook:

import interactions

run = interactions.load("outputs/digits/seed=0")
strength = run.interactions("finetune")  # [samples, 2**n], index = bitmask
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interactions.loaded import Run


def load(folder: str | os.PathLike) -> Run:
    """Returns everything that a run's folder, such as outputs/digits/seed=0, holds of a finished study: values and
    interactions of every model and epoch, samples, names of variables, pictures, tables (interactions/loaded.py).

    Nothing is computed again, and no model is read. Raises BadInput if the folder is no run's, or if a result of it is
    missing or damaged.
    """
    from interactions.loaded import Run  # pandas and torch take seconds: `import interactions` takes none

    return Run(folder)
