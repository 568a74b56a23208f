# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Connect to the cluster of a kubeconfig.

Plain credentials (certificates, a token, a password) go to urllib3 directly, because importing `kubernetes` costs
more time than all the rest of a deploy that changes nothing. That library does everything else: login programs,
several files, a pod's own service account.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3 import HTTPHeaderDict

from ..errors import ClusterUnusable
from .proxy import proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN_CLUSTER = frozenset(
    {
        "server",
        "certificate-authority",
        "certificate-authority-data",
        "insecure-skip-tls-verify",
        "tls-server-name",
        "proxy-url",
        "extensions",
    }
)
PLAIN_USER = frozenset(
    {
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "token",
        "username",
        "password",
        "as",
        "as-uid",
        "as-groups",
        "extensions",
    }
)


@dataclass(frozen=True)
class Connection:
    """Where the API server is; `authorize` adds what proves who we are to a request's headers."""

    server: str
    pool: Any
    authorize: Callable[[HTTPHeaderDict], None]


def is_plain(cluster: dict[str, Any], user: dict[str, Any]) -> bool:
    """Say if this client knows all settings of a context; otherwise the Python client of Kubernetes is used."""
    return cluster.keys() <= PLAIN_CLUSTER and user.keys() <= PLAIN_USER


def connect(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> Connection:
    """Use plain credentials; relative paths in a kubeconfig start at its `folder`. Raises ClusterUnusable."""
    server = str(cluster.get("server") or "").rstrip("/")
    if not server:
        raise ClusterUnusable("The kubeconfig's cluster has no `server`.", "Download the kubeconfig again.")
    options: dict[str, Any] = {}
    if server.startswith("https:"):
        options["ssl_context"] = _tls(cluster, user, folder)
        if cluster.get("insecure-skip-tls-verify"):
            options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        elif cluster.get("tls-server-name"):
            name = cluster["tls-server-name"]
            options |= {"server_hostname": name, "assert_hostname": name}
    headers = {}
    if user.get("token"):
        headers["Authorization"] = f"Bearer {user['token']}"
    elif user.get("username"):
        headers |= urllib3.make_headers(basic_auth=f"{user['username']}:{user.get('password', '')}")
        headers = {name.title(): value for name, value in headers.items()}
    proxy = cluster.get("proxy-url") or proxy_for(server, os.environ)
    pool = urllib3.ProxyManager(proxy, maxsize=8, **options) if proxy else urllib3.PoolManager(maxsize=8, **options)
    return impersonating(Connection(server, pool, lambda given: given.update(headers)), user)


def impersonating(connection: Connection, user: dict[str, Any]) -> Connection:
    """Act as another user, if the kubeconfig says so (`as`, `as-uid`, `as-groups`)."""
    values = [("Impersonate-User", user.get("as")), ("Impersonate-Uid", user.get("as-uid"))]
    values += [("Impersonate-Group", group) for group in user.get("as-groups") or []]

    def authorize(headers: HTTPHeaderDict) -> None:
        connection.authorize(headers)
        for name, value in values:
            if value:
                headers.add(name, str(value))

    return Connection(connection.server, connection.pool, authorize)


def by_library(config_files: str, context: str, proxy: str = "") -> Connection:
    """Let the kubernetes library read the kubeconfig and log in; "" for `config_files` is a pod's own account.

    The library reads neither `proxy-url` nor HTTPS_PROXY nor SSL_CERT_FILE. Raises ClusterUnusable.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise ClusterUnusable(
            f"The Python package `kubernetes` is missing ({error}).",
            "Install it for the interpreter that Ansible uses: pip install 'kubernetes>=27.2'.",
        ) from error
    settings = client.Configuration()
    if config_files:
        config.load_kube_config(config_files, context or None, settings, persist_config=False)
    else:
        config.load_incluster_config(client_configuration=settings)
    settings.proxy = proxy or proxy_for(settings.host, os.environ) or None
    settings.ssl_ca_cert = settings.ssl_ca_cert or os.environ.get("SSL_CERT_FILE")
    found = client.ApiClient(settings)

    def authorize(headers: HTTPHeaderDict) -> None:
        for setting in found.configuration.auth_settings().values():  # this also renews what expires
            headers[setting["key"]] = setting["value"]

    return Connection(found.configuration.host, found.rest_client.pool_manager, authorize)


def _tls(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    what = "certificate-authority"
    try:
        if authority := _bytes(cluster, what, folder):
            context.load_verify_locations(cadata=authority.decode())
        what = "client-certificate"
        certificate, key = _bytes(user, what, folder), _bytes(user, "client-key", folder)
        if certificate and key:
            with tempfile.NamedTemporaryFile() as file:  # mode 0600, gone after the next line
                file.write(certificate + b"\n" + key)
                file.flush()
                context.load_cert_chain(file.name)
    except (OSError, ValueError) as error:
        raise ClusterUnusable(
            f"The kubeconfig's `{what}` cannot be used ({error}).", "Download the kubeconfig again."
        ) from error
    return context


def _bytes(entry: dict[str, Any], name: str, folder: Path) -> bytes:
    """A value that a kubeconfig holds as base64 or as the path of a file."""
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    return (folder / Path(entry[name]).expanduser()).read_bytes() if entry.get(name) else b""
