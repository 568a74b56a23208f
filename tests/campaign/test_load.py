"""What clients see, and what is kept: many of them, a rolling restart, replicas by load, jobs, an absent database."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.postgres import pod, secret
from tests.support import ROOT, kubectl, run_pod
from tests.unit.chart.rendering import CHART, helm

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
NAMESPACE, RELEASE = "campaign-load", "load-mlflow"
URI = f"http://{RELEASE}-tracking.{NAMESPACE}.svc:5000"
LOAD = (ROOT / "benchmarks/load.py").read_text()
PEOPLE = (ROOT / "benchmarks/people.py").read_text()
# Nothing here touches an artifact of these, so no store needs to answer.
REPLICAS: dict[str, Any] = {
    "storage": {"uri": "s3://none", "env": {"AWS_REGION": "none"}},
    "tracking": {"replicaCount": 3, "workers": 1, "strategy": {"type": "RollingUpdate"}},
}
# A pod has a third of a core, so three of them find room on two, beside PostgreSQL and the clients.
SMALL: dict[str, Any] = {
    **REPLICAS,
    "tracking": {
        **REPLICAS["tracking"],
        "replicaCount": 1,
        "resources": {"requests": {"cpu": "150m"}, "limits": {"cpu": "300m"}},
    },
}
LARGEST = 3
AUTOSCALED: dict[str, Any] = {
    **SMALL,
    "tracking": {**SMALL["tracking"], "autoscaling": {"enabled": True, "minReplicas": 1, "maxReplicas": LARGEST}},
}
JOBS = """
import json, os, sys, time, urllib.request
import mlflow

def ask(path, body=None):
    address = os.environ["MLFLOW_TRACKING_URI"] + "/ajax-api/3.0/" + path
    data = body and json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=60))

for _ in range(60):  # a new pod is let in only when the network policies know its address
    try:
        urllib.request.urlopen(os.environ["MLFLOW_TRACKING_URI"] + "/health", timeout=5)
        break
    except OSError:
        time.sleep(1)
experiment = mlflow.set_experiment(f"jobs-{time.time()}").experiment_id
traces = []
for number in range(int(sys.argv[1])):
    with mlflow.start_span(name="answer") as span:
        span.set_inputs({"question": number})
        span.set_outputs({"answer": "yes"})
    traces.append(span.trace_id)
mlflow.flush_trace_async_logging()
scorer = {
    "name": "answered", "mlflow_version": mlflow.__version__, "serialization_version": 1,
    "call_source": "return True", "call_signature": "(outputs)", "original_func_name": "answered",
}
asked = {"experiment_id": experiment, "serialized_scorer": json.dumps(scorer), "log_assessments": True}
jobs = [ask("mlflow/scorer/invoke", {**asked, "trace_ids": [trace]})["jobs"][0]["job_id"] for trace in traces]
found = {}
while len(found) < len(jobs):
    time.sleep(1)
    for job in jobs:
        state = ask(f"jobs/{job}")
        if state["status"] not in ("PENDING", "RUNNING"):
            found[job] = state
print(json.dumps(list(found.values())))
"""
ASK = """
import sys, time, urllib.error, urllib.request
while True:
    try:
        urllib.request.urlopen(sys.argv[1], timeout=60)
        break
    except urllib.error.HTTPError as error:
        assert error.code == 503, error
        time.sleep(0.5)
