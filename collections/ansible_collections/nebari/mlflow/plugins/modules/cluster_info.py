#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Check that Helm and a cluster can be used, and return what the cluster knows about itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Check Helm and a cluster, and return where the cluster runs
description:
  - Fails if Helm is missing or not supported, or if the cluster cannot be used.
  - Derives cloud, region, OIDC issuer, project, subscription and resource group from the cluster's own objects.
    It asks no cloud.
  - What this user may not read stays empty.
extends_documentation_fragment: nebari.mlflow.cluster
options:
  helm:
    description: The Helm program, a name found on E(PATH) or a path.
    type: str
    default: helm
attributes:
  check_mode:
    description: Only reads, in check mode as well.
    support: full
"""

EXAMPLES = r"""
- name: Read the cluster of the current context
  nebari.mlflow.cluster_info:
  register: found

- name: Show its OIDC issuer
  ansible.builtin.debug:
    var: found.cluster.oidc_issuer_url
"""

RETURN = r"""
cluster:
  description: What the cluster says about itself. A text is empty if the cluster does not say it.
  returned: success
  type: dict
  contains:
    provider:
      description: V(aws), V(azure), V(gcp), or empty for any other place.
      type: str
    region:
      description: Region of the nodes.
      type: str
    oidc_issuer_url:
      description: Issuer of the service accounts' tokens.
      type: str
    cluster_name:
      description: Name of the EKS or AKS cluster.
      type: str
    account:
      description: Account of an EKS cluster, as the kubeconfig names it.
      type: str
    project:
      description: Google Cloud project of the nodes.
      type: str
    subscription_id:
      description: Azure subscription of the nodes.
      type: str
    resource_group:
      description: Resource group of the AKS cluster. Empty if the name of the nodes' group is ambiguous.
      type: str
    storage_class:
      description: The default StorageClass.
      type: str
  sample:
    provider: gcp
    region: europe-west1
    oidc_issuer_url: https://container.googleapis.com/v1/projects/demo/locations/europe-west1/clusters/demo
    cluster_name: ""
    account: ""
    project: demo
    subscription_id: ""
    resource_group: ""
    storage_class: standard-rwo
summary:
  description: The known facts in one line.
  returned: success
  type: str
  sample: provider=gcp, region=europe-west1, project=demo
code:
  description: Code of the page that is about this failure, such as V(NML403).
  returned: failure
  type: str
cause:
  description: What went wrong, naming the object and the value.
  returned: failure
  type: str
fix:
  description: What to do about it.
  returned: failure
  type: str
"""

import os
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ApiError, ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.kube import access
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.cluster_facts import describe
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.errors import FORBIDDEN
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.kubeconfig import cluster_names
from ansible_collections.nebari.mlflow.plugins.module_utils.release.helm import Helm
from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import Options

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    "helm": {"type": "str", "default": "helm"},
}


def read(api: Api, path: str, **query: Any) -> dict[str, Any]:
    """Read what this user may read; nothing is returned for the rest."""
    try:
        return api.request("GET", path, query=query)
    except ApiError as error:
        if error.status == FORBIDDEN or error.status == 404:
            return {}
        raise


def run(params: dict[str, Any]) -> dict[str, Any]:
    """Check Helm and the cluster, and describe the cluster."""
    kubeconfig, context = access.settle(params, os.environ)
    Helm(Options("cluster", "default", kubeconfig=kubeconfig, context=context, helm=params["helm"])).check_version()
    api = Api(kubeconfig, context)
    api.request("GET", "/version")
    facts = describe(
        read(api, "/api/v1/nodes", limit=1).get("items") or [],
        str(read(api, "/.well-known/openid-configuration").get("issuer") or ""),
        read(api, "/apis/storage.k8s.io/v1/storageclasses").get("items") or [],
        cluster_names(kubeconfig, context),
    )
    summary = ", ".join(f"{name}={value}" for name, value in facts.found().items())
    return {"changed": False, "cluster": asdict(facts), "summary": summary or "nothing"}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    access.hide(module)
    try:
        result = run(module.params)
    except ReleaseError as error:
        module.fail_json(**error.report())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
