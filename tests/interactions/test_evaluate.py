import pytest
from omegaconf import OmegaConf

from interactions.evaluate import _remarks


def remarks(about, stop_words="default"):
    options = OmegaConf.create({"n": 5, "split": "test", "stop_words": stop_words})
    return list(_remarks({"kind": "text", "sentences": 40, "too_short": 0} | about, options))


def test_short_sentences_are_counted():
    line = "3 of 40 test sentences have fewer than n=5 words that count and are left out"
    assert remarks({"too_short": 3, "stop_share": 0.4}) == [line]


@pytest.mark.parametrize(("share", "shown"), [(0.0684, "6.8%"), (0, "0.0%"), (0.14, "14.0%")])
def test_a_language_that_the_stop_words_are_not_of_is_pointed_out(share, shown):
    assert remarks({"stop_share": share}) == [
        f"only {shown} of the words are on the English list of stop words; for another language "
        "set interactions.stop_words to null or to your own list"
    ]


def test_nothing_is_said_of_english_of_chosen_stop_words_and_of_images():
    assert remarks({"stop_share": 0.2}) == []
    assert remarks({"stop_share": 0.0}, None) == []
    assert remarks({"stop_share": 0.1}, ["der", "die", "das"]) == []
    assert list(_remarks({"kind": "image"}, OmegaConf.create({"stop_words": "default"}))) == []
