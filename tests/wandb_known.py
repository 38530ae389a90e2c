"""What the stand-in for a W&B server (tests/wandb_server.py) knows: runs, artifacts, files, saved views."""

import json
from dataclasses import dataclass, field

Answer = dict[str, object]
HISTORY, EVENTS, CONSOLE, SUMMARY = "wandb-history.jsonl", "wandb-events.jsonl", "output.log", "wandb-summary.json"
ME = "me"


@dataclass
class Run:
    """lines: of each streamed file, by the number that they came with, as a server stores them: what comes later with
    the same number replaces what was there."""

    id: str
    project: str
    entity: str
    group: str = ""
    job_type: str = ""
    name: str = ""
    tags: list[str] = field(default_factory=list)
    settings: str = "{}"
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    exit_code: int | None = None

    def of(self, file: str) -> list[str]:
        return [line for _, line in sorted(self.lines.get(file, {}).items())]

    @property
    def history(self) -> list[Answer]:
        return [json.loads(line) for line in self.of(HISTORY)]

    @property
    def summary(self) -> Answer:
        return json.loads((self.of(SUMMARY) or ["{}"])[-1])

    @property
    def config(self) -> Answer:
        """The settings as the user gave them: what W&B adds, and its own wrapping, are left out."""
        given = json.loads(self.settings)
        return {key: about["value"] for key, about in given.items() if key != "_wandb"}


@dataclass
class Artifact:
    id: str
    name: str
    type: str
    digest: str
    run: str
    version: int
    aliases: list[str]
    metadata: Answer
    project: str
    entity: str
    state: str = "PENDING"


@dataclass
class Known:
    """runs by id; artifacts in their order; files: what was uploaded, by path; views: workspaces and reports; asked,
    unknown: names of the operations, and those that it has no answer for."""

    url: str = ""
    runs: dict[str, Run] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    views: list[Answer] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def artifact(self, name: str) -> Artifact | None:
        """Finds "weights:v1" or "weights:latest"; a name alone is the latest."""
        name, _, alias = name.partition(":")
        found = [each for each in self.artifacts if each.name == name]
        return next((each for each in found[::-1] if alias in ("", f"v{each.version}", *each.aliases)), None)

    def manifest(self, name: str) -> Answer:
        """Returns the files of an artifact, by their names."""
        return json.loads(self.files[f"manifests/{self.artifact(name).id}"])["contents"]
