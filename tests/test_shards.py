"""A study whose interactions are shared out: by its own commands, with kills, it ends as if it were made as a whole."""

import shutil
from pathlib import Path

import pytest
from studies import Finished, Studies, check_refused, contents, files

PLACE = "results/interactions/finetune"


@pytest.fixture
def begun(resumable: Studies) -> Studies:
    """A study without values, which were the last thing that its run's folder has shown."""
    for role in ("probe", "finetune", "scratch"):
        shutil.rmtree(resumable.output / f"results/interactions/{role}")
    return resumable


def share(study: Studies, which: str, *more: str, **options: object) -> object:
    return study("stages=[interactions]", f"interactions.shard={which}", *more, **options)


def test_shards_and_joins_that_are_killed_go_on(begun: Studies, finished: Finished) -> None:
    (name,) = (str(path.relative_to(finished.output)) for path in (finished.output / PLACE).glob("[!.]*/"))
    assert share(begun, "1/2", kill_at=("after", f"{name}/inputs.json")).code == -9
    first = share(begun, "1/2")
    assert first.code == 0, first.err
    assert "interactions/finetune, shard 1/2: 4 of 4 units to do" in first.out
    before = contents(begun.output)
    check_refused(
        share(begun, "join/2"),
        "interactions/finetune: shard 2 of 2 is missing (5 of 9 units): run interactions.shard=2/2, then "
        "interactions.shard=join/2; interactions/scratch: shard 2 of 2",
    )
    assert contents(begun.output) == before
    assert share(begun, "2/2", "interactions.processes=2", "interactions.roles=[finetune]").code == 0
    assert len(list((begun.output / name).glob("shards/*/*.values"))) == 3, "one for each process"
    assert share(begun, "2/2").code == 0
    for moment in (("before", "epoch_001/values.npy"), ("after", "epoch_001/values.npy"), ("after", "done.json")):
        assert share(begun, "join/2", kill_at=(moment[0], f"{name}/{moment[1]}")).code == -9
    result = share(begun, "join/2")
    assert result.code == 0, result.err
    assert files(begun.output) == files(finished.output)
    for file in finished.output.glob("results/interactions/*/*/epoch_*/*.np*"):
        assert (begun.output / file.relative_to(finished.output)).read_bytes() == file.read_bytes()
    for file in ("config.yaml", "results.json", "chosen.json"):
        run = Path("digits", "seed=0", file)
        assert (begun.output / run).read_text().replace(str(begun.output), "") == (
            finished.output / run
        ).read_text().replace(str(finished.output), "")


def test_what_a_share_takes_is_planned_and_what_it_can_not_do_is_refused(begun: Studies) -> None:
    there = files(begun.output)
    (line,) = (line for line in share(begun, "1/2", "plan=true").out.splitlines() if line.startswith("interactions "))
    assert line.split()[1:4] == ["begun", "280", "0"], "half of seven checkpoints x ten samples x 2**3"
    (line,) = (
        line for line in share(begun, "join/2", "plan=true").out.splitlines() if line.startswith("interactions ")
    )
    assert line.split()[1:4] == ["begun", "0", "0"]
    words = ("interactions.shard=1/2 leaves interactions/", "incomplete, and analysis needs", "stages=[interactions]")
    check_refused(share(begun, "1/2", "stages=[interactions,analysis]", "analysis.tau=0.07"), *words)
    check_refused(share(begun, "3/2"), "interactions.shard=3/2 is not allowed", "2/8 (the second of eight), or join/8")
    check_refused(share(begun, "join/3"), "shards 1 to 3 of 3 are missing")
    assert files(begun.output) == there
