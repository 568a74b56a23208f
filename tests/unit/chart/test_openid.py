"""Which access tokens of an OpenID provider are believed, and when its keys are asked for."""

from __future__ import annotations

import base64
import importlib.util
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from nebari_mlflow_server.openid import KEYS_SECONDS, PAUSE_SECONDS, RETRY_SECONDS, STALE_SECONDS, OpenID
from nebari_mlflow_server.people import Person, RefusedError, UnavailableError

from tests.unit.chart.test_identity import answering

ISSUER = "https://kc.example.org/realms/nebari"
CERTIFICATES = f"{ISSUER}/certs"
pytestmark = pytest.mark.skipif(not importlib.util.find_spec("jwt"), reason="PyJWT is part of MLflow's image")


@dataclass
class Provider:
    """A provider with a key of its own, and a clock for those who ask it."""

    keys: list[dict[str, Any]] = field(default_factory=list)
    private: Any = None
    asked: list[Any] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.answers[f"{ISSUER}/.well-known/openid-configuration"] = (
            200,
            {"issuer": ISSUER, "jwks_uri": CERTIFICATES},
        )
        self.answers[CERTIFICATES] = (200, {"keys": self.keys})
        self.change_key("one")

    def change_key(self, kid: str, use: str | None = "sig") -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa
        from jwt.algorithms import RSAAlgorithm

        self.private = rsa.generate_private_key(65537, 2048)
        public = json.loads(RSAAlgorithm.to_jwk(self.private.public_key()))
        self.keys[:] = [{**public, "kid": kid, "alg": "RS256", **({"use": use} if use else {})}]

    def token(
        self, kid: str | None = "one", algorithm: str = "RS256", key: Any = None, header: Any = None, **claims: Any
    ) -> str:
        import jwt as library

        now = time.time()
        content = {"iss": ISSUER, "aud": "mlflow", "exp": now + 300, "preferred_username": "alice", **claims}
        content = {name: value for name, value in content.items() if value is not None}
        headers = {**({"kid": kid} if kid else {}), **(header or {})}
        return str(library.encode(content, key or self.private, algorithm, headers=headers))

    def openid(self, **more: Any) -> OpenID:
        given = {"audience": "mlflow", **more}
        return OpenID(ISSUER, **given, ask=answering(self.answers, self.asked), clock=lambda: self.now)

    @property
    def fetches(self) -> int:
        return sum(url == CERTIFICATES for _, url, _ in self.asked)


@pytest.fixture
def provider() -> Provider:
    return Provider()


def test_a_token_of_the_provider_names_person_and_groups(provider: Provider) -> None:
    openid = provider.openid()
    assert openid.person(provider.token(groups=["/data", "ops"])) == Person("alice", frozenset({"data", "ops"}))
    many = [f"/team-{n}" for n in range(200)]
    assert len(openid.person(provider.token(groups=many)).groups or ()) == 200
    assert len(provider.asked) == 2  # its keys are asked for once


def test_other_claims_may_name_person_and_groups(provider: Provider) -> None:
    openid = provider.openid(username_claim="email", groups_claim="roles")
    assert openid.person(provider.token(email="a@x.org", roles=["r"])) == Person("a@x.org", frozenset({"r"}))


@pytest.mark.parametrize("kind", [None, "JWT", "at+jwt", "application/at+jwt"])
@pytest.mark.parametrize("claim", [None, "Bearer"])
def test_access_tokens_say_what_they_are_in_several_ways(
    provider: Provider, kind: str | None, claim: str | None
) -> None:
    assert provider.openid().person(provider.token(header={"typ": kind}, typ=claim)).name == "alice"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "account"}, "not for the audience 'mlflow'"),
        ({"aud": ["account", "other"]}, "not for the audience 'mlflow'"),
        ({"aud": None}, "not for the audience 'mlflow'"),
        ({"iss": "https://elsewhere"}, "issuer"),
        ({"iss": None}, "iss"),
        ({"exp": 1.0}, "it has expired"),
        ({"exp": None}, "exp"),
        ({"nbf": 4102444800.0}, "clocks"),
        ({"iat": 4102444800.0}, "clocks"),
        ({"preferred_username": None}, "preferred_username"),
        ({"preferred_username": ""}, "preferred_username"),
        ({"preferred_username": ["alice"]}, "preferred_username"),
        ({"kid": "unknown"}, "does not publish"),
        ({"kid": None}, "does not publish"),
        ({"typ": "ID"}, "no access token"),
        ({"typ": "Refresh"}, "no access token"),
        ({"typ": "Offline"}, "no access token"),
        ({"header": {"typ": "logout+jwt"}}, "of type"),
        ({"header": {"typ": "dpop+jwt"}}, "of type"),
    ],
    ids=str,
)
def test_foreign_or_invalid_token_is_refused(provider: Provider, claims: dict[str, Any], why: str) -> None:
    token = provider.token(**claims)
    with pytest.raises(RefusedError, match=why) as error:
        provider.openid().person(token)
    assert token not in str(error.value)
    assert token.rpartition(".")[2] not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "claims", "accepted"),
    [
        ({"clients": ["mlflow-ui"]}, {"aud": "mlflow", "azp": "mlflow-ui"}, True),
        ({"clients": ["mlflow-ui"]}, {"aud": "mlflow", "azp": "grafana"}, False),
        ({"clients": ["mlflow-ui"]}, {"aud": "account", "azp": "mlflow-ui"}, False),
        ({"clients": ["mlflow-ui"]}, {"aud": "mlflow"}, False),
        ({"audience": "", "clients": ["mlflow-ui", "ci"]}, {"aud": "account", "azp": "ci"}, True),
        ({"audience": "", "clients": ["ci"]}, {"aud": None, "client_id": "ci"}, True),
        ({"audience": "", "clients": ["ci"]}, {"aud": "ci", "azp": "grafana", "client_id": "ci"}, False),
        ({"audience": "", "clients": ["ci"]}, {"aud": "account"}, False),
    ],
)
def test_the_client_of_a_token_counts_if_clients_are_named(
    provider: Provider, settings: dict[str, Any], claims: dict[str, Any], accepted: bool
) -> None:
    openid = provider.openid(**settings)
    if accepted:
        assert openid.person(provider.token(**claims)).name == "alice"
    else:
        with pytest.raises(RefusedError):
            openid.person(provider.token(**claims))


