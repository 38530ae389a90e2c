"""Makes a workspace and a report at W&B, with the same panels: the paper's figures, the claims, and the trainings.

    python -m analysis.dashboard project=NAME                  the project that the runs were logged to (wandb.project)
    python -m analysis.dashboard project=NAME entity=TEAM      where it is; the account's own if left out
    python -m analysis.dashboard project=NAME name="Our runs"  what workspace and report are called
    python -m analysis.dashboard project=NAME dry=true         prints the workspace as JSON: no account, no network

It needs pip install ".[dashboard]" and an account of W&B (wandb login). Every call makes a new workspace and a new
report; those of earlier calls stay as they are. Panels read what runs log with wandb.mode=online, or what was sent
later with wandb sync.
"""

import importlib.util
import os
import sys

from conf.check import check_project
from conf.errors import BadInput
from conf.first_line import first_line
from stages.command import errors_in_one_line
from stages.words import HELP, given
from tracking import account, server

KEYS = ("project", "entity", "name", "dry")
NAME = "Pre-training and interactions"
PACKAGE = "wandb_workspaces"
DRY = "dry=true prints the workspace without an account"


def main(words: list[str] | None = None) -> None:
    words = sys.argv[1:] if words is None else words
    if HELP & set(words):
        print(__doc__)
        return
    with errors_in_one_line():
        asked = given(words, KEYS, needed=("project",))
        if asked.get("dry", "false") not in ("true", "false"):
            raise BadInput(f"dry={asked['dry']} is not allowed: true or false is")
        check_project("project", asked["project"])
        if importlib.util.find_spec(PACKAGE) is None:
            raise BadInput('analysis.dashboard needs wandb-workspaces: pip install ".[dashboard]"')
        about = asked.get("entity", ""), asked["project"], asked.get("name") or NAME
        if asked.get("dry") == "true":
            print(_specification(*about))
        else:
            _save(*about)


def _specification(entity: str, project: str, name: str) -> str:
    from analysis.dashboard.drawn import workspace

    return workspace(entity, project, name)._to_model().model_dump_json(by_alias=True, indent=2)


def _save(entity: str, project: str, name: str) -> None:
    """Saves both, and prints their addresses. Raises BadInput without a key, or if the server does not take them."""
    if account.no_key():
        raise BadInput(f"no key of W&B was found: run `wandb login`, or set WANDB_API_KEY; {DRY}")
    if why := server.no_answer(account.host()):
        raise BadInput(f"{why}; {DRY}")
    os.environ.setdefault("WANDB_SILENT", "true")  # it would print the addresses, too
    import wandb

    from analysis.dashboard.drawn import report, workspace

    try:
        entity = entity or wandb.Api().default_entity
        # The report first: it asks whether the project is there, and a workspace does not.
        print(f"report: {report(entity, project, name).save().url}", flush=True)
        print(f"workspace: {workspace(entity, project, name).save().url}", flush=True)
    except Exception as error:
        if not (isinstance(error, ValueError) or type(error).__module__.startswith("wandb.")):
            raise
        reason = first_line(error)
        raise BadInput(f"W&B did not take the dashboard of project={project}: {reason}; {DRY}") from error


if __name__ == "__main__":
    main()
