"""Makes batches for Lightning: training data in an order that depends only on seed and epoch, test data in order."""

import lightning
import torch
from torch.utils.data import DataLoader, Dataset

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


class Batches(lightning.LightningDataModule):
    """The batches, made again for every epoch (`reload_dataloaders_every_n_epochs=1`), so that a run that is
    interrupted and resumed sees the batches of an uninterrupted one. at_once: the test samples in a batch."""

    def __init__(self, splits: Splits, batch_size: int, seed: int, num_workers: int = 0, at_once: int = 256) -> None:
        super().__init__()
        self.splits, self.batch_size, self.seed = splits, batch_size, seed
        self.num_workers, self.at_once = num_workers, at_once

    def train_dataloader(self) -> DataLoader:
        epoch = self.trainer.current_epoch
        dataset = self.splits.training or self.splits.train
        if hasattr(dataset, "set_epoch"):
            dataset.set_epoch(epoch)
        # A list, not shuffle=True: Lightning starts some epochs twice, and a generator would then give another order.
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(dataset), generator=random).tolist()
        workers = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return DataLoader(
            dataset,
            self.batch_size,
            sampler=order,
            generator=workers,
            num_workers=self.num_workers,
            collate_fn=self.splits.collate,
        )

    def val_dataloader(self) -> DataLoader:
        return DataLoader(
            Numbered(self.splits.test),
            self.at_once,
            num_workers=self.num_workers,
            collate_fn=self.splits.collate,
        )
