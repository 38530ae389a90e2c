"""Which shards of a result have something left to make: this is read from the disk, whatever became of their jobs."""

from cluster.tasks import Task
from conf.schema import SIMILAR
from interactions.shards import Shards
from interactions.store import Samples
from representations.shards import lacking
from stages.results import epochs_of
from stages.shares import Share

SAMPLES = "interactions/samples"


def left(task: Task) -> set[int]:
    """Returns the numbers of the shards of the task that have to run; none if only the join is left."""
    result, results = task.run.results[task.what], task.run.results
    epochs, numbers = epochs_of(result), range(1, task.shards + 1)
    if task.what in SIMILAR:
        units, missing = epochs, set(lacking(result, epochs))
    else:
        shards = Shards(result, Samples(results[SAMPLES].folder))
        units = [(epoch, block) for epoch in epochs for block in shards.blocks()]
        if not units:  # the first shard that runs decides which there are
            return set(numbers)
        missing = set(units) - shards.done(units, verify=False)
    return {number for number in numbers if missing & set(Share("", number, task.shards).part(units))}
