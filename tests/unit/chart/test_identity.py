"""Who is let in, by which credential, and what MLflow learns about the person."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from nebari_mlflow_server import authors, credentials
from nebari_mlflow_server.credentials import SERVICE, Answer, Cluster, Hub, Login, Service
from nebari_mlflow_server.doors import Doorkeeper, Doors, Rules, credential, issuer_of
from nebari_mlflow_server.identity import Identity
from nebari_mlflow_server.members import Members
from nebari_mlflow_server.memory import Memory
from nebari_mlflow_server.people import ForbiddenError, Person, RefusedError, UnavailableError, current

from tests.integration.identity.certificates import certified

ALICE = {"kind": "user", "name": "alice", "groups": ["data", "/ops"]}
HUB_URL = "http://hub.dev.svc:8081"
ISSUER = "https://kc.example.org/realms/nebari"


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
        more = content.get("headers", {}) if isinstance(content, dict) else {}
        return Answer(status, more, json.dumps(content).encode(), more.get("Set-Cookie", ()))

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


def test_who_does_not_answer_is_named_and_why() -> None:
    """An authority that is not trusted is the commonest mistake; that a client gave up would hide it."""
    tls = certified("localhost")
    with socket.create_server(("127.0.0.1", 0)) as listening, tempfile.NamedTemporaryFile("w") as chain:
        chain.write(tls.certificate + tls.key)
        chain.flush()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain.name)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                        secure.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        port = listening.getsockname()[1]
        with pytest.raises(UnavailableError, match=r"JupyterHub does not answer \(SSLError: .*verify failed"):
            Hub(f"https://localhost:{port}").person("abc")
        listening.shutdown(socket.SHUT_RDWR)
    with pytest.raises(UnavailableError, match=r"the login does not answer \(NewConnectionError"):
        Login(f"http://127.0.0.1:{port}", "example.org").person("a=b")


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


@pytest.mark.parametrize(
    ("answer", "sign_in", "location"),
    [
        ((307, {"headers": {"Location": "https://kc/auth"}}), "", "https://kc/auth"),
        ((302, {"headers": {"Location": "https://kc/auth"}}), "https://x/start", "https://x/start?rd={back}"),
        (401, "https://x/start?a=b", "https://x/start?a=b&rd={back}"),
        (401, "", None),
        ((307, {"headers": {}}), "", None),
        ((200, {"headers": {"X-Forwarded-User": "a"}}), "", None),
    ],
)
def test_browser_is_sent_where_the_login_sends_it(answer: Any, sign_in: str, location: str | None) -> None:
    asked: list[Any] = []
    login = Login(
        "http://login", "x.org", path="/mlflow/", sign_in=sign_in, ask=answering({"http://login": answer}, asked)
    )
    found = login.way_in("a=b", "/search?q=1&r=2")
    back = "https%3A%2F%2Fx.org%2Fmlflow%2Fsearch%3Fq%3D1%26r%3D2"
    assert (found and found.headers["Location"]) == (location and location.format(back=back))
    assert [each[2]["X-Forwarded-Uri"] for each in asked] == ([] if sign_in else ["/mlflow/search?q=1&r=2"])


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
    ("name", "why"),
    [(SERVICE, "own pods"), ("dev/worker", "service accounts"), ("a" * 256, "longer than 255")],
)
def test_person_cannot_have_the_name_of_something_else(name: str, why: str) -> None:
    """Who registers under the name of our own pods would get their rights."""
    answers = {f"{HUB_URL}/hub/api/user": (200, {"kind": "user", "name": name, "groups": []})}
    known = Doors(hub=Hub(HUB_URL, ask=answering(answers)), cluster=Cluster("mlflow"))
    with pytest.raises(ForbiddenError, match=why):
        known.person("abc", "")
    login = Login("http://login", "x", ask=answering({"http://login": (200, {"headers": {"X-Forwarded-User": name}})}))
    with pytest.raises(ForbiddenError, match=why):
        Doors(login=login, cluster=Cluster("mlflow")).person("", "a=b")


@pytest.mark.usefixtures("in_a_pod")
def test_a_service_account_keeps_its_slash() -> None:
    known = Doors(cluster=Cluster("mlflow", ask=answering({REVIEW: review()})))
    assert known.person(jwt({"iss": "https://kubernetes"}), "").name == "dev/worker"


def test_a_renamed_person_is_another_one() -> None:
    """The hub keeps the token and gives the new name; what the old name owns stays the old name's."""
    answers: dict[str, Any] = {f"{HUB_URL}/hub/api/user": (200, {"kind": "user", "name": "alice", "groups": []})}
    known = Doors(hub=Hub(HUB_URL, ask=answering(answers)))
    assert known.person("abc", "").name == "alice"
    answers[f"{HUB_URL}/hub/api/user"] = (200, {"kind": "user", "name": "alicia", "groups": []})
    assert known.person("abc", "").name == "alicia"
    answers[f"{HUB_URL}/hub/api/user"] = 403  # deleted
    with pytest.raises(RefusedError):
        known.person("abc", "")


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


