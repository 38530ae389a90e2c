import base64
import re

import numpy as np
import pandas as pd
import pytest
from hand_made import estimate

from analysis.claims import Claim, as_table, ordered
from analysis.loading import load
from analysis.report.page import FigureEntry, number, write_report
from analysis.tables import REFERENCES
from conf.measures import ours

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
OF = {
    "More is discarded than kept.": [
        ("discarded / preserved", estimate(2.4567, 2.1, 2.8, estimate(1.4, 1.2, 1.6), sign=(2.41, -0.1, 0.2)), 2),
        ("some discarded / preserved", estimate(2.3, 1.9, 2.7), 2),
    ],
    "Scratch learns little.": [
        ("ratio", estimate(0.2, 0.19, 0.21, sign=(0.1, 0.05, 0.15), task=(0.4, -0.3, -0.1)), 0.1)
    ],
    "What is kept": [("share", estimate(0.25, 0.2, 0.3), float("nan"))],
    "High orders go first.": [("slope", estimate(-0.001234, -0.1, 0.1), 0)],
    "It is steadier.": [("falls", estimate(0, 0, 0), 0)],
}
NEVER = "no curve falls"
MADE = [Claim(name, f"{name}/{at}", way, result, above, impossible=NEVER if way == "falls" else "")
        for name, ways in OF.items() for at, (way, result, above) in enumerate(ways)]  # fmt: skip
CLAIMS = ordered(as_table("mine", MADE, [True, *[False] * 5])[0])


@pytest.fixture
def write(tmp_path):
    """Writes a report with one figure, its table and one sample; returns its text."""
    (tmp_path / "ratio.svg").write_text(SVG)
    (tmp_path / "card.png").write_bytes(b"\x89PNG")
    pd.DataFrame({"order": [0, 1], "mean": [0.123456, np.nan]}).to_csv(tmp_path / "ratio.csv", index=False)

    def written(**changes):
        parts = {
            "title": "Study",
            "summary": {"model": "conv4"},
            "claims": CLAIMS,
            "figures": [
                FigureEntry("ratio", "How much?", "A caption.", tmp_path / "ratio.svg", tmp_path / "ratio.csv")
            ],
            "gallery": [("sample 0", tmp_path / "card.png")],
            "settings": "n: 10",
        }
        write_report(tmp_path / "out" / "report.html", **(parts | changes))
        return (tmp_path / "out" / "report.html").read_text(encoding="utf-8")

    return written


def test_report_needs_nothing_from_elsewhere(write):
    text = write()
    assert re.findall(r"http[^\"]*", text) == ["https://arxiv.org/abs/2410.08455"], "the paper, to read on"
    assert not re.search(r"<(script|link|iframe)|url\(|@import", text)
    sources = re.findall(r'src="([^"]*)"', text)
    assert [source.split(",")[0] for source in sources] == [
        "data:image/svg+xml;base64",
        "data:image/png;base64",
    ]
    assert base64.b64decode(sources[0].split(",")[1]).decode() == SVG


def test_the_answer_comes_first_then_claims_in_order_with_their_verdicts(write):
    text = write(answer="Yes & no.")
    places = [text.index("Yes &amp; no."), *(text.index(f"<strong>{claim}</strong>") for claim in OF)]
    assert places == sorted(places)
    assert places[-1] < text.index("A caption.") < text.index("sample 0") < text.index("n: 10")
    assert "answer" not in write().partition("</style>")[2]
    badges = re.findall(r'<span class="badge ([\w-]+)">([^<]+)</span>', text)
    assert badges == [
        ("depends-on", "depends on the probe&#39;s scale"), ("met", "met"), ("not-met", "not met"),
        ("undecided", "undecided"), ("met", "met"), ("undecided", "undecided"), ("not-measurable", "not measurable"),
    ]  # fmt: skip
    for name in {kind for kind, _ in badges}:
        assert f".{name}" in text.partition("</style>")[0], "each has its colour"
    assert "2.46 [2.10, 2.80]" in text
    assert "0.200 [0.190, 0.210]" in text


def test_a_warning_stands_above_the_answer(write):
    text = write(answer="An answer.", warning="It means nothing.")
    assert 0 < text.index('<p class="warning">It means nothing.</p>') < text.index("An answer.")
    assert '<p class="warning">' not in write(answer="An answer.")


def ways(text):
    """What stands beside each way to count, without marks."""
    table = text.partition('<table class="claims">')[2].partition("</table>")[0]
    rows = re.findall(r"<tr>.*?</tr>", table.partition("</thead>")[2], flags=re.DOTALL)
    return [" ".join(re.sub("<[^>]*>", " ", row).split()) for row in rows]


def test_each_way_to_count_has_its_value_that_at_equal_strengths_and_its_references(write):
    assert ways(write()) == [
        "discarded / preserved noise could overturn 2.46 [2.10, 2.80] met 1.40 [1.20, 1.60] not met sign 2.41 equal",
        "some discarded / preserved 2.30 [1.90, 2.70] undecided – –",
        "ratio 0.200 [0.190, 0.210] – sign 0.100 more task 0.400 less",
        "share 0.250 [0.200, 0.300] – –",
        "slope −0.00123 [−0.100, 0.100] – –",
        "falls no curve falls 0 [0, 0] – –",
    ]
    assert 'title="excess 0.0467 [−0.100, 0.200]"' in write()


