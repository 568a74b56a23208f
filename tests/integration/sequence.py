"""Run the modules that the role `server` runs, one after another in one process, and print one result.

    python -m tests.integration.sequence ARGUMENTS.json

The arguments are those of all modules together. `state: absent` does what the role's tasks/absent.yml does, with the
modules of kubernetes.core, and `kill_after: N` ends it without a word after N modules, as `kill -9` of the play does.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible.module_utils import basic
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.process import Process

MODULES = "ansible_collections.nebari.mlflow.plugins.modules"
K8S = "ansible_collections.kubernetes.core.plugins.modules.k8s"


def run(name: str, given: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Run one module with those arguments that it knows, and return its result."""
    module = importlib.import_module(f"{MODULES}.{name}")
    known = {key: value for key, value in given.items() if key in module.ARGUMENTS or key.startswith("_ansible")}
    return execute(module, {**known, **more})


def execute(module: ModuleType, arguments: dict[str, Any]) -> dict[str, Any]:
    basic._ANSIBLE_PROFILE = "legacy"
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    printed = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(printed):
        module.main()
    result: dict[str, Any] = json.loads(printed.getvalue())
    return result


def deploy(given: dict[str, Any]) -> dict[str, Any]:
    """Do what roles/server/tasks/main.yml does."""
    steps = [run("helm_release", given, state="planned")]
    planned = done = steps[0]
    if planned.get("failed"):
        return planned
    steps = []
    if planned["missing_secrets"]:
        steps.append(run("generated_secret", given, release=given["name"]))
    if planned["changed"] and not failed(steps):
        done = run("helm_release", given)
        steps.append(done)
    due = given.get("verify", True) and not done.get("verified")
    if not failed(steps) and not done["ready"] and not (done["revision"] < 2 and due):
        steps.append(run("workloads_ready", given, waited=done["elapsed"]))
    if not failed(steps) and due:
        waited = done["elapsed"] + (steps[-1]["elapsed"] if steps and steps[-1] is not done else 0)
        steps.append(run("helm_test", given, waited=waited, assume_changed=bool(done.get("changed"))))
        done = {**done, "verified": steps[-1].get("verified", False)}
    merged = {**planned, **done, **(steps[-1] if failed(steps) else {})}
    merged["changes"] = unique([change for step in steps for change in step.get("changes", [])])
    merged["changed"] = bool(merged["changes"])
    merged["verified"] = done.get("verified", False)
    diffs = [step.get("diff", {}) for step in steps]
    merged["diff"] = {
        side: {k: v for diff in diffs for k, v in diff.get(side, {}).items()} for side in ("before", "after")
    }
    merged["warnings"] = unique([warning for step in [planned, *steps] for warning in step.get("warnings", [])])
    return merged


def remove(given: dict[str, Any]) -> dict[str, Any]:
    """Do what roles/server/tasks/absent.yml does; the first result is what the role returns."""
    given = {**given, "_controller": str(Process.of(os.getpid()))}
    found = run("release_removal", given, state="begun")
    if found.get("failed") or not found["changes"]:
        return found
    options = {"delete_options": {"propagationPolicy": "Background"}}  # or the API leaves the pods of Jobs
    definitions: list[dict[str, Any]] = [{"definition": found["objects"], **options}] if found["objects"] else []
    definitions += [{"definition": found["records"]}] if found["records"] else []
    definitions += [
        {
            **{key: item[key] for key in ("kind", "name", "namespace")},
            "delete_options": {"preconditions": {"uid": item["uid"]}},
        }
        for item in found["data"]
    ]
    kill_after = given.get("kill_after", 99)
    k8s = importlib.import_module(K8S)
    for number, definition in enumerate(definitions, 1):
        if number > kill_after:
            os.kill(os.getpid(), signal.SIGKILL)
        always = {"state": "absent", **found["connection"], "_ansible_check_mode": given["_ansible_check_mode"]}
        steps = [execute(k8s, {**always, **definition})]
        if definition.get("definition") == found["objects"] and not failed(steps):
            steps.append(run("release_removal", given, state="stopped"))
        if failed(steps):
            return steps[-1]
    if len(definitions) >= kill_after:
        os.kill(os.getpid(), signal.SIGKILL)
    last = run("release_removal", given, state="finished", gone=found["data"])
    return last if last.get("failed") else found


def failed(steps: list[dict[str, Any]]) -> bool:
    return bool(steps) and bool(steps[-1].get("failed"))


def unique(items: list[Any]) -> list[Any]:
    return [item for number, item in enumerate(items) if item not in items[:number]]


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text())["ANSIBLE_MODULE_ARGS"]
    acts = {"present": deploy, "absent": remove}
    act = acts.get(given.get("state", "present"))
    result = act(given) if act else run("helm_release", given)
    print(json.dumps(result))
    sys.exit(1 if result.get("failed") else 0)


if __name__ == "__main__":
    main()
