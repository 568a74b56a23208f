"""A person is the same in MLflow as in the notebook and the browser, and nobody else gets in.

Everything is real but the login, which is played as in the tests of the route: JupyterHub with notebook servers in
pods, Traefik in front, the deploy by the playbook, MLflow's own permissions.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.integration.identity.hub import Hub, hub
from tests.integration.nebari.edge.traefik import Edge, edge
from tests.support import Played, kubectl, play, run_pod

LONG = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
pytestmark = pytest.mark.cluster

NAMESPACE = f"identity-{os.getpid()}"
DOMAIN = "identity.example.org"
PROJECT = "who"
SERVER = f"http://{PROJECT}-mlflow-tracking.{NAMESPACE}.svc:5000"
ACCESS: dict[str, Any] = {
    "mode": "users",
    "teams": ["data"],
    "rememberSeconds": 2,
    "jupyterhub": {
        "url": f"http://hub.{NAMESPACE}.svc:8081",
        "tokenSecret": {"name": "hub", "key": "hub.services.mlflow.apiToken"},
    },
    "login": {"url": f"http://forwardauth-service.{NAMESPACE}.svc:4181"},
    "kubernetes": {"enabled": True, "namespaces": [NAMESPACE]},
}
VARIABLES: dict[str, Any] = {
    "mlflow_provider": "local",
    "mlflow_project_name": PROJECT,
    "mlflow_namespace": NAMESPACE,
    "mlflow_domain": DOMAIN,
    "mlflow_route": {"type": "traefik", "traefik": {"forwardAuth": {"name": "traefik-forward-auth"}}},
    "mlflow_overrides": {"tracking": {"workers": 1}},
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
}

# Sends requests from a pod and prints status and body of each. A token of "" sends none.
ASK = """
import json, os, sys, urllib.request, urllib.error
for method, path, body, headers in json.load(sys.stdin):
    if headers.pop("own token", None):
        headers["Authorization"] = "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"]
    data = None if body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(sys.argv[1] + path, data, given, method=method)
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_): return None
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=60) as answer:
            print(json.dumps([answer.status, answer.read().decode("utf-8", "replace")]))
    except urllib.error.HTTPError as error:
        print(json.dumps([error.code, error.read().decode("utf-8", "replace")]))
