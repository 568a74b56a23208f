"""Attacks on the server by its own clients, and by pages and pods that are none."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support import MLFLOW_IMAGE, ROOT, kubectl
from tests.unit.chart.rendering import CHART, helm

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("installed")]

NAMESPACE, OTHER = f"server-security-{os.getpid()}", f"server-foreign-{os.getpid()}"
RELEASE = "attacked-mlflow"
SERVER = f"http://{RELEASE}-tracking.{NAMESPACE}.svc:5000"
VALUES: dict[str, Any] = {"tracking": {"workers": 1}}
SLOW = "gs://x"


def own(*arguments: str, stdin: str | None = None) -> str:
    return kubectl("-n", NAMESPACE, *arguments, stdin=stdin)


def deploy(network: dict[str, Any] | None = None, **tracking: Any) -> None:
    values = {"tracking": {**VALUES["tracking"], **tracking}, "networkPolicy": network or {}}
    command = [
        helm(),
        "upgrade",
        "--install",
        RELEASE,
        str(CHART),
        "-n",
        NAMESPACE,
        "--wait",
        "--timeout=5m",
        "-f",
        "-",
    ]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def pod(name: str, script: str, *ports: int, **labels: str) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": MLFLOW_IMAGE,
        "command": ["python3", "-uc", script, *map(str, ports)],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108
    }
    spec = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


LISTEN = """
import socket, sys, threading
for port in sys.argv[1:]:
    server = socket.create_server(("", int(port)))
    threading.Thread(target=lambda server=server: [server.accept()[0].sendall(b"here") for _ in iter(int, 1)]).start()
"""


@pytest.fixture(scope="module")
def installed() -> Iterator[None]:
    """A release with one worker, a client that is let in, and a stranger's pod that listens in another namespace."""
    try:
        for namespace in (NAMESPACE, OTHER):
            kubectl("create", "namespace", namespace)
        fernet = base64.urlsafe_b64encode(os.urandom(32)).decode()
        secrets = {
            "postgresql": {"password": os.urandom(16).hex(), "postgres-password": os.urandom(16).hex()},
            "keys": {
                "MLFLOW_CRYPTO_KEK_PASSPHRASE": os.urandom(16).hex(),
                "MLFLOW_FLASK_SERVER_SECRET_KEY": os.urandom(16).hex(),
                "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": fernet,
            },
        }
        for name, data in secrets.items():
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": f"{RELEASE}-{name}"},
                "stringData": data,
            }
            own("apply", "-f", "-", stdin=json.dumps(secret))
        client = pod("client", "import time; time.sleep(3600)", **{"mlflow.nebari.dev/client": "true"})
        own("apply", "-f", "-", stdin=json.dumps(client))
        kubectl("-n", OTHER, "apply", "-f", "-", stdin=json.dumps(pod("listener", LISTEN, 53, 5353, 443, 80)))
        deploy()
        own("wait", "pod/client", "--for=condition=Ready", "--timeout=120s")
        kubectl("-n", OTHER, "wait", "pod/listener", "--for=condition=Ready", "--timeout=120s")
        yield
    finally:
        kubectl("delete", "namespace", NAMESPACE, OTHER, "--ignore-not-found", "--wait=false")


HELPERS = """
import concurrent.futures, http.client, json, os, sys, time, urllib.error, urllib.parse, urllib.request
SERVER = os.environ["SERVER"]
def call(method, path, body=None, timeout=60, **headers):
    if isinstance(body, dict):
        body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(SERVER + path, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()
def api(method, path, body=None, **more):
    return call(method, "/api/2.0/mlflow/" + path, body, **more)
def experiment(name, location=None):
    fields = {"name": name + str(time.time_ns()), **({"artifact_location": location} if location else {})}
    status, _, body = api("POST", "experiments/create", fields)
    return status, json.loads(body)
def run_of(experiment_id):
    body = api("POST", "runs/create", {"experiment_id": experiment_id, "start_time": 1})[2]
    return json.loads(body)["run"]["info"]["run_id"]
"""