def test_provider_without_audience_and_clients_is_refused() -> None:
    with pytest.raises(ValueError, match="audience or clients"):
        OpenID(ISSUER)


def unsigned(algorithm: str, **claims: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    content = {"iss": ISSUER, "aud": "mlflow", "exp": time.time() + 60, "preferred_username": "root", **claims}
    return f"{part({'alg': algorithm, 'kid': 'one'})}.{part(content)}."


def test_a_forged_token_is_refused(provider: Provider) -> None:
    other = Provider()
    openid = provider.openid()
    public = provider.keys[0]["n"]
    tampered = provider.token().split(".")
    tampered[1] = unsigned("RS256").split(".")[1]
    for forged in (
        other.token(),
        provider.token(algorithm="HS256", key=public),
        unsigned("none"),
        unsigned("None"),
        unsigned("HS256"),
        unsigned("RS256") + "c2ln",
        ".".join(tampered),
        "a.b.c",
    ):
        with pytest.raises(RefusedError):
            openid.person(forged)


def test_a_key_for_encryption_signs_nothing(provider: Provider) -> None:
    provider.change_key("two", "enc")
    provider.keys.append({"kty": "oct", "kid": "three", "k": "c2VjcmV0", "alg": "HS256"})
    for forged in (provider.token("two"), provider.token("three", "HS256", "secret")):
        with pytest.raises(RefusedError):
            provider.openid().person(forged)


@pytest.mark.parametrize(("seconds", "accepted"), [(-30, True), (-90, False), (-300, False)])
def test_clocks_may_differ_by_a_minute(provider: Provider, seconds: int, accepted: bool) -> None:
    late, early = provider.token(exp=time.time() + seconds), provider.token(iat=time.time() - seconds)
    for token in (late, early):
        if accepted:
            assert provider.openid().person(token).name == "alice"
        else:
            with pytest.raises(RefusedError, match=r"expired|clocks of its issuer"):
                provider.openid().person(token)


# The provider's keys


def test_new_keys_of_the_provider_are_fetched(provider: Provider) -> None:
    openid = provider.openid()
    old = provider.token()
    openid.person(old)
    provider.change_key("two")
    assert openid.person(provider.token("two")).name == "alice"
    with pytest.raises(RefusedError):
        openid.person(old)


def test_forged_tokens_do_not_become_requests_to_the_provider(provider: Provider) -> None:
    openid = provider.openid()
    for n in range(20):
        with pytest.raises(RefusedError):
            openid.person(provider.token(f"unknown-{n}"))
    assert provider.fetches == 2
    provider.now += PAUSE_SECONDS
    with pytest.raises(RefusedError):
        openid.person(provider.token("unknown"))
    assert provider.fetches == 3


def test_withdrawn_key_is_forgotten_within_the_hour(provider: Provider) -> None:
    openid = provider.openid()
    stolen = provider.token()
    openid.person(stolen)
    provider.change_key("two")
    provider.now += KEYS_SECONDS
    with pytest.raises(RefusedError):
        openid.person(stolen)


def test_known_keys_serve_while_the_provider_is_down(provider: Provider) -> None:
    openid = provider.openid()
    token = provider.token()
    openid.person(token)
    provider.answers[CERTIFICATES] = UnavailableError("no answer")
    provider.now += KEYS_SECONDS
    for _ in range(5):
        assert openid.person(token).name == "alice"
    assert provider.fetches == 2
    provider.now += RETRY_SECONDS
    assert openid.person(token).name == "alice"
    assert provider.fetches == 3
    provider.now += STALE_SECONDS
    with pytest.raises(UnavailableError):
        openid.person(token)


def test_provider_that_is_down_is_no_refusal(provider: Provider) -> None:
    """A new key may be the reason why it is not known, so nobody can tell."""
    openid = provider.openid()
    openid.person(provider.token())
    provider.answers[CERTIFICATES] = 503
    for _ in range(5):
        with pytest.raises(UnavailableError):
            openid.person(provider.token("two"))
    assert provider.fetches == 2


@pytest.mark.parametrize(
    "answer",
    [
        500,
        404,
        (200, []),
        (200, {"issuer": "https://elsewhere", "jwks_uri": CERTIFICATES}),
        (200, {"jwks_uri": CERTIFICATES}),
        UnavailableError("no answer"),
    ],
)
def test_provider_that_describes_itself_wrongly_vouches_for_nobody(provider: Provider, answer: Any) -> None:
    provider.answers[f"{ISSUER}/.well-known/openid-configuration"] = answer
    with pytest.raises(UnavailableError):
        provider.openid().person(provider.token())
    assert provider.openid(jwks_uri=CERTIFICATES).person(provider.token()).name == "alice"


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": [{"kty": "unknown"}]}])
def test_provider_without_usable_keys_vouches_for_nobody(provider: Provider, keys: Any) -> None:
    provider.answers[CERTIFICATES] = (200, keys)
    with pytest.raises(UnavailableError):
        provider.openid().person(provider.token())
