"""The LightningModule that trains every classifier here: cross-entropy, its optimiser, and the results of an epoch."""

import math

import lightning
import numpy as np
import torch
from omegaconf import DictConfig
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, StepLR

from training.seeds import stream

METRICS = ("train/loss", "train/accuracy", "test/loss", "test/accuracy")  # what is logged after every epoch
# Adam adds the weight decay to the gradient (L2), AdamW subtracts it from the weights.
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class LightningClassifier(lightning.LightningModule):
    """Trains `model`, any module from inputs to logits.

    After each epoch it holds `train_loss` and `train_accuracy` (means over the epoch's batches, as trained),
    `test_losses` [N] and `test_predictions` [N] (of every test sample, in order) and their means `test_loss` and
    `test_accuracy`. The four means are logged too, so that Lightning's callbacks can use them (METRICS).
    """

    def __init__(self, model: nn.Module, options: DictConfig, test_samples: int, seed: int, stage: str) -> None:
        super().__init__()
        self.model, self.options, self.seed, self.stage = model, options, seed, stage
        self.test_losses = torch.zeros(test_samples)
        self.test_predictions = torch.zeros(test_samples, dtype=torch.int32)
        self.train_loss = self.train_accuracy = self.test_loss = self.test_accuracy = math.nan

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.model(inputs)

    def on_train_epoch_start(self) -> None:
        # Dropout and augmentation depend on seed and epoch alone, so that resuming repeats them.
        own = [self.global_rank] if self.trainer.datamodule.part and self.global_rank else []
        torch.manual_seed(stream(self.seed, self.stage, self.current_epoch, *own))
        self._totals = torch.zeros(3, dtype=torch.float64)

    def training_step(self, batch: tuple, number: int) -> torch.Tensor:
        inputs, labels = batch
        logits = self(inputs)
        loss = F.cross_entropy(logits, labels)
        right = (logits.argmax(-1) == labels).sum()
        weight = self.trainer.datamodule.weight(number)
        totals = torch.stack([loss.detach() * len(labels), right, right.new_tensor(len(labels))]).cpu()
        self._totals += totals * (weight > 0)
        return loss if weight == 1 else loss * weight

    def on_train_epoch_end(self) -> None:
        loss, right, count = self.trainer.strategy.reduce(
            self._totals.float().to(self.device), reduce_op="sum"
        ).tolist()
        self.train_loss, self.train_accuracy = loss / count, right / count
        self._log("train", self.train_loss, self.train_accuracy)

    def validation_step(self, batch: tuple, _: int) -> None:
        inputs, labels, index = batch
        logits = self(inputs).float()
        losses = F.cross_entropy(logits, labels, reduction="none")
        gathered = self.all_gather((index, losses, logits.argmax(-1)))
        index, losses, predictions = (part.flatten().cpu() for part in gathered)
        self.test_losses[index] = losses
        self.test_predictions[index] = predictions.int()

    def on_validation_epoch_end(self) -> None:
        labels = torch.as_tensor(np.asarray(self.trainer.datamodule.splits.test.labels))
        self.test_loss = self.test_losses.double().mean().item()
        self.test_accuracy = (self.test_predictions == labels).double().mean().item()
        self._log("test", self.test_loss, self.test_accuracy)

    def _log(self, split: str, loss: float, accuracy: float) -> None:
        """Logs means that every process has over all data: Lightning must neither reduce them again nor weight them by
        batches."""
        self.log_dict({f"{split}/loss": loss, f"{split}/accuracy": accuracy}, batch_size=1)

    def configure_optimizers(self) -> dict:
        options = self.options
        further = {"momentum": options.momentum} if options.optimizer == "sgd" else {}
        make = OPTIMIZERS[options.optimizer]
        optimizer = make(self.parameters(), options.lr, weight_decay=options.weight_decay, **further)
        if options.schedule == "constant":
            return {"optimizer": optimizer}
        if options.schedule == "step":
            schedule, interval = StepLR(optimizer, options.step_epochs, options.step_factor), "epoch"
        else:
            steps = options.iterations or self.trainer.estimated_stepping_batches
            schedule, interval = CosineAnnealingLR(optimizer, T_max=steps), "step"
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": interval}}
