"""What another MLflow server or a directory `mlruns` holds is moved whole, whatever is interrupted.

The checker reads both sides through MLflow's own client and nothing of the move's own report.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import old_mlflow
from tests.support import MLFLOW_IMAGE, ROOT, Played, command, environment, kubectl, objects, play, run_pod

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
NAMESPACE = "move-test"
HERE = f"http://moved-mlflow-tracking.{NAMESPACE}.svc:5000"
OTHER = f"http://other.{NAMESPACE}.svc:5000"
LOGIN: dict[str, Any] = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "of the other server % 1"}
INPUTS: dict[str, Any] = {
    "mlflow_provider": "local",
    "mlflow_project_name": "moved",
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ.get("KUBECONFIG", ""),
    "mlflow_overrides": {"tracking": {"workers": 1}},
}
# Without a request, pods get next to nothing of a busy machine.
LIMITS = """
apiVersion: v1
kind: LimitRange
metadata: {name: defaults}
spec: {limits: [{type: Container, defaultRequest: {cpu: 25m}}]}
"""
SERVER = rf"""
apiVersion: v1
kind: Secret
metadata: {{name: other}}
stringData: {json.dumps(LOGIN)}
---
apiVersion: v1
kind: Service
metadata: {{name: other}}
spec:
  selector: {{app: other}}
  ports: [{{port: 5000}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: other, labels: {{app: other}}}}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: {{runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: server
      image: {MLFLOW_IMAGE}
      # Each request would hash the password for half a second.
      command:
        - sh
        - -c
        - |
          printf '%s\n' '[mlflow]' default_permission=READ database_uri=sqlite:////data/auth.db admin_username=admin \
            authorization_function=mlflow.server.auth:authenticate_request_basic_auth \
            auth_cache_ttl_seconds=3600 >auth.ini
          exec mlflow server --app-name basic-auth --backend-store-uri sqlite:////data/mlflow.db --workers 1 \
            --artifacts-destination /data/artifacts --host 0.0.0.0 --allowed-hosts '*'
      workingDir: /data
      env:
        - {{name: MLFLOW_AUTH_CONFIG_PATH, value: /data/auth.ini}}
        - {{name: HOME, value: /data}}
        - {{name: MLFLOW_FLASK_SERVER_SECRET_KEY, value: of-the-test}}
        - {{name: MLFLOW_SERVER_ENABLE_JOB_EXECUTION, value: "false"}}
        - name: MLFLOW_AUTH_ADMIN_USERNAME
          valueFrom: {{secretKeyRef: {{name: other, key: MLFLOW_TRACKING_USERNAME}}}}
        - name: MLFLOW_AUTH_ADMIN_PASSWORD
          valueFrom: {{secretKeyRef: {{name: other, key: MLFLOW_TRACKING_PASSWORD}}}}
      readinessProbe: {{httpGet: {{path: /health, port: 5000}}, periodSeconds: 2}}
      securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
      volumeMounts: [{{name: data, mountPath: /data}}]
  volumes: [{{name: data, emptyDir: {{}}}}]
"""
SEED = r"""
import hashlib, math, os, sys
import mlflow
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource, Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag
client = MlflowClient()
runs_of_each, prefix = int(sys.argv[1]), sys.argv[2]
served = os.environ["MLFLOW_TRACKING_URI"].startswith("http")
special = [0.1, math.nan, math.inf, -math.inf, -0.0, 1e-300, 1.7976931348623157e308]
for number in range(2):
    name = f"{prefix} {number}: ünï/code % spaces" + (" 'quotes' \"and\"" if served else "")
    experiment = client.create_experiment(name, tags={"team": "ß", "empty": ""})
    for index in range(runs_of_each):
        run = client.create_run(experiment, run_name=f"run {index} é").info.run_id
        values = special + [x / 7 for x in range(2000 if index == 0 else 40)]
        for key in ("loss", "metric/with space"):
            points = [Metric(key, value, 1000 + step // 3, step - 2) for step, value in enumerate(values)]
            for start in range(0, len(points), 900):
                client.log_batch(run, points[start:start + 900])
        params = [Param("p", "v\n;$$'\\ " + "x" * 3000), Param("empty", "-")]
        client.log_batch(run, params=params, tags=[RunTag("t", "ü" * 900)])
        if index % 3 == 0:
            client.set_terminated(run, "FAILED" if index else "FINISHED")
        dataset = Dataset(f"data {index % 2}", "digest", "local", '{"uri": "é"}', '{"a": 1}', None)
        client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", f"training {index}")])])
        client.log_text(run, "", "empty.txt")
        client.log_text(run, f"text {index}", "folder/file with é space.txt")
        if index == 1:
            client.log_text(run, run * 300_000, "m/large.bin")
            model = client.create_logged_model(experiment, f"model-{number}", run, {"tag": "é"}, {"depth": "3"})
            client.log_outputs(run, [LoggedModelOutput(model.model_id, 7)])
            client.log_batch(run, [Metric("accuracy", 0.5, 1, 1, model_id=model.model_id)])
            os.makedirs("/tmp/model/inner", exist_ok=True)
            open("/tmp/model/inner/weights", "wb").write(hashlib.sha256(run.encode()).digest())
            open("/tmp/model/MLmodel", "w").write("flavors: {}\n")
            client.log_model_artifacts(model.model_id, "/tmp/model")
            client.finalize_logged_model(model.model_id, "READY")
        if index == 2:
            client.delete_run(run)
gone = client.create_experiment(f"{prefix} gone")
for index in range(2):
    run = client.create_run(gone)
    client.log_text(run.info.run_id, "of the deleted", "a.txt")
client.delete_experiment(gone)
name = f"{prefix} model with 'quote' é"
client.create_registered_model(name, tags={"a": "b"}, description="ü")
kept = client.search_runs([client.get_experiment_by_name(f"{prefix} gone").experiment_id], run_view_type=3)[0]
sources = [
    {"source": f"{kept.info.artifact_uri}/a.txt", "run_id": kept.info.run_id},
    {"source": f"models:/{model.model_id}", "run_id": model.source_run_id, "model_id": model.model_id},
]
for source in sources:
    version = client.create_model_version(name, **source, tags={"of": "version"}, description="one")
client.set_registered_model_alias(name, "champion", version.version)
client.set_registered_model_alias(name, "old", "1")
if served:
    mlflow.genai.register_prompt("prompt", "Say {{word}} é", commit_message="first", tags={"p": "q"})
    mlflow.genai.register_prompt("prompt", "Say {{word}} again")
    mlflow.genai.set_prompt_alias("prompt", "live", 1)
    mlflow.set_experiment(experiment_id=experiment)
    for index in range(3):
        with mlflow.start_span(f"span {index}", span_type="CHAIN") as span:
            span.set_inputs({"question": "é?"})
            with mlflow.start_span("inner") as inner:
                inner.set_attribute("depth", 2)
            span.set_outputs({"answer": index})
        mlflow.flush_trace_async_logging()
        mlflow.set_trace_tag(span.trace_id, "of", "trace")
        source = AssessmentSource(source_type="HUMAN", source_id="me")
        mlflow.log_feedback(trace_id=span.trace_id, name="good", value=index > 0, source=source, rationale="because é")
print("SEEDED")
"""
READ = r"""
import hashlib, json, os
import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType
client, found = MlflowClient(), {}
served = os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http")

def kept(value):  # MLflow's databases keep no infinity, and SQLite no negative zero
    return repr(max(-1.7976931348623157e308, min(1.7976931348623157e308, value)) + 0.0 if value == value else value)

def content(path):
    out = {}
    for folder, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(folder, name), "rb") as stream:
                out[os.path.relpath(os.path.join(folder, name), path)] = hashlib.sha256(stream.read()).hexdigest()
    return out

def walk(run, folder=None):
    for each in client.list_artifacts(run, folder):
        yield from walk(run, each.path) if each.is_dir else [each.path]

def files(run):
    out = {}
    for path in walk(run):
        local = mlflow.artifacts.download_artifacts(run_id=run, artifact_path=path, dst_path=f"/tmp/read/{run}")
        with open(local, "rb") as stream:
            out[path] = hashlib.sha256(stream.read()).hexdigest()
    return out

for experiment in client.search_experiments(ViewType.ALL):
    if experiment.name in ("Default", "nebari-mlflow-verify"):
        continue
    found[f"experiment {experiment.name}"] = [experiment.lifecycle_stage, experiment.tags, experiment.creation_time]
    for listed in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, max_results=1000):
        run = client.get_run(listed.info.run_id)
        info, identity = run.info, run.info.run_id
        found[f"run {identity}"] = [
            experiment.name, info.run_name, info.status, info.lifecycle_stage, info.start_time, info.end_time,
            info.user_id, run.data.params, run.data.tags,
            {key: kept(value) for key, value in run.data.metrics.items()},
            {key: sorted([kept(m.value), m.timestamp, m.step] for m in client.get_metric_history(identity, key))
             for key in run.data.metrics},
            sorted([i.dataset.name, i.dataset.digest, i.dataset.source, i.dataset.schema,
                    [[t.key, t.value] for t in i.tags]] for i in run.inputs.dataset_inputs),
            sorted([o.model_id, o.step] for o in (run.outputs.model_outputs if run.outputs else [])),
            files(identity),
        ]
    for model in client.search_logged_models([experiment.experiment_id]):
        local = mlflow.artifacts.download_artifacts(f"models:/{model.model_id}", dst_path=f"/tmp/read/{model.model_id}")
        found[f"logged {model.model_id}"] = [
            experiment.name, model.name, str(model.status), model.creation_timestamp, model.source_run_id, model.tags,
            model.params, [[m.key, m.value, m.run_id] for m in model.metrics or []], content(local),
        ]
    if served and experiment.lifecycle_stage == "active":
        for trace in client.search_traces(locations=[experiment.experiment_id]):
            places = ("mlflow.artifactLocation", "mlflow.trace.spansLocation")
            tags = {key: value for key, value in trace.info.tags.items() if key not in places}
            found[f"trace {trace.info.trace_id}"] = [
                experiment.name, trace.info.request_time, trace.info.execution_duration, str(trace.info.state), tags,
                trace.info.request_preview, trace.info.response_preview,
                [[a.name, a.value, a.rationale, a.source.source_id, a.create_time_ms] for a in trace.info.assessments],
                sorted([s.name, s.span_id, s.parent_id, s.start_time_ns, s.end_time_ns, json.dumps(s.inputs),
                        json.dumps(s.outputs), s.get_attribute("depth")] for s in trace.data.spans),
            ]
for model in client.search_registered_models():
    if model.name == "nebari-mlflow-verify":
        continue
    versions = [v for v in client.search_model_versions() if v.name == model.name]
    found[f"model {model.name}"] = [model.description, model.tags, model.aliases, model.creation_timestamp]
    for version in versions:
        uri = f"models:/{model.name}/{version.version}"
        local = mlflow.artifacts.download_artifacts(uri, dst_path=f"/tmp/read/{len(found)}")
        found[f"version {model.name} {version.version}"] = [
            version.run_id, version.tags, version.description, version.creation_timestamp,
            content(local) if os.path.isdir(local) else hashlib.sha256(open(local, "rb").read()).hexdigest(),
        ]
if served:
    for number in (1, 2):
        prompt = mlflow.genai.load_prompt("prompt", version=number, allow_missing=True)
        if prompt is not None:
            found[f"prompt {number}"] = [prompt.template, prompt.commit_message, prompt.tags, sorted(prompt.aliases)]
    found["live"] = getattr(mlflow.genai.load_prompt("prompts:/prompt@live", allow_missing=True), "template", None)
print("READ " + json.dumps(found, sort_keys=True))
"""


def read(uri: str, **login: Any) -> dict[str, Any]:
    out = run_pod(NAMESPACE, "reader", READ, timeout=600, MLFLOW_TRACKING_URI=uri, **login)
    found: dict[str, Any] = json.loads(out.partition("READ ")[2])
    return found


def move(*arguments: str, **source: str) -> Played:
    return play("adopt", *arguments, **INPUTS, mlflow_adopt_from=source)


@pytest.fixture(scope="module")
def deployed() -> Iterator[None]:
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    kubectl("create", "namespace", NAMESPACE)
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=LIMITS)
    done = play("mlflow", **INPUTS)
    assert done.returncode == 0, done.failure
    yield
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def before(deployed: None) -> dict[str, Any]:  # noqa: ARG001 (first a deployment)
    """Another server with a login, and what its client reads from it."""
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=SERVER)
    kubectl("-n", NAMESPACE, "wait", "pod/other", "--for=condition=Ready", "--timeout=600s")
    run_pod(NAMESPACE, "seed", SEED, "8", "server", timeout=700, MLFLOW_TRACKING_URI=OTHER, **LOGIN)
    return read(OTHER, **LOGIN)


def missing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name, value in before.items() if after.get(name) != value]


@pytest.mark.usefixtures("before")
def test_a_server_with_a_login_is_not_read_without_one() -> None:
    assert "wants a login" in move(url=OTHER).failure
    assert "does not exist, or has neither" in move(url=OTHER, secret="nowhere").failure


def test_a_plan_counts_and_changes_nothing(before: dict[str, Any]) -> None:
    there = objects(NAMESPACE, "deploy,sts,svc,secret,cm,pvc,job,networkpolicy")
    planned = move("--check", url=OTHER, secret="other")
    assert planned.returncode == 0, planned.failure
    assert planned.changed == 0
    counts = planned.mlflow["adopted"]["counts"]
    assert (counts["runs"], counts["traces"], counts["model versions"]) == (18, 3, 4)
    assert objects(NAMESPACE, "deploy,sts,svc,secret,cm,pvc,job,networkpolicy") == there
    assert missing(before, read(HERE)) == list(before)


def test_a_killed_move_is_finished_by_the_next(before: dict[str, Any], tmp_path: Path) -> None:
    """Once the pod ends in the middle, and once the play with all of its processes."""
    login = tmp_path / "credentials"
    login.write_text(
        f"[mlflow]\nmlflow_tracking_username = {LOGIN['MLFLOW_TRACKING_USERNAME']}\n"
        f"mlflow_tracking_password = {LOGIN['MLFLOW_TRACKING_PASSWORD']}\n"
    )
    source = {"url": OTHER, "credentials": str(login)}
    victim = subprocess.Popen(
        command("adopt", **INPUTS, mlflow_adopt_from=source),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: runs_here() >= 2, "some runs")
        kubectl("-n", NAMESPACE, "delete", "pod", "-l", "mlflow.nebari.dev/move", "--grace-period=0", "--force")
        half = runs_here()
        assert half < 16, "nothing was left for the next pod"
        until(lambda: runs_here() > half, "more runs, by the next pod")
    finally:
        os.killpg(victim.pid, signal.SIGKILL)
        victim.wait()
    done = move(**source)
    assert done.returncode == 0, done.failure
    assert done.mlflow["adopted"]["differences"] == 0
    assert missing(before, read(HERE)) == []
    assert LOGIN["MLFLOW_TRACKING_PASSWORD"] not in done.stdout + done.stderr
    left = objects(NAMESPACE, "job,secret,networkpolicy,cm")
    assert not {name for name in left if name.endswith("/moved-mlflow-move")}


@pytest.mark.usefixtures("before")
def test_a_second_move_changes_nothing_and_a_later_run_is_added() -> None:
    again = move(url=OTHER, secret="other")
    assert (again.returncode, again.changed) == (0, 0), again.failure
    later = (
        "from mlflow import MlflowClient\nclient = MlflowClient()\n"
        "run = client.create_run(client.search_experiments()[0].experiment_id).info.run_id\n"
        "client.log_metric(run, 'm', 1)"
    )
    run_pod(NAMESPACE, "later", later, MLFLOW_TRACKING_URI=OTHER, **LOGIN)
    added = move(url=OTHER, secret="other")
    assert added.returncode == 0, added.failure
    assert added.mlflow["adopted"]["written"] == {"runs": 1}
    assert missing(read(OTHER, **LOGIN), read(HERE)) == []


@pytest.mark.usefixtures("before")
def test_what_has_the_same_name_here_is_not_mixed() -> None:
    create = "from mlflow import MlflowClient\nMlflowClient().create_experiment('on both sides')"
    for uri, login in ((OTHER, LOGIN), (HERE, {})):
        run_pod(NAMESPACE, "both", create, MLFLOW_TRACKING_URI=uri, **login)
    refused = move(url=OTHER, secret="other").failure
    assert "experiment 'on both sides'" in refused
    assert "Nothing was changed" in refused


@pytest.mark.usefixtures("deployed")
def test_a_directory_is_moved_whole(tmp_path: Path) -> None:
    script = (
        "import os, sys\nos.chdir('/tmp')\nos.environ['MLFLOW_ALLOW_FILE_STORE'] = 'true'\n"
        "os.environ['MLFLOW_TRACKING_URI'] = 'file:///tmp/mlruns'\n"
        f"exec({SEED!r})\nexec({READ!r})\n"
        "import base64, subprocess\n"
        "packed = subprocess.run(['tar', '-czf', '-', 'mlruns'], check=True, capture_output=True).stdout\n"
        "print('PACKED ' + base64.b64encode(packed).decode())"
    )
    out = run_pod(NAMESPACE, "files", script, "4", "files", timeout=500)
    lines = {line.partition(" ")[0]: line.partition(" ")[2] for line in out.splitlines()}
    before = json.loads(lines["READ"])
    assert sum(name.startswith("run ") for name in before) == 10
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(lines["PACKED"]))) as archive:
        archive.extractall(tmp_path, filter="data")
    repeated = next(tmp_path.glob("mlruns/[1-9]*/*/metrics/loss"))
    repeated.write_text(repeated.read_text() + repeated.read_text().splitlines()[0] + "\n")
    moved = move(directory=str(tmp_path / "mlruns"))
    assert moved.returncode == 0, moved.failure
    assert moved.mlflow["adopted"]["differences"] == 0
    # A file store moves a deleted experiment aside, and its own client no longer finds the artifacts of its runs.
    for name, value in before.items():
        if name.startswith("run ") and not value[-1]:
            value[-1] = {"a.txt": hashlib.sha256(b"of the deleted").hexdigest()}
    assert missing(before, read(HERE)) == []


def runs_here() -> int:
    psql = ["psql", "-U", "postgres", "-d", "mlflow", "-Atqc", "SELECT count(*) FROM runs WHERE name LIKE 'run %'"]
    return int(kubectl("-n", NAMESPACE, "exec", "moved-mlflow-postgresql-0", "--", *psql).strip() or 0)


def until(check: Callable[[], bool], what: str, limit: float = 300) -> None:
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < limit, f"never came: {what}"
        time.sleep(0.2)


OLDER_SERVER = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {name}}}
  ports: [{{port: 5000}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: {{runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: server
      image: {image}
      command: [mlflow, server, --backend-store-uri, "sqlite:////data/mlflow.db", --workers, "1", --host, 0.0.0.0]
      args: [--artifacts-destination, /data/artifacts{more}]
      workingDir: /data
      env: [{{name: HOME, value: /data}}, {{name: MLFLOW_SERVER_ENABLE_JOB_EXECUTION, value: "false"}}]
      readinessProbe: {{httpGet: {{path: /health, port: 5000}}, periodSeconds: 2}}
      securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
      volumeMounts: [{{name: data, mountPath: /data}}]
  volumes: [{{name: data, emptyDir: {{}}}}]
"""
# What MLflow 2 has, too.
OLDER_SEED = r"""
import math, sys
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
client, prefix = MlflowClient(), sys.argv[2]
experiment = client.create_experiment(f"{prefix}: ünï/code", tags={"team": "ß"})
for index in range(4):
    run = client.create_run(experiment, run_name=f"run {index} é").info.run_id
    values = [0.1, math.nan, math.inf, -math.inf, -0.0, *(x / 7 for x in range(1500 if index == 0 else 40))]
    points = [Metric("loss", value, 1000 + step // 3, step - 2) for step, value in enumerate(values)]
    for start in range(0, len(points), 900):
        client.log_batch(run, points[start:start + 900])
    client.log_batch(run, params=[Param("p", "x" * 3000)], tags=[RunTag("t", "ü" * 900)])
    client.log_text(run, "", "empty.txt")
    client.log_text(run, f"text {index}", "folder/file é.txt")
    client.set_terminated(run)
    if index == 2:
        client.delete_run(run)
model = f"{prefix} model 'q'"
client.create_registered_model(model, tags={"a": "b"}, description="ü")
version = client.create_model_version(model, f"{client.get_run(run).info.artifact_uri}/folder", run, tags={"x": "y"})
client.set_registered_model_alias(model, "champion", version.version)
"""
OLDER_READ = r"""
import json
import mlflow
from mlflow import MlflowClient
client, found = MlflowClient(), {}

def kept(value):
    return repr(max(-1.7976931348623157e308, min(1.7976931348623157e308, value)) + 0.0 if value == value else value)

def walk(run, folder=None):
    for each in client.list_artifacts(run, folder):
        yield from walk(run, each.path) if each.is_dir else [(each.path, each.file_size)]

for experiment in client.search_experiments(view_type=3):
    for run in client.search_runs([experiment.experiment_id], run_view_type=3):
        if experiment.name == "nebari-mlflow-verify":
            continue
        found[run.info.run_id] = [
            experiment.name, run.info.run_name, run.info.status, run.info.lifecycle_stage,
            run.data.params, run.data.tags,
            sorted([kept(m.value), m.timestamp, m.step] for m in client.get_metric_history(run.info.run_id, "loss")),
            sorted(walk(run.info.run_id)),
        ]
for model in client.search_registered_models():
    aliases = {name: str(version) for name, version in model.aliases.items()}
    found[f"model {model.name}"] = [model.description, model.tags, aliases]
print("READ " + json.dumps(found, sort_keys=True))
"""


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("version", "seed", "more"),
    [("2.22.1", OLDER_SEED, ""), ("3.5.1", SEED, ', --allowed-hosts, "*"')],
    ids=["MLflow 2", "MLflow 3.5"],
)
def test_an_older_server_is_moved_whole(version: str, seed: str, more: str) -> None:
    name, image = f"older-{version.replace('.', '-')}", old_mlflow.image(version)
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=OLDER_SERVER.format(name=name, image=image, more=more))
    kubectl("-n", NAMESPACE, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=600s")
    uri = f"http://{name}.{NAMESPACE}.svc:5000"
    run_pod(NAMESPACE, "seed", seed, "4", version, timeout=700, image=image, MLFLOW_TRACKING_URI=uri)
    there = run_pod(NAMESPACE, "reader", OLDER_READ, timeout=600, image=image, MLFLOW_TRACKING_URI=uri)
    done = move(url=uri)
    assert done.returncode == 0, done.failure
    assert done.mlflow["adopted"]["different"] == []
    here = run_pod(NAMESPACE, "reader", OLDER_READ, timeout=600, MLFLOW_TRACKING_URI=HERE)
    before, after = (json.loads(said.partition("READ ")[2]) for said in (there, here))
    assert len(before) >= 5
    assert missing(before, after) == []
    assert move(url=uri).changed == 0
