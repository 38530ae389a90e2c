"""Names the measures of an analysis without importing them, as an import takes seconds.

`decomposition` is the file analysis/measures/decomposition.py, `my_measures.mean_strength` is a module of the
user's. An analysis that lacks one of them is not complete; adding it does not make the program compute the others
again.
"""

import hashlib
import json

from omegaconf import DictConfig

from conf.measures import ours
from stages.sources import code_fingerprint

OURS = "analysis.measures"


def name_of(module: str) -> str:
    """Returns the name of a measure's table, figure and options: the last part of its dotted name."""
    return module.rpartition(".")[2]


def measures_of(cfg: DictConfig) -> dict[str, str]:
    """Returns the name of each requested measure -> a digest of what decides it besides the analysis: which module
    it is, and the content of the user's own code."""
    return {name_of(module): _digest(module) for module in cfg.analysis.measures}


def _digest(module: str) -> str:
    content = json.dumps([module, None if module in ours() else code_fingerprint(module)])
    return hashlib.sha256(content.encode()).hexdigest()[:12]
