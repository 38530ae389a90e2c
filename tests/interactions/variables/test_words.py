import json

import pytest
import torch
from omegaconf import OmegaConf
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from conf.errors import BadInput
from data.sentences import Word
from interactions.variables.masking import masked, membership
from interactions.variables.words import NEGATIONS, owner, stop_words, variables

MASK = 99


def sentence(text, pieces=1):
    """Every word has `pieces` tokens; token 0 is [CLS]."""
    words = text.split()
    return [Word(word, tuple(range(1 + i * pieces, 1 + (i + 1) * pieces))) for i, word in enumerate(words)]


def drawn(words, n, stop=frozenset({"the", "was"}), seeds=300):
    return [variables(words, n, stop, seed, 0) for seed in range(seeds)]


def test_variables_are_the_content_words_wherever_they_stand():
    """Not the words at the positions that content words would have in a sentence without the others."""
    film, great = ({"word": w, "position": p, "tokens": [p + 1]} for w, p in (("film", 3), ("great", 6)))
    found = drawn(sentence("the the the film was the great"), 2)
    assert all(one == [film, great] for one in found)


def test_every_set_of_content_words_can_be_drawn_in_the_order_of_the_sentence():
    sets = {tuple(one["word"] for one in each) for each in drawn(sentence("the a was b , c the d"), 2)}
    assert sets == {("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")}


def test_a_draw_depends_on_seed_and_index_only():
    words = sentence(" ".join(f"w{i}" for i in range(30)))
    assert variables(words, 5, frozenset(), 3, 4) == variables(words, 5, frozenset(), 3, 4)
    draws = {str(variables(words, 5, frozenset(), seed, index)) for seed in (3, 4) for index in (4, 5)}
    assert len(draws) == 4


def test_marks_and_stop_words_are_no_variables_in_any_case():
    words = sentence("The film , Was ... 5 - 'n't !")
    assert [one["word"] for one in variables(words, 3, frozenset({"the", "was"}), 0, 0)] == ["film", "5", "'n't"]
    assert variables(words, 4, frozenset({"the", "was"}), 0, 0) is None
    assert len(variables(words, 4, frozenset({"the"}), 0, 0)) == 4


def test_a_word_that_occurs_twice_is_two_variables():
    found = variables(sentence("good good"), 2, frozenset(), 0, 0)
    assert [(one["word"], one["position"], one["tokens"]) for one in found] == [("good", 0, [1]), ("good", 1, [2])]


def test_the_owner_of_a_token():
    words = sentence("the film was great", pieces=2)
    one = variables(words, 2, stop_words(["the", "was"]), 0, 0)
    assert owner(one, words, 10).tolist() == [-2, -1, -1, 0, 0, -1, -1, 1, 1, -2]
    assert owner([], words[:2], 6).tolist() == [-2, -1, -1, -1, -1, -2]


def test_masking_replaces_all_pieces_of_the_words_that_are_not_kept_and_nothing_else():
    words = sentence("the film was great", pieces=2)
    ids = torch.arange(10)
    own = owner(variables(words, 2, stop_words(["the", "was"]), 0, 0), words, 10)
    subsets = torch.arange(4)
    out = masked(ids.expand(4, -1), torch.tensor(MASK), membership(own).expand(4, -1), subsets)
    assert out.dtype == torch.int64
    film, great = [MASK] * 2, [MASK] * 2
    assert out.tolist() == [
        [0, 1, 2, *film, 5, 6, *great, 9],
        [0, 1, 2, 3, 4, 5, 6, *great, 9],
        [0, 1, 2, *film, 5, 6, 7, 8, 9],
        list(range(10)),
    ]


def test_the_default_stop_words_are_scikit_learns_without_negations():
    assert NEGATIONS < ENGLISH_STOP_WORDS
    default = stop_words("default")
    assert ENGLISH_STOP_WORDS - default == NEGATIONS
    assert default - ENGLISH_STOP_WORDS == {"s", "d", "ll", "m", "ve"}
    assert not {"not", "n't", "no", "never", "good"} & default


def test_ones_own_stop_words_and_none():
    assert stop_words(OmegaConf.create(["The", "and"])) == {"the", "and"}
    assert stop_words([]) == stop_words(None) == frozenset()


@pytest.mark.parametrize(("option", "message"), [
    ("nltk", "interactions.stop_words=nltk is not allowed: default, null or a list such as [the, a] is expected"),
    (3, "interactions.stop_words=3 is not allowed: default, null or a list such as [the, a] is expected"),
    (["the", False], "interactions.stop_words holds False, which is not a word: put words such as 'no' in quotes"),
])  # fmt: skip
def test_other_stop_words_are_refused(option, message):
    with pytest.raises(BadInput) as refused:
        stop_words(option)
    assert str(refused.value) == message


def test_variables_are_plain_enough_for_json():
    found = variables(sentence("the film was", pieces=2), 2, frozenset({"the"}), 0, 0)
    assert json.loads(json.dumps(found)) == found
    assert found[1] == {"word": "was", "position": 2, "tokens": [5, 6]}