async def no_way_in(_scope: Any) -> None:
    return None


def served(
    request: dict[str, Any], find: Callable[[], Person] | None = None, *, metrics: bool = False, keeper: Any = None
) -> tuple[Sent, list[Person | None]]:
    """Send one request through the middleware; whom the application behind it saw."""
    seen: list[Person | None] = []

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        seen.append(current.get())
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})

    if find is not None:
        keeper = SimpleNamespace(person=lambda _scope: asyncio.to_thread(find), way_in=no_way_in)
    sent = Sent()

    async def receive() -> Any:
        return {"type": "http.request"}

    middleware = Identity(application, keeper, metrics=metrics)
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


BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (BROWSER, 307),
        ({**BROWSER, "sec_fetch_mode": "navigate", "cookie": "old=1"}, 307),
        ({**BROWSER, "sec_fetch_mode": "cors"}, 401),
        ({"accept": "application/json"}, 401),
        ({}, 401),
        ({**BROWSER, "authorization": "Bearer wrong"}, 401),
    ],
)
def test_only_browsers_opening_a_page_are_sent_to_login(headers: dict[str, str], status: int) -> None:
    to = {"Location": "https://kc/auth", "Set-Cookie": ("csrf=1; Secure", "state=2"), "X-Forwarded-User": "root"}
    answers = {"http://login": (307, {"headers": to})}
    login = Login("http://login", "x.org", path="/mlflow/", ask=answering(answers))
    keeper = Doorkeeper(Doors(login=login), lambda _: None)
    request = {**scope(**headers), "query_string": b"a=b"}
    sent, seen = served(request, keeper=keeper)
    assert sent.status == status
    assert not seen
    if status == 307:
        given = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        assert [value for name, value in given if name == "set-cookie"] == ["csrf=1; Secure", "state=2"]
        assert dict(given)["location"] == "https://kc/auth"
        assert "x-forwarded-user" not in dict(given)


def test_a_login_that_is_down_is_a_503_for_browsers() -> None:
    login = Login("http://login", "x.org", ask=answering({"http://login": UnavailableError("no answer")}))
    sent, _ = served({**scope(**BROWSER), "query_string": b""}, keeper=Doorkeeper(Doors(login=login), lambda _: None))
    assert sent.status == 503


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


# What MLflow's store of users learns


class Users:
    """People as MLflow's store has them, with who is an administrator."""

    def __init__(self) -> None:
        self.admins: dict[str, bool] = {}
        self.created: list[str] = []

    def has_user(self, username: str) -> bool:
        return username in self.admins

    def create_user(self, username: str, _password: str, is_admin: bool = False) -> None:
        self.created.append(username)
        self.admins[username] = is_admin

    def get_user(self, username: str) -> Any:
        return SimpleNamespace(username=username, is_admin=self.admins[username])

    def update_user(self, username: str, is_admin: bool) -> None:
        self.admins[username] = is_admin


def test_a_user_who_was_deleted_in_mlflow_begins_anew_at_once() -> None:
    """Another worker deleted the user; this one must not believe what it has written before."""
    users = Users()
    members = Members(users, "default", clock=lambda: 0.0)
    alice = Person("alice", frozenset())
    for _ in range(3):
        members.admit(alice)
    assert users.created == ["alice"]
    del users.admins["alice"]
    members.admit(alice)
    assert users.created == ["alice", "alice"]


def test_groups_that_changed_count_and_unknown_ones_change_nothing() -> None:
    users = Users()
    members = Members(users, "default", clock=lambda: 0.0)
    members.admit(Person("alice", frozenset({"admin"}), is_admin=True))
    members.admit(Person("alice"))
    assert users.admins == {"alice": True}
    members.admit(Person("alice", frozenset()))
    assert users.admins == {"alice": False}
