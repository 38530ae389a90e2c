"""The answers of the stand-in for a W&B server to the queries of wandb 0.31 (tests/wandb_server.py).

They go by the names of the operations and never by which fields a query asks for: an answer has all that any of them
asks for.
"""

import json
from collections.abc import Callable

from wandb_known import CONSOLE, EVENTS, HISTORY, ME, Answer, Artifact, Known, Run

NOW = "2026-01-01T00:00:00Z"
OPERATIONS: dict[str, Callable[[Known, Answer], Answer]] = {}


def answer(known: Known, operation: str, given: Answer) -> Answer:
    """Raises LookupError for an operation that is not known."""
    known.asked.append(operation)
    return OPERATIONS[operation[:1].upper() + operation[1:]](known, given)


def operation(function: Callable[[Known, Answer], Answer]) -> Callable[[Known, Answer], Answer]:
    OPERATIONS["".join(word.title() for word in function.__name__.split("_"))] = function
    return function


@operation
def viewer(known: Known, given: Answer) -> Answer:
    about = {"id": ME, "entity": ME, "username": ME, "email": "", "flags": "{}", "teams": {"edges": []}}
    return {"viewer": about}


OPERATIONS["GetDefaultEntity"] = viewer


@operation
def server_features_query(known: Known, given: Answer) -> Answer:
    return {"serverInfo": {"features": []}}


@operation
def run_resume_status(known: Known, given: Answer) -> Answer:
    run = known.runs.get(given["name"])
    return {"model": _project(given["project"], ME) | {"bucket": run and _bucket(run)}}


@operation
def upsert_bucket(known: Known, given: Answer) -> Answer:
    inserted = given["name"] not in known.runs
    new = Run(given["name"], given["project"], given.get("entity") or ME)
    run = known.runs.setdefault(new.id, new)
    names = {"groupName": "group", "jobType": "job_type", "displayName": "name", "tags": "tags", "config": "settings"}
    for key, name in names.items():
        if given.get(key):
            setattr(run, name, given[key])
    return {"upsertBucket": {"bucket": _bucket(run), "inserted": inserted}}


@operation
def create_run_files(known: Known, given: Answer) -> Answer:
    places = [{"name": name, "uploadUrl": f"{known.url}/upload/{given['run']}/{name}"} for name in given["files"]]
    return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": places}}


@operation
def create_artifact(known: Known, given: Answer) -> Answer:
    """A version with the digest of an earlier one is that one, as on a server."""
    given = given["input"]
    name = given["artifactCollectionName"]
    before = [each for each in known.artifacts if each.name == name]
    found = next((each for each in before if each.digest == given["digest"]), None)
    if not found:
        aliases = [each["alias"] for each in given.get("aliases") or []]
        found = Artifact(f"artifact-{len(known.artifacts)}", name, given["artifactTypeName"], given["digest"],
                         given["runName"], len(before), aliases, json.loads(given.get("metadata") or "{}"),
                         given["projectName"], given["entityName"])  # fmt: skip
        known.artifacts.append(found)
    latest = {"latestArtifact": {"id": before[-1].id} if before else None}
    return {"createArtifact": {"artifact": {"id": found.id, "state": found.state, "artifactSequence": latest}}}


@operation
def create_artifact_manifest(known: Known, given: Answer) -> Answer:
    place = {"id": "file", "uploadUrl": f"{known.url}/upload/manifests/{given['artifactID']}", "uploadHeaders": []}
    return {"createArtifactManifest": {"artifactManifest": {"id": f"of-{given['artifactID']}", "file": place}}}


@operation
def update_artifact_manifest(known: Known, given: Answer) -> Answer:
    identity = given["artifactManifestID"].removeprefix("of-")
    place = {"id": "file", "uploadUrl": f"{known.url}/upload/manifests/{identity}", "uploadHeaders": []}
    return {"updateArtifactManifest": {"artifactManifest": {"id": given["artifactManifestID"], "file": place}}}


@operation
def create_artifact_files(known: Known, given: Answer) -> Answer:
    nodes = [_artifact_file(known, file) for file in given["input"]["artifactFiles"]]
    return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}


@operation
def commit_artifact(known: Known, given: Answer) -> Answer:
    found = _by_id(known, given["artifactID"])
    found.state = "COMMITTED"
    return {"commitArtifact": {"artifact": {"id": found.id, "digest": found.digest}}}


