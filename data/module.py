"""Makes batches for Lightning: training data in an order that depends only on seed and epoch, test data in order."""

import math
from collections.abc import Iterator

import lightning
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from data.splits import Splits


class Numbered(Dataset):
    """Adds the index: (input, label, index). It tells which sample an outcome belongs to, however batches are spread
    over devices."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple:
        return *self.dataset[index], index


class Part(DistributedSampler):
    """One process's part of every batch that all processes have in common: together they take the batches that one
    process would take.

    The last batch of an epoch may be smaller, and its parts unequal. Processes take the mean of their gradients,
    each of which is a mean over a part; `weight` makes that the mean over the batch. A process without a sample of the
    batch takes one of the others, with weight 0.
    """

    def __init__(self, order: list[int], batch_size: int, rank: int, processes: int) -> None:
        super().__init__(order, processes, rank, shuffle=False)
        self.order, self.batch_size = order, batch_size

    def __iter__(self) -> Iterator[int]:
        for begin in range(0, len(self.order), self.batch_size):
            batch = self.order[begin : begin + self.batch_size]
            yield from batch[self.rank :: self.num_replicas] or batch[:1]

    def __len__(self) -> int:
        batches = math.ceil(len(self.order) / self.batch_size)
        return sum(max(self._counts(number)[0], 1) for number in range(batches))

    def weight(self, number: int) -> float:
        """Returns the factor for the mean over this process's part of a batch."""
        mine, all_of_them = self._counts(number)
        return mine * self.num_replicas / all_of_them

    def _counts(self, number: int) -> tuple[int, int]:
        size = min(self.batch_size, len(self.order) - number * self.batch_size)
        return len(range(self.rank, size, self.num_replicas)), size


class Batches(lightning.LightningDataModule):
    """The batches, made again for every epoch (`reload_dataloaders_every_n_epochs=1`), so that a run that is
    interrupted and resumed sees the batches of an uninterrupted one.

    batch_size: of each process; at_once: the test samples in a batch; shared: whether several processes take parts of
    the same batches. Otherwise Lightning spreads the samples over them.
    """

    def __init__(
        self,
        splits: Splits,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        at_once: int = 256,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.splits, self.batch_size, self.seed = splits, batch_size, seed
        self.num_workers, self.at_once, self.shared = num_workers, at_once, shared
        self.part: Part | None = None

    def train_dataloader(self) -> DataLoader:
        epoch = self.trainer.current_epoch
        dataset = self.splits.training or self.splits.train
        if hasattr(dataset, "set_epoch"):
            dataset.set_epoch(epoch)
        # A list, not shuffle=True: Lightning starts some epochs twice, and a generator would then give another order.
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(dataset), generator=random).tolist()
        if self.shared and self.trainer.world_size > 1:
            count = self.trainer.world_size
            order = self.part = Part(order, self.batch_size * count, self.trainer.global_rank, count)
        workers = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return DataLoader(
            dataset,
            self.batch_size,
            sampler=order,
            generator=workers,
            num_workers=self.num_workers,
            collate_fn=self.splits.collate,
        )

    def weight(self, number: int) -> float:
        """Returns the factor for the mean loss of a training batch; not 1 only for unequal parts of a batch."""
        return 1 if self.part is None else self.part.weight(number)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(
            Numbered(self.splits.test),
            self.at_once,
            num_workers=self.num_workers,
            collate_fn=self.splits.collate,
        )
