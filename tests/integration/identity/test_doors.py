"""A token gets in from outside through every kind of route, a browser by the login, and nothing else does.

The OpenID provider is Authlib's, Traefik serves every route; only the login's page is played, as in the tests of the
route. A NebariApp becomes two HTTPRoutes here, as its operator makes them.
"""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.integration.identity.forged import by_another_key, by_public_key, unsigned
from tests.integration.identity.openid import Provider, issuer, provider
from tests.integration.identity.outside import logs_a_run, outside
from tests.integration.nebari.edge.traefik import Edge, Response, edge
from tests.support import Played, kubectl, play
from tests.unit.chart.rendering import one, render

LONG = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
pytestmark = [pytest.mark.cluster, LONG]

NAMESPACE = f"doors-{os.getpid()}"
DOMAIN = "doors.example.org"
PROJECT = "door"
ACCESS: dict[str, Any] = {
    "mode": "users",
    "rememberSeconds": 0,
    "login": {"url": f"http://forwardauth-service.{NAMESPACE}.svc:4181"},
    "openid": [{"issuer": issuer(NAMESPACE), "audience": "mlflow"}],
}
VARIABLES: dict[str, Any] = {
    "mlflow_provider": "local",
    "mlflow_project_name": PROJECT,
    "mlflow_namespace": NAMESPACE,
    "mlflow_domain": DOMAIN,
    "mlflow_overrides": {"tracking": {"workers": 1}},
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
    "mlflow_access": ACCESS,
}
LOGIN = {"group": "traefik.io", "kind": "Middleware", "name": "traefik-forward-auth"}
FILTERS = [{"type": "ExtensionRef", "extensionRef": LOGIN}]
STRIP = {"traefik.ingress.kubernetes.io/router.middlewares": f"{NAMESPACE}-strip@kubernetescrd"}
ROUTES: dict[str, Any] = {
    "traefik": {"type": "traefik", "traefik": {"forwardAuth": {"name": "traefik-forward-auth"}}},
    "ingress": {"type": "ingress", "ingress": {"className": NAMESPACE, "annotations": STRIP}},
    "gateway": {"type": "gateway", "gateway": {"parentRefs": [{"name": "public"}], "filters": FILTERS}},
}
TRAEFIK = [
    "--providers.kubernetesingress",
    f"--providers.kubernetesingress.namespaces={NAMESPACE}",
    f"--providers.kubernetesingress.ingressclass={NAMESPACE}",
    "--providers.kubernetesgateway",
    f"--providers.kubernetesgateway.namespaces={NAMESPACE}",
]
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
WHO = "/ajax-api/2.0/mlflow/users/current"
PAGE = {"Accept": "text/html,*/*"}
SETTLE = 30  # seconds until Traefik has read a new route


@dataclass
class Here:
    """The deployment behind one kind of route at a time."""

    edge: Edge
    openid: Provider
    route: str = ""
    played: Played | None = None

    def behind(self, route: str) -> str:
        """Deploy with this route unless it is there, and return the path in front of MLflow's own."""
        if route == "nebariapp":
            self.behind("gateway")
            nebari_app()
            self.wait_for(SEARCH)
            self.wait_for("/")
            return ""
        if route != self.route:
            self.played = play("mlflow", **VARIABLES, mlflow_route=ROUTES[route])
            assert self.played.returncode == 0, self.played.failure
            self.route = route
            self.wait_for(f"/mlflow{SEARCH}")
        return "/mlflow"

    def wait_for(self, path: str) -> None:
        end = time.monotonic() + SETTLE
        while self.ask(path).status in (404, 502, 503):
            assert time.monotonic() < end, kubectl("-n", NAMESPACE, "logs", "deploy/nebari-traefik-ingress")
            time.sleep(0.2)

    def ask(self, path: str, token: str = "", **headers: str) -> Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.edge.request(path, headers={**given, **({"Authorization": f"Bearer {token}"} if token else {})})

    def call(self, name: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One call of MLflow's API with a person's token."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        given["Authorization"] = f"Bearer {self.openid.token(name)}"
        text = None if body is None else json.dumps(body)
        answer = self.edge.request(f"{self.behind('ingress')}{path}", text, given, method)
        return answer.status, json.loads(answer.body) if answer.body.startswith("{") else answer.body

    def status(self, token: str) -> int:
        return self.ask(f"{self.behind('ingress')}{SEARCH}", token).status

    def cookie(self, name: str) -> str:
        location = self.edge.request(f"/auth/login?state=/&username={name}").location
        return f"_forward_auth={parse_qs(urlsplit(location).query)['code'][0]}"


def certificate() -> dict[str, Any]:
    """The Gateway's own certificate, as a Secret."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(DOMAIN)]), critical=False)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    data = {"tls.crt": made.sign(key, hashes.SHA256()).public_bytes(pem).decode(), "tls.key": private}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "certificate"},
        "type": "kubernetes.io/tls",
        "stringData": data,
    }


def nebari_app() -> None:
    """Make of the chart's NebariApp what its operator does: one route behind the login, one for the public paths."""
    route = {"type": "nebariapp", "domain": DOMAIN, "path": "/"}
    app = one(render({"route": route, "access": {"mode": "users", "openid": ACCESS["openid"]}}), "NebariApp")["spec"]
    backend = [{"backendRefs": [{"name": f"{PROJECT}-mlflow-tracking", "port": app["service"]["port"]}]}]

    def http_route(name: str, paths: list[Any], **more: Any) -> dict[str, Any]:
        matches = [
            {"path": {"type": each.get("pathType", "PathPrefix"), "value": each["pathPrefix"]}} for each in paths
        ]
        spec = {"parentRefs": [{"name": "public"}], "hostnames": [app["hostname"]]}
        rules = [{"matches": matches, **backend[0], **more}]
        meta = {"name": name, "namespace": NAMESPACE}
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": meta,
            "spec": {**spec, "rules": rules},
        }

    items = [
        http_route("app-public", app["routing"]["publicRoutes"]),  # first: Traefik may read the other one 2 s later
        http_route("app", app["routing"]["routes"], filters=FILTERS),
    ]
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