"""


@dataclass(frozen=True)
class Here:
    """The deployment, with the people who use it."""

    hub: Hub
    edge: Edge
    played: Played

    def ask(self, pod: str, *requests: tuple[str, str, Any, dict[str, str]]) -> list[tuple[int, str]]:
        output = self.hub.run(pod, ASK, SERVER, stdin=json.dumps(requests))
        return [tuple(json.loads(line)) for line in output.splitlines()]

    def call(self, pod: str, method: str, endpoint: str, **fields: Any) -> tuple[int, Any]:
        """One call of MLflow's API with the notebook's own token."""
        path = f"/api/2.0/mlflow/{endpoint}"
        if method == "GET":
            path += "?" + "&".join(f"{name}={quote(str(value))}" for name, value in fields.items())
        body = None if method == "GET" else fields
        ((status, text),) = self.ask(pod, (method, path, body, {"own token": "yes"}))
        return status, json.loads(text) if text.startswith("{") else text


@pytest.fixture(scope="module")
def here() -> Iterator[Here]:
    kubectl("create", "namespace", NAMESPACE)
    try:
        with hub(NAMESPACE, SERVER) as made:
            made.start("alice", "bob", "root")
            played = play("mlflow", **VARIABLES, mlflow_access=ACCESS)
            assert played.returncode == 0, played.failure
            with edge(NAMESPACE, DOMAIN) as front:
                yield Here(made, front, played)
    finally:
        play("destroy", **{**VARIABLES, "mlflow_access": ACCESS})
        kubectl("delete", "namespace", NAMESPACE, "--wait=false", "--ignore-not-found")


def experiment(here: Here, pod: str, name: str) -> str:
    status, found = here.call(pod, "POST", "experiments/create", name=name)
    assert status == 200, found
    return str(found["experiment_id"])


def cookie(here: Here, name: str) -> str:
    """What the browser has after the login."""
    location = here.edge.request(f"/auth/login?state=/&username={name}").location
    return f"_forward_auth={parse_qs(urlsplit(location).query)['code'][0]}"


def test_the_deploy_says_who_may_use_it(here: Here) -> None:
    assert here.played.mlflow["access"] == "users"
    assert here.played.mlflow["verified"] is True
    assert "access: users" in here.played.stdout


def test_notebook_logs_its_persons_run_without_any_typed_key(here: Here) -> None:
    script = (
        "import mlflow, json\n"
        "mlflow.set_experiment('by alice')\n"
        "with mlflow.start_run() as run: mlflow.log_metric('a', 1); mlflow.log_text('hello', 'a.txt')\n"
        "found = mlflow.get_run(run.info.run_id)\n"
        "print(json.dumps([found.info.user_id, found.data.tags['mlflow.user'], run.info.run_id]))"
    )
    user, tag, _ = json.loads(here.hub.run("jupyter-alice", script).splitlines()[-1])
    assert (user, tag) == ("alice", "alice")


def test_teams_creations_are_denied_to_others_on_every_api(here: Here) -> None:
    own = experiment(here, "jupyter-alice", "secret")
    status, made = here.call("jupyter-alice", "POST", "runs/create", experiment_id=own, start_time=1, user_id="mallory")
    assert (status, made["run"]["info"]["user_id"]) == (200, "alice")
    run = made["run"]["info"]["run_id"]
    assert here.call("jupyter-alice", "POST", "registered-models/create", name="secret")[0] == 200
    token = {"own token": "yes"}
    artifacts = "/api/2.0/mlflow-artifacts/artifacts"
    graphql = {"query": f'query {{ mlflowGetRun(input: {{runId: "{run}"}}) {{ run {{ info {{ runId }} }} }} }}'}
    answers = here.ask(
        "jupyter-bob",
        ("GET", f"/api/2.0/mlflow/experiments/get?experiment_id={own}", None, token),
        ("GET", "/api/2.0/mlflow/experiments/get-by-name?experiment_name=secret", None, token),
        ("GET", f"/ajax-api/2.0/mlflow/runs/get?run_id={run}", None, token),
        ("POST", "/api/2.0/mlflow/runs/set-tag", {"run_id": run, "key": "a", "value": "b"}, token),
        ("POST", "/api/2.0/mlflow/runs/log-batch", {"run_id": run, "metrics": [], "params": [], "tags": []}, token),
        ("GET", f"/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=a", None, token),
        ("GET", f"{artifacts}?path={own}", None, token),
        ("GET", f"{artifacts}/{own}/{run}/artifacts/a.txt", None, token),
        ("PUT", f"{artifacts}/{own}/{run}/artifacts/b.txt", {}, token),
        ("GET", "/api/2.0/mlflow/registered-models/get?name=secret", None, token),
        ("GET", f"/get-artifact?path=a.txt&run_uuid={run}", None, token),
        ("POST", "/v1/traces", {}, {**token, "x-mlflow-experiment-id": own}),
    )
    assert [status for status, _ in answers] == [403] * len(answers), answers
    hidden = here.ask(
        "jupyter-bob",
        ("POST", "/api/2.0/mlflow/runs/search", {"experiment_ids": [own]}, token),
        ("POST", "/api/2.0/mlflow/experiments/search", {"max_results": 100}, token),
        ("GET", "/api/2.0/mlflow/registered-models/search", None, token),
        ("POST", "/graphql", graphql, token),
    )
    for status, text in hidden:
        assert status == 200
        assert run not in text
        assert "secret" not in text
    assert here.call("jupyter-root", "GET", "experiments/get", experiment_id=own)[0] == 200


def test_what_nobodys_team_created_is_everyones_to_use(here: Here) -> None:
    shared = experiment(here, "jupyter-bob", "shared")
    assert here.call("jupyter-alice", "POST", "runs/create", experiment_id=shared, start_time=1)[0] == 200
    assert here.call("jupyter-alice", "POST", "experiments/delete", experiment_id=shared)[0] == 403


def test_nobody_becomes_another_by_a_header_or_a_field(here: Here) -> None:
    claimed = dict.fromkeys(("X-Forwarded-User", "X-Auth-Request-User", "Remote-User", "X-Remote-User"), "root")
    (first, second) = here.ask(
        "jupyter-bob",
        ("GET", "/ajax-api/2.0/mlflow/users/current", None, claimed),
        ("GET", "/ajax-api/2.0/mlflow/users/current", None, {**claimed, "own token": "yes"}),
    )
    assert first[0] == 401
    assert json.loads(second[1])["user"] == {**json.loads(second[1])["user"], "username": "bob", "is_admin": False}
    own = experiment(here, "jupyter-bob", "bob's own")
    _, made = here.call("jupyter-bob", "POST", "runs/create", experiment_id=own, start_time=1)
    tag = {"run_id": made["run"]["info"]["run_id"], "key": "mlflow.user", "value": "alice"}
    assert here.call("jupyter-bob", "POST", "runs/set-tag", **tag)[0] == 403


def test_hub_page_token_works_outside_until_revoked(here: Here) -> None:
    token, name = here.hub.new_token("bob")
    path = "/mlflow/api/2.0/mlflow/experiments/search?max_results=1"

    def status(value: str) -> int:
        return here.edge.request(path, headers={"Authorization": value}).status

    assert status(f"Bearer {token}") == 200
    assert status("Bearer nonsense") == 401
    assert here.edge.request(path).status == 307  # to the login
    here.hub.api("DELETE", f"users/bob/tokens/{name}")
    end = time.monotonic() + 30
    while status(f"Bearer {token}") != 401:
        assert time.monotonic() < end, "a revoked token still works"
        time.sleep(0.5)


@LONG
def test_token_of_another_hub_lets_nobody_in(here: Here) -> None:
    """Its person has the same name; only the hub that was named vouches for anybody."""
    other = f"{NAMESPACE}-other"
    kubectl("create", "namespace", other)
    kubectl("-n", other, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    try:
        with hub(other, SERVER) as second:
            token, _ = second.new_token("root")
            own, _ = here.hub.new_token("root")
            path = "/api/2.0/mlflow/experiments/search?max_results=1"
            given = [("GET", path, None, {"Authorization": f"Bearer {each}"}) for each in (token, own)]
            (foreign, known) = here.ask("jupyter-bob", *given)
            assert (foreign[0], known[0]) == (401, 200)
            assert json.loads(foreign[1])["message"] == "JupyterHub does not know this token, or it has expired."
    finally:
        kubectl("delete", "namespace", other, "--wait=false", "--ignore-not-found")


def test_a_browser_is_who_logged_in(here: Here) -> None:
    session = {"Cookie": cookie(here, "bob")}
    assert here.edge.request("/mlflow/", headers=session).status == 200
    found = here.edge.request("/mlflow/ajax-api/2.0/mlflow/users/current", headers=session)
    assert json.loads(found.body)["user"]["username"] == "bob"
    forged = {"Cookie": cookie(here, "bob").replace("bob", "root")}
    assert here.edge.request("/mlflow/", headers=forged).status == 307


def test_a_browsers_groups_come_from_the_hub(here: Here) -> None:
    """Ada has never had a notebook; the hub knows that she is in alice's team."""
    team = experiment(here, "jupyter-alice", "for ada")
    path = f"/mlflow/ajax-api/2.0/mlflow/experiments/get?experiment_id={team}"
    assert here.edge.request(path, headers={"Cookie": cookie(here, "ada")}).status == 200
    assert here.edge.request(path, headers={"Cookie": cookie(here, "eve")}).status == 403


