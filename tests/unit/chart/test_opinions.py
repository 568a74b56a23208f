"""Clusters with opinions: what a platform decides is left to it, and what can never become ready is refused."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.chart.configurations import CONFIGURATIONS, EXTERNAL_PARTS
from tests.unit.chart.rendering import CHART, Object, containers, names, one, pods, refusal, render, rendered, server

VALUES: Object = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
PLATFORM: Object = {"security": {"ids": "platform"}}
RUN: Object = {"run": {"enabled": True}}
PODS = {
    "tracking": "tracking",
    "migrate": "migrate",
    "run": "run",
    "verify": "verify",
    "postgresql": "postgresql.primary",
}
"""Component of each pod, and the block of values that is about it."""


def at(path: str, value: Any) -> Object:
    """Return values that set one key, given with dots."""
    for name in reversed(path.split(".")):
        value = {name: value}
    found: Object = value
    return found


def merged(*many: Object) -> Object:
    found: Object = {}
    for values in many:
        for key, value in values.items():
            both = isinstance(value, dict) and isinstance(found.get(key), dict)
            found[key] = merged(found[key], value) if both else copy.deepcopy(value)
    return found


def templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield the component and the template of each pod."""
    for item in objects:
        template = item if item["kind"] == "Pod" else item.get("spec", {}).get("template")
        if template:
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template