def client(script: str, *arguments: str) -> Any:
    """Run a script in the client's pod; its last line is JSON."""
    command = ["exec", "client", "--", "env", f"SERVER={SERVER}", "python3", "-c", HELPERS + script, *arguments]
    return json.loads(own(*command).strip().splitlines()[-1])


def server(script: str, *arguments: str) -> str:
    """Run a script in the server's container, as whoever got hold of it would."""
    command = ["exec", f"deploy/{RELEASE}-tracking", "-c", "tracking", "--", "python3", "-c", script, *arguments]
    return own(*command).strip()


def sql(statement: str) -> str:
    command = ["psql", "-v", "ON_ERROR_STOP=1", "-qAt", "-U", "postgres", "-d", "mlflow", "-c", statement]
    return own("exec", f"{RELEASE}-postgresql-0", "-c", "postgresql", "--", *command).strip()


FOREIGN = [
    "gs://x/y",
    "s3://other/bucket",
    "/etc",
    "file:///proc/self",
    "/mlflow/artifacts/../../etc",
    "/mlflow/artifacts-evil",
    "mlflow-artifacts:/../x",
    "mlflow-artifacts:/%2e%2e/x",
    "mlflow-artifacts://169.254.169.254/x",
    "wasbs://c@account.blob.core.windows.net/x",
    "ftp://x/y",
    "relative/path",
]


def test_foreign_locations_of_artifacts_are_refused() -> None:
    script = "print(json.dumps([experiment('foreign', each) for each in sys.argv[1:]]))"
    for location, (status, answer) in zip(FOREIGN, client(script, *FOREIGN), strict=True):
        assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), location
    (_, answer) = client("print(json.dumps(experiment('foreign', 'gs://x/y')))")
    assert answer["message"] == (
        "The artifact location 'gs://x/y' is not allowed: this server opens only mlflow-artifacts:/, "
        "/mlflow/artifacts and what its administrator lists in tracking.artifactLocations."
    )
    camel = "print(api('POST', 'experiments/create', {'name': 'camel', 'artifactLocation': 'gs://x/y'})[0])"
    assert client(camel) == 400


OPEN = """
experiment_id = experiment("old")[1]["experiment_id"]
print(json.dumps([experiment_id, run_of(experiment_id)]))
"""
READ = """
run = sys.argv[1]
query = {"query": '{mlflowListArtifacts(input: {runId: "%s"}) {files {path}}}' % run}
started = time.monotonic()
answers = [
    api("GET", f"artifacts/list?run_id={run}"),
    call("GET", f"/get-artifact?run_id={run}&path=passwd"),
    call("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=w.txt", b"w"),
    api("POST", "artifacts/presigned-download-url", {"run_id": run, "path": "passwd"}),
    call("POST", "/graphql", query),
]
print(json.dumps([time.monotonic() - started, [[status, body.decode()] for status, _, body in answers]]))
"""


@pytest.mark.parametrize("location", ["gs://x/y", "/etc", "s3://other/b", "mlflow-artifacts:/../../etc"])
def test_foreign_locations_in_the_database_are_not_opened(location: str) -> None:
    experiment, run = client(OPEN)
    sql(f"UPDATE experiments SET artifact_location = '{location}' WHERE experiment_id = {experiment}")  # noqa: S608
    sql(f"UPDATE runs SET artifact_uri = '{location}' WHERE run_uuid = '{run}'")  # noqa: S608
    seconds, answers = client(READ, run)
    assert seconds < 10
    *rest, graphql = answers
    for status, body in rest:
        assert status == 400, body
    assert "not allowed: this server opens only" in rest[0][1]
    assert "not allowed" in graphql[1]
    assert '"files"' not in graphql[1]


