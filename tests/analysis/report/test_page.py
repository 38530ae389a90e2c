import base64
import re

import numpy as np
import pandas as pd
import pytest

from analysis.loading import load
from analysis.report.page import FigureEntry, number, write_report
from conf.measures import ours

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
CLAIMS = pd.DataFrame(
    [
        (
            "More is discarded than kept.",
            "discarded / preserved",
            2.4567,
            2.1,
            2.8,
            2.41,
            "within chance",
            "could overturn",
        ),
        ("Scratch learns little.", "ratio", 0.2, 0.19, 0.21, np.nan, "holds", ""),
        ("High orders go first.", "slope", -0.001234, -0.1, 0.1, 0.0, "fails", ""),
    ],
    columns=["claim", "quantity", "value", "low", "high", "chance", "verdict", "noise"],
)


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
            "figures": [FigureEntry("Ratio", "A caption.", tmp_path / "ratio.svg", tmp_path / "ratio.csv")],
            "gallery": [("sample 0", tmp_path / "card.png")],
            "settings": "n: 10",
        }
        write_report(tmp_path / "out" / "report.html", **(parts | changes))
        return (tmp_path / "out" / "report.html").read_text(encoding="utf-8")

    return written


def test_report_needs_nothing_from_elsewhere(write):
    text = write()
    assert "http" not in text
    assert not re.search(r"<(script|link|iframe)|url\(|@import", text)
    sources = re.findall(r'src="([^"]*)"', text)
    assert [source.split(",")[0] for source in sources] == [
        "data:image/svg+xml;base64",
        "data:image/png;base64",
    ]
    assert base64.b64decode(sources[0].split(",")[1]).decode() == SVG


def test_claims_come_first_and_in_order_with_their_verdicts(write):
    text = write()
    places = [text.index(claim) for claim in CLAIMS["claim"]]
    assert places == sorted(places)
    assert places[-1] < text.index("A caption.") < text.index("sample 0") < text.index("n: 10")
    badges = re.findall(r'<span class="badge ([\w-]+)">([\w ]+)</span>', text)
    assert badges == [("within-chance", "within chance"), ("holds", "holds"), ("fails", "fails")]
    assert "2.46 [2.10, 2.80]" in text
    assert "0.200 [0.190, 0.210]" in text


def test_a_claim_that_noise_could_overturn_says_so_beside_its_verdict(write):
    rows = re.findall(r"<tr>.*?</tr>", write().split("<tbody>")[1].split("</tbody>")[0], flags=re.DOTALL)
    assert ["noise could overturn" in row for row in rows] == [True, False, False]


def test_a_warning_in_the_summary_stands_out(write):
    text = write(summary={"warning, fine-tuned": "noise", "model": "conv4"})
    assert '<dt class="warning">warning, fine-tuned</dt><dd>noise</dd>' in text
    assert "<dt>model</dt>" in text


def test_text_of_users_is_escaped(write):
    hostile = "<script>alert(1)</script> & co"
    claims = CLAIMS.assign(claim=hostile)
    text = write(settings=hostile, title=hostile, summary={hostile: hostile}, claims=claims, how_to_read=hostile)
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp; co") == 2 + 2 + 3 + 1 + 1


def test_data_of_a_figure_can_be_unfolded(write):
    cells = re.findall(r'<td class="number">([^<]*)</td>', write())
    assert cells == ["0", "0.123", "1", "–"]


def test_figures_need_no_table_and_the_gallery_may_be_empty(write, tmp_path):
    text = write(figures=[FigureEntry("Ratio", "A caption.", tmp_path / "ratio.svg")], gallery=[])
    assert "Data (" not in text
    assert "Samples" not in text


def test_a_report_without_claims_does_not_explain_verdicts(write):
    assert "verdict" not in write(claims=CLAIMS.head(0))


def test_how_to_read_is_shown_in_paragraphs(write):
    text = write(how_to_read="First.\n\nSecond.")
    assert "<p>First.</p>" in text
    assert "<p>Second.</p>" in text
    assert "How to read" not in write()


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
    assert len(grey) == 5
    assert all(re.search("references|a classifier that|values were exchanged", text) for text in grey)


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
