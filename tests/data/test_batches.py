from types import SimpleNamespace

import numpy as np
import pytest
import torch

from data.embedded import glyphs
from data.module import Batches
from data.splits import InMemory, Splits


@pytest.fixture
def splits():
    train, test = (InMemory(torch.arange(float(size))[:, None], np.arange(size) % 3) for size in (50, 300))
    return Splits(train, test, ("a", "b", "c"))


def parts(splits, batch_size, processes):
    """What each process takes of 50 training samples, batch by batch, and its weights."""
    found = []
    for rank in range(processes):
        data = Batches(splits, batch_size // processes, 0, shared=True)
        data.trainer = SimpleNamespace(current_epoch=0, world_size=processes, global_rank=rank)
        loader = data.train_dataloader()
        batches = [[int(i) for i in inputs[:, 0]] for inputs, _ in loader]
        assert len(loader) == len(batches)
        assert len(loader.sampler) == sum(map(len, batches))
        found.append([(batch, data.weight(number)) for number, batch in enumerate(batches)])
    return found


def order(splits, seed, epoch, batch_size=8):
    data = Batches(splits, batch_size, seed)
    data.trainer = SimpleNamespace(current_epoch=epoch)
    return [int(i) for inputs, _ in data.train_dataloader() for i in inputs[:, 0]]


def test_the_order_depends_on_seed_and_epoch_only(splits):
    orders = {}
    for seed in (0, 1):
        for epoch in (0, 1, 7):
            torch.manual_seed(epoch)  # the global random numbers have no part in it
            orders[seed, epoch] = order(splits, seed, epoch)
            torch.rand(3)
            assert order(splits, seed, epoch) == orders[seed, epoch]
    assert len({tuple(found) for found in orders.values()}) == 6
    assert all(sorted(found) == list(range(50)) for found in orders.values())


def test_starting_an_epoch_again_gives_the_same_order(splits):
    """Lightning starts the iteration of an epoch twice, unless it is the first one after resuming."""
    data = Batches(splits, 8, seed=0)
    data.trainer = SimpleNamespace(current_epoch=1)
    loader = data.train_dataloader()
    first, second = ([int(i) for inputs, _ in loader for i in inputs[:, 0]] for _ in range(2))
    assert first == second


def test_going_through_later_epochs_first_changes_nothing(splits):
    data, seen = Batches(splits, 8, seed=0), {}
    for epoch in (3, 0, 2):
        data.trainer = SimpleNamespace(current_epoch=epoch)
        seen[epoch] = [int(i) for inputs, _ in data.train_dataloader() for i in inputs[:, 0]]
    assert all(seen[epoch] == order(splits, 0, epoch) for epoch in seen)


def test_a_data_set_that_renews_itself_is_told_the_epoch():
    splits = glyphs(4, 2, 16, seed=0)
    data = Batches(splits, 2, seed=0)
    data.trainer = SimpleNamespace(current_epoch=5)
    data.train_dataloader()
    assert splits.train.epoch == 5
    assert splits.test.epoch == 0


def test_test_data_come_in_order_with_their_index(splits):
    batches = list(Batches(splits, 8, seed=0).val_dataloader())
    assert torch.cat([index for *_, index in batches]).tolist() == list(range(300))
    assert torch.cat([inputs[:, 0] for inputs, *_ in batches]).tolist() == list(range(300))
    assert torch.cat([labels for _, labels, _ in batches]).tolist() == [i % 3 for i in range(300)]


@pytest.mark.parametrize(("batch_size", "processes"), [(8, 2), (12, 3), (20, 4), (49, 7), (4, 1), (64, 2)])
def test_processes_share_the_batches_of_one(splits, batch_size, processes):
    """Last batches of 2, 2, 10, 1, 2 and 50 samples. The mean over processes of weighted means is the batch's mean."""
    whole, shared = order(splits, 0, 0, batch_size), parts(splits, batch_size, processes)
    for number, begin in enumerate(range(0, 50, batch_size)):
        batch = whole[begin : begin + batch_size]
        together = [shared[rank][number] for rank in range(processes)]
        assert sorted(i for part, weight in together if weight for i in part) == sorted(batch)
        means = [weight * sum(part) / len(part) for part, weight in together]
        assert sum(means) / processes == pytest.approx(sum(batch) / len(batch), rel=1e-12)
        if len(batch) == batch_size:
            assert {weight for _, weight in together} == {1}
