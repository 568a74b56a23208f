"""The chart on a real cluster, with Helm alone: the README's commands, used and abused."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, kubectl
from tests.unit.chart.configurations import CONFIGURATIONS, TRAEFIK
from tests.unit.chart.rendering import CHART, RELEASE, helm, pods, render

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("installed")]

NAMESPACE = "chart-test"
SERVER = f"http://{RELEASE}-tracking.{NAMESPACE}.svc:5000"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
SERVED = ("apps/v1", "batch/v1", "v1", "networking.k8s.io/v1", "policy/v1", "autoscaling/v2")
NOTES: dict[str, str] = {}
"""What Helm printed at the installation, for the tests that read it."""


def readme(section: str) -> list[str]:
    """Return the shell blocks of a section of the chart's README, for the namespace of this test."""
    text = (CHART / "README.md").read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [
        block.replace("namespace=mlflow", f"namespace={NAMESPACE}")
        for block in re.findall(r"```bash\n(.*?)```", text, re.S)
    ]


def shell(script: str) -> str:
    """Run what a person would paste."""
    names = f"namespace={NAMESPACE} release={RELEASE}\n"
    path = f"{Path(helm()).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", names + script],
        cwd=CHART,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def own(*arguments: str, stdin: str | None = None) -> str:
    return kubectl("-n", NAMESPACE, *arguments, stdin=stdin)


def until(what: str, check: Any, limit: float = 90) -> None:
    """Ask every half second until it is so."""
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < limit, f"{what}: not within {limit} s"
        time.sleep(0.5)


def uids(*names: str) -> dict[str, str]:
    return {name: own("get", name, "-o", "jsonpath={.metadata.uid}") for name in names}


def python(script: str, *arguments: str, **env: str) -> str:
    """Run Python in the client pod; it has MLflow, the chart's scripts and nothing of the server's."""
    assigned = [f"{name}={value}" for name, value in env.items()]
    return own("exec", "client", "--", "env", *assigned, "python3", "-c", script, *arguments)


def sql(statement: str, database: str = "postgres") -> str:
    pod = f"{RELEASE}-postgresql-0"
    command = ["psql", "-v", "ON_ERROR_STOP=1", "-qAt", "-U", "postgres", "-d", database, "-c", statement]
    return own("exec", pod, "-c", "postgresql", "--", *command).strip()


CLIENT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "client", "labels": {"app": "client"}},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "client",
                "image": "ghcr.io/mlflow/mlflow:v3.17.2-full",
                "command": ["sleep", "3600"],
                "env": [{"name": "HOME", "value": "/tmp"}, {"name": "PYTHONUNBUFFERED", "value": "1"}],  # noqa: S108
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "scripts", "mountPath": "/scripts"}],
            }
        ],
        "volumes": [{"name": "scripts", "configMap": {"name": f"{RELEASE}-migrate", "optional": True}}],
    },
}


@pytest.fixture(scope="module")
def installed() -> Iterator[None]:
    """The README's installation, in a namespace that lets nothing in that is not restricted, and a client pod."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    (install,) = readme("Install")
    create = "kubectl create namespace $namespace\n"
    assert create in install
    labels = " ".join(f"{key}={value}" for key, value in RESTRICTED.items())
    NOTES["install"] = shell(install.replace(create, f"{create}kubectl label namespace $namespace {labels}\n"))
    own("apply", "-f", "-", stdin=json.dumps(CLIENT))
    own("wait", "pod/client", "--for=condition=Ready", "--timeout=60s")
    yield
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


REQUEST = """
import sys, urllib.request, urllib.error
request = urllib.request.Request(sys.argv[1], data=sys.argv[3].encode() if len(sys.argv) > 3 else None)
for pair in filter(None, sys.argv[2].split(";")):
    request.add_header(*pair.split("=", 1))
try:
    print(urllib.request.urlopen(request, timeout=3).status)
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode()[:200])
except OSError as error:
    print("no answer", error)
