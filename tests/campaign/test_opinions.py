"""Whole deployments on clusters that decide about pods: OpenShift's users, quotas and rules, a mesh, IPv6."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.opinions.platform import passwd, platform
from tests.integration.opinions.pod import FIRST
from tests.support import CACHE, ROOT, Played, kubectl, play

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]


@contextmanager
def namespace(name: str, **labels: str) -> Iterator[str]:
    kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=180s")
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl("apply", "-f", "-", stdin=json.dumps(made))
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def deploy(where: str, project: str = "one", **overrides: Any) -> Played:
    return play(
        "mlflow",
        mlflow_provider="local",
        mlflow_project_name=project,
        mlflow_namespace=where,
        mlflow_kubeconfig=os.environ["KUBECONFIG"],
        mlflow_overrides={"tracking": {"workers": 1}, **overrides},
    )


def items(where: str, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(kubectl("-n", where, "get", kind, "-o", "json"))["items"]
    return found


def test_openshift_chooses_users_and_groups() -> None:
    with namespace("opinions-openshift") as where:
        kubectl("-n", where, "apply", "-f", "-", stdin=json.dumps(passwd()))
        with platform("openshift", where):
            refused = deploy(where).failure
            assert "unable to validate against any security context constraint" in refused
            assert "`security`" in refused
            done = deploy(where, security={"ids": "platform"})
            assert done.returncode == 0, done.failure
            assert done.mlflow["verified"] is True
            users = {
                container["securityContext"]["runAsUser"]
                for pod in items(where, "pods")
                for container in pod["spec"]["containers"]
            }
            assert users == {FIRST}
            # The second start, which sets the passwords of the Secret in the data.
            kubectl("-n", where, "delete", "pod", "one-mlflow-postgresql-0")
            again = deploy(where, security={"ids": "platform"})
            assert again.returncode == 0, again.failure
            assert "could not be set" not in kubectl("-n", where, "logs", "one-mlflow-postgresql-0")


LIMITS = {
    "type": "Container",
    "max": {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "8Gi"},
    "min": {"cpu": "1m", "memory": "16Mi"},
    "default": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi"},
    "defaultRequest": {"cpu": "1m", "memory": "16Mi", "ephemeral-storage": "8Mi"},
}
QUOTA = {
    "pods": "10",
    "requests.cpu": "1",
    "requests.memory": "2Gi",
    "limits.cpu": "10",
    "limits.memory": "6Gi",
    "requests.ephemeral-storage": "1Gi",
    "limits.ephemeral-storage": "20Gi",
    "requests.storage": "40Gi",
}


def test_limits_quotas_rules_and_a_mesh_at_once() -> None:
    """Pod Security enforced, a LimitRange, a quota of all resources, a label that is asked for, classic sidecars."""
    name = "opinions-strict"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    rule = {
        "matchConstraints": {"resourceRules": [pods]},
        "validations": [{"expression": "has(object.metadata.labels.team)", "message": "every pod needs a team"}],
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here}}
    admission = "admissionregistration.k8s.io/v1"
    outside = {"podLabels": {"sidecar.istio.io/inject": "false"}}
    with namespace(name, **labels) as where, platform("istio", where):
        objects = [
            {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [LIMITS]}},
            {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": QUOTA}},
        ]
        for item in objects:
            kubectl("-n", where, "apply", "-f", "-", stdin=json.dumps(item))
        for kind, spec in (("ValidatingAdmissionPolicy", rule), ("ValidatingAdmissionPolicyBinding", binding)):
            item = {"apiVersion": admission, "kind": kind, "metadata": {"name": name}, "spec": spec}
            kubectl("apply", "-f", "-", stdin=json.dumps(item))
        try:
            refused = deploy(where).failure
            assert "every pod needs a team" in refused
            assert "`podLabels`" in refused
            named = deploy(where, commonLabels={"team": "a"}).failure
            assert "istio-proxy, which is not of the chart, still runs" in named
            assert 'set migrate.podLabels to {sidecar.istio.io/inject: "false"}' in named
            done = deploy(where, commonLabels={"team": "a"}, migrate=outside, verify=outside)
        finally:
            for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
                kubectl("delete", kind, name, "--ignore-not-found")
        assert done.returncode == 0, done.failure
        assert done.mlflow["verified"] is True
        server = next(pod for pod in items(where, "pods") if "-tracking-" in pod["metadata"]["name"])
        assert {each["name"] for each in server["spec"]["containers"]} == {"tracking", "istio-proxy"}


def test_two_projects_share_a_namespace_with_separate_accounts() -> None:
    with namespace("opinions-two") as where:
        assert deploy(where, "first").mlflow["verified"] is True
        refused = deploy(where, "second").failure
        assert "belongs to the Helm release 'first-mlflow'" in refused
        second = deploy(where, "second", serviceAccount={"name": "second"})
        assert second.returncode == 0, second.failure
        assert second.mlflow["verified"] is True
        assert deploy(where, "first").changed == 0


NETWORKS = {"ipv6": r"^[0-9a-f:]+$", "dual": r"^[0-9.]+ [0-9a-f:]+$"}
SUBNETS = {"ipv4": "10.244.0.0/24", "ipv6": "fd00:10:244::/64"}
SERVICES = {"ipv4": "10.96.0.0/16", "ipv6": "fd00:10:96::/112"}
EVERYWHERE = {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}
CNI = "/etc/cni/net.d/10-nebari-mlflow.conflist"


def readdress(families: list[str], node: str, env: dict[str, str]) -> None:
    """Give pods addresses of these families: the network of the node image that `make up` builds has IPv4 only."""
    ipam = {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "ranges": [[{"subnet": SUBNETS[family]}] for family in families],
        "routes": [{"dst": EVERYWHERE[family]} for family in families],
    }
    plugins = [
        {"type": "ptp", "ipMasq": True, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    network = json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": plugins})
    write = f"cat >{CNI} && sysctl -w net.ipv6.conf.all.forwarding=1"
    command = ["docker", "exec", "-i", node, "sh", "-c", write]
    subprocess.run(command, env=env, input=network, text=True, check=True)
    arguments = ["--run-firewall=true", "--run-router=false", "--run-service-proxy=false", "--run-loadbalancer=false"]
    arguments += [f"--enable-{family}={str(family in families).lower()}" for family in SUBNETS]
    arguments += ["--hostname-override=$(NODE_NAME)"]
    arguments += [f"--service-cluster-ip-range={','.join(SERVICES[family] for family in families)}"]
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": arguments}]
    kubectl("-n", "kube-system", "patch", "ds", "kube-router", "--type=json", "-p", json.dumps(patch))
    kubectl("-n", "kube-system", "delete", "pod", "-l", "k8s-app=kube-dns")
    kubectl("-n", "local-path-storage", "delete", "pod", "--all")


@pytest.fixture(params=NETWORKS)
def family(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A kind cluster of its own, with the images of `make up` in it, whose pods have addresses of this kind."""
    own, log = CACHE / "docker/daemon.json", ROOT / ".cluster/log/create.log"
    image = re.search(r"--image=(nebari-mlflow/node\S+)", log.read_text()) if log.exists() else None
    if image is None:
        pytest.skip("needs the node image that `make up` builds")
    host = re.search(r'unix://[^"]*', own.read_text()) if own.exists() else None
    env = {**os.environ, **({"DOCKER_HOST": host[0]} if host else {})}
    config = yaml.safe_load((ROOT / ".cluster/kind.yaml").read_text())
    config["networking"]["ipFamily"] = request.param
    name, file, kubeconfig = f"opinions-{request.param}", tmp_path / "kind.yaml", tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    kind = str(next((CACHE / "programs").glob("*/kind")))
    which = [f"--name={name}", f"--kubeconfig={kubeconfig}"]
    subprocess.run([kind, "delete", "cluster", *which], env=env, check=True)
    try:
        subprocess.run(
            [kind, "create", "cluster", *which, f"--image={image[1]}", f"--config={file}"], env=env, check=True
        )
        for archive in ("postgres", "mlflow"):
            (path,) = (CACHE / "images").glob(f"{archive}-*.tar")
            subprocess.run([kind, "load", "image-archive", f"--name={name}", str(path)], env=env, check=True)
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        readdress(["ipv6"] if request.param == "ipv6" else ["ipv4", "ipv6"], f"{name}-control-plane", env)
        yield request.param
    finally:
        subprocess.run([kind, "delete", "cluster", *which], env=env, check=True)


def test_the_server_listens_at_ipv6(family: str) -> None:
    """With one worker and with two, which listen in different ways."""
    policy = "RequireDualStack" if family == "dual" else "SingleStack"
    for workers in (1, 2):
        done = deploy("dev", tracking={"workers": workers, "service": {"ipFamilyPolicy": policy}})
        assert done.returncode == 0, done.failure
        assert done.mlflow["verified"] is True
        pod = next(pod for pod in items("dev", "pods") if "-tracking-" in pod["metadata"]["name"])
        addresses = [each["ip"] for each in pod["status"]["podIPs"]]
        assert re.match(NETWORKS[family], " ".join(addresses))
        ask = "import sys, urllib.request; print([urllib.request.urlopen(u).status for u in sys.argv[1:]])"
        urls = [f"http://{f'[{ip}]' if ':' in ip else ip}:5000/health" for ip in [*addresses, "127.0.0.1"]]
        server = ["exec", pod["metadata"]["name"], "-c", "tracking", "--", "python3", "-c", ask, *urls]
        assert kubectl("-n", "dev", *server).strip() == str([200] * len(urls))