def test_service_account_is_known_by_a_token_for_our_audience(here: Here) -> None:
    def status(token: str) -> tuple[int, str]:
        (found,) = here.ask(
            "jupyter-bob",
            ("GET", "/ajax-api/2.0/mlflow/users/current", None, {"Authorization": f"Bearer {token}"}),
        )
        return found

    def token(account: str, *more: str) -> str:
        return kubectl("-n", NAMESPACE, "create", "token", account, *more).strip()

    code, text = status(token("default", "--audience=mlflow"))
    assert (code, json.loads(text)["user"]["username"]) == (200, f"{NAMESPACE}/default")
    assert status(token("default"))[0] == 401
    assert status(token("default", "--audience=other"))[0] == 401
    foreign = kubectl("-n", "default", "create", "token", "default", "--audience=mlflow").strip()
    assert status(foreign)[0] == 401


ROUTES = """
import json, os
from mlflow.server import ARTIFACTS_DESTINATION_ENV_VAR, BACKEND_STORE_URI_ENV_VAR
os.environ[ARTIFACTS_DESTINATION_ENV_VAR] = "/mlflow/artifacts"
os.environ[BACKEND_STORE_URI_ENV_VAR] = os.environ["MLFLOW_BACKEND_STORE_URI"]
os.environ["_MLFLOW_SGI_NAME"] = "uvicorn"
from nebari_mlflow_server.app import create_app
from mlflow.server import app as flask
application = create_app()
found = set()
for rule in flask.url_map.iter_rules():
    found |= {(method, rule.rule) for method in rule.methods - {"HEAD", "OPTIONS"}}
for route in application.routes:
    found |= {(method, route.path) for method in set(getattr(route, "methods", None) or ()) - {"HEAD", "OPTIONS"}}
print(json.dumps(sorted(found)))
"""
OPEN = {"/health", "/version", "/health/ready"}


