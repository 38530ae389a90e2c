"""Which shards of a result have something left to make: this is read from the disk, whatever became of their jobs."""

from cluster.runs import Run
from conf.schema import SIMILAR
from interactions.shards import Shards
from interactions.store import Samples
from representations.shards import lacking
from stages.results import epochs_of
from stages.shares import Share

SAMPLES = "interactions/samples"


def left(run: Run, what: str, count: int) -> set[int]:
    """Returns which of `count` shards of a result have to run, by their numbers; none if only the join is left. what:
    the result's name."""
    result = run.results[what]
    epochs, numbers = epochs_of(result), range(1, count + 1)
    if what in SIMILAR:
        units, missing = epochs, set(lacking(result, epochs))
    else:
        shards = Shards(result, Samples(run.results[SAMPLES].folder))
        units = [(epoch, block) for epoch in epochs for block in shards.blocks()]
        if not units:  # the first shard that runs decides which there are
            return set(numbers)
        missing = set(units) - shards.done(units, verify=False)
    return {number for number in numbers if missing & set(Share("", number, count).part(units))}
