# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""How a module reaches its cluster: the options and variables of kubernetes.core, so that one play needs one set.

Helm and our own requests read a kubeconfig. So options that are no kubeconfig, such as a host and a token, become one.
It lives in memory and ends with this process; a token never stands on a command line.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_MAP, AUTH_ARG_SPEC

from ..errors import ClusterUnusable
from .kubeconfig import ASK, find_entries, paths
from .proxy import is_direct, proxy_for

LEFT_OUT = {"proxy_headers", "persist_config"}  # neither Helm nor a kubeconfig has them
ARGUMENTS: dict[str, dict[str, Any]] = {
    **{name: spec for name, spec in AUTH_ARG_SPEC.items() if name not in LEFT_OUT},
    "kubeconfig": {"type": "raw", "no_log": False},  # a path belongs into messages; `hide` is for a mapping
}
VARIABLES = {
    **{option: f"K8S_AUTH_{name.upper()}" for name, option in AUTH_ARG_MAP.items() if option not in LEFT_OUT},
    "impersonate_user": "K8S_AUTH_IMPERSONATE_USER",
    "impersonate_groups": "K8S_AUTH_IMPERSONATE_GROUPS",
}
NAME = "nebari-mlflow"  # of the context in a kubeconfig that is made here
OF_CLUSTER = {"host": "server", "ca_cert": "certificate-authority"}
OF_USER = {
    "api_key": "token",
    "username": "username",
    "password": "password",
    "client_cert": "client-certificate",
    "client_key": "client-key",
    "impersonate_user": "as",
    "impersonate_groups": "as-groups",
}


def settle(params: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the kubeconfig and the context to use; "" where Helm's and kubectl's own defaults hold.

    Options win over variables. Options other than `kubeconfig` and `context` win over what the context says.

    Raises:
        ClusterUnusable: The options contradict each other, or the context does not exist.
    """
    given = {option: _given(params, environ, option) for option in VARIABLES}
    given = {option: value for option, value in given.items() if value not in (None, "", [])}
    kubeconfig, context = given.pop("kubeconfig", ""), str(given.pop("context", ""))
    if isinstance(kubeconfig, Mapping):
        kubeconfig = _in_memory(dict(kubeconfig))
    if not given:
        return str(kubeconfig), context
    cluster, user = _base(str(kubeconfig), context, given)
    return _in_memory(_document(cluster, user, given)), NAME


def same_for_kubernetes_core(params: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return options with which kubernetes.core's modules reach the same cluster as the same user.

    They read the same options and variables. But without `kubeconfig` they prefer a pod's own service account to
    KUBECONFIG, and they ignore HTTPS_PROXY, SSL_CERT_FILE, and a kubeconfig's proxy and the user that it impersonates.

    Raises:
        ClusterUnusable: The proxy needs a password, which a result must not show.
    """
    given = {option: _given(params, environ, option) for option in VARIABLES}
    kubeconfig, context = given["kubeconfig"] or "", str(given["context"] or "")
    if isinstance(kubeconfig, Mapping):
        return {}  # whoever gave it gives it to kubernetes.core, too
    by_host = given["host"] and not kubeconfig and not context
    files = [] if by_host else [path for path in paths(kubeconfig) if path.exists()]
    cluster, user = find_entries(kubeconfig, context) if files else ({}, {})
    server = str(given["host"] or cluster.get("server") or "")
    proxy = "" if given["proxy"] else str(cluster.get("proxy-url") or proxy_for(server, environ))
    if "@" in proxy:
        raise ClusterUnusable(
            "The proxy to the cluster needs a password, and kubernetes.core does not read it where it is.",
            "Set K8S_AUTH_PROXY to the address of the proxy.",
        )
    has_ca = given["ca_cert"] or any(key.startswith("certificate-authority") for key in cluster)
    found = {
        "kubeconfig": os.pathsep.join(map(str, files)),
        "context": context if files else "",
        "proxy": proxy,
        "ca_cert": "" if has_ca else environ.get("SSL_CERT_FILE"),
        "impersonate_user": given["impersonate_user"] or user.get("as"),
        "impersonate_groups": given["impersonate_groups"] or user.get("as-groups"),
    }
    return {option: value for option, value in found.items() if value}


def hide(module: AnsibleModule) -> None:
    """Keep the texts of a kubeconfig that is given as a mapping out of everything that Ansible prints."""
    if isinstance(module.params["kubeconfig"], dict):
        module.no_log_values.update(_texts(module.params["kubeconfig"]))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and value:
        yield value


def _given(params: Mapping[str, Any], environ: Mapping[str, str], option: str) -> Any:
    value = params.get(option)
    if value is not None:
        return value
    text = environ.get(VARIABLES[option], "")
    if option == "impersonate_groups":
        return [part for part in text.split(",") if part]
    if option == "validate_certs":
        return None if not text else text.lower() not in ("false", "no", "n", "0", "off")
    return text


def _base(kubeconfig: str, context: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return cluster and user of the context, which the options change. A host with its own login needs none."""
    if "host" in given and not kubeconfig and not context:
        return {}, {}
    return find_entries(kubeconfig, context)


def _document(cluster: dict[str, Any], user: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    for option, key in OF_CLUSTER.items():
        if option in given:
            cluster = {**{k: v for k, v in cluster.items() if k != f"{key}-data"}, key: given[option]}
    if "validate_certs" in given:
        cluster = {**cluster, "insecure-skip-tls-verify": not given["validate_certs"]}
        if not given["validate_certs"]:  # kubectl refuses both together
            cluster = {k: v for k, v in cluster.items() if not k.startswith("certificate-authority")}
    if "proxy" in given and not is_direct(str(cluster.get("server", "")), str(given.get("no_proxy", ""))):
        cluster = {**cluster, "proxy-url": given["proxy"]}
    if given.keys() & {"api_key", "username", "client_cert"}:
        user = {}
    user = {**user, **{key: given[option] for option, key in OF_USER.items() if option in given}}
    if not cluster.get("server"):
        raise ClusterUnusable("No host is given, and no kubeconfig names one.", f"Set `host` or K8S_AUTH_HOST. {ASK}")
    entry = {"name": NAME, "context": {"cluster": NAME, "user": NAME}}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "contexts": [entry],
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": user}],
    }


def _in_memory(document: dict[str, Any]) -> str:
    """Return the path of a file that holds the document and ends with this process."""
    text = yaml.safe_dump(document)
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        descriptor = os.memfd_create("kubeconfig", 0)
        os.write(descriptor, text.encode())
        return f"/proc/{os.getpid()}/fd/{descriptor}"
    with tempfile.NamedTemporaryFile("w", prefix="nebari-mlflow-", suffix=".yaml", delete=False) as file:  # mode 0600
        file.write(text)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
