import pytest
import torch
from transformers import BertForSequenceClassification

from conf.errors import BadInput
from models.backbone import Classifier
from models.text import bert, distilbert

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 32, "max_position_embeddings": 20, "initializer_range": 0.5}  # fmt: skip
SMALL_DISTIL = {"vocab_size": 50, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "initializer_range": 0.5}
NETWORKS = {
    **{f"bert {pool}": (bert, {"pool": pool, **SMALL}) for pool in ("pooler", "cls", "mean")},
    **{f"distilbert {pool}": (distilbert, {"pool": pool, **SMALL_DISTIL}) for pool in ("cls", "mean")},
}
SENTENCES = torch.tensor([[2, 7, 8, 9, 3], [2, 11, 4, 30, 3]])


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    make, options = NETWORKS[request.param]
    return make(3, **options).eval()


def test_padding_changes_nothing(network):
    padded = torch.nn.functional.pad(SENTENCES, (0, 6))
    with torch.no_grad():
        torch.testing.assert_close(network(padded), network(SENTENCES), rtol=0, atol=1e-5)
        assert not torch.allclose(network(padded + (padded == 0)), network(SENTENCES), atol=1e-3)


def test_the_feature_is_the_input_of_the_classifier(network):
    model = Classifier(network).eval()
    with torch.no_grad():
        torch.testing.assert_close(model(SENTENCES), model.head(model.features(SENTENCES)))
    assert model.features(SENTENCES).shape == (2, 16)


def test_what_the_feature_is():
    torch.manual_seed(0)
    for pool in ("pooler", "cls", "mean"):
        network = bert(3, pool=pool, **SMALL).eval()
        with torch.no_grad():
            out = network.encoder(SENTENCES)
            found = Classifier(network).eval().features(SENTENCES)
        hidden = out.last_hidden_state
        expected = {"pooler": out.pooler_output, "cls": hidden[:, 0], "mean": hidden.mean(1)}[pool]
        torch.testing.assert_close(found, expected)


def test_bert_is_that_of_transformers():
    torch.manual_seed(0)
    ours = bert(3, **SMALL).eval()
    theirs = BertForSequenceClassification(type(ours.encoder.config)(**SMALL, num_labels=3)).eval()
    theirs.bert.load_state_dict(ours.encoder.state_dict())
    theirs.classifier.load_state_dict(ours.classifier.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(SENTENCES), theirs(SENTENCES).logits)


@pytest.mark.parametrize(("make", "options", "said"), [
    (bert, {"hidden_siz": 16}, r"^model\.hidden_siz is not a key of BertConfig"),
    (bert, {"hidden_size": -1}, r"^model\.hidden_size=-1 is not allowed: a whole number from 0 to "),
    (bert, {"vocab_size": 1.5}, r"^model\.vocab_size=1.5 is not allowed: a whole number "),
    (distilbert, {"attention_dropout": "much"}, r"^model\.attention_dropout=much is not allowed: a number "),
    (distilbert, {"activation": 3}, r"^model\.activation=3 is not allowed: a text "),
])  # fmt: skip
def test_what_there_is_not_is_refused(make, options, said):
    with pytest.raises(BadInput, match=said):
        make(2, **options)


def test_padding_is_what_the_data_call_it():
    torch.manual_seed(0)
    network = bert(3, **SMALL).eval()
    network.read(pad=45, largest=49, longest=7)
    sentences = torch.tensor([[2, 0, 8, 9, 3]])  # 0 is a word here
    with torch.no_grad():
        padded = torch.nn.functional.pad(sentences, (0, 2), value=45)
        torch.testing.assert_close(network(padded), network(sentences), rtol=0, atol=1e-5)
        changed = network(torch.tensor([[2, 11, 8, 9, 3]]))
    assert not torch.allclose(changed, network(sentences), atol=1e-3)


def test_a_tokenizer_or_sentence_that_the_model_does_not_take_is_refused():
    network = bert(3, **SMALL)
    with pytest.raises(BadInput, match="the tokenizer has an id 50 and the model knows 50 tokens"):
        network.read(pad=0, largest=50, longest=5)
    with pytest.raises(
        BadInput, match=r"a sentence has 21 tokens and the model takes 20: set model\.input\.max_length=20"
    ):
        network.read(pad=0, largest=49, longest=21)