def test_a_tag_of_a_trace_opens_nothing() -> None:
    """MLflow reads a trace's data where one of its tags says, and clients set tags."""
    script = """
experiment_id = experiment("traced")[1]["experiment_id"]
fields = {"experiment_id": experiment_id, "timestamp_ms": 1}
trace = json.loads(api("POST", "traces", fields)[2])["trace_info"]["request_id"]
tag = {"key": "mlflow.artifactLocation", "value": sys.argv[1]}
tagged = api("PATCH", f"traces/{trace}/tags", tag)[0]
started = time.monotonic()
status, _, body = call("GET", f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace}")
print(json.dumps([tagged, status, body.decode(), time.monotonic() - started]))
"""
    for location in ("gs://x/y", "/etc", "mlflow-artifacts:/../../etc"):
        tagged, status, body, seconds = client(script, location)
        assert (tagged, status) == (200, 400), body
        assert "not allowed: this server opens only" in body
        assert seconds < 5


FLOOD = """
experiment_id = experiment("slow", sys.argv[1] + "/y")[1]["experiment_id"]
run = run_of(experiment_id)
mine = run_of(experiment("mine")[1]["experiment_id"])
calls = {"search": "experiments/search?max_results=1", "list": f"artifacts/list?run_id={mine}"}
query = {"query": '{mlflowListArtifacts(input: {runId: "%s"}) {files {path}}}' % run}
def attack(number):
    try:
        if number % 2:
            return call("POST", "/graphql", query, timeout=30)[:2]
        return api("GET", f"artifacts/list?run_id={run}", timeout=30)[:2]
    except OSError as error:
        return "none", {}
with concurrent.futures.ThreadPoolExecutor(80) as pool:
    attacks = [pool.submit(attack, number) for number in range(80)]
    time.sleep(2)
    worst = dict.fromkeys(calls, 0)
    for _ in range(20):
        for name, path in calls.items():
            started = time.monotonic()
            status = api("GET", path, timeout=30)[0]
            worst[name] = max(worst[name], time.monotonic() - started if status == 200 else 99)
        time.sleep(1)
    answers = [each.result() for each in attacks]
refused = [headers.get("retry-after") for status, headers in answers if status == 503]
print(json.dumps([worst, len(refused), sorted(set(refused))]))
"""


def test_a_slow_store_stops_nobody() -> None:
    """The attack of the review, with the location allowed: 80 lists in a store that does not answer."""
    deploy(artifactLocations=[SLOW])
    worst, refused, after = client(FLOOD, SLOW)
    seconds = f"slowest search {worst['search']:.2f} s, slowest list of the own store {worst['list']:.2f} s"
    print(f"80 lists of {SLOW}: {seconds}; {refused} of the 80 were told to come back")
    assert worst["search"] < 10, "15 s and more without the limit"
    assert worst["list"] < 10
    assert refused >= 30
    assert after == ["5"]
    state = "jsonpath={range .items[*].status.containerStatuses[0]}{.restartCount} {.ready}{end}"
    assert own("get", "pod", "-l", "app.kubernetes.io/component=tracking", "-o", state) == "0 true"


TRANSFER = """
import hashlib, mlflow
mlflow.set_tracking_uri(SERVER)
size = int(sys.argv[1])
with open("/tmp/big.bin", "wb") as file:
    for _ in range(size // 2**20):
        file.write(os.urandom(2**20))
def digest(path):
    return hashlib.file_digest(open(path, "rb"), "sha256").hexdigest()
wanted = digest("/tmp/big.bin")
mlflow.set_experiment("transfers")
started = time.monotonic()
each, mine = range(60), mlflow.MlflowClient()
with mlflow.start_run() as run:
    mlflow.log_artifact("/tmp/big.bin")
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        list(pool.map(lambda n: mine.log_text(run.info.run_id, str(n), f"small/{n}.txt"), each))
        listed = list(pool.map(lambda n: len(mine.list_artifacts(run.info.run_id, "small")), each))
back = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="big.bin", dst_path="/tmp/back")
print(json.dumps([digest(back) == wanted, set(listed) == {60}, time.monotonic() - started]))
"""


