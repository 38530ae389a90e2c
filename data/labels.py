"""The labels of a task: those of every task pass through this file, whatever its data."""

from typing import TypeVar

Task = TypeVar("Task")  # data.splits.Splits, which is built with this file and so can't be imported here


def relabelled(splits: Task) -> Task:
    """Returns the task with the labels that are learned, from the task as it was built (data/splits.py: build).

    Code that changes the labels of a task and nothing else belongs here: it then works for images and text, for data
    that come with the program and for the user's own. It must change the attribute `labels` and the items of every data
    set, `training` included, and be the same in every stage. At present no label is changed.
    """
    return splits