def test_no_route_of_the_running_server_answers_without_identity(here: Here) -> None:
    """The routes come from the server itself, so a new one of MLflow's is tried too."""
    pod = f"deploy/{PROJECT}-mlflow-tracking"
    listed = kubectl("-n", NAMESPACE, "exec", pod, "-c", "tracking", "--", "python3", "-c", ROUTES).splitlines()[-1]
    routes = [(method, path) for method, path in json.loads(listed) if path not in OPEN]
    assert len(routes) > 300, routes
    asked: list[tuple[str, str, Any, dict[str, str]]] = []
    for method, path in routes:
        plain = "/".join("1" if part.startswith(("<", "{")) else part for part in path.split("/"))
        asked.append((method, plain, None if method == "GET" else {}, {"X-Forwarded-User": "root"}))
    answers = here.ask("jupyter-bob", *asked)
    assert len(answers) == len(routes)
    refused = {route for route, (status, _) in zip(routes, answers, strict=True) if status == 401}
    assert set(routes) - refused == set()


GRANTS = """
import json, os
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
from nebari_mlflow_server import lookups
from sqlalchemy import text
theirs = SqlAlchemyStore()
theirs.init_db(os.environ["MLFLOW_BACKEND_STORE_URI"])
ours = SqlAlchemyStore()
ours.init_db(os.environ["MLFLOW_BACKEND_STORE_URI"])
answers = []
class Heard(lookups.Reader):
    def rows(self, *asked):
        answers.append(super().rows(*asked))
        return answers[-1]
lookups.Reader, lookups.AWAY_SECONDS = Heard, 0
lookups.read_grants_at_once(ours)
found = []
def compare():
    for user in theirs.list_users():
        for types in ([], ["experiment"], ["registered_model"], ["experiment", "registered_model"]):
            both = [sorted(map(list, store.list_grants(user.id, "default", types))) for store in (ours, theirs)]
            found.append([user.username, types, *both])
compare()
with theirs.engine.connect() as connection:
    end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE :grants AND pid <> :own"
    own = connection.execute(text("SELECT pg_backend_pid()")).scalar()
    ended = connection.execute(text(end), {"grants": "SELECT role_permissions.%", "own": own}).scalar()
compare()
print(json.dumps({"found": found, "ended": ended, "failed": answers.count(None), "read": len(answers)}))
"""