@pytest.fixture(scope="module")
def here() -> Iterator[Here]:
    kubectl("create", "namespace", NAMESPACE)
    kubectl("-n", NAMESPACE, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    doors = Template((Path(__file__).parent / "doors.yaml").read_text()).substitute(name=NAMESPACE, namespace=NAMESPACE)
    try:
        kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=json.dumps(certificate()))
        kubectl("apply", "-f", "-", stdin=doors)
        with provider(NAMESPACE) as openid, edge(NAMESPACE, DOMAIN, TRAEFIK, wait=False) as front:
            yield Here(front, openid)
    finally:
        play("destroy", **VARIABLES)
        kubectl("delete", "-f", "-", "--ignore-not-found", "--wait=false", stdin=doors)
        kubectl("delete", "namespace", NAMESPACE, "--wait=false", "--ignore-not-found")


def refuses_everything_but_a_token(here: Here, path: str) -> None:
    token = here.openid.token("alice")
    answer = here.ask(f"{path}{SEARCH}", token)
    assert (answer.status, "experiments" in answer.body) == (200, True), answer
    for bad in (by_another_key(token, preferred_username="root"), "nonsense", here.openid.token("alice", "grafana")):
        assert here.ask(f"{path}{SEARCH}", bad).status == 401
    for claimed in ("X-Forwarded-User", "X-Auth-Request-User", "Remote-User"):
        assert here.ask(f"{path}{SEARCH}", **{claimed: "root"}).status in (401, 307)
    assert here.ask(f"{path}{SEARCH}").status in (401, 307)


def lets_browsers_in_by_the_login(here: Here, path: str) -> None:
    for page in (f"{path}/", f"{path}/?a=b"):
        sent = here.ask(page, **PAGE)
        assert sent.status == 307, sent
        state = parse_qs(urlsplit(sent.location).query)["state"][0]
        assert state == f"https://{DOMAIN}{page}"
    many = "; ".join(f"other-{n}={'x' * 3000}" for n in range(4))
    session = {"Cookie": f"{many}; {here.cookie('bob')}"}
    assert "<html" in here.ask(f"{path}/", **session, **PAGE).body
    assert json.loads(here.ask(f"{path}{WHO}", **session, X_Forwarded_User="root").body)["user"]["username"] == "bob"
    assert here.ask(f"{path}/", Cookie=here.cookie("bob").replace("bob", "root"), **PAGE).status == 307


def serves_mlflows_client(here: Here, path: str, name: str) -> None:
    found = logs_a_run(NAMESPACE, DOMAIN, path, here.openid.token("alice"), name)
    assert found == ["alice", "hello", "alice"]


@pytest.mark.parametrize("door", ["gateway", "nebariapp", "traefik", "ingress"])
def test_token_and_login_get_in_and_nothing_else(here: Here, door: str) -> None:
    path = here.behind(door)
    try:
        refuses_everything_but_a_token(here, path)
        if door == "nebariapp":
            assert here.ask("/", **PAGE).status == 307
            assert here.ask(WHO, here.openid.token("alice")).status == 307  # no page's data without the login
        else:
            lets_browsers_in_by_the_login(here, path)
        serves_mlflows_client(here, path, f"client-{door}")
    finally:
        if door == "nebariapp":
            kubectl("-n", NAMESPACE, "delete", "httproute", "app", "app-public", "--ignore-not-found")


