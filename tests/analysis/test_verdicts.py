"""What a study says at the end."""

import pandas as pd
import pytest

from analysis.claims import COLUMNS
from analysis.verdicts import show_claims


@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS[:-1]])
def test_claims_are_shown_with_what_noise_could_do_to_them(tmp_path, capsys, columns):
    rows = [("mine", "More is new.", "new / old", 2.0, 1.9, 2.1, 0.5, 1, None, "holds", "could overturn"),
            ("mine", "Less is old.", "old", 1.0, 0.9, 1.1, None, 2, None, "fails", "")]  # fmt: skip
    (tmp_path / "tables").mkdir()
    pd.DataFrame(rows, columns=COLUMNS)[columns].to_csv(tmp_path / "tables" / "claims.csv", index=False)
    show_claims(tmp_path)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    noise = ["numerical noise could overturn this"] if "noise" in columns else []  # older tables have no such column
    assert lines == ["", "holds  More is new.", "new / old: 2 [1.9, 2.1], chance 0.5", *noise,
                     "fails  Less is old.", "old: 1 [0.9, 1.1], chance nan", "",
                     f"report: {tmp_path / 'report.html'}"]  # fmt: skip
