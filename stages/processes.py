"""Which of several processes of one run this is. Imports nothing, so that it can be asked before all else."""

import os


def is_first_process() -> bool:
    """Lightning starts one more process for each further device: they compute, and this one alone writes."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0 and int(os.environ.get("NODE_RANK", 0)) == 0