# Uploads a file of so many bytes as MLflow's client does, and reads it back.
UPLOAD = """
import hashlib, os, sys, mlflow
size, chunk = int(sys.argv[1]), os.urandom(1 << 20)
with open("/tmp/big.bin", "wb") as file:
    for _ in range(size >> 20): file.write(chunk)
def digest(path): return hashlib.file_digest(open(path, "rb"), "sha256").hexdigest()
wanted = digest("/tmp/big.bin")
mlflow.set_experiment("big")
with mlflow.start_run() as run: mlflow.log_artifact("/tmp/big.bin")
os.unlink("/tmp/big.bin")
found = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="big.bin", dst_path="/tmp/back")
print("same" if digest(found) == wanted and os.path.getsize(found) == size else "other")
"""
# Sends an artifact byte by byte for so many seconds.
SLOW = """
import http.client, os, ssl, sys, time, urllib.parse, mlflow
mlflow.set_experiment("slow")
with mlflow.start_run() as run: pass
address = urllib.parse.urlsplit(os.environ["MLFLOW_TRACKING_URI"])
connection = http.client.HTTPSConnection(address.netloc, timeout=300, context=ssl._create_unverified_context())
path = f"{address.path}/api/2.0/mlflow-artifacts/artifacts/{run.info.experiment_id}/{run.info.run_id}/artifacts/a.bin"
def body():
    for _ in range(int(sys.argv[1])):
        time.sleep(1)
        yield b"x"
headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Transfer-Encoding": "chunked"}
connection.request("PUT", path, body(), headers, encode_chunked=True)
print(connection.getresponse().status)
print(len(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/a.bin")))
"""


def test_2_gb_arrive_whole_through_the_door(here: Here) -> None:
    path, token = here.behind("ingress"), here.openid.token("alice")
    assert outside(NAMESPACE, DOMAIN, path, token, "big", str(2 << 30), script=UPLOAD)[-1] == "same"


def test_upload_of_90_seconds_gets_through_the_door(here: Here) -> None:
    path, token = here.behind("ingress"), here.openid.token("alice")
    assert outside(NAMESPACE, DOMAIN, path, token, "slow", "90", script=SLOW)[-2:] == ["200", "90"]


def test_deploy_tried_the_address_through_the_controller(here: Here) -> None:
    here.behind("ingress")
    assert here.played is not None
    assert "asks for a login" in here.played.stdout


# The provider's tokens, all through the public address


def test_programs_and_people_have_their_own_names(here: Here) -> None:
    path = here.behind("ingress")
    for token, name, admin in [
        (here.openid.token("alice"), "alice", False),
        (here.openid.token("root"), "root", True),
        (here.openid.token(), "service-account-mlflow", False),
    ]:
        user = json.loads(here.ask(f"{path}{WHO}", token).body)["user"]
        assert (user["username"], user["is_admin"]) == (name, admin)


def test_200_groups_fit_through_the_door(here: Here) -> None:
    token = here.openid.token("many")
    assert len(token) > 12_000
    assert here.status(token) == 200


def test_the_name_of_our_own_pods_is_nobodys(here: Here) -> None:
    here.behind("ingress")
    assert here.status(here.openid.token("nebari-mlflow")) == 403


def test_token_of_a_login_lets_nobody_in(here: Here) -> None:
    found = here.openid.login("alice")
    assert here.status(found["access_token"]) == 200
    assert here.status(found["id_token"]) == 401


@pytest.mark.parametrize(
    ("ahead", "lifetime", "status"),
    [(0, -30, 200), (0, -120, 401), (30, 300, 200), (300, 300, 401), (-300, 300, 200), (-300, 120, 401)],
)
def test_clocks_may_differ_by_a_minute(here: Here, ahead: int, lifetime: int, status: int) -> None:
    here.behind("ingress")
    here.openid.set_clock(ahead, lifetime)
    try:
        assert here.status(here.openid.token("alice")) == status
    finally:
        here.openid.set_clock()


def test_unsigned_and_symmetric_tokens_are_refused(here: Here) -> None:
    here.behind("ingress")
    token = here.openid.token("alice")
    for forged in (unsigned(token), *by_public_key(token, here.openid.certificates())):
        assert here.status(forged) == 401


# Who is written down


def experiment(here: Here, person: str, name: str) -> str:
    status, made = here.call(person, "POST", "/api/2.0/mlflow/experiments/create", {"name": name})
    assert status == 200, made
    return str(made["experiment_id"])


