# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where another chart's server keeps artifacts, and what becomes of them. Reads manifests; asks and writes nothing."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..kube.objects import Object

BUCKET, VOLUME, CLOUD, LOST, UNKNOWN = "bucket", "volume", "cloud", "lost", "unknown"
COPY, STAY, LEFT = "copy", "stay", "left"
DESTINATION, ROOT = "--artifacts-destination", "--default-artifact-root"
ENDPOINT, USER, PASSWORD = "MLFLOW_S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"  # names, no secrets
PROXY_PATH = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass(frozen=True)
class Artifacts:
    """A store. `keys` are references to Secrets' keys, by the name of the variable that the server reads."""

    kind: str
    uri: str = ""
    words: str = "its server's arguments name no store"
    endpoint: str = ""
    service: str = ""  # of the release, if it runs the store itself
    namespace: str = ""
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    claim: str = ""
    folder: str = ""  # on the claim's volume
    locations: list[str] = field(default_factory=list)  # what leads into the store, without the server between
    hosts: list[str] = field(default_factory=list)  # what leads into it through the server, by its name


def find(objects: list[Object], values: dict[str, Any], namespace: str) -> Artifacts:
    """Read the server's arguments; only what they leave out is looked up in the values."""
    for item in objects:
        if item["kind"] != "Deployment":
            continue
        template = item["spec"]["template"]["spec"]
        for container in template.get("containers") or []:
            uri, locations = _stores(list(container.get("args") or []))
            if uri:
                found = _read(uri, container, template, objects)
                hosts = _hosts(item["metadata"]["name"], namespace)
                return replace(found, namespace=namespace, locations=_spellings(uri, locations), hosts=hosts)
    return _of_values(values)


def decide(found: Artifacts, store: dict[str, Any]) -> dict[str, str]:
    """Say what becomes of the artifacts in the new store, and why they would be left behind."""
    if found.kind in (BUCKET, CLOUD) and _is_same(found, store):
        if not found.service:
            return {"way": STAY, "why": ""}
        return {
            "way": LEFT,
            "why": f"They are in {found.words}, whose pods go with the old release. Fix: choose another storage for "
            "the new one, and they are copied.",
        }
    if found.kind in (BUCKET, VOLUME):
        if store["claim"] or store["secret"]:
            return {"way": COPY, "why": ""}
        return {
            "way": LEFT,
            "why": f"They are in {found.words}, and the identity that opens {store['uri']} exists only after the "
            f"deploy, so nothing can copy them there. Fix: keep them where they are, with provider existing and "
            "mlflow_storage, or use a storage with a Secret.",
        }
    if found.kind == CLOUD:
        return {
            "way": LEFT,
            "why": f"They are at {found.uri}, and the new release would keep its own at {store['uri']}. Fix: let the "
            "new release use that store: mlflow_gcp_adopt, mlflow_aws_adopt or mlflow_azure_adopt, or mlflow_storage "
            f"with uri {found.uri} and provider existing.",
        }
    if found.kind == LOST:
        return {
            "way": LEFT,
            "why": f"They are at {found.uri} in the server's own pod, on no volume: they vanish when it ends. Fix: "
            "copy them out of the pod first (kubectl cp).",
        }
    return {"way": LEFT, "why": f"Where they are is not known: {found.words}."}


def _is_same(found: Artifacts, store: dict[str, Any]) -> bool:
    if found.uri.rstrip("/") != str(store["uri"]).rstrip("/"):
        return False
    given = next((str(each["value"]) for each in store["container"]["env"] if each["name"] == ENDPOINT), "")
    if found.service:
        return _is_host(urlsplit(given).hostname or "", found)
    return given.rstrip("/") == found.endpoint.rstrip("/")


def _is_host(host: str, found: Artifacts) -> bool:
    """Whether a host is the release's own store, by any of the Service's names."""
    return host == found.service or host.startswith(f"{found.service}.{found.namespace}.")


def _stores(arguments: list[str]) -> tuple[str, list[str]]:
    """Return where the server keeps artifacts, and what clients may have been told instead; the last argument wins."""
    destination, root = _last(arguments, DESTINATION), _last(arguments, ROOT)
    direct = "--no-serve-artifacts" in arguments
    uri = root if direct and root else destination or root
    return uri, [
        each for each in dict.fromkeys((destination, root)) if each and not each.startswith("mlflow-artifacts:")
    ]


