"""Metrics, dashboard and alerts, as a real Prometheus sees them; promtool checks the alerts' timing."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import kubectl, play, run_pod
from tests.unit.chart.rendering import one, refusal, render

NAMESPACE, OTHER, CLASS, PROJECT = "monitoring-test", "monitoring-prometheus", "monitoring-test", "watched"
RELEASE = f"{PROJECT}-mlflow"
SERVER = f"http://{RELEASE}-tracking.{NAMESPACE}.svc:5000"
SLICES = f"kubernetes.io/service-name={RELEASE}-tracking"
PODS = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=tracking"
SCRAPER = {"app.kubernetes.io/name": "prometheus"}
PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": OTHER}}}
METRICS: dict[str, Any] = {"enabled": True, "dashboard": {"enabled": True}}
ALL: dict[str, Any] = {**METRICS, "serviceMonitor": {"enabled": True}, "rules": {"enabled": True}}
VALUES: dict[str, Any] = {
    "tracking": {"terminationGracePeriodSeconds": 1, "metrics": METRICS},
    "postgresql": {"primary": {"persistence": {"storageClass": CLASS}}},
    "networkPolicy": {"monitoring": [{**PEER, "podSelector": {"matchLabels": SCRAPER}}]},
}
NO_DATA_HERE = {"Age of the last backup", "MLflowBackupTooOld", "MLflowErrors"}
"""What kube-state-metrics measures, which the test cluster lacks, and errors, which come when the database is gone."""
DEPLOY: dict[str, Any] = {
    "mlflow_provider": "local",
    "mlflow_project_name": PROJECT,
    "mlflow_namespace": NAMESPACE,
    "mlflow_local_storage_class": CLASS,
    "mlflow_kubeconfig": os.environ.get("KUBECONFIG", ""),
}


def program(name: str) -> str:
    """A program of Prometheus; `make edge` unpacks Debian's."""
    found = shutil.which(name)
    assert found, f"There is no {name} on PATH: run `make edge`."
    return found


def rendered() -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = render({"tracking": {"metrics": ALL}}, "--namespace", NAMESPACE, release=RELEASE)
    return objects


def rules() -> dict[str, Any]:
    """What the PrometheusRule gives to Prometheus."""
    found: dict[str, Any] = one(rendered(), "PrometheusRule")["spec"]
    return found


def alerts() -> list[dict[str, Any]]:
    return [rule for group in rules()["groups"] for rule in group["rules"]]


def measured(expression: str) -> str:
    """What an alert compares with its limit."""
    return re.sub(r"\s[<>]\s[0-9.]+$", "", expression)


def rule(alert: str) -> str:
    """The expression of an alert."""
    (found,) = [str(each["expr"]) for each in alerts() if each["alert"] == alert]
    return found


def shown() -> list[tuple[str, str]]:
    """Every query of the dashboard, with its panel's title."""
    (text,) = one(rendered(), "ConfigMap", f"{RELEASE}-dashboard")["data"].values()
    return [(panel["title"], target["expr"]) for panel in json.loads(text)["panels"] for target in panel["targets"]]


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program("promtool"), *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def rule_file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rules()))
    return path


def test_promtool_accepts_the_alerts(rule_file: Path) -> None:
    done = promtool(rule_file.parent, "check", "rules", "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(alerts())} rules found" in done.stdout


ON = f'namespace="{NAMESPACE}", service="{RELEASE}-tracking"'
REQUESTS = f'mlflow_server_request_duration_seconds_count{{{ON}, part="runs", status='
VOLUME = f'{{namespace="{NAMESPACE}", persistentvolumeclaim="data-{RELEASE}-postgresql-0"}}'
BACKUP = f'{{namespace="{NAMESPACE}", cronjob="{RELEASE}-backup"}}'
# Values a minute apart, from the first minute to the 30th, that must and must not set the alert off.
SERIES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "MLflowDown": ({f"up{{{ON}}}": "1x2 0x30"}, {f"up{{{ON}}}": "1x30"}),
    "MLflowErrors": (
        {f'{REQUESTS}"200"}}': "0+90x30", f'{REQUESTS}"503"}}': "0+10x30"},
        {f'{REQUESTS}"200"}}': "0+98x30", f'{REQUESTS}"503"}}': "0+2x30", f'{REQUESTS}"404"}}': "0+50x30"},
    ),
    "MLflowBackupTooOld": (  # at time 0, Prometheus' clock reads 1970
        {f"kube_cronjob_status_last_successful_time{BACKUP}": "-172800x30"},
        {
            f"kube_cronjob_status_last_successful_time{BACKUP}": "-3600x30",
            f"kube_cronjob_created{BACKUP}": "-900000x30",
        },
    ),
    "MLflowDatabaseDown": ({f"mlflow_database_up{{{ON}}}": "0x30"}, {f"mlflow_database_up{{{ON}}}": "0x3 1x30"}),
    "MLflowDatabaseConnections": (
        {f"mlflow_database_connections{{{ON}}}": "90x30", f"mlflow_database_connections_limit{{{ON}}}": "97x30"},
        {f"mlflow_database_connections{{{ON}}}": "80x30", f"mlflow_database_connections_limit{{{ON}}}": "97x30"},
    ),
    "MLflowVolumeNearlyFull": (
        {
            f"kubelet_volume_stats_available_bytes{VOLUME}": "9x30",
            f"kubelet_volume_stats_capacity_bytes{VOLUME}": "100x30",
        },
        {
            f"kubelet_volume_stats_available_bytes{VOLUME}": "11x30",
            f"kubelet_volume_stats_capacity_bytes{VOLUME}": "100x30",
        },
    ),
}