def send(here: Here, person: str, experiment_id: str, trace: str) -> int:
    """Send one span as an application does by OTLP, which claims another user."""
    span = {
        "traceId": trace,
        "spanId": os.urandom(8).hex(),
        "name": "work",
        "kind": 1,
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000001000000000",
        "attributes": [{"key": "user.id", "value": {"stringValue": "mallory"}}],
    }
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    return here.call(person, "POST", "/v1/traces", body, x_mlflow_experiment_id=experiment_id)[0]


def test_spans_have_their_real_sender(here: Here) -> None:
    shared, other = experiment(here, "bob", "spans"), experiment(here, "bob", "other spans")
    trace = os.urandom(16).hex()

    def metadata() -> dict[str, str]:
        status, found = here.call("alice", "GET", f"/api/3.0/mlflow/traces/tr-{trace}")
        assert status == 200, found
        return dict(found["trace"]["trace_info"]["trace_metadata"])

    assert send(here, "alice", shared, trace) == 200
    assert (metadata()["mlflow.user"], metadata()["mlflow.trace.user"]) == ("alice", "mallory")
    assert send(here, "bob", shared, trace) == 200
    assert metadata()["mlflow.user"] == "alice"
    assert send(here, "bob", other, trace) == 403


def test_feedback_says_who_gave_it_and_stays_theirs(here: Here) -> None:
    shared, trace = experiment(here, "bob", "feedback"), os.urandom(16).hex()
    assert send(here, "bob", shared, trace) == 200
    path = f"/api/3.0/mlflow/traces/tr-{trace}/assessments"
    source = {"source_type": "HUMAN", "source_id": "bob"}
    given = {"assessment": {"assessment_name": "good", "source": source, "feedback": {"value": True}}}
    status, made = here.call("alice", "POST", path, given)
    assert status == 200, made
    assert made["assessment"]["source"]["source_id"] == "alice"
    change = {"assessment": {"rationale": "no"}, "update_mask": "rationale"}
    own = f"{path}/{made['assessment']['assessment_id']}"
    assert [here.call(name, "PATCH", own, change)[0] for name in ("bob", "alice", "root")] == [403, 200, 200]


def test_author_of_runs_and_models_cannot_be_changed(here: Here) -> None:
    api = "/api/2.0/mlflow"
    assert here.call("bob", "POST", f"{api}/registered-models/create", {"name": "authored"})[0] == 200
    claimed = [{"key": "mlflow.user", "value": "mallory"}]
    new = {"experiment_id": experiment(here, "bob", "authored"), "start_time": 1, "user_id": "mallory", "tags": claimed}
    status, run = here.call("bob", "POST", f"{api}/runs/create", new)
    assert status == 200, run
    info = run["run"]["info"]
    tags = {tag["key"]: tag["value"] for tag in run["run"]["data"]["tags"]}
    assert (info["user_id"], tags["mlflow.user"]) == ("bob", "bob")
    version = {"name": "authored", "source": f"{info['artifact_uri']}/model", "run_id": info["run_id"], "tags": claimed}
    status, made = here.call("bob", "POST", f"{api}/model-versions/create", version)
    assert status == 200, made
    assert {tag["key"]: tag["value"] for tag in made["model_version"]["tags"]}["mlflow.user"] == "bob"
    changes = {
        "runs/set-tag": {"run_id": info["run_id"], **claimed[0]},
        "runs/log-batch": {"run_id": info["run_id"], "tags": claimed},
        "model-versions/set-tag": {"name": "authored", "version": "1", **claimed[0]},
    }
    for endpoint, change in changes.items():
        statuses = [here.call(name, "POST", f"{api}/{endpoint}", change)[0] for name in ("alice", "bob", "root")]
        assert statuses == [403, 403, 200], endpoint


def test_new_key_of_the_provider_is_used_at_once(here: Here) -> None:
    here.behind("ingress")
    old = here.openid.token("alice")
    assert here.status(old) == 200
    here.openid.change_key()
    assert here.status(here.openid.token("alice")) == 200
    assert here.status(old) == 401


def test_provider_that_is_down_lets_nobody_new_in(here: Here) -> None:
    """Last, since it takes the provider away. Tokens of known keys go on, for they are checked here."""
    path = here.behind("ingress")
    token = here.openid.token("alice")
    assert here.status(token) == 200
    kubectl("-n", NAMESPACE, "delete", "pod", "openid", "--grace-period=1", "--timeout=120s")
    assert here.status(token) == 200
    unknown = by_another_key(token, kid="new")
    end = time.monotonic() + 60
    while (answer := here.ask(f"{path}{SEARCH}", unknown)).status != 503:
        assert answer.status == 401
        assert time.monotonic() < end
        time.sleep(1)
    assert "Nobody is let in unchecked" in answer.body
