import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from conf.errors import BadInput
from data.phrases import (
    ADDITION,
    CONTRAST,
    HIDDEN,
    LONGEST,
    MODIFIERS,
    OPINIONS,
    THINGS,
    VERDICTS,
    VOCABULARY,
    hidden_word,
    score,
    sentence,
    sentiment,
    tokenizer,
)
from data.sentences import load_tokenizer
from data.wordpiece import SPECIAL, vocabulary
from interactions.mobius import interactions

ROOT = Path(__file__).resolve().parents[2]
INPUT = OmegaConf.create({"tokenizer": None, "max_length": 64, "truncate": False})


@pytest.fixture(scope="module")
def source():
    return hidden_word(INPUT, 480, 240, seed=0)


@pytest.fixture(scope="module")
def target():
    return sentiment(INPUT, 100, 400, seed=0)


@pytest.mark.parametrize(("text", "worth"), [
    ("the film was good", 1), ("the film was awful", -2), ("the film was not good", -1), ("not bad", 1),
    ("the film was not very good", -2), ("really great", 4), ("the film was good and the soup was bland", 0),
    ("the film was good but the soup was bland", -1), ("the film was not good yet the room was very quiet", 2),
    ("the not film was good", 1), ("the film was", 0),
])  # fmt: skip
def test_the_rule(text, worth):
    assert score(text.split()) == worth


def test_missing_words_are_neutral():
    assert score(["the", "film", None, None, "very", "good"]) == 2
    assert score(["the", "film", "was", "not", None, "good"]) == -1
    assert score(["the", "film", "was", "not", "very", None, "and", "the", "bread", "was", "fresh"]) == 1
    assert score([None] * 9) == 0


def true_interactions(text, variables):
    """I(S) of the rule, S as a set of the given words of the text."""
    words, n = text.split(), len(variables)
    gone = [{variables[i] for i in range(n) if not kept >> i & 1} for kept in range(2**n)]
    v = [score([None if word in missing else word for word in words]) for missing in gone]
    strength = interactions(np.array(v))
    return {
        frozenset(variables[i] for i in range(n) if subset >> i & 1): strength[subset]
        for subset in range(2**n) if strength[subset]
    }  # fmt: skip


def test_a_negation_turns_an_opinion_around_by_an_interaction_of_both():
    found = true_interactions("the film was not good", ["film", "not", "good"])
    assert found == {frozenset({"good"}): 1, frozenset({"not", "good"}): -2}
    found = true_interactions("the film was not bad", ["not", "bad"])
    assert found == {frozenset({"bad"}): -1, frozenset({"not", "bad"}): 2}


def test_a_degree_strengthens_and_three_words_interact():
    found = true_interactions("the film was not very good", ["not", "very", "good"])
    assert found == {
        frozenset({"good"}): 1, frozenset({"very", "good"}): 1, frozenset({"not", "good"}): -2,
        frozenset({"not", "very", "good"}): -2,
    }  # fmt: skip


def test_a_contrast_takes_away_what_stands_before_it():
    words = ["film", "great", "but", "soup", "bland"]
    found = true_interactions("the film was great but the soup was bland", words)
    assert found == {frozenset({"great"}): 2, frozenset({"bland"}): -1, frozenset({"great", "but"}): -2}


def test_the_clauses_of_a_sentence_agree_unless_there_is_a_contrast():
    draw = np.random.default_rng(0)
    seen = set()
    for words in (sentence(draw) for _ in range(500)):
        (middle,) = [i for i, word in enumerate(words) if word in CONTRAST + ADDITION and i > 2]
        first, second = score(words[:middle]), score(words[middle + 1 :])
        assert (first * second < 0) == (words[middle] in CONTRAST)
        assert first != 0 != second
        seen.add((words[middle] in CONTRAST, first > 0))
    assert len(seen) == 4


