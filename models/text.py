"""Text classifiers with an encoder from `transformers`.

The input is token ids [B, L]. Padding is recognised by its id, so that an input is a single tensor. A masked word is a
token like any other, and does not change the attention mask.
"""

from typing import Annotated

import torch
from torch import nn
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, PreTrainedModel

from conf.allowed import Choice, Flag, Kind, Number, Text
from conf.errors import BadInput

POOLS = ("pooler", "cls", "mean")
SHARE = Number(0, 1)


class TextClassifier(nn.Module):
    """An encoder, then one feature per sentence (`pool`), then a linear layer.

    pool: pooler: tanh(W [CLS] + b), for an encoder that has it; cls: the last hidden state of the first token; mean:
    that of all tokens but padding.
    """

    def __init__(self, encoder: PreTrainedModel, pool: str, num_classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder, self.pool, self.pad = encoder, pool, encoder.config.pad_token_id
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(encoder.config.hidden_size, num_classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        present = ids != self.pad
        out = self.encoder(input_ids=ids, attention_mask=present.long())
        return self.classifier(self.dropout(self._feature(out, present)))

    def read(self, pad: int, largest: int, longest: int) -> None:
        """Sets the id that padding has in the data.

        Raises BadInput if the encoder does not know the `largest` id of the data, or takes fewer tokens than their
        `longest` sentence has.
        """
        known, positions = self.encoder.config.vocab_size, self.encoder.config.max_position_embeddings
        if max(largest, pad) >= known:
            raise BadInput(
                f"the tokenizer has an id {max(largest, pad)} and the model knows {known} tokens: check "
                f"model.input.tokenizer and model.vocab_size"
            )
        if longest > positions:
            raise BadInput(
                f"a sentence has {longest} tokens and the model takes {positions}: set "
                f"model.input.max_length={positions} and model.input.truncate=true"
            )
        self.pad = pad

    def _feature(self, out: object, present: torch.Tensor) -> torch.Tensor:
        if self.pool == "pooler":
            return out.pooler_output
        hidden = out.last_hidden_state
        if self.pool == "cls":
            return hidden[:, 0]
        weight = present[..., None].to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1)


def bert(
    num_classes: int,
    pool: Annotated[str, Choice(POOLS)] = "pooler",
    dropout: Annotated[float, SHARE] = 0.1,
    **config: object,
) -> nn.Module:
    """Returns BERT. Further arguments are those of `transformers.BertConfig`; without any it is BERT-base."""
    encoder = BertModel(_config(BertConfig, config), add_pooling_layer=pool == "pooler")
    return TextClassifier(encoder, pool, num_classes, dropout)


def distilbert(
    num_classes: int,
    pool: Annotated[str, Choice(POOLS[1:])] = "cls",
    dropout: Annotated[float, SHARE] = 0.1,
    **config: object,
) -> nn.Module:
    """Returns DistilBERT, which has no pooler. Further arguments are those of `transformers.DistilBertConfig`; without
    any it is the published one."""
    return TextClassifier(DistilBertModel(_config(DistilBertConfig, config)), pool, num_classes, dropout)


def _config(kind: type, options: dict) -> BertConfig | DistilBertConfig:
    usual = kind().to_dict()
    for key, value in options.items():
        if key not in usual:
            raise BadInput(f"model.{key} is not a key of {kind.__name__}")
        if kind_of := _like(usual[key]):
            kind_of.check(f"model.{key}", value)
    return kind(**options)


def _like(usual: object) -> Kind | None:
    """Returns the kind of values that may replace a default of the library: its type, and no number below 0."""
    known = {bool: Flag(), int: Number(0, 10_000_000, whole=True), float: Number(0), str: Text()}
    return known.get(type(usual))