@pytest.mark.parametrize("alert", [rule["alert"] for rule in alerts()])
@pytest.mark.parametrize("fires", [True, False])
def test_alerts_fire_when_they_should_and_only_then(rule_file: Path, alert: str, fires: bool) -> None:
    (rule,) = [rule for rule in alerts() if rule["alert"] == alert]
    minutes = int(rule["for"].removesuffix("m"))
    given = SERIES[alert][0 if fires else 1]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in given.items()],
        # promtool compares annotations in full; the query for ALERTS compares labels alone.
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": int(fires and minute > 1)}],
            }
            for minute in (1, minutes + 10)
        ],
    }
    path = rule_file.parent / "test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}))
    done = promtool(rule_file.parent, "test", "rules", "test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def source(name: str) -> str:
    """The label by which Prometheus hands on what it finds in Kubernetes."""
    return "__meta_kubernetes_" + re.sub(r"[^a-zA-Z0-9_]", "_", name)


class Prometheus:
    """A server on this machine that scrapes through the API, as the ServiceMonitor says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        (folder / "rules.yaml").write_text(yaml.safe_dump(self.impatient(rules())))
        (folder / "prometheus.yml").write_text(yaml.safe_dump(self.configuration()))
        self.discover()
        log = (folder / "log").open("w")
        options = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={self.address}"]
        self.process = subprocess.Popen([program("prometheus"), *options], cwd=folder, stdout=log, stderr=log)

    @staticmethod
    def impatient(found: dict[str, Any]) -> dict[str, Any]:
        """The same alerts at once: promtool has checked how long they wait."""
        for group in found["groups"]:
            group["rules"] = [{**rule, "for": "0s"} for rule in group["rules"]]
        return found

    def configuration(self) -> dict[str, Any]:
        view = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        cluster, user = view["clusters"][0]["cluster"], view["users"][0]["user"]
        files = {"ca.crt": cluster["certificate-authority-data"], "tls.crt": user["client-certificate-data"]}
        for name, data in {**files, "tls.key": user["client-key-data"]}.items():
            (self.folder / name).write_bytes(base64.b64decode(data))
            (self.folder / name).chmod(0o600)
        api = urllib.parse.urlsplit(cluster["server"])
        through = {
            "scheme": api.scheme,
            "tls_config": {"ca_file": "ca.crt", "cert_file": "tls.crt", "key_file": "tls.key"},
        }
        node = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]["metadata"]["name"]
        kubelet = {
            "job_name": "kubelet",
            "honor_labels": True,
            "metrics_path": f"/api/v1/nodes/{node}/proxy/metrics",
            "static_configs": [{"targets": [api.netloc]}],
            **through,
        }
        return {
            "global": {"scrape_interval": "5s", "evaluation_interval": "2s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [kubelet, {**self.scrape(api.netloc), **through}],
        }

    @staticmethod
    def scrape(api: str) -> dict[str, Any]:
        """What the operator makes of the ServiceMonitor, and the way through the API to the pod."""
        monitor = one(rendered(), "ServiceMonitor")
        (endpoint,) = monitor["spec"]["endpoints"]
        labels = monitor["spec"]["selector"]["matchLabels"]
        keep = [
            {"action": "keep", "source_labels": [source(f"service_label_{name}")], "regex": re.escape(value)}
            for name, value in labels.items()
        ]
        keep.append({"action": "keep", "source_labels": [source("endpoint_port_name")], "regex": endpoint["port"]})
        copied = {"namespace": "namespace", "service": "service_name", "pod": "pod_name"}
        copy = [{"source_labels": [source(name)], "target_label": label} for label, name in copied.items()]
        path = f"/api/v1/namespaces/$1/pods/$2:$3/proxy{endpoint['path']}"
        parts = [source(name) for name in ("namespace", "pod_name", "pod_container_port_number")]
        way: list[dict[str, Any]] = [
            {
                "source_labels": parts,
                "regex": "(.+);(.+);(.+)",
                "target_label": "__metrics_path__",
                "replacement": path,
            },
            {"target_label": "__address__", "replacement": api},
        ]
        files = [{"files": ["targets.json"], "refresh_interval": "1s"}]
        return {"job_name": "mlflow", "file_sd_configs": files, "relabel_configs": keep + copy + way}

    def discover(self) -> None:
        """Say what Prometheus finds in Kubernetes. Debian's is built without that part."""
        service = json.loads(kubectl("-n", NAMESPACE, "get", "service", f"{RELEASE}-tracking", "-o", "json"))[
            "metadata"
        ]
        slices = json.loads(kubectl("-n", NAMESPACE, "get", "endpointslices", "-l", SLICES, "-o", "json"))["items"]
        common = {source("namespace"): NAMESPACE, source("service_name"): service["name"]}
        common |= {source(f"service_label_{name}"): value for name, value in service["labels"].items()}
        found = [
            {
                "targets": [f"{endpoint['addresses'][0]}:{port['port']}"],
                "labels": {
                    **common,
                    source("endpoint_port_name"): port["name"],
                    source("pod_name"): endpoint["targetRef"]["name"],
                    source("pod_container_port_number"): str(port["port"]),
                },
            }
            for each in slices
            for port in each["ports"] or []
            for endpoint in each["endpoints"] or []
        ]
        new = self.folder / "targets.new"
        new.write_text(json.dumps(found))
        new.rename(self.folder / "targets.json")

    def query(self, expression: str) -> list[dict[str, Any]]:
        url = f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return [each for each in found if "NaN" not in each["value"][1]]

    def value(self, expression: str) -> float | None:
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[str]:
        return {each["metric"]["alertname"] for each in self.query('ALERTS{alertstate="firing"}')}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def until(what: str, check: Callable[[], Any], seconds: float = 240) -> Any:
    ends = time.monotonic() + seconds
    found: Any = None
    while time.monotonic() < ends:
        try:
            if found := check():
                return found
        except OSError:
            pass
        time.sleep(1)
    raise AssertionError(f"not after {seconds} s: {what}; last: {found}")


USE = """
import mlflow, tempfile, pathlib, urllib.request
mlflow.set_experiment("watched")
file = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
file.write_text("x" * 1000)
client = mlflow.MlflowClient()
for number in range(3):
    with mlflow.start_run() as run:
        mlflow.log_metric("accuracy", number)
        mlflow.log_artifact(file)
client.create_registered_model("watched")
with mlflow.start_span("watched"):
    pass
mlflow.flush_trace_async_logging()
print(len(client.search_runs([run.info.experiment_id])))
"""
ASK = """
import sys, time, urllib.error, urllib.request
for _ in range(int(sys.argv[2])):
    try:
        urllib.request.urlopen(sys.argv[1], timeout=60).read()
        print("answered")
    except urllib.error.HTTPError as error:
        print(error.code)
    except Exception as error:
        print(type(error).__name__)
        time.sleep(5)
"""


@pytest.fixture(scope="module")
def deployed() -> Iterator[None]:
    """A server with metrics, on volumes that the kubelet measures, and a namespace with Prometheus' pods."""
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS, "annotations": {"defaultVolumeType": "local"}},
        "provisioner": "rancher.io/local-path",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    for each in (NAMESPACE, OTHER):
        kubectl("delete", "namespace", each, "--ignore-not-found")
    try:
        kubectl("apply", "-f", "-", stdin=json.dumps(storage))
        kubectl("create", "namespace", OTHER)
        played = play("mlflow", **DEPLOY, mlflow_overrides=VALUES)
        assert played.returncode == 0, played.failure or played.stdout
        yield
    finally:
        for each in (NAMESPACE, OTHER):
            kubectl("delete", "namespace", each, "--ignore-not-found", "--wait=false")
        kubectl("delete", "storageclass", CLASS, "--ignore-not-found")


