"""Classifiers of text on an encoder of `transformers`.

Input: token ids [B, L]; padding is recognised by its id, so that an input is one tensor and a masked word, which is a
token like any other, leaves the attention mask as it is.
"""

import torch
from torch import nn
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, PreTrainedModel

from conf.errors import BadInput

POOLS = ("pooler", "cls", "mean")


class TextClassifier(nn.Module):
    """encoder, then one feature per sentence (`pool`), then a linear layer.

    pool: pooler: tanh(W [CLS] + b), of an encoder that has it; cls: the last hidden state of the first token;
    mean: of all tokens but padding.
    """

    def __init__(self, encoder: PreTrainedModel, pool: str, num_classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        if pool not in POOLS:
            raise BadInput(f"model.pool={pool} is not known; allowed: {', '.join(POOLS)}")
        self.encoder, self.pool, self.pad = encoder, pool, encoder.config.pad_token_id
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(encoder.config.hidden_size, num_classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        present = ids != self.pad
        out = self.encoder(input_ids=ids, attention_mask=present.long())
        return self.classifier(self.dropout(self._feature(out, present)))

    def read(self, pad: int, largest: int, longest: int) -> None:
        """Sets the id that padding has in the data. Raises BadInput if the encoder does not know their `largest` id, or
        takes fewer tokens than their `longest` sentence has."""
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


def bert(num_classes: int, pool: str = "pooler", dropout: float = 0.1, **config: object) -> nn.Module:
    """BERT; with no further arguments, which are those of `transformers.BertConfig`, the architecture of BERT-base."""
    encoder = BertModel(_config(BertConfig, config), add_pooling_layer=pool == "pooler")
    return TextClassifier(encoder, pool, num_classes, dropout)


def distilbert(num_classes: int, pool: str = "cls", dropout: float = 0.1, **config: object) -> nn.Module:
    """DistilBERT; with no further arguments, which are those of `transformers.DistilBertConfig`, the published one."""
    if pool == "pooler":
        raise BadInput(f"model.pool=pooler: DistilBERT has no pooler; allowed: {', '.join(POOLS[1:])}")
    return TextClassifier(DistilBertModel(_config(DistilBertConfig, config)), pool, num_classes, dropout)


def _config(kind: type, options: dict) -> BertConfig | DistilBertConfig:
    unknown = sorted(options.keys() - kind().to_dict().keys())
    if unknown:
        raise BadInput(f"model.{unknown[0]} is no key of {kind.__name__}")
    return kind(**options)
