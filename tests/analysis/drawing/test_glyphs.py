import warnings

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from analysis.drawing import glyphs
from analysis.drawing.gallery import Card, Picture, draw
from analysis.drawing.glyphs import OURS, drawable, families
from analysis.drawing.labels import text_width
from analysis.drawing.sentence import Sentence
from analysis.drawing.style import save

ROCKET, HAND, MARK = "🚀", "👋", "\u1ab0"  # in none of the fonts that come with Matplotlib
FOREIGN = [
    ROCKET, f"{HAND}🏽", "👨‍👩‍👧", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇩🇪", "映画", "한국어", "क्षि", "ก็", f"a{MARK}", "𓀀", "\0x", "a\tb",
    "\ue000", "\u0378", "caf\udce9", "السلام", "שלום",
]  # fmt: skip


def forget():
    for cached in (drawable, families, glyphs._drawn, glyphs._family, glyphs._installed):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def fonts(monkeypatch):
    """Those that come with Matplotlib, whatever else is installed here."""
    own = [font for font in fontManager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(fontManager, "ttflist", own)
    forget()
    yield
    forget()


@pytest.fixture
def pictures(tmp_path):
    """An installed font, "Pictures", with a wide square for the rocket and one for the mark."""
    builder, pen = FontBuilder(1000), TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 700), (1900, 700), (1900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(ROCKET): "square", ord(MARK): "square", 0xE000: "square", 0: "square"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (500, 0), "square": (2000, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Pictures", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "pictures.ttf")
    fontManager.addfont(tmp_path / "pictures.ttf")
    forget()


def painted(text):
    """[H, W] bool: where ink is."""
    figure = Figure(figsize=(3, 1), dpi=100)
    canvas = FigureCanvasAgg(figure)
    figure.text(0.1, 0.3, drawable(text), fontfamily=families(drawable(text)), fontsize=20, parse_math=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., 0] < 128


@pytest.mark.parametrize(
    "text", ["", "good", "хороший", "précurseur", "e\u0301", "السلام", "שלום", "😀", "❤\ufe0f", "$x$"]
)
def test_what_our_font_has_stays_as_it_is(text):
    assert drawable(text) == text
    assert families(text) == (OURS,)


@pytest.mark.parametrize(("text", "shown"), [
    ("映画!", "▯▯!"), (f"{HAND}🏽", "▯▯"), ("1️⃣", "1\ufe0f"), ("ก็", "▯"), ("a\tb\nc", "a b c"), ("caf\udce9", "caf▯"),
    (f"a{MARK}", "a"), ("\0x", "▯x"), ("\ue000", "▯"),
])  # fmt: skip
def test_what_no_font_has_leaves_a_stand_in(text, shown):
    assert drawable(text) == shown
    assert families(shown) == (OURS,)
    assert painted(shown).any()


@pytest.mark.usefixtures("pictures")
def test_another_installed_font_is_used_where_ours_has_no_letter():
    assert drawable(f"up {ROCKET}{HAND}") == f"up {ROCKET}▯"
    assert families(f"up\n{ROCKET}") == (OURS, "Pictures")
    assert text_width(ROCKET, 10) == pytest.approx(20, rel=0.02)
    assert painted(ROCKET).sum() > 4 * painted("▯").sum()  # the square is full


@pytest.mark.usefixtures("pictures")
def test_a_mark_needs_a_font_that_has_its_letter_too():
    assert drawable(f"a{MARK}") == "a"


@pytest.mark.usefixtures("pictures")
def test_private_and_control_characters_are_taken_from_no_other_font():
    assert drawable("\ue000\0") == "▯▯"


@pytest.mark.parametrize("text", FOREIGN)
def test_width_is_that_of_what_is_drawn(text):
    figure = Figure(dpi=150)
    FigureCanvasAgg(figure)
    style = {"fontfamily": families(drawable(text)), "fontsize": 12, "parse_math": False}
    drawn = figure.text(0, 0, drawable(text), **style)
    assert text_width(text, 12) == pytest.approx(drawn.get_window_extent().width * 72 / 150, rel=0.05)


@pytest.mark.parametrize("shown", [
    Sentence([*FOREIGN, "good", "."], [0, 1, 2, 6, 8, 17, 18, 19]),
    Picture(np.zeros((8, 8, 3), np.uint8), [(0, 0, 4, 4), (4, 4, 4, 4)]),
])  # fmt: skip
def test_no_text_makes_matplotlib_warn(tmp_path, shown):
    interactions = np.random.default_rng(0).standard_normal(2**shown.n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        card = Card(f"class {' '.join(FOREIGN)}", shown, {"scratch": interactions}, {"scratch": 0.0})
        paths = save(draw(card), tmp_path, "card")
    assert all(path.stat().st_size for path in paths)


def test_words_that_look_alike_are_told_apart():
    assert Sentence(["映画", "最高", "good"], [0, 1, 2]).names == ["▯▯₁", "▯▯₂", "good"]