@pytest.fixture(scope="module")
def prometheus(deployed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:  # noqa: ARG001
    server = Prometheus(tmp_path_factory.mktemp("prometheus"))
    try:
        until("Prometheus scrapes", lambda: server.value(f"up{{{ON}}}") == 1)
        yield server
    finally:
        server.stop()


@pytest.mark.cluster
def test_every_panel_and_alert_has_data(prometheus: Prometheus, record_property: Callable[[str, object], None]) -> None:
    assert run_pod(NAMESPACE, "user", USE, MLFLOW_TRACKING_URI=SERVER).split()[-1] == "3"
    until("the runs are counted", lambda: prometheus.value(f"max(mlflow_runs{{{ON}}})") == 3)
    measures = [(each["alert"], measured(each["expr"])) for each in alerts()]
    queries = [(title, query) for title, query in shown() + measures if title not in NO_DATA_HERE]
    for title, expression in queries:
        found = until(f"{title}: {expression}", partial(prometheus.query, expression))
        values = ", ".join(
            f"{' '.join(each['metric'].values())} {float(each['value'][1]):.4g}".strip() for each in found
        )
        record_property("row", f"{title}: {values}")
    named = {title: prometheus.query(expression) for title, expression in shown()}
    parts = {each["metric"]["part"] for each in named["Requests"]}
    assert {"runs", "experiments", "models", "artifacts", "traces"} <= parts
    assert {each["metric"]["persistentvolumeclaim"] for each in named["Volumes"]} == {
        f"{RELEASE}-artifacts",
        f"data-{RELEASE}-postgresql-0",
    }
    assert named["Users in 24 hours"][0]["value"][1] == "1"
    assert named["Registered models"][0]["value"][1] == "1"
    free = min(float(each["value"][1]) for each in prometheus.query(measured(rule("MLflowVolumeNearlyFull"))))
    assert prometheus.firing() == ({"MLflowVolumeNearlyFull"} if free < 0.1 else set()), "the node's disk decides"


@pytest.mark.cluster
@pytest.mark.usefixtures("deployed")
def test_only_the_scraper_named_reaches_the_metrics() -> None:
    url = f"{SERVER}/metrics"
    # The first ones may come before the network knows the pod.
    assert run_pod(OTHER, "prometheus", ASK, url, "9", labels=SCRAPER).split()[-1] == "answered"
    assert "answered" not in run_pod(OTHER, "stranger", ASK, url, "3", labels={"app": "other"})


@pytest.mark.cluster
@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(("value", "kind"), [("rules", "PrometheusRule"), ("serviceMonitor", "ServiceMonitor")])
def test_a_cluster_without_the_operator_is_named(value: str, kind: str) -> None:
    if kubectl("api-resources", "--api-group=monitoring.coreos.com", "-o", "name"):
        pytest.skip("this cluster has the Prometheus operator's kinds")
    metrics = {**METRICS, value: {"enabled": True}}
    overrides = {**VALUES, "tracking": {**VALUES["tracking"], "metrics": metrics}}
    played = play("mlflow", "--check", **DEPLOY, mlflow_overrides=overrides)
    assert played.returncode != 0
    assert f"{kind} of monitoring.coreos.com/v1" in played.failure


@pytest.mark.cluster
def test_a_missing_database_and_server_set_off_alerts(prometheus: Prometheus) -> None:
    kubectl("-n", NAMESPACE, "scale", f"statefulset/{RELEASE}-postgresql", "--replicas=0")
    until("the alert for the database", lambda: "MLflowDatabaseDown" in prometheus.firing())
    inside = ["exec", f"deploy/{RELEASE}-tracking", "-c", "tracking", "--", "python3", "-c", ASK]
    search = "http://localhost:5000/api/2.0/mlflow/experiments/search?max_results=1"

    def errors_are_noticed() -> bool:
        """Ask again and again: Prometheus sees no rate in a counter's first value."""
        answers = set(kubectl("-n", NAMESPACE, *inside, search, "1").split())
        assert answers <= {"500", "503"}, answers
        return "MLflowErrors" in prometheus.firing()

    until("the alert for errors", errors_are_noticed)
    kubectl("-n", NAMESPACE, "scale", f"deploy/{RELEASE}-tracking", "--replicas=0")
    until("no pod is left", lambda: not kubectl("-n", NAMESPACE, "get", "pods", "-l", PODS, "-o", "name"))
    prometheus.discover()
    until("the alert for the server", lambda: "MLflowDown" in prometheus.firing())


def test_a_mistyped_metrics_key_is_refused() -> None:
    assert "dashboards" in refusal({"tracking": {"metrics": {"enabled": True, "dashboards": {"enabled": True}}}})
