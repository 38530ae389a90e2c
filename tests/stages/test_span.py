import pytest

from stages.span import Span


@pytest.mark.parametrize(("least", "most", "text"), [
    (0, 0, "0 s"), (3.4, 3.4, "3 s"), (0.2, 2.2, "0 to 2 s"), (54, 149, "54 to 149 s"), (60, 150, "1 to 2 min"),
    (720, 1500, "12 to 25 min"), (7000, 7201, "1.9 to 2.0 h"), (36000, 108000, "10 to 30 h"),
    (86400, 3 * 86400, "1.0 to 3.0 days"), (20 * 86400, 20 * 86400 + 1, "20 days"),
])  # fmt: skip
def test_a_span_is_told_in_the_unit_of_its_end(least, most, text):
    assert str(Span(least, most)) == text


def test_spans_add_up_and_are_multiplied():
    assert Span(1, 2) + Span(10, 30) * 2 == Span(21, 62)
