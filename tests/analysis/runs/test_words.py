"""What stands above a summary over runs."""

from analysis.runs.settings import in_order
from analysis.runs.words import opening


def test_options_of_measures_tell_summaries_apart(run_of):
    options = [{"layer": "b2"}, {"layer": "b2"}, {"layer": "b3", "neighbours": 5}, {}]
    runs, settings = in_order([run_of({}, {}, train=train, about={"logme": {"options": each}, "tsne": {}})
                               for train, each in enumerate(options)])  # fmt: skip
    lines = ["logme: layer=b2", "logme: layer=b3, neighbours=5"]
    assert opening(runs, settings, {}, {}, [])["options of measures"] == lines
    runs, settings = in_order([run_of({}, {}, about={"logme": {"options": {}}})])
    assert "options of measures" not in opening(runs, settings, {}, {}, [])