"""


def request(headers: str = "", path: str = "/api/2.0/mlflow/experiments/search?max_results=1", *body: str) -> str:
    return python(REQUEST, f"{SERVER}{path}", headers, *body).strip()


def test_the_api_server_accepts_every_rendering_without_a_warning() -> None:
    """All of them at once, each object with its configuration's number in its name."""
    everything = []
    for number, values in enumerate(CONFIGURATIONS.values()):
        objects = [item for item in render(values) if item["apiVersion"] in SERVED]
        assert len(list(pods(objects))) >= 3
        for item in objects:
            name = f"x{number}-{item['metadata']['name']}"
            everything.append({**item, "metadata": {**item["metadata"], "namespace": NAMESPACE, "name": name}})
    done = subprocess.run(
        ["kubectl", "create", "--dry-run=server", "-f", "-"],
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": everything}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), [*enumerate(CONFIGURATIONS)]


def test_the_installation_says_what_to_do_next_and_verifies_itself() -> None:
    notes = NOTES["install"]
    assert f"helm test {RELEASE} -n {NAMESPACE} --logs" in notes
    assert SERVER in notes
    result = json.loads(next(line for line in notes.splitlines() if line.startswith("{")))
    assert re.fullmatch("[0-9a-f]{32}", result["run_id"])
    assert result["model_version"] == "1"


def test_notes_name_the_ui_and_what_is_open() -> None:
    def notes(**values: Any) -> str:
        given = shlex.quote(json.dumps(values))
        dry = "helm upgrade $release . -n $namespace --dry-run=client -f -"
        return shell(f"echo {given} | {dry}").partition("NOTES:")[2]

    assert "WARNING" not in notes(route=TRAEFIK)
    assert "UI:\n  https://nebari.example.org/mlflow/\n" in notes(route=TRAEFIK)
    text = notes(tracking={"modelCodeExecution": True}, networkPolicy={"enabled": False})
    assert f"port-forward service/{RELEASE}-tracking 5000:5000" in text
    assert "WARNING: networkPolicy.enabled is false: every pod" in text
    assert "WARNING: tracking.modelCodeExecution is true" in text
    assert "are let in" not in text


def test_the_verification_leaves_nothing_behind() -> None:
    shell("helm test $release -n $namespace")
    assert sql("SELECT count(*) FROM model_versions", "mlflow") == "0"
    assert sql("SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'", "mlflow") == "0"
    files = own("exec", f"deploy/{RELEASE}-tracking", "-c", "tracking", "--", "find", "/mlflow/artifacts", "-type", "f")
    assert files == ""


def let_in() -> None:
    """Let the client pod in, as a test of this file that runs before others may have done."""
    own("label", "pod", "client", "mlflow.nebari.dev/client=true", "--overwrite")
    until("the client is let in", lambda: request() == "200")


def test_who_is_let_in() -> None:
    assert request().startswith("no answer")
    for label in ("component=singleuser-server", "gateway.dask.org/cluster=abc", "mlflow.nebari.dev/client=true"):
        own("label", "pod", "client", label)
        until(f"a pod with {label} is let in", lambda: request() == "200", 15)
        own("label", "pod", "client", f"{label.partition('=')[0]}-")
        until(f"a pod without {label} is kept out", lambda: request().startswith("no answer"), 15)
    own("label", "pod", "client", "mlflow.nebari.dev/client=true")
    until("the client is let in", lambda: request() == "200", 15)
    database = f"import socket; socket.create_connection(('{RELEASE}-postgresql', 5432), 3)"
    with pytest.raises(AssertionError, match=r"timed out|refused"):
        python(database)


def test_foreign_hosts_origins_and_sources_are_refused() -> None:
    let_in()
    assert request("Host=evil.example.org").startswith("403 Invalid Host header")
    assert request(f"Host={RELEASE}-tracking.{NAMESPACE}.svc.cluster.local") == "200"
    create, body = "/api/2.0/mlflow/experiments/create", '{"name": "from-a-page"}'
    json_from = "Content-Type=application/json;Origin=https://evil.example.org"
    assert request(json_from, create, body).startswith("403 Cross-origin")
    source = '{"name": "m", "source": "http://169.254.169.254/latest"}'
    assert request(path="/ajax-api/3.0/mlflow/gateway/secrets/config").startswith("501"), "the AI gateway is off"
    answer = request("Content-Type=application/json", "/api/2.0/mlflow/model-versions/create", source)
    assert answer.startswith("400")
    assert "Invalid model version source" in answer


LOG = """
import sys, mlflow
mlflow.set_experiment("kept")
with mlflow.start_run() as run:
    mlflow.log_metric("accuracy", 0.9)
    mlflow.log_text(sys.argv[1], "note.txt")
mlflow.register_model(f"runs:/{run.info.run_id}/note.txt", "kept") if len(sys.argv) > 2 else None
print(run.info.run_id)
"""
READ = """
import sys, mlflow
run = mlflow.get_run(sys.argv[1])
print(run.data.metrics["accuracy"], mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt"))
"""


def test_everything_is_there_after_uninstall_and_reinstall() -> None:
    let_in()
    run_id = python(LOG, "hello", MLFLOW_TRACKING_URI=SERVER).splitlines()[-1]
    kept = (
        f"pvc/data-{RELEASE}-postgresql-0",
        f"pvc/{RELEASE}-artifacts",
        f"secret/{RELEASE}-postgresql",
        f"secret/{RELEASE}-keys",
    )
    before = uids(*kept)
    uninstall, _delete_data = readme("Uninstall")
    shell(uninstall)
    left = own("get", "deploy,sts,job,svc,cm,netpol,sa,pdb", "-o", "name").split()
    assert set(left) <= {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    assert uids(*kept) == before
    shell("helm install $release . -n $namespace --wait --timeout 5m")
    assert uids(*kept) == before
    until("the client is let in", lambda: request() == "200", 15)
    assert python(READ, run_id, MLFLOW_TRACKING_URI=SERVER).splitlines()[-1] == "0.9 hello"


def ready() -> bool:
    return own("get", f"deploy/{RELEASE}-tracking", "-o", "jsonpath={.status.readyReplicas}") == "1"


DATABASE_READY = "jsonpath={.status.readyReplicas}"


def restarts() -> str:
    found = "jsonpath={.items[0].status.containerStatuses[0].restartCount}"
    return own("get", "pod", "-l", "app.kubernetes.io/component=tracking", "-o", found)


def test_two_hundred_clients_get_no_error() -> None:
    """The short slice of tests/campaign/test_load.py."""
    let_in()
    load = (ROOT / "benchmarks/load.py").read_text(encoding="utf-8")
    said = json.loads(python(load, "200", "6", MLFLOW_TRACKING_URI=SERVER).splitlines()[-1])
    assert set(said["answers"]) == {"200"}, said["answers"]
    assert restarts() == "0"


CALLS = """
import http.client, json, sys, time
counts, deadline, answered = {}, time.monotonic() + float(sys.argv[2]), 0.0
while time.monotonic() < deadline:
    connection = http.client.HTTPConnection(sys.argv[1], timeout=60)
    connection.request("POST", "/api/2.0/mlflow/runs/search", json.dumps({"experiment_ids": ["0"]}),
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    status = f"{answer.status} {answer.getheader('retry-after') or ''}".strip()
    counts[status] = counts.get(status, 0) + 1
    if status == "200" and len(counts) > 1 and not answered:
        answered = time.time()
    answer.read()
    time.sleep(0.2)
print(json.dumps({"counts": counts, "answered": answered}))
"""


def test_clients_are_told_of_an_absent_database_until_it_returns() -> None:
    """For as long as a database restarts, the server stays ready and says 503."""
    let_in()
    before = restarts()
    with ThreadPoolExecutor() as pool:
        calls = pool.submit(python, CALLS, SERVER.removeprefix("http://"), "60")
        time.sleep(5)
        own("scale", f"sts/{RELEASE}-postgresql", "--replicas=0")
        own("wait", f"pod/{RELEASE}-postgresql-0", "--for=delete", "--timeout=60s")
        time.sleep(5)
        assert ready()
        own("scale", f"sts/{RELEASE}-postgresql", "--replicas=1")
        until("the database is back", lambda: own("get", f"sts/{RELEASE}-postgresql", "-o", DATABASE_READY) == "1")
        back = time.time()
        said = json.loads(calls.result())
    assert set(said["counts"]) == {"200", "503 2"}, said
    assert 0 < said["answered"] < back + 10, said
    assert ready()
    assert restarts() == before


@pytest.fixture(scope="module")
def databases(installed: None) -> str:  # noqa: ARG001
    """A user with a password full of characters that URIs reserve; the client may reach the database."""
    password = "p%41@:/?#&+ 'w"
    own("label", "pod", "client", "mlflow.nebari.dev/database-client=true")
    quoted = password.replace("'", "''")
    sql(f"CREATE ROLE odd LOGIN PASSWORD '{quoted}'")
    for name in ("old", "foreign_one", "together"):
        sql(f"CREATE DATABASE {name} OWNER odd")
    sql("SET ROLE odd; CREATE TABLE orders (id int)", "foreign_one")
    return password


ENCODE = "import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=''))"


def uri(password: str, database: str) -> str:
    encoded = python(ENCODE, password).strip()
    return f"postgresql+psycopg2://odd:{encoded}@{RELEASE}-postgresql:5432/{database}"


def migrate(target: str, *, count: int = 1, **env: str) -> list[tuple[int, str]]:
    """Run the migration as often as asked, at the same time; return exit codes and logs."""
    variables = {"MLFLOW_BACKEND_STORE_URI": target, "TIMEOUT_SECONDS": "180", **env}
    command = [
        "kubectl",
        "-n",
        NAMESPACE,
        "exec",
        "client",
        "--",
        "env",
        *(f"{key}={value}" for key, value in variables.items()),
    ]
    running = [
        subprocess.Popen(
            [*command, "python3", "/scripts/migrate.py"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(count)
    ]
    logs = [process.communicate(timeout=400)[0] for process in running]
    return [(process.returncode, log) for process, log in zip(running, logs, strict=True)]


OLD = """
import os
from alembic import command
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base
target = os.environ["TARGET"]
engine = utils.create_sqlalchemy_engine(target)
Base.metadata.create_all(engine)
config = utils._get_alembic_config(target)
config.attributes["connection"] = engine.connect()
command.upgrade(config, os.environ["REVISION"])
"""
HOLD = """
import os, sys, time, psycopg2
connection = psycopg2.connect(os.environ["TARGET"].replace("+psycopg2", ""), application_name="mlflow-server")
print("connected", flush=True)
time.sleep(float(sys.argv[1]))
"""


def test_migrations_at_the_same_time(databases: str) -> None:
    done = migrate(uri(databases, "together"), count=3)
    assert [code for code, _ in done] == [0, 0, 0], done
    assert sum("migrated after" in log for _, log in done) == 1
    assert sum("nothing to do" in log for _, log in done) == 2


def test_a_password_by_itself_needs_no_escaping(databases: str) -> None:
    target = f"postgresql+psycopg2://odd@{RELEASE}-postgresql:5432/together"
    code, log = migrate(target, PGPASSWORD=databases)[0]
    assert (code, "nothing to do" in log) == (0, True), log


INDEXES = "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname LIKE 'nebari%'"


def test_next_run_completes_the_indexes_and_changes_nothing_else(databases: str) -> None:
    before = sql(INDEXES, "together").splitlines()
    assert len(before) == 10
    assert all(line.endswith("|t") for line in before)
    sql("DROP INDEX nebari_mlflow_runs_start_1", "together")
    sql("CREATE INDEX nebari_mlflow_of_an_earlier_version ON runs (name)", "together")
    killed = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'nebari_mlflow_tags_value_1'::regclass"
    sql(killed, "together")
    code, log = migrate(uri(databases, "together"), INDEXES="false")[0]
    assert (code, "none wanted" in log) == (0, True), log
    code, log = migrate(uri(databases, "together"))[0]
    assert (code, "8 kept, 2 missing" in log) == (0, True), log
    assert sorted(sql(INDEXES, "together").splitlines()) == sorted(before)


SEARCH = """
import json, sys, urllib.request
body = {"experiment_ids": json.loads(sys.argv[2]), "max_results": 100, "order_by": json.loads(sys.argv[3])}
body["filter"] = sys.argv[4]
request = urllib.request.Request(sys.argv[1] + "/api/2.0/mlflow/runs/search", json.dumps(body).encode(),
                                 {"Content-Type": "application/json"})
print(len(json.load(urllib.request.urlopen(request, timeout=60)).get("runs", [])))
"""
MANY_RUNS = """
INSERT INTO runs
  (run_uuid, name, source_type, user_id, status, start_time, lifecycle_stage, artifact_uri, experiment_id)
SELECT md5('many' || i), 'run', 'LOCAL', 'user', 'FINISHED', 1700000000000 + i, 'active', 'mlflow-artifacts:/0', 0
FROM generate_series(1, 100000) i;
INSERT INTO tags SELECT 'team', 'team-' || (i % 5000), md5('many' || i) FROM generate_series(1, 100000) i;
INSERT INTO latest_metrics SELECT 'loss', 1 - i / 1e5, 0, 0, false, md5('many' || i) FROM generate_series(1, 100000) i;
INSERT INTO latest_metrics SELECT 'steps', i, 0, 0, false, md5('many' || i) FROM generate_series(1, 100000) i;
"""


def scans() -> Counter[str]:
    """Return how often each index was read. A session reports that when it ends, so the server's are ended first."""
    sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'mlflow'")
    rows = sql("SELECT indexrelname, idx_scan FROM pg_stat_user_indexes", "mlflow").splitlines()
    return Counter({name: int(count) for name, count in (row.split("|") for row in rows)})


@pytest.mark.usefixtures("databases")
def test_mlflow_s_own_searches_use_the_indexes() -> None:
    """What MLflow sends for the UI's pages, at 100,000 runs: PostgreSQL counts which index it read.

    The nine runs with the largest loss are the oldest. PostgreSQL estimates a range over all metrics, so it takes them
    for half of all runs, because of their steps, and would walk all of them.
    """
    let_in()
    sql(MANY_RUNS, "mlflow")
    try:
        sql("VACUUM ANALYZE runs, tags, latest_metrics", "mlflow")
        newest = '["attributes.start_time DESC"]'
        for order, condition, index in (
            (newest, "", "runs_newest"),
            ("[]", "", "runs_start"),
            (newest, "tags.team = 'team-7'", "tags_value"),
            (newest, "metrics.loss > 0.9999", "latest_value"),
        ):
            before = scans()
            assert int(python(SEARCH, SERVER, '["0"]', order, condition)) > 5
            read = scans() - before
            assert any(name.startswith(f"nebari_mlflow_{index}") for name in read), read
            assert not condition or not any(name.startswith("nebari_mlflow_runs") for name in read), read
    finally:
        of_ours = "run_uuid IN (SELECT md5('many' || i) FROM generate_series(1, 100000) i)"
        for table in ("tags", "latest_metrics", "runs"):
            sql(f"DELETE FROM {table} WHERE {of_ours}", "mlflow")  # noqa: S608


@pytest.mark.usefixtures("databases")
def test_a_wrong_password_ends_at_once_and_says_so() -> None:
    code, log = migrate(f"postgresql+psycopg2://odd@{RELEASE}-postgresql:5432/together", PGPASSWORD="wrong")[0]
    assert code == 78
    assert "password authentication failed" in log
    assert "Put the right ones into the Secret" in log


def test_tables_of_somebody_else_are_left_alone(databases: str) -> None:
    code, log = migrate(uri(databases, "foreign_one"))[0]
    assert code == 78
    assert "not MLflow's (orders)" in log


PREVIOUS = """
import sys
from importlib.util import find_spec
from pathlib import Path
sys.path.insert(0, "/scripts")
from mlflow_schema import _assigned, installed_migrations
head = installed_migrations().head
directory = Path(find_spec("mlflow").submodule_search_locations[0], "store/db_migrations/versions")
print(head, _assigned(next(directory.glob(f"{head}*")).read_text(), "down_revision")[0])
"""


def test_an_upgrade_waits_for_the_old_server_to_stop(databases: str) -> None:
    target = uri(databases, "old")
    head, previous = python(PREVIOUS).split()
    python(OLD, TARGET=target, REVISION=previous)
    assert sql("SELECT version_num FROM alembic_version", "old") == previous
    holder = subprocess.Popen(
        ["kubectl", "-n", NAMESPACE, "exec", "client", "--", "env", f"TARGET={target}", "python3", "-c", HOLD, "4"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "connected\n"
    code, log = migrate(target)[0]
    holder.communicate()
    assert code == 0, log
    assert "waiting for the running server to stop: 1 sessions" in log
    assert f"schema {previous} -> {head}: migrating" in log
    assert sql("SELECT version_num FROM alembic_version", "old") == head


def test_job_refuses_an_older_version_on_a_newer_schema() -> None:
    head = sql("SELECT version_num FROM alembic_version", "mlflow")
    sql("UPDATE alembic_version SET version_num = 'ffffffffffff'", "mlflow")
    try:
        shell("helm upgrade $release . -n $namespace --set migrate.resources.requests.cpu=51m")
        selector = ("job", "-l", "app.kubernetes.io/component=migrate", "-o")
        reason = "jsonpath={.items[0].status.conditions[?(@.type=='Failed')].reason}"
        until("the Job has failed", lambda: own("get", *selector, reason) == "PodFailurePolicy", 60)
        log = own("logs", "-l", "app.kubernetes.io/component=migrate", "--tail=-1")
        assert "is newer than this image's MLflow" in log
        assert "restore the backup" in log
    finally:
        sql(f"UPDATE alembic_version SET version_num = '{head}'", "mlflow")  # noqa: S608
        shell("helm upgrade $release . -n $namespace --wait --timeout 3m")


def test_another_database_by_a_uri_with_an_odd_password(databases: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "odd"},
        "stringData": {"uri": uri(databases, "together")},
    }
    own("apply", "-f", "-", stdin=json.dumps(secret))
    values = {
        "postgresql": {"enabled": False},
        "externalDatabase": {"existingSecret": "odd", "existingSecretUriKey": "uri", "sslMode": "prefer"},
        "secrets": {"keys": f"{RELEASE}-keys"},
        "serviceAccount": {"name": "odd"},
        "commonLabels": {"mlflow.nebari.dev/database-client": "true"},
        "tracking": {"workers": 1},
    }
    given = shlex.quote(json.dumps(values))
    shell(f"echo {given} | helm install odd . -n $namespace --wait --timeout 5m -f -; helm test odd -n $namespace")
    shell("helm uninstall odd -n $namespace")


def test_the_pods_are_as_closed_as_they_look() -> None:
    pod = f"deploy/{RELEASE}-tracking"
    inside = own("exec", pod, "-c", "tracking", "--", "sh", "-c", "id -u; touch /x 2>&1; ls /var/run/secrets 2>&1; env")
    lines = inside.splitlines()
    assert lines[0] == "10001"
    assert "Read-only file system" in lines[1]
    assert "No such file" in lines[2]
    assert not [line for line in lines if re.match(r"\w+_(SERVICE_HOST|PORT)=", line) and "KUBERNETES" not in line]
    arguments = own("exec", pod, "-c", "tracking", "--", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    password = own("get", "secret", f"{RELEASE}-postgresql", "-o", "jsonpath={.data.password}")
    assert password
    for value in (
        password,
        subprocess.run(["base64", "-d"], input=password, capture_output=True, text=True, check=True).stdout,
    ):
        assert value not in arguments
        assert value not in own("get", "pods,deploy,sts,job,cm", "-o", "yaml")
        assert value not in shell("helm get all $release -n $namespace")
