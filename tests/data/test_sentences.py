import shutil
import time

import pytest
from tokenizers import Tokenizer, models
from transformers import BertTokenizer

import data.sentences
from conf.errors import BadInput
from data.sentences import WORD, Sentences, load_tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*SPECIAL, "good", "bad", "mov", "##ie", "well", "made", "it", "don", "do", "n", "t", "'", "-", ".", ",", "!"]


@pytest.fixture
def vocabulary(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return tmp_path / "vocab.txt"


def refused(call, *arguments, **options):
    with pytest.raises(BadInput) as error:
        call(*arguments, **options)
    return str(error.value)


@pytest.mark.parametrize(("text", "words"), [
    ("Good movie!", [("Good", (1,)), ("movie", (2, 3)), ("!", (4,))]),
    ("don't", [("don't", (1, 2, 3))]),
    ("do n't", [("do", (1,)), ("n't", (2, 3, 4))]),
    ("well-made , it", [("well-made", (1, 2, 3)), (",", (4,)), ("it", (5,))]),
    ("...", [(".", (1,)), (".", (2,)), (".", (3,))]),
    ("  good\t\x00bad ", [("good", (1,)), ("bad", (2,))]),
    ("- it -", [("-", (1,)), ("it", (2,)), ("-", (3,))]),
    ("unheard good", [("unheard", (1,)), ("good", (2,))]),
])  # fmt: skip
def test_words_and_the_positions_of_their_tokens(vocabulary, text, words):
    sentences = Sentences([text], [0], load_tokenizer(vocabulary))
    assert [(word.text, word.tokens) for word in sentences.words(0)] == words
    count = sum(len(tokens) for _, tokens in words)
    assert len(sentences[0][0]) == count + 2


@pytest.mark.parametrize(("text", "words"), [
    ("हिन्दी में", ["हिन्दी", "में"]),
    ("ภาษาไทยดี ครับ", ["ภาษาไทยดี", "ครับ"]),
    ("كِتَابٌ، نعم", ["كِتَابٌ", "،", "نعم"]),
    ("cafe\u0301-nai\u0308ve it\u0301's", ["cafe\u0301-nai\u0308ve", "it\u0301's"]),
    ("\u0301a_b ❤\ufe0f 3½", ["\u0301", "a", "_", "b", "❤", "\ufe0f", "3½"]),
])  # fmt: skip
def test_words_go_on_over_combining_marks(text, words):
    assert WORD.findall(text) == words


def test_a_token_that_spans_several_marks_is_the_first_ones():
    class Joining:
        def __call__(self, texts, **_):
            return {"input_ids": [[2, 9, 5, 3]], "offset_mapping": [[(0, 0), (0, 3), (3, 8), (0, 0)]]}

    words = Sentences(["... good"], [0], Joining()).words(0)
    assert [(word.text, word.tokens) for word in words] == [(".", (1,)), ("good", (2,))]


def test_a_sentence_that_is_cut_ends_with_sep_and_has_no_words_beyond(vocabulary):
    cut = Sentences(["good " * 13 + "movie bad"], [0], load_tokenizer(vocabulary), 16)
    assert [PIECES[i] for i in cut[0][0]] == ["[CLS]", *["good"] * 13, "mov", "[SEP]"]
    assert [word.tokens for word in cut.words(0)] == [(i,) for i in range(1, 15)]
    assert cut.words(0)[-1].text == "movie"


def test_a_tokenizer_from_a_folder_or_a_file(tmp_path, vocabulary):
    BertTokenizer(vocab=str(vocabulary)).save_pretrained(tmp_path / "saved")
    (tmp_path / "bare").mkdir()
    shutil.copy(tmp_path / "saved" / "tokenizer.json", tmp_path / "bare")
    for source in ("saved", "bare", "bare/tokenizer.json", ".", "vocab.txt"):
        tokenizer = load_tokenizer(tmp_path / source)
        assert (tokenizer.mask_token_id, tokenizer.pad_token_id) == (4, 0), source
        assert tokenizer("Good movie")["input_ids"] == [2, 5, 7, 8, 3], source


def test_a_tokenizer_that_is_nowhere_is_refused_at_once(monkeypatch):
    asked = []
    monkeypatch.setattr(data.sentences, "reachable", lambda url: asked.append(url))
    started = time.monotonic()
    message = refused(load_tokenizer, "no-such/tokenizer")
    assert time.monotonic() - started < 5
    assert asked == ["https://huggingface.co"]
    assert message.startswith("no tokenizer no-such/tokenizer: there is no such folder or file, it is not in /")
    assert message.endswith(
        "get it with: hf download no-such/tokenizer tokenizer.json tokenizer_config.json vocab.txt config.json; "
        "or give a folder: model.input.tokenizer=/path"
    )
    assert "\n" not in message


def test_without_the_hub_the_network_is_not_asked(monkeypatch):
    monkeypatch.setattr(data.sentences, "reachable", lambda url: pytest.fail("asked"))
    monkeypatch.setattr(data.sentences.constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(load_tokenizer, "no-such/other")


def test_a_tokenizer_without_mask_or_that_cannot_be_read_is_refused(tmp_path):
    Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "good": 2}, "[UNK]")).save(str(tmp_path / "tokenizer.json"))
    file = tmp_path / "tokenizer.json"
    assert refused(load_tokenizer, file) == (
        f"model.input.tokenizer={file} has no mask token, which replaces masked words: choose a tokenizer that has one"
    )
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\ngood\n")
    assert refused(load_tokenizer, tmp_path / "vocab.txt") == (
        f"{tmp_path / 'vocab.txt'} has no line [CLS] [MASK] [SEP]: a vocabulary of BERT, with one token per line, "
        "is expected"
    )
    (tmp_path / "broken.json").write_text("{")
    assert "broken.json is not a tokenizer that can be read (" in refused(load_tokenizer, tmp_path / "broken.json")
    (tmp_path / "empty").mkdir()
    assert refused(load_tokenizer, tmp_path / "empty").endswith(
        "has neither tokenizer.json nor vocab.txt: give a folder that has"
    )