def test_grants_are_those_that_mlflow_itself_reads(here: Here) -> None:
    assert here.call("jupyter-alice", "POST", "registered-models/create", name="granted")[0] == 200
    experiment(here, "jupyter-alice", "granted")
    pod = f"deploy/{PROJECT}-mlflow-tracking"
    printed = kubectl("-n", NAMESPACE, "exec", pod, "-c", "tracking", "--", "python3", "-c", GRANTS).splitlines()[-1]
    said = json.loads(printed)
    found = said["found"]
    assert any(user == "alice" and len(types) == 2 and ours for user, types, ours, _ in found)
    assert [ours for _, _, ours, _ in found] == [theirs for *_, theirs in found]
    assert said["ended"], "the connection that reads them, and the running server's"
    assert (said["failed"], said["read"]) == (1, len(found)), "a connection that was ended is noticed once, by nobody"


ANSWERS = """
import json
from types import SimpleNamespace
from flask import Response
from nebari_mlflow_server import answers, members
from mlflow.protos.model_registry_pb2 import GetModelVersion
from mlflow.protos.service_pb2 import GetLoggedModel, SearchRuns, SearchTraces
members.configure("READ")
from mlflow.server import auth, handlers

auth.sender_is_admin = lambda: False
auth.authenticate_request = lambda: SimpleNamespace(username="bob")
runs, versions = SearchRuns.Response(), GetModelVersion.Response()
models, traces = GetLoggedModel.Response(), SearchTraces.Response()
runs.runs.add().info.run_name = versions.model_version.run_id = models.model.info.source_run_id = "secret"
traces.traces.add().request_metadata.add(key="secret", value="secret")

def withhold(field, of=lambda each: each):
    return lambda parts, *_: any([of(each).ClearField(field) is None for each in parts])

auth._withhold_denied_run_model_links = withhold("run_name", lambda run: run.info)
auth._withhold_denied_version_siblings = withhold("run_id")
auth._withhold_denied_metric_references = lambda *_: False
auth._withhold_denied_model_source_runs = withhold("source_run_id", lambda model: model.info)
auth._withhold_denied_trace_metadata_siblings = lambda parts, _: any([each.pop() is not None for each in parts])

def answered(name, message):
    response = Response(handlers.message_to_json(message), mimetype="application/json")
    getattr(auth, name)(response)
    return response.json

checks = {
    "redact_search_runs_model_links": runs,
    "redact_model_version_siblings": versions,
    "redact_get_logged_model_run_ids": models,
    "redact_search_traces_metadata": traces,
}
theirs = {name: answered(name, message) for name, message in checks.items()}
answers.without_blanks(handlers)
answers.known_to_checks(auth, handlers)
ours = {name: answered(name, message) for name, message in checks.items()}
print(json.dumps([ours, theirs, handlers.message_to_json(runs)]))
"""


@pytest.mark.usefixtures("here")
def test_what_one_may_not_read_is_taken_out_of_the_servers_own_answers() -> None:
    """MLflow's checks see the message instead of its JSON, and take out the same."""
    pod = f"deploy/{PROJECT}-mlflow-tracking"
    said = kubectl("-n", NAMESPACE, "exec", pod, "-c", "tracking", "--", "python3", "-c", ANSWERS).splitlines()[-1]
    ours, theirs, written = json.loads(said)
    assert ours == theirs
    assert "secret" not in json.dumps(ours)
    assert written == '{"runs":[{"info":{"run_name":"secret"}}]}'