def _last(arguments: list[str], name: str) -> str:
    found = ""
    for number, argument in enumerate(arguments):
        if argument.startswith(f"{name}="):
            found = argument.partition("=")[2]
        elif argument == name:
            found = next(iter(arguments[number + 1 :]), "")
    return found.strip()


def _hosts(service: str, namespace: str) -> list[str]:
    """Return the ways of naming the server in a location; MLflow 3.17 and later open none of them."""
    names = [
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
    ]
    ports = ("", ":5000", ":80")
    proxied = [f"mlflow-artifacts://{name}{port}" for name in names for port in ports]
    return [*proxied, *(f"http://{name}{port}{PROXY_PATH}" for name in names for port in ports)]


def _read(uri: str, container: Object, template: Object, objects: list[Object]) -> Artifacts:
    scheme = urlsplit(uri).scheme
    if scheme in ("", "file"):
        return _volume(uri, container, template)
    environment = {each["name"]: each for each in container.get("env") or []}
    endpoint = str(environment.get(ENDPOINT, {}).get("value") or "")
    keys = {name: secret for name in (USER, PASSWORD) if (secret := _secret(environment.get(name)))}
    if scheme != "s3" or len(keys) < 2:
        return Artifacts(CLOUD, uri, uri, endpoint)
    service = _service(endpoint, objects)
    at = f"the release's own store {service}" if service else endpoint or "AWS"
    return Artifacts(BUCKET, uri, f"{uri} at {at}", endpoint, service, keys=keys)


def _secret(variable: Object | None) -> dict[str, str]:
    found = ((variable or {}).get("valueFrom") or {}).get("secretKeyRef") or {}
    return {"name": str(found["name"]), "key": str(found["key"])} if found else {}


def _service(endpoint: str, objects: list[Object]) -> str:
    name = (urlsplit(endpoint).hostname or "").partition(".")[0]
    names = {str(item["metadata"]["name"]) for item in objects if item["kind"] == "Service"}
    return name if name in names else ""


def _volume(uri: str, container: Object, template: Object) -> Artifacts:
    path = posixpath.normpath(posixpath.join("/app", urlsplit(uri).path))
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in template.get("volumes") or []
        if volume.get("persistentVolumeClaim")
    }
    mounts = [each for each in container.get("volumeMounts") or [] if f"{path}/".startswith(_folder(each["mountPath"]))]
    mount = max(mounts, key=lambda each: len(each["mountPath"]), default={"name": "", "mountPath": ""})
    claim = claims.get(mount["name"], "")
    if not claim:
        return Artifacts(LOST, path, f"{path} in the server's pod, on no volume")
    rest = posixpath.relpath(path, mount["mountPath"])
    folder = posixpath.normpath(posixpath.join(str(mount.get("subPath") or ""), rest))
    return Artifacts(
        VOLUME, path, f"{path} on PersistentVolumeClaim {claim}", claim=claim, folder="" if folder == "." else folder
    )


def _folder(path: str) -> str:
    return f"{path.rstrip('/')}/"


def _spellings(uri: str, locations: list[str]) -> list[str]:
    """Return the locations with a local path in each form that MLflow may have written."""

    def each() -> Iterator[str]:
        for location in dict.fromkeys((uri, *locations)):
            parts = urlsplit(location)
            if parts.scheme in ("", "file"):
                path = posixpath.normpath(posixpath.join("/app", parts.path))
                yield from (path, f"file://{path}", f"file:{path}")
            else:
                yield location.rstrip("/")

    return list(dict.fromkeys(each()))


def _of_values(values: dict[str, Any]) -> Artifacts:
    s3, azure, gcs = (values.get(name) or {} for name in ("externalS3", "externalAzureBlob", "externalGCS"))
    if azure.get("storageAccount"):
        uri = f"wasbs://{azure.get('containerName', '')}@{azure['storageAccount']}.blob.core.windows.net"
    elif gcs.get("bucket"):
        uri = f"gs://{gcs['bucket']}"
    elif s3.get("host"):
        uri = f"s3://{s3.get('bucket', '')}"
    else:
        return Artifacts(UNKNOWN)
    return Artifacts(CLOUD, uri, uri, locations=[uri])