def test_large_and_many_transfers_go_through() -> None:
    same, listed, seconds = client(TRANSFER, str(2**29))
    print(f"512 MiB up and down, 60 small ones and 60 lists at once: {seconds:.1f} s")
    assert same
    assert listed


def test_pages_of_other_sites_and_ports_change_nothing() -> None:
    script = """
query = {"query": '{mlflowSearchModelVersions(input: {}) {modelVersions {name}}}'}
origins = ["https://evil.example.org", "null", "http://localhost:8888", "http://127.0.0.1:1", "http://localhost:5000"]
paths = ["/graphql", "/api/2.0/mlflow/experiments/search", "/gateway/x"]
host = "localhost:5000"  # as through kubectl port-forward
print(json.dumps([[call("POST", path, query, Origin=each, Host=host)[0] for path in paths] for each in origins]))
"""
    *foreign, mine = client(script)
    assert foreign == [[403, 403, 403]] * 4
    assert mine == [200, 400, 404], "the server itself answers"


def test_health_metrics_and_hosts_are_as_before() -> None:
    deploy(metrics={"enabled": True})
    script = """
health, metrics = call("GET", "/health"), call("GET", "/metrics")
host = call("GET", "/api/2.0/mlflow/experiments/search?max_results=1", Host="evil.example.org")
print(json.dumps([health[0], metrics[0], b"mlflow" in metrics[2], host[0], host[2].decode()]))
"""
    health, metrics, counted, status, text = client(script)
    assert (health, metrics, counted) == (200, 200, True)
    assert (status, text[:19]) == (403, "Invalid Host header")


CONNECT = """
import socket, sys
for target in sys.argv[1:]:
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 3).close()
        print(target, "reached")
    except OSError as error:
        print(target, "no")
"""


def test_server_resolves_names_but_reaches_no_other_port_53() -> None:
    address = kubectl("-n", OTHER, "get", "pod", "listener", "-o", "jsonpath={.status.podIP}")
    targets = [f"{address}:{port}" for port in (53, 5353, 443, 80)]
    targets += ["169.254.169.254:80", "169.254.170.23:80", "169.254.169.252:988"]
    found = server(CONNECT, *targets).splitlines()
    assert found == [f"{target} no" for target in targets]
    name = "kubernetes.default.svc.cluster.local"
    resolved = "import socket, sys; print(socket.gethostbyname(sys.argv[1]))"
    assert server(resolved, name)
    over_tcp = server(CONNECT, "kube-dns.kube-system.svc.cluster.local:53")
    assert over_tcp.endswith("reached")


def test_the_server_holds_no_token_of_kubernetes() -> None:
    assert server("import os; print(os.path.exists('/var/run/secrets/kubernetes.io'))") == "False"
    accounts = own(
        "get", "pod", "-o", 'jsonpath={range .items[*]}{.metadata.name}={.spec.serviceAccountName}{"\\n"}{end}'
    )
    bearers = [line.partition("=")[0] for line in accounts.split() if line.endswith(f"={RELEASE}")]
    assert bearers
    assert all(name.startswith(f"{RELEASE}-tracking-") for name in bearers)


