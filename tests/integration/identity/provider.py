"""A small OpenID provider in a pod, with tokens as Keycloak writes them. Authlib does what the standards say.

Programs get a token of their own by client credentials, people one by their password. Only the client `mlflow` has a
mapper that names MLflow as an audience. What a test may change is what an administrator or time changes: the signing
key, and the clock.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, Response, jsonify, request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

PORT = 8080
REALM = "/realms/nebari"
ISSUER = os.environ["ISSUER"]
SECRET = os.environ["CLIENT_SECRET"]
PASSWORD = os.environ["PASSWORD"]
GROUPS = {
    "alice": ["/data"],
    "bob": ["/ops"],
    "root": ["/admin"],
    "nebari-mlflow": ["/admin"],
    "many": [f"/a-department-with-a-long-name/project-{n:03}" for n in range(200)],
}
AUDIENCES = {"mlflow": ["mlflow", "account"], "grafana": ["account"]}


@dataclass
class State:
    """What an administrator and time change."""

    key: Any
    ahead: int = 0  # seconds that this clock is ahead of the others
    lifetime: int = 300


def new_key(use: str = "sig", algorithm: str = "RS256") -> Any:
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(8), "use": use, "alg": algorithm})


STATE = State(new_key())
ENCRYPTION = new_key("enc", "RSA-OAEP")


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]
    name: str

    def get_client_id(self) -> str:
        return self.name

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret, SECRET)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method, endpoint) in {("client_secret_basic", "token"), ("client_secret_post", "token")}

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in {"client_credentials", "password"}


@dataclass(frozen=True)
class Person:
    name: str

    def get_user_id(self) -> str:
        return f"id-of-{self.name}"


class Password(grants.ResourceOwnerPasswordCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

    def authenticate_user(self, username: str, password: str) -> Person | None:
        known = username in GROUPS and secrets.compare_digest(password, PASSWORD)
        return Person(username) if known else None


class Programs(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")


class Tokens(JWTBearerTokenGenerator):  # type: ignore[misc]
    def get_jwks(self) -> Any:
        return KeySet([STATE.key])

    def get_audiences(self, client: Client, _user: Any, _scope: Any) -> list[str]:
        return AUDIENCES[client.name]

    def get_extra_claims(self, client: Client, _grant: str, user: Person | None, _scope: Any) -> dict[str, Any]:
        now = int(time.time()) + STATE.ahead
        name = user.name if user else f"service-account-{client.name}"
        claims = {"typ": "Bearer", "azp": client.name, "iat": now, "exp": now + STATE.lifetime}
        return {**claims, "preferred_username": name, "groups": GROUPS.get(name, [])}


def id_token(client: Client, user: Person) -> str:
    """What a login gets beside the access token: it says who logged in, and lets nobody in."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": client.name, "azp": client.name, "typ": "ID", "iat": now, "exp": now + 300}
    named = {**claims, "sub": user.get_user_id(), "preferred_username": user.name}
    return jwt.encode({"alg": "RS256", "kid": STATE.key.kid}, named, STATE.key)


def save(token: dict[str, Any], asked: Any) -> None:
    if asked.user:
        token["id_token"] = id_token(asked.client, asked.user)


app = Flask(__name__)
server = AuthorizationServer(app, lambda name: Client(name) if name in AUDIENCES else None, save)
server.register_token_generator("default", Tokens(ISSUER))
server.register_grant(Password)
server.register_grant(Programs)


@app.get(f"{REALM}/.well-known/openid-configuration")
def describe() -> Response:
    return jsonify(issuer=ISSUER, jwks_uri=f"{ISSUER}/certs", token_endpoint=f"{ISSUER}/token")


@app.get(f"{REALM}/certs")
def certificates() -> Response:
    return jsonify(keys=[STATE.key.as_dict(private=False), ENCRYPTION.as_dict(private=False)])


@app.post(f"{REALM}/token")
def token() -> Any:
    return server.create_token_response()


@app.post("/admin/new-key")
def change_key() -> str:
    STATE.key = new_key()
    return "changed"


@app.post("/admin/clock")
def set_clock() -> str:
    STATE.ahead, STATE.lifetime = int(request.form["ahead"]), int(request.form["lifetime"])
    return "set"


if __name__ == "__main__":
    app.run("0.0.0.0", PORT, threaded=True)  # noqa: S104  # in a pod
