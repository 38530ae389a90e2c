import json

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from conf.errors import BadInput
from data.sentences import Word
from data.splits import InMemory, Splits
from interactions.variables.patches import owner_map
from interactions.variables.samples import choose, describe, load

LABELS = np.random.default_rng(0).permutation(np.arange(90) % 3)


@pytest.fixture
def splits():
    torch.manual_seed(0)
    datasets = (InMemory(torch.randn(len(labels), 3, 12, 12), labels) for labels in (np.arange(30) % 3, LABELS))
    return Splits(*datasets, classes=("a", "b", "c"))


def options(**changed):
    usual = {"n": 4, "grid": 4, "margin": 0, "samples": 9, "split": "test", "shared_variables": False}
    return OmegaConf.create(usual | changed)


def chosen(count, seed=0, **given):
    return choose(LABELS, "abc", options(samples=count), seed, **given)


def test_classes_are_balanced():
    assert np.bincount(LABELS[chosen(9)]).tolist() == [3, 3, 3]
    counts = np.array([np.bincount(LABELS[chosen(11, seed)], minlength=3) for seed in range(20)])
    assert set(counts.ravel()) == {3, 4}
    assert (counts.max(0) == 4).all()  # the remainder goes to any class


def test_no_sample_is_chosen_twice_and_the_seed_decides():
    first = chosen(60, seed=1)
    assert len(set(first)) == 60
    assert first == chosen(60, seed=1)
    assert first != chosen(60, seed=2)


def test_only_what_is_usable_is_chosen():
    usable = np.arange(90) % 2 == 0
    assert all(usable[chosen(30, usable=usable)])


def test_too_few_of_a_class_are_refused_by_its_name():
    line = (
        "interactions.samples=9 needs 3 images of class elk, and the test set has 1: "
        "choose fewer samples, or another interactions.split"
    )
    with pytest.raises(BadInput, match=f"^{line}$"):
        choose(np.array([0, 0, 0, 1, 1, 1, 2]), ("cat", "dog", "elk"), options(), seed=0)


def test_too_few_sentences_of_a_class_are_refused_with_how_many_are_too_short():
    labels, long = np.array([0, 0, 0, 1, 1, 1]), np.array([1, 1, 1, 1, 0, 0], dtype=bool)
    line = (
        "interactions.samples=4 needs 2 sentences of class good, and the train set has 1 with at least n=4 words that "
        "count, and 2 with fewer: choose fewer samples, a smaller interactions.n or another interactions.split"
    )
    with pytest.raises(BadInput, match=f"^{line}$"):
        choose(labels, ("bad", "good"), options(samples=4, split="train"), 0, long)


class Reviews(InMemory):
    """Sentences of words with a token each, as `data.sentences.Sentences` gives them."""

    def __init__(self, *texts):
        self.texts = [text.split() for text in texts]
        super().__init__([torch.arange(len(words)) for words in self.texts], np.arange(len(texts)) % 2)

    def words(self, index):
        return [Word(text, (token,)) for token, text in enumerate(self.texts[index])]


@pytest.mark.parametrize(("stop_words", "share"), [("default", 0.5), (None, 0), (["film"], 0.25)])
def test_how_many_words_are_stop_words_is_kept(stop_words, share):
    reviews = Reviews("The film is great !", "A film ; very bad", "...")
    about = describe(
        Splits(reviews, reviews, ("a", "b"), kind="text"), options(n=1, samples=2, stop_words=stop_words), 0
    )
    assert (about["stop_share"], about["too_short"], about["sentences"]) == (share, 1, 3)


def test_the_description_is_true_and_fits_into_json(splits):
    about = describe(splits, options(), seed=5)
    assert json.loads(json.dumps(about))["split"] == "test"
    assert (about["n"], about["kind"], len(about["samples"])) == (4, "image", 9)
    for sample in about["samples"]:
        assert sample["label"] == LABELS[sample["index"]]
        assert sample["class"] == "abc"[sample["label"]]
        assert len(sample["variables"]) == 4


def test_a_samples_variables_do_not_depend_on_the_other_samples(splits):
    few, all_ = (describe(splits, options(samples=count), seed=5)["samples"] for count in (6, 90))
    boxes = {sample["index"]: sample["variables"] for sample in all_}
    assert all(boxes[sample["index"]] == sample["variables"] for sample in few)


def test_all_samples_share_their_variables_if_that_is_asked_for(splits):
    own, shared = (describe(splits, options(shared_variables=value), seed=5) for value in (False, True))
    assert "shared_variables" not in own, "as before there was the key: the file keeps its content"
    assert shared["shared_variables"] is True
    different = [{tuple(sample["variables"]) for sample in about["samples"]} for about in (own, shared)]
    assert len(different[0]) > 5
    assert len(different[1]) == 1
    chosen = [[sample["index"] for sample in about["samples"]] for about in (own, shared)]
    assert chosen[0] == chosen[1]
    other = describe(splits, options(shared_variables=True), seed=6)["samples"]
    assert tuple(other[0]["variables"]) not in different[1], "the seed decides"


def test_sentences_can_not_share_their_variables():
    reviews = Reviews("The film is great !", "A film ; very bad")
    with pytest.raises(BadInput, match=r"^interactions\.shared_variables=true is not allowed for text, .* false is"):
        describe(Splits(reviews, reviews, ("a", "b"), kind="text"), options(n=1, samples=2, shared_variables=True), 0)


def test_samples_come_from_the_split_that_is_asked_for(splits):
    about = describe(splits, options(split="train", samples=30), seed=0)
    assert sorted(sample["index"] for sample in about["samples"]) == list(range(30))


def test_load_gives_inputs_and_owners_in_the_order_of_the_samples(splits):
    about = json.loads(json.dumps(describe(splits, options(), seed=5)))
    (group,) = load(splits, about)
    assert (group.first, group.owner.shape) == (0, (9, 1, 12, 12))
    assert group.labels.tolist() == [sample["label"] for sample in about["samples"]]
    for sample, image, owner in zip(about["samples"], group.inputs, group.owner, strict=True):
        assert torch.equal(image, splits.test.inputs[sample["index"]])
        assert torch.equal(owner, owner_map(sample["variables"], 12, 12))