RECEIVE = """
import http.server
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200)
        self.end_headers()
http.server.ThreadingHTTPServer(("", 8000), Receiver).serve_forever()
"""
ASK = """
receiver = sys.argv[1]
for _ in range(60):  # the network policy needs a moment to know a new pod
    try:
        if call("GET", "/health")[0] == 200:
            break
    except OSError:
        time.sleep(0.5)
events = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]
def webhook(url):
    return api("POST", "webhooks", {"name": "w" + str(time.time_ns()), "url": url, "events": events})
def tested(url):
    made = json.loads(webhook(url)[2])
    if "webhook" not in made:  # it is refused already: a public address is not
        made = json.loads(webhook("https://1.1.1.1/")[2])
    return api("POST", "webhooks/" + made["webhook"]["webhook_id"] + "/test", {})
name = "m" + str(time.time_ns())
api("POST", "registered-models/create", {"name": name})
search = {"max_results": 1}
code = {"name": name, "call_source": "return 1", "call_signature": "()", "original_func_name": name}
scorer = {"experiment_id": "0", "name": name, "serialized_scorer": json.dumps(code)}
asked = {
    "any, for another host name": lambda: api("POST", "experiments/search", search, Host="mlflow.example.org"),
    "a write from a web page": lambda: api("POST", "experiments/search", search, Origin="https://page.example.org"),
    "an experiment with": lambda: api("POST", "experiments/create", {"name": name, "artifact_location": "s3://old/x"}),
    "a model version": lambda: api("POST", "model-versions/create", {"name": name, "source": "s3://old/model"}),
    "a webhook with a private address": lambda: webhook("https://" + receiver),
    "a webhook without TLS": lambda: webhook("http://" + receiver),
    "the test of a webhook": lambda: tested("http://" + receiver),
    "a job": lambda: call("POST", "/ajax-api/3.0/jobs/", {"job_name": "optimize_prompts", "params": {}}),
    "a custom scorer": lambda: call("POST", "/api/3.0/mlflow/scorers/register", scorer),
    "the AI gateway": lambda: call("POST", "/gateway/mlflow/v1/chat/completions", {"model": "x", "messages": []}),
}
print(json.dumps({row: [answer[0], answer[2].decode()] for row, ask in asked.items() for answer in [ask()]}))
"""


@pytest.fixture(scope="module")
def receiver() -> str:
    """The address of a pod that receives webhooks."""
    own("apply", "-f", "-", stdin=json.dumps(pod("receiver", RECEIVE, app="receiver")))
    own("wait", "pod/receiver", "--for=condition=Ready", "--timeout=120s")
    return own("get", "pod", "receiver", "-o", "jsonpath={.status.podIP}").strip() + ":8000"


def documented() -> dict[str, tuple[int, str]]:
    """The table of refusals: what is asked, and the answer."""
    text = (ROOT / "docs/explanation/refusals.md").read_text()
    return {
        row: (int(status), answer) for row, status, answer in re.findall(r"^\| (.+?) \| (\d+) `(.+?)` \|", text, re.M)
    }


def test_refusals_read_as_documented(receiver: str) -> None:
    deploy()
    answers = client(ASK, receiver)
    table = documented()
    assert len(table) == len(answers) == 10
    for asked, (status, text) in answers.items():
        row = next(row for row in table if row.startswith(asked))
        assert (status, table[row][1] in text) == (table[row][0], True), (row, status, text)


def test_documented_settings_allow_what_was_refused(receiver: str) -> None:
    block = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/explanation/refusals.md").read_text(), re.S)[0]
    webhooks = yaml.safe_load(block)["mlflow"]["overrides"]
    deploy(
        webhooks["networkPolicy"],
        **webhooks["tracking"],
        allowedHosts=["mlflow.example.org"],
        corsAllowedOrigins=["https://page.example.org"],
        artifactLocations=["s3://old"],
        jobExecution=True,
        aiGateway=True,
        modelCodeExecution=True,
    )
    answers, table = client(ASK, receiver), documented()
    for asked, (status, text) in answers.items():
        refusal = next(answer for row, (_, answer) in table.items() if row.startswith(asked))
        assert refusal not in text, (asked, status, text)
    passed = [asked for asked, (status, _) in answers.items() if status == 200]
    assert set(answers) - set(passed) <= {"a job", "the AI gateway"}, "these want parameters"
    assert json.loads(answers["the test of a webhook"][1])["result"]["success"]
