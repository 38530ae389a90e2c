"""The measures that an analysis is asked for, by name and without importing one: that takes seconds.

`decomposition` is the file analysis/measures/decomposition.py, `my_measures.mean_strength` a module of the user's. An
analysis that lacks one of them is not complete; to add it is no reason to compute the others again.
"""

import hashlib
import json

from omegaconf import DictConfig

from conf.measures import ours
from stages.sources import code_fingerprint

OURS = "analysis.measures"


def name_of(module: str) -> str:
    """Of its table, figure and options: the last part of a dotted name."""
    return module.rpartition(".")[2]


def measures_of(cfg: DictConfig) -> dict[str, str]:
    """Name of each measure that is asked for -> digest of what decides it beside what decides the analysis: which
    module it is, and what the user's own code holds."""
    return {name_of(module): _digest(module) for module in cfg.analysis.measures}


def _digest(module: str) -> str:
    content = json.dumps([module, None if module in ours() else code_fingerprint(module)])
    return hashlib.sha256(content.encode()).hexdigest()[:12]