@operation
def use_artifact(known: Known, given: Answer) -> Answer:
    given = given.get("input", given)
    found = _by_id(known, given["artifactID"])
    known.runs[given["runName"]].used.append(f"{found.name}:v{found.version}")
    return {"useArtifact": {"artifact": _artifact(found)}}


@operation
def artifact_type(known: Known, given: Answer) -> Answer:
    found = known.artifact(given["name"])
    return {"project": {"artifact": found and {"artifactType": {"name": found.type}}}}


@operation
def artifact_membership_by_name(known: Known, given: Answer) -> Answer:
    found = known.artifact(given["name"])
    return {"project": {"artifactCollectionMembership": found and _membership(found)}}


@operation
def project_internal_id(known: Known, given: Answer) -> Answer:
    """A project is there as soon as it has a run."""
    there = given["projectName"] in {run.project for run in known.runs.values()}
    return {"project": _project(given["projectName"], given["entityName"]) if there else None}


@operation
def get_projects(known: Known, given: Answer) -> Answer:
    names = sorted({run.project for run in known.runs.values()})
    edges = [
        {"node": _project(name, ME) | {"createdAt": NOW, "isBenchmark": False, "user": None}, "cursor": name}
        for name in names
    ]
    return {"models": {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}}


@operation
def upsert_view(known: Known, given: Answer) -> Answer:
    project = _project(given["projectName"], given["entityName"])
    view = given | {"id": f"view-{len(known.views)}", "project": project}
    known.views.append(view)
    return {"upsertView": {"view": view, "inserted": True}}


OPERATIONS["UpsertView2"] = upsert_view


def _by_id(known: Known, identity: str) -> Artifact:
    return next(each for each in known.artifacts if each.id == identity)


def _project(name: str, entity: str) -> Answer:
    return {"id": name, "internalId": name, "name": name, "entityName": entity,
            "entity": {"id": entity, "name": entity}}  # fmt: skip


def _bucket(run: Run) -> Answer:
    """A run as W&B's answers call it. Tails are JSON inside JSON: a list of lines."""
    counts = {"historyLineCount": len(run.of(HISTORY)), "eventsLineCount": len(run.of(EVENTS))}
    tails = {"historyTail": json.dumps(run.of(HISTORY)[-1:]), "eventsTail": json.dumps(run.of(EVENTS)[-1:])}
    about = {"id": f"id-{run.id}", "name": run.id, "displayName": run.name, "config": run.settings, "tags": run.tags}
    rest = {"summaryMetrics": json.dumps(run.summary), "logLineCount": len(run.of(CONSOLE)), "notes": None}
    more = {"description": None, "sweepName": None, "project": _project(run.project, run.entity)}
    return about | counts | tails | rest | more | {"wandbConfig": json.dumps({"t": 1})}


def _artifact_file(known: Known, file: Answer) -> Answer:
    path = f"{file['artifactID']}/{file['name']}"
    return {"storagePath": path, "uploadUrl": f"{known.url}/upload/{path}", "uploadHeaders": [],
            "uploadMultipartUrls": None, "artifact": {"id": file["artifactID"]}}  # fmt: skip


def _artifact(found: Artifact) -> Answer:
    sequence = {"__typename": "ArtifactSequence", "name": found.name, "project": _project(found.project, found.entity)}
    about = {"__typename": "Artifact", "id": found.id, "digest": found.digest, "state": found.state,
             "versionIndex": found.version, "artifactType": {"name": found.type}, "artifactSequence": sequence,
             "metadata": json.dumps(found.metadata), "size": 0, "fileCount": 0, "tags": [],
             "createdAt": NOW, "ttlIsInherited": True, "ttlDurationSeconds": -1}  # fmt: skip
    empty = ("description", "historyStep", "digestAlgorithm", "commitHash", "updatedAt")
    return dict.fromkeys(empty) | about


def _membership(found: Artifact) -> Answer:
    aliases = [{"__typename": "ArtifactAlias", "id": alias, "alias": alias} for alias in found.aliases]
    artifact = _artifact(found)
    return {"__typename": "ArtifactCollectionMembership", "id": f"in-{found.id}", "versionIndex": found.version,
            "createdAt": artifact["createdAt"], "aliases": aliases,
            "artifactCollection": artifact["artifactSequence"], "artifact": artifact}  # fmt: skip