@pytest.mark.parametrize("values", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_one_value_leaves_users_and_groups_to_the_platform(values: Object) -> None:
    for name, pod in pods(render(merged(values, PLATFORM, RUN))):
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(pod["securityContext"]), name
        for container in containers(pod):
            assert not {"runAsUser", "runAsGroup"} & set(container["securityContext"]), name
        for volume in pod.get("volumes", []):  # whoever the platform chooses must be able to read them
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o444, name


def test_the_ids_of_pods_can_be_chosen() -> None:
    chosen = {"security": {"mlflowId": 1234, "postgresqlId": 26}}
    for name, pod in pods(render(merged(chosen, RUN))):
        expected = 26 if "postgresql" in name else 1234
        context = pod["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (expected,) * 3, name


def test_no_field_of_a_security_context_is_fixed() -> None:
    gone = {
        "pod": dict.fromkeys(VALUES["security"]["pod"]),
        "container": dict.fromkeys(VALUES["security"]["container"]),
    }
    for name, pod in pods(render(merged(PLATFORM, {"security": gone}, RUN, EXTERNAL_PARTS))):
        assert not pod["securityContext"], name
        assert not any(container["securityContext"] for container in containers(pod)), name
    added = {"pod": {"supplementalGroups": [5]}, "container": {"procMount": "Default"}}
    for name, pod in pods(render(merged({"security": added}, RUN))):
        assert pod["securityContext"]["supplementalGroups"] == [5], name
        assert all(container["securityContext"]["procMount"] == "Default" for container in containers(pod)), name


@pytest.mark.parametrize(("component", "block"), PODS.items())
def test_labels_and_annotations_of_every_pod_can_be_set(component: str, block: str) -> None:
    given = {"podLabels": {"a": "b", "both": "pod"}, "podAnnotations": {"c": "d"}}
    objects = render(merged(at(block, given), RUN, {"commonLabels": {"both": "all", "app.kubernetes.io/name": "x"}}))
    for name, template in templates(objects):
        metadata = template["metadata"]
        assert metadata["labels"].get("a") == ("b" if name == component else None), name
        assert metadata["labels"]["both"] == ("pod" if name == component else "all"), name
        assert metadata["labels"]["app.kubernetes.io/name"] == "mlflow", "what selectors name stays"
        assert metadata["annotations"].get("c") == ("d" if name == component else None), name


RESOURCES = {
    ("tracking", "tracking"): "tracking.resources",
    ("tracking", "wait-for-schema"): "tracking.initResources",
    ("migrate", "migrate"): "migrate.resources",
    ("run", "run"): "run.resources",
    ("verify", "verify"): "verify.resources",
    ("postgresql", "postgresql"): "postgresql.primary.resources",
}


def test_resources_of_every_container_can_be_set() -> None:
    wanted = {"requests": {"cpu": "7m"}, "limits": {"cpu": "77m"}}
    objects = render(merged(RUN, *(at(path, wanted) for path in RESOURCES.values())))
    found = {
        (name, each["name"]): each["resources"] for name, pod in templates(objects) for each in containers(pod["spec"])
    }
    assert set(found) == set(RESOURCES)
    for name, resources in found.items():
        assert (resources["requests"]["cpu"], resources["limits"]["cpu"]) == ("7m", "77m"), name


def test_a_priority_class_reaches_every_pod() -> None:
    classes = {"tracking": {"priorityClassName": "a"}, "postgresql": {"primary": {"priorityClassName": "b"}}}
    objects = render(merged(classes, {"run": {"enabled": True, "priorityClassName": "c"}}))
    found = {name: template["spec"]["priorityClassName"] for name, template in templates(objects)}
    assert found == {"tracking": "a", "migrate": "a", "verify": "a", "postgresql": "b", "run": "c"}


LIMITS = {"cpu": 2000, "memory": 2048, "ephemeral-storage": 6144}
LEAST = {"cpu": 10, "memory": 32, "ephemeral-storage": 8}
UNITS = {"m": 1, "Mi": 1, "Gi": 1024}


def amount(quantity: str) -> int:
    """Return a quantity of the defaults in thousandths of a core, or in MiB."""
    number = quantity.rstrip("mMGi")
    unit = quantity.removeprefix(number)
    return int(number) * (UNITS[unit] if unit else 1000)


def test_defaults_live_with_common_limits() -> None:
    """A LimitRange of 10m to 2 cores and 32Mi to 2Gi, and a quota that counts every kind of resource."""
    for name, pod in pods(render(RUN)):
        for container in containers(pod):
            resources = container["resources"]
            for kind in LIMITS:
                least, most = amount(resources["requests"][kind]), amount(resources["limits"][kind])
                assert LEAST[kind] <= least <= most <= LIMITS[kind], (name, kind)


def listens(workers: int, addresses: str, directory: Path) -> str:
    """Return the arguments with which the server's command starts MLflow in a pod of these addresses."""
    program = directory / "mlflow"
    program.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    container = server(render({"tracking": {"workers": workers}}))
    env = {"PATH": f"{directory}:/usr/bin:/bin", "POD_IPS": addresses}
    done = subprocess.run([*container["command"], "--x=a b"], env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("workers", "addresses", "host"),
    [
        (2, "10.0.0.1", "0.0.0.0"),  # noqa: S104
        (1, "10.0.0.1", "0.0.0.0"),  # noqa: S104
        (2, "fd00::1", "::"),
        (2, "10.0.0.1,fd00::1", "::"),
        (2, "fd00::1,10.0.0.1", "::"),
        (1, "fd00::1", ""),
        (1, "10.0.0.1,fd00::1", ""),
    ],
)
def test_the_server_listens_where_its_pods_addresses_are(
    workers: int, addresses: str, host: str, tmp_path: Path
) -> None:
    assert listens(workers, addresses, tmp_path) == f"server --host={host} --x=a b"
    entries = {entry["name"]: entry for entry in server(render())["env"]}
    assert entries["POD_IPS"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIPs"}}


def test_database_listens_everywhere_and_is_probed_at_its_own() -> None:
    container = one(render(), "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    assert "-clisten_addresses=*" in container["args"]
    probe = container["readinessProbe"]["exec"]["command"]
    assert "127.0.0.1" in probe, "every pod has this address, also where its others are IPv6"


def test_a_service_can_have_addresses_of_both_families() -> None:
    assert "ipFamilyPolicy" not in one(render(), "Service", "demo-mlflow-tracking")["spec"]
    both = render({"tracking": {"service": {"ipFamilyPolicy": "PreferDualStack"}}})
    assert one(both, "Service", "demo-mlflow-tracking")["spec"]["ipFamilyPolicy"] == "PreferDualStack"


KEYS = ("global.imageRegistry", "image.registry", "postgresql.image.registry")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("registry", "instead"),
    [
        ("https://mirror.example.org", "such as mirror.example.org."),
        ("mirror.example.org/", "such as mirror.example.org."),
        ("oci://mirror.example.org:5000/hub/", "such as mirror.example.org:5000/hub."),
        ("mirror.example.org:5000/", "such as mirror.example.org:5000."),
        ("user@mirror.example.org", "such as mirror.example.org:5000/hub."),
        ("mirror.example.org/Hub", "such as"),
        (" ", "such as"),
    ],
)
def test_a_registry_is_a_host_without_scheme_and_slash(key: str, registry: str, instead: str) -> None:
    sentence = refusal(at(key, registry))
    assert f'{key} "{registry}" is not a registry' in sentence
    assert instead in sentence


@pytest.mark.parametrize(
    "registry", ["", "mirror", "mirror.example.org", "m.example.org:5000/a/b_c", "10.0.0.1:80", "localhost:5000"]
)
@pytest.mark.parametrize("key", KEYS)
def test_registries_of_every_form_are_accepted(key: str, registry: str) -> None:
    assert render(at(key, registry))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image.repository", "/mlflow/mlflow"),
        ("image.repository", "mlflow/mlflow:v3.17.2-full"),
        ("image.repository", "MLflow/mlflow"),
        ("postgresql.image.repository", "library/postgres/"),
        ("image.tag", "v3.17.2@sha256"),
        ("image.tag", "mlflow:v3"),
        ("postgresql.image.tag", "17 "),
    ],
)
def test_an_image_that_no_registry_can_have_is_refused(key: str, value: str) -> None:
    assert f'{key} "{value}"' in refusal(at(key, value))


@pytest.mark.parametrize(
    ("key", "size", "limit", "is_refused"),
    [
        ("tracking", "10Gi", "6Gi", True),
        ("tracking", "6Gi", "6Gi", False),
        ("tracking", "7G", "6Gi", True),
        ("tracking", "6G", "6Gi", False),
        ("tracking", "1Ti", "900Gi", True),
        ("tracking", "5Gi", 1073741824, True),
        ("tracking", "5Gi", None, False),
        ("run", "2Gi", "1Gi", True),
        ("run", "900Mi", "1Gi", False),
    ],
)
def test_temporary_files_fit_into_the_ephemeral_storage(key: str, size: str, limit: Any, is_refused: bool) -> None:
    values = {key: {"temporaryStorage": {"sizeLimit": size}, "resources": {"limits": {"ephemeral-storage": limit}}}}
    if is_refused:
        assert f"{key}.temporaryStorage.sizeLimit {size} is above {key}.resources.limits.ephemeral-storage" in refusal(
            values
        )
    else:
        assert render(values)


@pytest.mark.parametrize(
    "argument",
    [
        *("--static-prefix=/mlflow", "--app-name=basic-auth", "--gunicorn-opts=-w 4", "--waitress-opts=x", "--dev"),
        *("--host=::", "--port=80", "--workers=9", "--artifacts-only", "--no-serve-artifacts", "--serve-artifacts"),
        *("--default-artifact-root=s3://b", "--artifacts-destination=s3://b", "--disable-security-middleware"),
        *("--allowed-hosts=*", "--cors-allowed-origins=*", "--expose-prometheus=/x", "--uvicorn-opts=--port=80"),
        *("--backend-store-uri=sqlite://", "--registry-store-uri=sqlite://", "--read-replica-backend-store-uri=x"),
    ],
)
def test_an_argument_that_contradicts_the_chart_is_refused(argument: str) -> None:
    """Given with its value, and in the form of two arguments."""
    name, given, value = argument.partition("=")
    for arguments in ([argument], [name, value] if given else [name]):
        assert "tracking.extraArgs must not" in refusal({"tracking": {"extraArgs": arguments}}), arguments


def blocks(schema: Object, path: str = "") -> Iterator[str]:
    """Yield every key that holds keys, at any depth."""
    for key, child in schema.get("properties", {}).items():
        if "object" in child.get("type", ()):
            yield f"{path}{key}"
        yield from blocks(child, f"{path}{key}.")


@pytest.mark.parametrize("block", list(blocks(SCHEMA)))
def test_every_block_that_is_null_is_empty_or_named(block: str) -> None:
    done = rendered("demo-mlflow", json.dumps(merged(RUN, at(block, None))))
    assert "nil pointer" not in done.stderr
    assert "executing" not in done.stderr
    if done.returncode:
        assert names(done.stderr, block.rpartition(".")[2]) or block in done.stderr, done.stderr
