"""How fast masked inputs are evaluated: measured, or predicted where measuring takes too long."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from conf import schema
from interactions import rates
from interactions.rates import LEAST, MOST, measured
from stages.span import Span

CONF = Path(__file__).resolve().parents[2] / "conf"
QUICK = ("interactions.device=cpu", "model=conv4", "model.width=4", "interactions.n=4", "interactions.samples=10")

schema.register()


def study(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [*QUICK, *overrides])


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A dense pass takes 32 to 64 seconds, a local one 3 to 5; which of them was measured."""
    seen = []

    def span(work, _):
        work()
        seen.append("local" if "locally" in work.__code__.co_names else "dense")
        return {"local": Span(3, 5), "dense": Span(32, 64)}[seen[-1]]

    monkeypatch.setattr(rates, "span", span)
    return seen


def test_forward_passes_are_measured_in_whole_batches(spans):
    assert measured(study("interactions.engine=dense", "interactions.batch_size=32")) == Span(1, 2)
    assert measured(study("interactions.engine=dense", "interactions.batch_size=512")) == Span(32, 64) * (
        1 / 96
    )  # 6 x 2^4
    assert spans == ["dense", "dense"]


def test_the_local_engine_is_measured_if_a_sample_takes_little_time(spans, monkeypatch):
    monkeypatch.setattr(rates, "predicted_speedup", lambda *_: 100)
    assert measured(study("interactions.batch_size=32")) == Span(3, 5) * (1 / 16)
    assert spans == ["dense", "local"]


def test_else_its_prediction_is_believed(spans, monkeypatch):
    monkeypatch.setattr(rates, "predicted_speedup", lambda *_: 4)
    assert measured(study("interactions.batch_size=32")) == Span(LEAST / 4, 2 * MOST / 4)
    assert spans == ["dense"]


@pytest.mark.parametrize("options", [(), ("experiment=phrases",), ("interactions.precision=float64",)])
def test_it_is_measured_for_any_study(options):
    if options == ("experiment=phrases",):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("config", [*options, "interactions.device=cpu", "interactions.n=3"])
    else:
        cfg = study(*options)
    found = measured(cfg)
    assert 0 < found.least <= found.most < 1
