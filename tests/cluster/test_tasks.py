"""A study's runs become tasks: what each makes, what it waits for, what is left out."""

from pathlib import Path

import pytest

from cluster import submit
from cluster.runs import composed, hydras, runs_of, split
from cluster.tasks import JOIN, SHARDS, tasks_of
from conf.errors import BadInput

CONF = Path(__file__).resolve().parents[1] / "conf"


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    return ["experiment=tiny", f"--config-dir={CONF}", f"output={tmp_path}", "cluster.interactions.shards=3"]


def tasks(words: list[str]) -> dict[str, object]:
    with hydras():
        found = tasks_of(runs_of(words))
    assert len({task.key for task in found}) == len(found)
    return {task.called if task.what != "analysis" else f"analysis {task.run.cfg.run_dir}": task for task in found}


def needs(task: object, found: dict[str, object]) -> set[str]:
    return {name for name, other in found.items() if other.key in (*task.after, *task.ended)}


def test_a_study_is_a_task_for_each_result(words: list[str], tmp_path: Path) -> None:
    found = tasks(words)
    assert needs(found["finetune"], found) == needs(found["probe"], found) == {"pretrain"}
    assert not needs(found["scratch"], found)
    for name in ("probe", "finetune", "scratch"):
        shards, join = found[f"interactions/{name}, 3 shards"], found[f"interactions/{name}, join of 3 shards"]
        assert needs(shards, found) == {name, "interactions/samples"}
        assert needs(join, found) == {name, "interactions/samples", f"interactions/{name}, 3 shards"}
        assert join.ended == (shards.key,)  # whichever way they end
        assert (shards.kind, shards.shards, join.kind, join.gets) == (SHARDS, 3, JOIN, "join")
    assert needs(found[f"analysis {tmp_path}/digits/seed=0"], found) >= {
        "probe",
        "interactions/scratch, join of 3 shards",
    }
    names = [*found]
    for name, task in found.items():  # in an order in which they can be submitted
        assert all(names.index(other) < names.index(name) for other in needs(task, found))


def test_runs_share_what_both_need_and_are_summed_up(words: list[str], tmp_path: Path) -> None:
    found = tasks([*words, "seeds.train=0,1", "cluster.interactions.shards=1"])
    with hydras():
        every = tasks_of(runs_of([*words, "seeds.train=0,1", "cluster.interactions.shards=1"]))
    counts = {name: sum(task.what == name for task in every) for name in ("pretrain", "probe", "finetune", "scratch")}
    assert counts == {"pretrain": 1, "probe": 1, "finetune": 2, "scratch": 2}
    assert needs(found["summary"], found) == {name for name in found if name.startswith("analysis")}
    assert len(needs(found["summary"], found)) == 2


def test_an_experiment_that_is_a_sweep_is_several_runs(tmp_path: Path) -> None:
    with hydras():
        assert split(["experiment=tiny_seeds", f"--config-dir={CONF}", "interactions.n=2"]) == [
            [
                f"hydra.searchpath=[file://{CONF}]",
                f"seeds.train={seed}",
                "experiment=tiny_seeds",
                "interactions.n=2",
            ]
            for seed in (0, 1)
        ]


def test_no_more_shards_than_units(words: list[str]) -> None:
    most = 3 * 10  # epochs x samples
    assert f"interactions/finetune, {most} shards" in tasks([*words, "cluster.interactions.shards=1000"])


def test_without_an_analysis_a_task_shows_the_results(words: list[str], tmp_path: Path) -> None:
    found = tasks([*words, "stages=[pretrain,scratch]"])
    assert set(found) == {"pretrain", "scratch", "folder"}
    assert needs(found["folder"], found) == {"pretrain", "scratch"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("stages=finetune", "needs pretrain, which is not complete and not among the stages"),
        ("model=conv4,none", "model=none is unknown"),
        ("finetune.lr=1,x", "finetune.lr=x is not allowed"),
        ("--plan", "--plan is not known here"),
    ],
)
def test_bad_words_are_refused_before_anything_is_submitted(words: list[str], more: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        tasks([*words, more])


def test_what_jobs_get_follows_from_the_stage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    submit.main([*words, "dry=true", "cluster.partition=a", "cluster.join.partition=b", "trainer.devices=4",
                 "trainer.num_nodes=2"])  # fmt: skip
    rows = {line.split()[1].rstrip(","): line for line in capsys.readouterr().out.splitlines()[1:-1]}
    assert rows["scratch"].endswith("12:00 h, 2 nodes x 4 processes x 8 CPUs + 1 GPU, 32 GB, in a")
    assert rows["interactions/samples"].endswith("2:00 h, 4 CPUs, 16 GB, in b")
    assert not Path(words[2].removeprefix("output=")).joinpath("cluster").exists()  # nothing was written


def test_a_run_composed_alone_has_the_same_results(words: list[str]) -> None:
    with hydras():
        for run in runs_of([*words, "seed=0,1"]):
            again = composed(run.words)
            assert {name: one.digest for name, one in again.results.items()} == {
                name: one.digest for name, one in run.results.items()
            }
