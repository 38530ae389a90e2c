"""The spectrum of features, from a table that is made by hand."""

import numpy as np
import pandas as pd

from analysis.drawing.components import before_and_after


def test_equal_numbers_of_main_components_do_not_lie_on_each_other():
    rows = [(model, quantity, "main", value, value, value) for model, k in (("pretrain", 7), ("finetune", 8))
            for quantity, value in (("dimension", k), ("accuracy", 0.7))]  # fmt: skip
    table = pd.DataFrame(rows, columns=["model", "quantity", "component", "mean", "low", "high"])
    table.attrs["values"] = {model: np.linspace(30, 1, 30) for model in ("pretrain", "finetune")}
    figure = before_and_after(table, {"pretrain": "before", "finetune": "after", "main": "F_m"})
    figure.draw_without_rendering()
    one, other = (text.get_window_extent() for text in figure.axes[0].texts)
    assert [text.get_text() for text in figure.axes[0].texts] == ["k = 7", "k = 8"]
    assert not one.overlaps(other)
    assert one.x0 < other.x0, "the smaller one stands above left"
    assert one.y0 > other.y0
