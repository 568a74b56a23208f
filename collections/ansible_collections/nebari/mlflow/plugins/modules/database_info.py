#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Check the Secret of a database outside the release, and return what a NetworkPolicy must open for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: database_info
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Check the Secret of an external database, and return the way to it
description:
  - Fails if the Secret, a key of it or the authority's certificate is missing, or if the database's URI is malformed.
  - Returns the ports of the URI, and for a Service of the cluster its pods and their ports.
  - Returns no value of the Secret. It does not connect to the database.
extends_documentation_fragment: nebari.mlflow.cluster
options:
  namespace:
    description: Namespace of the Secret and of the pods that connect.
    type: str
    required: true
  secret:
    description: Secret that holds the URI or the password.
    type: str
    required: true
  uri_key:
    description: Key of the URI. Without it, O(host), O(port) and O(password_key) are used.
    type: str
    default: ""
  user_key:
    description: Key of the user.
    type: str
    default: ""
  password_key:
    description: Key of the password.
    type: str
    default: ""
  host:
    description: Host name or address, or several with commas between.
    type: str
    default: ""
  port:
    description: Port.
    type: int
    default: 5432
  ca_secret:
    description: Secret with the certificate of the database's authority.
    type: str
    default: ""
  ca_config_map:
    description: ConfigMap with the certificate of the database's authority.
    type: str
    default: ""
  ca_key:
    description: Key of that certificate.
    type: str
    default: ca.crt
  cluster_domain:
    description: DNS domain of the cluster.
    type: str
    default: cluster.local
attributes:
  check_mode:
    description: Only reads, in check mode as well.
    support: full
"""

EXAMPLES = r"""
- name: Look up the database that CloudNativePG runs
  nebari.mlflow.database_info:
    namespace: dev
    secret: demo-app
    uri_key: uri
    ca_secret: demo-ca
  register: found

- name: Show what a NetworkPolicy must open
  ansible.builtin.debug:
    var: found.network
"""

RETURN = r"""
network:
  description: Ports to open, as the chart's C(externalDatabase.network) takes them.
  returned: success
  type: list
  elements: dict
  contains:
    port:
      description: Port of the host outside, or of the pods. The pods' port may be a name.
      type: raw
    to:
      description: NetworkPolicy peers. Left out for a host outside the cluster, which may have any address.
      type: list
      elements: dict
  sample:
    - port: 5432
      to:
        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: data}}
          podSelector: {matchLabels: {cnpg.io/cluster: demo, cnpg.io/instanceRole: primary}}
code:
  description: Code of the page that is about this failure, such as V(NML414).
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
from dataclasses import fields
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nebari.mlflow.plugins.module_utils.database.outside import Outside, network
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.kube import access
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    "namespace": {"type": "str", "required": True},
    "secret": {"type": "str", "required": True, "no_log": False},
    "uri_key": {"type": "str", "no_log": False, "default": ""},
    "user_key": {"type": "str", "no_log": False, "default": ""},
    "password_key": {"type": "str", "no_log": False, "default": ""},
    "host": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 5432},
    "ca_secret": {"type": "str", "no_log": False, "default": ""},
    "ca_config_map": {"type": "str", "default": ""},
    "ca_key": {"type": "str", "no_log": False, "default": "ca.crt"},
    "cluster_domain": {"type": "str", "default": "cluster.local"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    access.hide(module)
    database = Outside(**{field.name: module.params[field.name] for field in fields(Outside)})
    try:
        found = network(Api(*access.settle(module.params, os.environ)), database)
    except ReleaseError as error:
        module.fail_json(**error.report())
    module.exit_json(changed=False, network=found)


if __name__ == "__main__":
    main()