def test_a_pod_without_a_credential_gets_nothing(here: Here) -> None:
    script = (
        "import time, urllib.request, urllib.error\n"
        "for _ in range(60):\n"  # the network lets a new pod through only after a moment
        f"    try: urllib.request.urlopen('{SERVER}/api/2.0/mlflow/experiments/search?max_results=1', timeout=30)\n"
        "    except urllib.error.HTTPError as error: print(error.code); break\n"
        "    except OSError: time.sleep(0.5)\n"
        "    else: print('let in'); break"
    )
    assert run_pod(here.hub.namespace, "stranger", script).strip() == "401"


def test_the_log_names_the_person(here: Here) -> None:
    experiment(here, "jupyter-alice", "logged")
    log = kubectl("-n", NAMESPACE, "logs", f"deploy/{PROJECT}-mlflow-tracking", "-c", "tracking")
    lines = [json.loads(line[line.index("{") :]) for line in log.splitlines() if "nebari.access" in line]
    assert any(line["user"] == "alice" and line["path"].endswith("/experiments/create") for line in lines)


def test_no_token_reaches_a_log_or_an_object(here: Here) -> None:
    secret = json.loads(kubectl("-n", NAMESPACE, "get", "secret", f"{PROJECT}-mlflow-access", "-o", "json"))
    own = base64.b64decode(secret["data"]["token"]).decode()
    made, _ = here.hub.new_token("alice")
    here.edge.request("/mlflow/", headers={"Authorization": f"Bearer {made}"})
    seen = kubectl("-n", NAMESPACE, "logs", f"deploy/{PROJECT}-mlflow-tracking", "-c", "tracking")
    seen += kubectl("-n", NAMESPACE, "get", "deploy,cm,events,pods", "-o", "yaml") + here.played.stdout
    for token in (own, made):
        assert token not in seen


def test_clean_up_deletes_artifacts_by_the_releases_own_token(here: Here) -> None:
    script = (
        "import mlflow\n"
        "mlflow.set_experiment('to clean up')\n"
        "with mlflow.start_run() as run: mlflow.log_text('hello', 'a.txt')\n"
        "mlflow.delete_run(run.info.run_id)\n"
        "print(run.info.experiment_id, run.info.run_id)"
    )
    experiment_id, run = here.hub.run("jupyter-alice", script).splitlines()[-1].split()
    listing = (
        "exec",
        f"deploy/{PROJECT}-mlflow-tracking",
        "-c",
        "tracking",
        "--",
        "ls",
        f"/mlflow/artifacts/{experiment_id}",
    )
    assert run in kubectl("-n", NAMESPACE, *listing)
    played = play("gc", **VARIABLES, mlflow_access=ACCESS, mlflow_gc_days="0", mlflow_gc_delete=True)
    assert played.returncode == 0, played.failure
    assert played.mlflow["runs"] >= 1
    left = kubectl(
        "-n",
        NAMESPACE,
        "exec",
        listing[1],
        "-c",
        "tracking",
        "--",
        "find",
        "/mlflow/artifacts",
        "-path",
        f"*{run}*",
        "-type",
        "f",
    )
    assert left.strip() == ""


def test_a_hub_that_is_down_means_503_and_never_open(here: Here) -> None:
    """Last, since it takes the hub away."""
    kubectl("-n", NAMESPACE, "delete", "pod", "hub", "--grace-period=1", "--timeout=120s")
    request = ("GET", "/api/2.0/mlflow/experiments/search", None, {"Authorization": f"Bearer {'0' * 32}"})
    end = time.monotonic() + 60
    while True:
        ((status, text),) = here.ask("jupyter-bob", request)
        assert status in {401, 503}
        if status == 503 or time.monotonic() > end:  # its process ends a moment after its pod
            break
    assert "Nobody is let in unchecked" in text
