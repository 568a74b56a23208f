"""The documentation of the module `cluster_info` and its arguments agree."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import yaml
from ansible_collections.nebari.mlflow.plugins.doc_fragments.cluster import ModuleDocFragment
from ansible_collections.nebari.mlflow.plugins.module_utils.cluster_facts import ClusterFacts
from ansible_collections.nebari.mlflow.plugins.modules import cluster_info


def test_every_option_is_documented_as_it_is() -> None:
    fragment: dict[str, Any] = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    documented = {**fragment, **yaml.safe_load(cluster_info.DOCUMENTATION)["options"]}
    assert documented.keys() == cluster_info.ARGUMENTS.keys()
    for name, entry in cluster_info.ARGUMENTS.items():
        for part in ("default", "required", "elements", "aliases"):
            assert documented[name].get(part) == entry.get(part), f"{name}.{part}"
        assert documented[name]["type"] == entry.get("type", "str"), name


def test_every_fact_is_documented() -> None:
    returned = yaml.safe_load(cluster_info.RETURN)["cluster"]
    names = {field.name for field in fields(ClusterFacts)}
    assert returned["contains"].keys() == returned["sample"].keys() == names