"""
DATABASE = f"sts/{RELEASE}-postgresql"


def own(*arguments: str, stdin: str | None = None) -> str:
    return kubectl("-n", NAMESPACE, *arguments, stdin=stdin)


@pytest.fixture(scope="module")
def namespace() -> Iterator[None]:
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    kubectl("create", "namespace", NAMESPACE)
    secrets = {
        f"{RELEASE}-keys": {
            "MLFLOW_CRYPTO_KEK_PASSPHRASE": "campaign",
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "campaign",
        },
        f"{RELEASE}-postgresql": {"postgres-password": "campaign", "password": "campaign"},
    }
    for name, data in secrets.items():
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
        own("apply", "-f", "-", stdin=json.dumps(secret))
    yield
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


@pytest.fixture
def deploy(namespace: None) -> Callable[[dict[str, Any]], None]:  # noqa: ARG001
    def deployed(values: dict[str, Any]) -> None:
        upgrade = [helm(), "upgrade", "--install", RELEASE, str(CHART), "-n", NAMESPACE]
        # Without values, Helm would take those of the release before.
        command = [*upgrade, "--reset-values", "--wait", "--timeout", "10m", "-f", "-"]
        done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return deployed


def restarts() -> str:
    pods = own("get", "pod", "-l", "app.kubernetes.io/component=tracking", "-o", "json")
    return str([pod["status"]["containerStatuses"][0]["restartCount"] for pod in json.loads(pods)["items"]])


def load(clients: int, seconds: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        run_pod(
            NAMESPACE, "load", LOAD, str(clients), str(seconds), timeout=seconds + 300, MLFLOW_TRACKING_URI=URI
        ).splitlines()[-1]
    )
    return found


def kept(found: dict[str, Any], database: str = f"{RELEASE}-postgresql-0", user: str = "postgres") -> None:
    """Every batch that was acknowledged is in the database."""
    command = ["psql", "-qAt", "-U", user, "-d", "mlflow", "-c"]
    query = "SELECT run_uuid, count(*) / 10 FROM metrics GROUP BY run_uuid"
    rows = own("exec", database, "--", *command, query).split()
    stored = {run: int(count) for run, _, count in (row.partition("|") for row in rows)}
    lost = {run: count for run, count in found["batches"].items() if stored.get(run, 0) < count}
    assert not lost, lost


def test_two_hundred_clients_get_no_error(deploy: Callable[..., None]) -> None:
    deploy({})
    before = restarts()
    for clients in (8, 40, 100, 200):
        found = load(clients, 30)
        print(clients, round(found["rate"], 1), found["answers"], round(found["slowest"], 1))
        assert set(found["answers"]) == {"200"}, (clients, found["answers"])
        kept(found)
    assert restarts() == before


def test_two_hundred_clients_get_no_error_with_few_connections(deploy: Callable[..., None]) -> None:
    """As many connections as an external database may grant: requests wait, none fails."""
    deploy({"postgresql": {"maxConnections": 40}})
    found = load(200, 30)
    assert set(found["answers"]) == {"200"}, found["answers"]


def test_fifty_people_work_for_a_minute_without_an_error(deploy: Callable[..., None]) -> None:
    deploy({})
    found = json.loads(run_pod(NAMESPACE, "people", PEOPLE, "50", "60", "uploads", MLFLOW_TRACKING_URI=URI))
    print(found)
    assert {answer.rpartition(" ")[2] for answer in found["answers"]} == {"200"}, found


def test_a_rolling_restart_loses_no_request(deploy: Callable[..., None]) -> None:
    deploy({})  # the artifacts' volume stays; the next release uses none
    deploy(REPLICAS)
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(load, 20, 150)
        time.sleep(20)
        own("rollout", "restart", f"deployment/{RELEASE}-tracking")
        own("rollout", "status", f"deployment/{RELEASE}-tracking", "--timeout=5m")
        found = loading.result()
    print(found["rate"], found["answers"], found["slowest"])
    assert set(found["answers"]) == {"200"}, found["answers"]
    kept(found)


@pytest.mark.parametrize("jobs", [1, 4])
def test_scorer_jobs_succeed_at_the_computed_memory(deploy: Callable[..., None], jobs: int) -> None:
    """Two GiB, the limit without jobs, are gone before the first of them runs."""
    deploy({"tracking": {"jobExecution": True, "jobs": jobs, "modelCodeExecution": True}})
    said = run_pod(NAMESPACE, "jobs", JOBS, "4", timeout=600, MLFLOW_TRACKING_URI=URI).splitlines()[-1]
    for job in json.loads(said):
        assert job["status"] == "SUCCEEDED", job
        ((assessments, failures),) = [(each["assessments"], each["failures"]) for each in job["result"].values()]
        assert (failures, [each["feedback"]["value"] for each in assessments]) == ([], [True])
    read = "cat /sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes 2>/dev/null || :"
    peak = own("exec", f"deployment/{RELEASE}-tracking", "-c", "tracking", "--", "sh", "-c", read)
    print(f"{jobs} at a time: at most {int(peak) >> 20} MiB, with files that were read")
    assert restarts() == "[0]"


def replicas() -> int:
    """Return how many pods of the server are ready."""
    found = own("get", f"deployment/{RELEASE}-tracking", "-o", "jsonpath={.status.readyReplicas}")
    return int(found or 0)


def until(count: int, seconds: float) -> None:
    """Wait until so many pods of the server are ready."""
    end = time.monotonic() + seconds
    while replicas() != count:
        assert time.monotonic() < end, own("describe", "hpa", f"{RELEASE}-tracking")
        time.sleep(2)


def connections() -> tuple[int, int]:
    """Return how many connections the server has, and how many PostgreSQL offers."""
    command = ["psql", "-qAt", "-U", "postgres", "-d", "mlflow", "-c"]
    query = "SELECT count(*), current_setting('max_connections') FROM pg_stat_activity WHERE usename = 'mlflow'"
    used, most = own("exec", f"{RELEASE}-postgresql-0", "--", *command, query).split("|")
    return int(used), int(most)


def test_the_rate_grows_with_the_replicas(deploy: Callable[..., None]) -> None:
    deploy({})  # the artifacts' volume stays; the next releases use none
    deploy(SMALL)
    one = load(12, 30)
    deploy({**SMALL, "tracking": {**SMALL["tracking"], "replicaCount": LARGEST}})
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(load, 12, 30)
        time.sleep(25)
        used, most = connections()
        many = loading.result()
    kept(many)
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(load, 6, 60)
        time.sleep(25)
        own("scale", f"deployment/{RELEASE}-tracking", "--replicas=1")
        fewer = loading.result()
    kept(fewer)
    print(f"1 replica {one['rate']:.1f}/s, {LARGEST} replicas {many['rate']:.1f}/s; connections {used} of {most}")
    for found in (one, many, fewer):
        assert set(found["answers"]) == {"200"}, found["answers"]
    assert used <= most - 15
    assert many["rate"] > 1.5 * one["rate"]


def test_replicas_follow_the_load_and_no_request_is_lost(deploy: Callable[..., None]) -> None:
    asked = subprocess.run(
        ["kubectl", "get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        pytest.skip("this cluster measures no pods: `make extras`")
    deploy({})
    deploy(AUTOSCALED)
    # Kubernetes takes pods away after five minutes of rest.
    sooner = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}}}
    own("patch", "hpa", f"{RELEASE}-tracking", "-p", json.dumps(sooner))
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(load, 12, 200)
        until(LARGEST, 200)
        grown = loading.result()
    kept(grown)
    used, most = connections()
    with ThreadPoolExecutor() as pool:
        working = pool.submit(run_pod, NAMESPACE, "people", PEOPLE, "3", "150", MLFLOW_TRACKING_URI=URI)
        until(1, 150)
        people = json.loads(working.result())
    print(grown["answers"], people["answers"])
    assert set(grown["answers"]) == {"200"}, grown["answers"]
    assert {answer.rpartition(" ")[2] for answer in people["answers"]} == {"200"}, people
    assert used <= most - 15


def test_an_absent_database_loses_no_acknowledged_write(deploy: Callable[..., None]) -> None:
    deploy({})
    before = restarts()
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(load, 40, 180)
        time.sleep(25)
        own("scale", DATABASE, "--replicas=0")
        own("wait", f"pod/{RELEASE}-postgresql-0", "--for=delete", "--timeout=60s")
        time.sleep(20)
        own("scale", DATABASE, "--replicas=1")
        own("rollout", "status", DATABASE, "--timeout=2m")
        back = time.monotonic()
        own("exec", "load", "--", "python3", "-c", ASK, f"{URI}/api/2.0/mlflow/experiments/search?max_results=1")
        assert time.monotonic() - back < 10
        found = loading.result()
    print(found["rate"], found["answers"], found["slowest"])
    assert set(found["answers"]) == {"200", "503"}, found["answers"]
    kept(found)
    assert restarts() == before


# A primary that lets replicas in, and a replica that starts as a copy of it.
PRIMARY = "exec docker-entrypoint.sh postgres -clisten_addresses='*'"
REPLICA = """
until pg_basebackup -d "postgresql://mlflow:$POSTGRES_PASSWORD@first" -D "$PGDATA" -R -c fast; do
  rm -rf "$PGDATA"
  sleep 1
