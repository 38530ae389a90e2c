"""Tells which process of a run this is. It imports nothing heavy, so that it can be asked before anything else."""

import os


def is_first_process() -> bool:
    """Tells whether this is the first process. Lightning starts one for each further device; only the first writes."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0 and int(os.environ.get("NODE_RANK", 0)) == 0