def test_labels_are_the_rule(target):
    for dataset in (target.train, target.test):
        for text, label in zip(dataset.texts, dataset.labels, strict=True):
            assert (score(text.split()) > 0) == label
        assert np.bincount(dataset.labels).tolist() == [len(dataset) // 2] * 2
    assert not {word for text in target.test.texts for word in text.split()} & VERDICTS.keys()


def test_sentences_have_what_a_study_needs(target):
    lengths = {len(ids) for ids in target.test.ids}
    assert len(lengths) > 10
    words = [text.split() for text in target.test.texts]
    assert {len(one) for one in words} == set(range(11, 19))
    for several in (MODIFIERS, CONTRAST, ADDITION, OPINIONS, THINGS):
        assert set(several) <= {word for one in words for word in one}
    assert len(set(target.train.texts) | set(target.test.texts)) == 500


def test_a_hidden_word_is_never_to_be_seen(source):
    for index in range(len(source.train)):
        words = source.train.words(index)
        assert words.count("[MASK]") == 1
        assert HIDDEN[source.train.labels[index]] not in words


def test_the_verdict_agrees_with_the_sentence_once_the_hidden_word_is_back(source):
    for index in range(len(source.train)):
        words = [HIDDEN[source.train.labels[index]] if w == "[MASK]" else w for w in source.train.words(index)]
        so = words.index("so")
        assert words[so + 1] == "i"
        assert score(words[:so]) * VERDICTS[words[so + 2]] > 0


def test_every_class_occurs_as_often(source):
    assert source.classes == HIDDEN
    assert len(set(HIDDEN)) == 24
    assert np.bincount(source.train.labels).tolist() == [20] * 24
    assert all(source.train[index][1] == index % 24 for index in range(64))


def test_ids_are_those_of_the_tokenizer(source):
    for index in range(64):
        ids, _ = source.train[index]
        assert ids.tolist() == tokenizer()(" ".join(source.train.words(index)))["input_ids"]
        assert (ids == source.mask).sum() == 1
        assert ids.dtype == torch.int64


def test_ids_are_those_of_the_models_tokenizer_where_it_has_one(tmp_path):
    """So that weights trained on hidden words know the words of a target task with the same tokenizer."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = [*SPECIAL, "film", *letters, *(f"##{letter}" for letter in letters), "good", "soup"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    theirs = load_tokenizer(tmp_path)
    named = OmegaConf.merge(INPUT, {"tokenizer": str(tmp_path), "max_length": 128})
    source, target = (make(named, 24, 24, 0) for make in (hidden_word, sentiment))
    for index in range(24):
        ids, _ = source.train[index]
        assert ids.tolist() == theirs(" ".join(source.train.words(index)))["input_ids"]
        assert (ids == source.mask).sum() == 1
        assert target.train[index][0].tolist() == theirs(target.train.texts[index])["input_ids"]
    assert (source.mask, source.pad) == (target.mask, target.pad) == (4, 0)
    assert source.train[0][0].tolist() != hidden_word(INPUT, 24, 24, 0).train[0][0].tolist()


def test_all_sentences_are_short_enough_and_of_several_lengths(source, target):
    lengths = [len(source.train[index][0]) for index in range(480)] + [len(ids) for ids in target.test.ids]
    assert max(lengths) < LONGEST <= INPUT.max_length
    assert tokenizer().unk_token_id not in {int(i) for ids in target.test.ids for i in ids}


def test_some_words_are_split_and_masked_whole(target):
    splits = {word: tokenizer().tokenize(word) for word in OPINIONS}
    assert sum(len(pieces) > 1 for pieces in splits.values()) > 5
    assert sum(len(pieces) == 1 for pieces in splits.values()) > 5
    for index in range(50):
        found = target.test.words(index)
        assert [word.text for word in found] == target.test.texts[index].split()
        positions = [position for word in found for position in word.tokens]
        assert positions == list(range(1, len(target.test.ids[index]) - 1))


def test_a_sentence_depends_on_seed_epoch_and_index_only():
    one, other = (hidden_word(INPUT, 64, 32, seed=3).train for _ in range(2))
    one.set_epoch(2)
    other.set_epoch(2)
    backward = {index: other[index][0] for index in reversed(range(64))}
    assert all(torch.equal(one[index][0], backward[index]) for index in range(64))
    text = [one.words(index) for index in range(64)]
    one.set_epoch(3)
    other = hidden_word(INPUT, 64, 64, seed=4)
    other.train.set_epoch(2)
    for different in (one, other.train, other.test):
        assert sum(text[index] == different.words(index) for index in range(64)) < 3
    assert sentiment(INPUT, 20, 20, 0).test.texts == sentiment(INPUT, 50, 20, 0).test.texts
    assert sentiment(INPUT, 20, 20, 0).test.texts != sentiment(INPUT, 20, 20, 1).test.texts


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_vocabulary_is_the_same_in_every_process(hash_seed):
    draw = np.random.default_rng(1)
    counts = Counter(word for _ in range(50) for word in sentence(draw))
    code = "import json, sys; from data.wordpiece import *; print(json.dumps(vocabulary(json.loads(sys.argv[1]), 120)))"
    shuffled = json.dumps(dict(reversed(counts.items())))
    command, env = [sys.executable, "-c", code, shuffled], os.environ | {"PYTHONHASHSEED": hash_seed}
    out = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == vocabulary(counts, 120)


def test_the_tokens_are_these():
    """So that weights trained with one version are not used with the tokens of another."""
    pieces = sorted(tokenizer().get_vocab(), key=tokenizer().get_vocab().get)
    assert hashlib.sha256(" ".join(pieces).encode()).hexdigest()[:16] == "d2f8fc97620668da"


def test_the_vocabulary_joins_the_commonest_pairs():
    letters = [*SPECIAL, "##b", "##c", "a", "b"]
    counts = {"ab": 3, "abc": 2, "bc": 1}
    assert vocabulary(counts, 9) == letters
    assert vocabulary(counts, 12) == [*letters, "ab", "abc", "bc"]
    with pytest.raises(ValueError, match="all words are whole with 12 pieces, fewer than 13"):
        vocabulary(counts, 13)


def test_the_vocabulary_has_its_size_and_ids_in_order():
    vocab = tokenizer().get_vocab()
    assert sorted(vocab.values()) == list(range(VOCABULARY))
    assert [vocab[token] for token in SPECIAL] == list(range(5))
    assert tokenizer().pad_token_id == 0  # what models take for padding unless told otherwise
    assert all(a < b for a, b in pairwise(sorted(vocab, key=vocab.get)[5:30]))


@pytest.mark.parametrize("make", [hidden_word, sentiment])
def test_a_model_that_takes_too_few_tokens_is_refused(make):
    short = OmegaConf.create({"tokenizer": None, "max_length": LONGEST - 1})
    with pytest.raises(
        BadInput, match=rf"^model.input.max_length={LONGEST - 1} is too short: generated sentences have up"
    ):
        make(short, 64, 64, 0)


def test_a_tokenizer_that_spells_every_word_takes_more_tokens_and_that_is_said(tmp_path):
    letters = "abcdefghijklmnopqrstuvwxyz"
    spelt = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    (tmp_path / "vocab.txt").write_text("\n".join(spelt) + "\n")
    spelling = OmegaConf.merge(INPUT, {"tokenizer": str(tmp_path / "vocab.txt")})
    with pytest.raises(BadInput, match=r"^model\.input\.max_length=64 is too short: .* up to \d+ tokens$") as refused:
        hidden_word(spelling, 64, 64, 0)
    most = int(str(refused.value).split()[-2])
    train = hidden_word(OmegaConf.merge(spelling, {"max_length": most}), 500, 64, 0).train
    assert max(len(train[index][0]) for index in range(500)) > most - 20
    train.longest = most - 20
    assert max(len(train[index][0]) for index in range(500)) <= most - 20, "longer ones are drawn again"


def test_batches_are_padded(source):
    inputs, labels = source.collate([source.train[index] for index in range(8)])
    assert inputs.shape == (8, max(len(source.train[index][0]) for index in range(8)))
    assert (inputs == source.pad).any()
    assert labels.tolist() == list(range(8))
