"""Filters about what another server or a file store is moved from, and what the move did."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.nebari.mlflow.plugins.filter.mapping import mapping

DOCUMENTATION = """
name: move_faults
author: nebari-mlflow maintainers
version_added: 0.1.0
short_description: Say what is wrong with a source that is to be moved
description:
  - Returns one sentence for each fault, and none of them shows a value that may be secret.
  - The same plugin file holds P(nebari.mlflow.folder_facts#filter), P(nebari.mlflow.credentials#filter) and
    P(nebari.mlflow.moved#filter).
options:
  _input:
    description: The input C(mlflow_adopt_from).
    type: raw
    required: true
"""

EXAMPLES = """
- name: Look for faults
  ansible.builtin.debug:
    msg: "{{ {'url': 'ftp://host'} | nebari.mlflow.move_faults }}"
"""

RETURN = """
_value:
  description: One sentence for each fault.
  type: list
  elements: str
"""

KEYS = {"url", "directory", "secret", "credentials"}
URL = re.compile(r"https?://[^/\s?#]+(/[^\s?#]*)?", re.IGNORECASE)
LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
GIB = 1 << 30
KINDS = ("experiments", "runs", "logged models", "traces", "registered models", "model versions", "files")


def move_faults(value: Any) -> list[str]:
    """Return what is wrong with the source, in the order in which a person mends it."""
    given = mapping(value)
    if not given:
        return []
    unknown = sorted(set(given) - KEYS)
    if unknown:
        return [f"mlflow_adopt_from has no key {unknown[0]}. It has {', '.join(sorted(KEYS))}."]
    kinds = [kind for kind in ("url", "directory") if given.get(kind)]
    if len(kinds) != 1:
        return [f"mlflow_adopt_from has {' and '.join(kinds) or 'neither url nor directory'}. Give one of the two."]
    return [
        *(_of_url(str(given["url"])) if given.get("url") else _of_directory(given)),
        *_of_login(given),
    ]


def _of_url(url: str) -> list[str]:
    if "@" in url.partition("://")[2].partition("/")[0]:
        return [
            "mlflow_adopt_from.url holds a login. Put it into a Secret or a file, and name that as secret or "
            "credentials."
        ]
    if not URL.fullmatch(url):
        return [f"mlflow_adopt_from.url is {url!r}. Give an address such as https://mlflow.example.org."]
    return []


def _of_directory(given: Mapping[str, Any]) -> list[str]:
    folder = Path(str(given["directory"]))
    if given.get("secret") or given.get("credentials"):
        return ["mlflow_adopt_from.directory needs no login. Remove secret and credentials."]
    if not folder.is_dir():
        return [f"mlflow_adopt_from.directory is {str(folder)!r}, which is no directory on this machine."]
    inside = folder / "mlruns" if (folder / "mlruns").is_dir() else folder
    if not any((each / "meta.yaml").is_file() for each in inside.iterdir()) and not (inside / "models").is_dir():
        return [
            f"mlflow_adopt_from.directory is {str(folder)!r}, which holds no file store of MLflow: no experiment in it "
            "has a meta.yaml. Give the directory mlruns."
        ]
    return []


def _of_login(given: Mapping[str, Any]) -> list[str]:
    if given.get("secret") and given.get("credentials"):
        return ["mlflow_adopt_from has secret and credentials. Give one of the two."]
    file = given.get("credentials")
    if file and not Path(str(file)).is_file():
        return [f"mlflow_adopt_from.credentials is {str(file)!r}, which is no file on this machine."]
    try:
        if file:
            credentials(str(file))
    except AnsibleFilterError as error:  # here, since the task that uses it may not show what it says
        return [f"mlflow_adopt_from.credentials: {error}"]
    except OSError as error:
        return [f"mlflow_adopt_from.credentials cannot be read: {error}"]
    return []


def credentials(file: str) -> dict[str, str]:
    """Return the login in a file as MLflow itself reads it: the section `mlflow` of an INI file.

    Raises AnsibleFilterError, which shows nothing of the file.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(Path(file).read_text(encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        parser = configparser.ConfigParser()
    section = parser["mlflow"] if parser.has_section("mlflow") else {}
    found = {name: str(section[name.lower()]) for name in LOGIN if section.get(name.lower())}
    if not found:
        raise AnsibleFilterError(
            f"{file} holds no login. Write it as MLflow's own ~/.mlflow/credentials: a line [mlflow], then "
            "mlflow_tracking_username = … and mlflow_tracking_password = …, or mlflow_tracking_token = …"
        )
    return found


def folder_facts(path: str) -> dict[str, Any]:
    """Return files and bytes below a directory, and the size of a volume that holds it and a database of it."""
    files, bytes_ = 0, 0
    for folder, _folders, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            if file.is_file():
                files, bytes_ = files + 1, bytes_ + file.stat().st_size
    return {"files": files, "bytes": bytes_, "size": f"{2 + 2 * bytes_ // GIB}Gi"}


def moved(result: Mapping[str, Any], source: str, look: bool) -> dict[str, Any]:
    """Return the facts of a move, with lines for a person."""
    version = f" (MLflow {result['version']})" if result.get("version") else ""
    not_taken = result.get("not_taken") or {}
    lines = [
        f"source: {source}{version}",
        *(f"holds: {number} {name}" for name, number in (result.get("counts") or {}).items()),
        *(f"not taken: {number} {name}" for name, number in not_taken.items()),
        *(f"cannot be read: {each}" for each in result.get("unread") or []),
    ]
    if not look:
        kinds = result.get("kinds") or {}
        lines += [_compared(name, kinds[name]) for name in KINDS if name in kinds]
        lines += ["artifacts: left behind, as asked"] if result.get("without_artifacts") else []
        lines += [f"differs: {each}" for each in result.get("different") or []]
        lines += [
            f"{number} x model version leads to {root}, which is not this deployment's store"
            for root, number in (result.get("elsewhere") or {}).items()
        ]
    return {
        "stage": "found" if look else "moved",
        "source": source,
        "check": look,
        "counts": result.get("counts") or {},
        "not_taken": not_taken,
        "kinds": result.get("kinds") or {},
        "different": result.get("different") or [],
        "unread": result.get("unread") or [],
        "differences": int(result.get("differences") or 0),
        "elsewhere": result.get("elsewhere") or {},
        "written": result.get("written") or {},
        "copied": (result.get("files") or {}).get("copied", 0),
        "lines": lines,
    }


def _compared(name: str, sides: Mapping[str, Mapping[str, Any]]) -> str:
    old, new = sides["old"], sides["new"]
    same = "same checksum" if old == new else "they differ"
    return f"{name}: {old['count']} there, {new['count']} of them here, {same}"


class FilterModule:
    """Ansible finds filters by this class."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"move_faults": move_faults, "credentials": credentials, "folder_facts": folder_facts, "moved": moved}