def test_columns_and_their_words_are_there_only_where_a_claim_has_them(write):
    some = {"at equal strengths": "depends on the probe's scale", "references": "more"}
    whole, bare = write(), write(claims=CLAIMS[CLAIMS["mean"].isin([2.3, 0.25])])
    for text, there in ((whole, True), (bare, False)):
        table, footnote = text.partition('<table class="claims">')[2].partition("</table>")[::2]
        footnote = footnote.partition("</p>")[0]
        assert 'colspan="4"' in table or not there
        assert 'colspan="2"' in table or there
        for column, word in some.items():
            assert (f"<th>{column}</th>" in table) == there
            assert (f"<strong>{word}</strong>" in footnote) == there
        assert ("noise could overturn" in footnote) == there
    assert ways(bare) == ["some discarded / preserved 2.30 [1.90, 2.70]", "share 0.250 [0.200, 0.300]"]


def test_it_is_said_how_many_claims_there_are_and_what_verdicts_mean(write):
    text = write()
    assert "4 claims; each is judged by itself" in text, "what is only measured claims nothing"
    one = write(claims=CLAIMS[CLAIMS["claim"] == CLAIMS["claim"].iloc[0]])
    assert "1 claim is judged." in one
    assert "1 claims" not in one
    for word in ("met", "not met", "undecided", "not measurable", "depends on the probe's scale", "more", "equal"):
        assert f"<strong>{word}</strong>" in text


@pytest.mark.parametrize("word", ["interaction I(S)", "preserved", "at equal strengths", "chance", "excess",
                                  *(name for name in REFERENCES)])  # fmt: skip
def test_the_glossary_says_what_words_mean(write, word):
    assert f"<dt>{word}</dt>" in write()


def test_a_warning_in_the_summary_stands_out(write):
    text = write(summary={"warning, fine-tuned": "noise", "model": "conv4"})
    assert '<dt class="warning">warning, fine-tuned</dt><dd>noise</dd>' in text
    assert "<dt>model</dt>" in text


def test_text_of_users_is_escaped(write):
    hostile = "<script>alert(1)</script> & co"
    claims = CLAIMS.head(1).assign(claim=hostile, quantity=hostile)
    text = write(settings=hostile, title=hostile, summary={hostile: hostile}, claims=claims, how_to_read=hostile,
                 answer=hostile)  # fmt: skip
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp; co") == 2 + 2 + 2 + 1 + 1 + 1


def test_data_of_a_figure_can_be_unfolded(write):
    cells = re.findall(r'<td class="number">([^<]*)</td>', write().partition("A caption.")[2])
    assert cells == ["0", "0.123", "1", "–"]


def test_figures_need_no_table_and_the_gallery_may_be_empty(write, tmp_path):
    text = write(figures=[FigureEntry("ratio", "How much?", "A caption.", tmp_path / "ratio.svg")], gallery=[])
    assert "Data (" not in text
    assert "Samples" not in text


def test_a_report_without_claims_does_not_explain_verdicts(write):
    text = write(claims=CLAIMS.head(0))
    assert "badge" not in text.partition("</style>")[2]
    assert "claims" not in text.partition("</style>")[2].partition("Glossary")[0]


def test_how_to_read_is_shown_in_paragraphs(write):
    text = write(how_to_read="First.\n\nSecond.")
    assert "<p>First.</p>" in text
    assert "<p>Second.</p>" in text
    assert "What do intervals and references say?" in text
    assert "What do intervals and references say?" not in write()


def test_a_failed_report_leaves_the_old_one(write, tmp_path):
    before = write()
    with pytest.raises(FileNotFoundError):
        write(title="New", gallery=[("gone", tmp_path / "gone.png")])
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]


def test_pictures_of_another_kind_are_refused(write, tmp_path):
    with pytest.raises(ValueError, match=r"card\.gif: the report shows \.svg and \.png"):
        write(gallery=[("a", tmp_path / "card.gif")])


def test_every_caption_of_grey_lines_says_what_they_are():
    captions = [load(name, {}).about["caption"] for name in ours()]
    assert all(captions)
    grey = [text for text in captions if "Grey" in text or "grey" in text]
    assert len(grey) == 12
    said = "references|a classifier that|values were exchanged|taken out at other|most frequent class"
    said += "|labels were shuffled|random move"
    assert all(re.search(said, text) for text in grey)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.123"),
        (0.2, "0.200"),
        (123.4, "123"),
        (12345.6, "12300"),
        (-2.5, "−2.50"),
        (1.234e-7, "1.23e−07"),
        (0.0, "0"),
        (float("nan"), "–"),
        (12, "12"),
        ("paper", "paper"),
    ],
)
def test_numbers_have_three_significant_digits(value, text):
    assert number(value) == text