done
exec postgres -clisten_addresses='*'
"""


def replicated(name: str, script: str) -> list[dict[str, Any]]:
    """Make a PostgreSQL and the Service of its name."""
    container = {
        "image": "docker.io/library/postgres:17.12",
        "command": ["sh", "-c", script],
        "env": [
            {"name": "POSTGRES_USER", "value": "mlflow"},
            {"name": "POSTGRES_PASSWORD", "value": "campaign"},
            {"name": "POSTGRES_INITDB_ARGS", "value": "--auth-host=scram-sha-256"},
            {"name": "PGDATA", "value": "/data/pgdata"},
        ],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-q", "-h", "127.0.0.1"]}, "timeoutSeconds": 5},
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "run", "mountPath": "/var/run/postgresql"},
            {"name": "first-start", "mountPath": "/docker-entrypoint-initdb.d"},
        ],
    }
    volumes = [
        {"name": "data", "emptyDir": {}},
        {"name": "run", "emptyDir": {}},
        {"name": "first-start", "configMap": {"name": "first-start"}},
    ]
    service = {"selector": {"app": name}, "ports": [{"port": 5432}]}
    return [
        pod(name, container, volumes, 999),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service},
    ]


def test_a_promoted_replica_has_every_acknowledged_write(deploy: Callable[..., None]) -> None:
    allow = "echo host replication all all scram-sha-256 >>$PGDATA/pg_hba.conf"
    first_start = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "first-start"}}
    uri = "postgresql://mlflow:campaign@first:5432,second:5432/mlflow?target_session_attrs=read-write"
    objects = [
        {**first_start, "data": {"replication.sh": allow}},
        secret("replicated", uri=uri),
        *replicated("first", PRIMARY),
        *replicated("second", REPLICA),
    ]
    own("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    own("wait", "pod/first", "pod/second", "--for=condition=Ready", "--timeout=10m")
    ask = ("psql", "-U", "mlflow", "-d", "mlflow", "-qAtc")
    own("exec", "first", "--", *ask, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    own("exec", "first", "--", *ask, "SELECT pg_reload_conf()")
    outside = {"existingSecret": "replicated", "existingSecretUriKey": "uri", "sslMode": "prefer"}
    deploy({"postgresql": {"enabled": False}, "externalDatabase": outside})
    before = restarts()
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(load, 40, 120)
        time.sleep(30)
        own("delete", "pod", "first", "--grace-period=0", "--force")
        own("exec", "second", "--", "pg_ctl", "promote", "-w")
        back = time.monotonic()
        own("exec", "load", "--", "python3", "-c", ASK, f"{URI}/api/2.0/mlflow/experiments/search?max_results=1")
        assert time.monotonic() - back < 10
        found = loading.result()
    print(found["rate"], found["answers"], found["slowest"])
    assert set(found["answers"]) == {"200", "503"}, found["answers"]
    kept(found, "second", "mlflow")
    assert restarts() == before
