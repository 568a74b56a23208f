"""Who is let in, by which credential, and what MLflow learns about the person."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from nebari_mlflow_server import authors, credentials
from nebari_mlflow_server.credentials import Answer, Cluster, Hub, Login, OpenID, Service
from nebari_mlflow_server.doors import Doorkeeper, Doors, Rules, credential, issuer_of
from nebari_mlflow_server.identity import Identity
from nebari_mlflow_server.memory import Memory
from nebari_mlflow_server.people import ForbiddenError, Person, RefusedError, UnavailableError, current

ALICE = {"kind": "user", "name": "alice", "groups": ["data", "/ops"]}
HUB_URL = "http://hub.dev.svc:8081"


def answering(answers: Mapping[str, Any], asked: list[Any] | None = None) -> Any:
    """A server that answers a URL with a status, or with a status and a JSON object."""

    def ask(
        method: str, url: str, headers: Mapping[str, str], _body: bytes | None = None, _authority: str = ""
    ) -> Answer:
        if asked is not None:
            asked.append((method, url, dict(headers)))
        found = answers.get(f"{url} {headers.get('Authorization', '')}".strip(), answers.get(url, 404))
        if isinstance(found, Exception):
            raise found
        status, content = found if isinstance(found, tuple) else (found, {})
        more = content.pop("headers") if isinstance(content, dict) and "headers" in content else {}
        return Answer(status, more, json.dumps(content).encode())

    return ask


def scope(**headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "GET", "path": "/", "headers": pairs}


def jwt(claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256', 'kid': 'one'})}.{part(claims)}.c2ln"


# The credential of a request


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer  abc "}, "abc"),
        ({"authorization": "token abc"}, "abc"),
        ({"authorization": "Basic " + base64.b64encode(b"alice:abc").decode()}, "abc"),
        ({"authorization": "Basic " + base64.b64encode(b":a:b").decode()}, "a:b"),
        ({"cookie": "a=b"}, ""),
        ({"authorization": " ", "cookie": "a=b"}, ""),
        ({"x_forwarded_user": "root", "remote_user": "root"}, ""),
    ],
)
def test_a_token_is_found_however_the_client_sends_it(headers: dict[str, str], token: str) -> None:
    assert credential(scope(**headers))[0] == token


@pytest.mark.parametrize("given", ["Bearer", "Bearer  ", "Basic !!!", "Basic YQ==", "Digest a=b", "abc"])
def test_an_unreadable_token_is_refused_and_not_shown(given: str) -> None:
    with pytest.raises(RefusedError) as error:
        credential(scope(authorization=given, cookie="a=b"))
    secret = given.partition(" ")[2].strip()
    assert not secret or secret not in str(error.value)


def test_two_authorization_headers_are_refused() -> None:
    both = scope(authorization="Bearer a")
    both["headers"] += scope(authorization="Bearer b")["headers"]
    with pytest.raises(RefusedError):
        credential(both)


@pytest.mark.parametrize(
    ("token", "issuer"),
    [
        (jwt({"iss": "https://kc/realms/nebari"}), "https://kc/realms/nebari"),
        (jwt({}), ""),
        (jwt([1]), None),
        ("0123456789abcdef0123456789abcdef", None),
        ("a.b.c", None),
        ("a..c", None),
        ("a.b.c.d", None),
    ],
)
def test_the_issuer_of_a_token_is_read_without_trusting_it(token: str, issuer: str | None) -> None:
    assert issuer_of(token) == issuer


# Who vouches


def test_the_hub_names_the_person_and_the_groups() -> None:
    hub = Hub(HUB_URL, ask=answering({f"{HUB_URL}/hub/api/user Bearer abc": (200, dict(ALICE))}))
    assert hub.person("abc") == Person("alice", frozenset({"data", "ops"}))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (403, RefusedError),
        (401, RefusedError),
        (404, RefusedError),
        ((200, {"kind": "service", "name": "cull"}), RefusedError),
        ((200, {"kind": "user", "name": ""}), RefusedError),
        (500, UnavailableError),
        (503, UnavailableError),
        (429, UnavailableError),
        ((200, []), UnavailableError),
        (UnavailableError("no answer"), UnavailableError),
    ],
)
def test_a_hub_that_does_not_vouch_lets_nobody_in(answer: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Hub(HUB_URL, ask=answering({f"{HUB_URL}/hub/api/user": answer})).person("abc")


def test_the_groups_of_a_browsers_user_come_from_the_hub() -> None:
    groups = f"{HUB_URL}/hub/api/users/a%2Flice"
    hub = Hub(HUB_URL, "service", answering({f"{groups} Bearer service": (200, {"groups": ["data"]})}))
    assert hub.groups("a/lice") == frozenset({"data"})
    assert hub.groups("nobody") == frozenset()
    assert Hub(HUB_URL).groups("alice") is None
    with pytest.raises(UnavailableError):
        Hub(HUB_URL, "service", answering({groups: 403})).groups("a/lice")


def test_the_login_is_asked_with_the_cookies_and_the_address() -> None:
    asked: list[tuple[str, str, dict[str, str]]] = []
    answers = {"http://login": (200, {"headers": {"X-Forwarded-User": "alice"}})}
    login = Login("http://login", "example.org", path="/mlflow/", ask=answering(answers, asked))
    assert login.person("a=b") == Person("alice")
    sent = asked[0][2]
    assert (sent["Cookie"], sent["X-Forwarded-Host"], sent["X-Forwarded-Uri"]) == ("a=b", "example.org", "/mlflow/")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((307, {"headers": {"Location": "https://keycloak"}}), RefusedError),
        ((307, {"headers": {"X-Forwarded-User": "alice"}}), RefusedError),
        (401, RefusedError),
        (200, RefusedError),
        (502, UnavailableError),
    ],
)
def test_a_login_that_does_not_vouch_lets_nobody_in(answer: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Login("http://login", "example.org", ask=answering({"http://login": answer})).person("a=b")


def test_groups_of_the_login_are_read_if_it_lists_them() -> None:
    answers = {"http://login": (200, {"headers": {"X-User": "alice", "X-Groups": "data, /ops"}})}
    login = Login("http://login", "x", user_header="X-User", groups_header="X-Groups", ask=answering(answers))
    assert login.person("a=b").groups == frozenset({"data", "ops"})


REVIEW = "https://10.0.0.1:443/apis/authentication.k8s.io/v1/tokenreviews"


@pytest.fixture
def in_a_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    token = tmp_path / "token"
    token.write_text("own\n")
    monkeypatch.setattr(credentials, "API_TOKEN", token)


def review(name: str = "system:serviceaccount:dev:worker", **more: Any) -> tuple[int, dict[str, Any]]:
    return 201, {"status": {"authenticated": True, "audiences": ["mlflow"], "user": {"username": name}, **more}}


@pytest.mark.usefixtures("in_a_pod")
def test_a_service_account_is_a_person_of_its_namespace() -> None:
    assert Cluster("mlflow", ask=answering({REVIEW: review()})).person("t").name == "dev/worker"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (review(authenticated=False), RefusedError),
        (review(audiences=["https://kubernetes.default.svc"]), RefusedError),
        (review(audiences=[]), RefusedError),
        (review("alice"), RefusedError),
        (review("system:serviceaccount:other:worker"), RefusedError),
        (403, UnavailableError),
        (500, UnavailableError),
    ],
)
@pytest.mark.usefixtures("in_a_pod")
def test_a_cluster_that_does_not_vouch_lets_nobody_in(answer: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Cluster("mlflow", frozenset({"dev"}), answering({REVIEW: answer})).person("t")


ISSUER = "https://kc.example.org/realms/nebari"
needs_jwt = pytest.mark.skipif(not importlib.util.find_spec("jwt"), reason="PyJWT is part of MLflow's image")


@dataclass
class Provider:
    """An OpenID provider with a key of its own."""

    keys: list[dict[str, Any]] = field(default_factory=list)
    private: Any = None
    asked: list[Any] = field(default_factory=list)

    def change_key(self, kid: str) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa
        from jwt.algorithms import RSAAlgorithm

        self.private = rsa.generate_private_key(65537, 2048)
        public = json.loads(RSAAlgorithm.to_jwk(self.private.public_key()))
        self.keys[:] = [{**public, "kid": kid, "use": "sig", "alg": "RS256"}]

    def token(self, kid: str = "one", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        import jwt as library

        now = time.time()
        content = {"iss": ISSUER, "aud": "mlflow", "exp": now + 300, "preferred_username": "alice", **claims}
        content = {name: value for name, value in content.items() if value is not None}
        return str(library.encode(content, key or self.private, algorithm, headers={"kid": kid}))

    def openid(self) -> OpenID:
        credentials._published.clear()
        answers = {
            f"{ISSUER}/.well-known/openid-configuration": (200, {"jwks_uri": f"{ISSUER}/certs"}),
            f"{ISSUER}/certs": (200, {"keys": self.keys}),
        }
        return OpenID(ISSUER, "mlflow", ask=answering(answers, self.asked))


@pytest.fixture
def provider() -> Provider:
    made = Provider()
    made.change_key("one")
    return made


@needs_jwt
def test_a_token_of_the_provider_names_person_and_groups(provider: Provider) -> None:
    openid = provider.openid()
    assert openid.person(provider.token(groups=["/data", "ops"])) == Person("alice", frozenset({"data", "ops"}))
    openid.person(provider.token())
    assert len(provider.asked) == 2  # its keys are asked for once


@needs_jwt
def test_new_keys_of_the_provider_are_fetched(provider: Provider) -> None:
    openid = provider.openid()
    openid.person(provider.token())
    provider.change_key("two")
    assert openid.person(provider.token("two")).name == "alice"


@needs_jwt
@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "account"},
        {"aud": None},
        {"iss": "https://elsewhere"},
        {"exp": 1.0},
        {"exp": None},
        {"nbf": 4102444800.0},
        {"preferred_username": None},
        {"preferred_username": ""},
        {"preferred_username": ["alice"]},
        {"kid": "unknown"},
    ],
    ids=lambda claims: str(claims),
)
def test_foreign_or_invalid_token_is_refused(provider: Provider, claims: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        provider.openid().person(provider.token(**claims))


@needs_jwt
def test_a_forged_token_is_refused(provider: Provider) -> None:
    other = Provider()
    other.change_key("one")
    openid = provider.openid()
    public = provider.keys[0]["n"]
    for forged in (
        other.token(),
        provider.token(algorithm="HS256", key=public),
        jwt({"iss": ISSUER, "aud": "mlflow", "exp": time.time() + 60, "preferred_username": "root"}),
    ):
        with pytest.raises(RefusedError):
            openid.person(forged)


@needs_jwt
def test_clocks_may_differ_by_a_minute(provider: Provider) -> None:
    assert provider.openid().person(provider.token(exp=time.time() - 30)).name == "alice"


# Which of them is asked, and what follows


def doors(**more: Any) -> Doors:
    hub = Hub(HUB_URL, "service", answering({f"{HUB_URL}/hub/api/user Bearer abc": (200, dict(ALICE))}))
    return Doors(**{"service": Service("own"), "hub": hub, **more})


@pytest.mark.parametrize(
    ("token", "cookies"),
    [("", ""), ("wrong", "session=good"), (jwt({"iss": "https://nobody"}), "session=good"), ("", "session=bad")],
)
def test_a_bad_credential_is_never_replaced_by_another(token: str, cookies: str) -> None:
    answers = (
        {"http://login": 401} if "bad" in cookies else {"http://login": (200, {"headers": {"X-Forwarded-User": "a"}})}
    )
    with pytest.raises(RefusedError):
        doors(login=Login("http://login", "x", ask=answering(answers))).person(token, cookies)


def test_the_own_pods_are_known_by_the_own_token() -> None:
    assert doors().person("own", "").is_admin
    assert not Service("").recognizes("")


@pytest.mark.parametrize(
    ("rules", "groups", "admin"),
    [
        (Rules(), set(), False),
        (Rules(frozenset({"admin"})), {"admin"}, True),
        (Rules(frozenset({"admin"}), frozenset({"users"})), {"admin"}, True),
        (Rules(frozenset({"admin"}), frozenset({"users"})), {"users", "x"}, False),
    ],
)
def test_groups_decide_who_is_an_administrator(rules: Rules, groups: set[str], admin: bool) -> None:
    assert rules.applied(Person("alice", frozenset(groups))).is_admin is admin


@pytest.mark.parametrize("groups", [None, frozenset(), frozenset({"others"})])
def test_person_in_no_allowed_group_is_refused(groups: frozenset[str] | None) -> None:
    with pytest.raises(ForbiddenError, match="users"):
        Rules(frozenset({"admin"}), frozenset({"users"})).applied(Person("alice", groups))


def test_the_settings_of_the_chart_become_doors() -> None:
    settings = {
        "admin_groups": ["admin"],
        "hub": {"url": HUB_URL},
        "cluster": {"audience": "mlflow", "namespaces": ["dev"]},
        "openid": [{"issuer": ISSUER, "audience": "mlflow", "groups_claim": "roles"}],
    }
    made = Doors.from_settings(settings, {"NEBARI_MLFLOW_HUB_TOKEN": "t"})
    assert made.hub is not None
    assert made.hub.token == "t"
    assert made.login is None
    assert made.cluster == Cluster("mlflow", frozenset({"dev"}))
    assert made.providers[ISSUER].groups_claim == "roles"
    assert "secret" not in repr(Hub(HUB_URL, "secret"))


# What is remembered


def test_parallel_requests_ask_once_and_failures_are_retried() -> None:
    async def work() -> None:
        now, asked = [0.0], [0]
        memory: Memory[int] = Memory(30, size=2, clock=lambda: now[0])

        async def find() -> int:
            asked[0] += 1
            await asyncio.sleep(0)
            if asked[0] == 1:
                raise UnavailableError("first")
            return asked[0]

        failed = await asyncio.gather(*(memory.get("a", find) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(each, UnavailableError) for each in failed)
        assert asked == [1]
        assert await asyncio.gather(*(memory.get("a", find) for _ in range(5))) == [2] * 5
        now[0] = 29.0
        assert await memory.get("a", find) == 2
        now[0] = 30.0
        assert await memory.get("a", find) == 3
        await memory.get("b", find)
        await memory.get("c", find)
        assert await memory.get("a", find) == 6  # the oldest made room

    asyncio.run(work())


def test_a_request_that_is_given_up_fails_no_other() -> None:
    async def work() -> None:
        memory: Memory[str] = Memory(30)
        go = asyncio.Event()

        async def find() -> str:
            await go.wait()
            return "alice"

        first = asyncio.ensure_future(memory.get("a", find))
        second = asyncio.ensure_future(memory.get("a", find))
        await asyncio.sleep(0)
        first.cancel()
        go.set()
        assert await second == "alice"

    asyncio.run(work())


# The middleware


class Sent(list[dict[str, Any]]):
    async def __call__(self, message: Any) -> None:
        self.append(message)

    @property
    def status(self) -> int:
        return int(self[0]["status"])


def served(
    request: dict[str, Any], find: Callable[[], Person], *, metrics: bool = False
) -> tuple[Sent, list[Person | None]]:
    """Send one request through the middleware; whom the application behind it saw."""
    seen: list[Person | None] = []

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        seen.append(current.get())
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})

    keeper = SimpleNamespace(person=lambda _scope: asyncio.to_thread(find))
    sent = Sent()

    async def receive() -> Any:
        return {"type": "http.request"}

    middleware = Identity(application, keeper, metrics=metrics)  # type: ignore[arg-type]
    asyncio.run(middleware(request, receive, sent))
    return sent, seen


def refusing(error: Exception) -> Callable[[], Person]:
    def find() -> Person:
        raise error

    return find


@pytest.mark.parametrize(
    ("error", "status"),
    [(RefusedError("no"), 401), (ForbiddenError("no"), 403), (UnavailableError("down"), 503)],
)
def test_nobody_unknown_gets_past_the_middleware(error: Exception, status: int) -> None:
    sent, seen = served(scope(), refusing(error))
    assert sent.status == status
    assert not seen


def test_the_application_sees_who_it_is() -> None:
    sent, seen = served(scope(), lambda: Person("alice"))
    assert sent.status == 200
    assert seen == [Person("alice")]


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/version", True),
        ("/metrics", False),
        ("/", False),
        ("/static-files/x.js", False),
        ("/healthz", False),
        ("/health/x", False),
        ("/api/2.0/mlflow/server-info", False),
        ("/signup", False),
    ],
)
def test_only_the_version_is_open(path: str, passes: bool) -> None:
    sent, _ = served({**scope(), "path": path}, refusing(RefusedError("no")))
    assert (sent.status == 200) is passes


def test_metrics_are_open_if_they_are_served() -> None:
    assert served({**scope(), "path": "/metrics"}, refusing(RefusedError("no")), metrics=True)[0].status == 200


def test_a_websocket_of_nobody_is_closed() -> None:
    sent, seen = served({**scope(), "type": "websocket"}, refusing(RefusedError("no")))
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert not seen


def test_who_was_admitted_is_asked_about_once() -> None:
    admitted: list[Person] = []

    async def work() -> None:
        keeper = Doorkeeper(doors(), admitted.append)
        for _ in range(3):
            assert (await keeper.person(scope(authorization="Bearer abc"))).name == "alice"

    asyncio.run(work())
    assert admitted == [Person("alice", frozenset({"data", "ops"}))]


# What is written down


class Tag(SimpleNamespace):
    key: str
    value: str


def test_the_author_is_signed_over_what_the_client_said() -> None:
    tags = authors.signed(
        [Tag(key="mlflow.user", value="mallory"), Tag(key="a", value="b")], Tag(key="mlflow.user", value="alice")
    )
    assert [(tag.key, tag.value) for tag in tags] == [("a", "b"), ("mlflow.user", "alice")]
    assert len(authors.signed(None, Tag(key="mlflow.user", value="alice"))) == 1
