"""Run a Keycloak in a namespace, get tokens of it, and change what its administrator may change."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlencode

from tests.integration.identity.certificates import Certified, certified
from tests.integration.nebari.edge.traefik import forwarded
from tests.support import built, kubectl

HERE = Path(__file__).parent
START_SECONDS = 600
DEPARTMENT = "a-department-with-a-long-name"
PEOPLE = {
    "alice": ["/data"],
    "bob": ["/ops"],
    "root": ["/admin"],
    "many": [f"/{DEPARTMENT}/project-{number:03}" for number in range(200)],
}
PROGRAM = "service-account-"
CROWD = [f"person-{number:02}" for number in range(50)]
KEYS = "/components?type=org.keycloak.keys.KeyProvider"
REALMS = ("nebari", "partner", "foreign")


def host(namespace: str) -> str:
    return f"keycloak.{namespace}.svc"


def address(namespace: str) -> str:
    return f"https://{host(namespace)}:8443"


def issuer(namespace: str, realm: str) -> str:
    return f"{address(namespace)}/realms/{realm}"


def person(name: str, password: str, groups: list[str]) -> dict[str, Any]:
    """Describe someone who may log in at once."""
    return {
        "username": name,
        "enabled": True,
        "email": f"{name}@example.org",
        "emailVerified": True,
        "firstName": name,
        "lastName": "Example",
        "credentials": [{"type": "password", "value": password, "temporary": False}],
        "groups": groups,
    }


def client(name: str, *, secret: str = "", for_mlflow: bool = True) -> dict[str, Any]:
    """Describe a client; with a secret it is confidential. Only a mapper names MLflow as an audience of its tokens."""

    def mapper(kind: str, **config: str) -> dict[str, Any]:
        used = {"access.token.claim": "true", **config}
        return {"name": kind, "protocol": "openid-connect", "protocolMapper": kind, "config": used}

    groups = {"claim.name": "groups", "full.path": "true", "id.token.claim": "true"}
    mappers = [mapper("oidc-group-membership-mapper", **groups)]
    if for_mlflow:
        mappers.append(mapper("oidc-audience-mapper", **{"included.custom.audience": "mlflow"}))
    kind = {"secret": secret, "serviceAccountsEnabled": True} if secret else {"publicClient": True}
    return {
        "clientId": name,
        "directAccessGrantsEnabled": True,
        "standardFlowEnabled": False,
        "protocolMappers": mappers,
        **kind,
    }


def realm(name: str, secret: str, password: str) -> dict[str, Any]:
    """Describe a realm: people with groups, two clients of MLflow's and one of something else."""
    top = [{"name": each} for each in ("admin", "data", "ops")]
    projects = [{"name": each.rpartition("/")[2]} for each in PEOPLE["many"]]
    people = {**PEOPLE, **({each: ["/data"] for each in CROWD} if name == REALMS[0] else {})}
    program = {"username": f"{PROGRAM}mlflow", "enabled": True, "serviceAccountClientId": "mlflow"}
    return {
        "realm": name,
        "enabled": True,
        "editUsernameAllowed": True,
        "groups": [*top, {"name": DEPARTMENT, "subGroups": projects}],
        "users": [
            *(person(each, password, groups) for each, groups in people.items()),
            {**program, "groups": ["/ops"]},
        ],
        "clients": [client("mlflow", secret=secret), client("mlflow-cli"), client("grafana", for_mlflow=False)],
    }


@dataclass(frozen=True)
class Keycloak:
    """The Keycloak of a namespace, reached at a port of this machine."""

    namespace: str
    port: int
    tls: Certified
    secret: str
    password: str
    admin: str

    def request(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, Any]:
        context = ssl.create_default_context(cadata=self.tls.authority)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, {"Host": f"{host(self.namespace)}:8443", **given})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text[:1] in ("{", "[") else text

    def grant(self, realm: str = "nebari", client: str = "mlflow-cli", **fields: str) -> Any:
        """Ask for tokens as a client does."""
        form = {"client_id": client, **({"client_secret": self.secret} if client == "mlflow" else {}), **fields}
        path = f"/realms/{realm}/protocol/openid-connect/token"
        kind = "application/x-www-form-urlencoded"
        status, found = self.request("POST", path, urlencode(form), Content_Type=kind)
        assert status == 200, found
        return found

    def login(self, name: str, realm: str = "nebari", client: str = "mlflow-cli", password: str = "") -> Any:
        """Return a person's tokens: access, refresh and ID token."""
        given = {"username": name, "password": password or self.password, "scope": "openid"}
        return self.grant(realm, client, grant_type="password", **given)

    def token(self, name: str, realm: str = "nebari", client: str = "mlflow-cli") -> str:
        return str(self.login(name, realm, client)["access_token"])

    def token_of_program(self) -> str:
        return str(self.grant(client="mlflow", grant_type="client_credentials")["access_token"])

    def token_of_admin(self) -> str:
        return str(self.login("admin", "master", "admin-cli", self.admin)["access_token"])

    def certificates(self, realm: str = "nebari") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.request("GET", f"/realms/{realm}/protocol/openid-connect/certs")[1]["keys"]
        return found

    def manage(self, method: str, path: str, body: Any = None, realm: str = "nebari") -> Any:
        """Use the API of Keycloak's administrators."""
        given = {"Authorization": f"Bearer {self.token_of_admin()}", "Content-Type": "application/json"}
        text = "" if body is None else json.dumps(body)
        status, found = self.request(method, f"/admin/realms/{realm}{path}", text, **given)
        assert status < 300, (status, found)
        return found

    def id_of(self, name: str, realm: str = "nebari") -> str:
        if name.startswith(PROGRAM):  # it is no user whom a search finds
            (client,) = self.manage("GET", f"/clients?clientId={name.removeprefix(PROGRAM)}", realm=realm)
            found = self.manage("GET", f"/clients/{client['id']}/service-account-user", realm=realm)
        else:
            (found,) = self.manage("GET", f"/users?exact=true&username={name}", realm=realm)
        return str(found["id"])

    def create(self, name: str, *groups: str, realm: str = "nebari") -> str:
        """Create someone, and return the id, which is never given again."""
        self.manage("POST", "/users", person(name, self.password, list(groups)), realm)
        return self.id_of(name, realm)

    def rename(self, name: str, new: str) -> None:
        path = f"/users/{self.id_of(name)}"
        self.manage("PUT", path, {**self.manage("GET", path), "username": new})

    def delete(self, name: str, realm: str = "nebari") -> None:
        self.manage("DELETE", f"/users/{self.id_of(name, realm)}", realm=realm)

    def join(self, name: str, group: str, *, leave: bool = False) -> None:
        (found,) = [each for each in self.manage("GET", f"/groups?search={group}") if each["name"] == group]
        self.manage("DELETE" if leave else "PUT", f"/users/{self.id_of(name)}/groups/{found['id']}")

    def add_key(self) -> str:
        """Add a key that signs from now on. The one before still counts."""
        number = len(self.manage("GET", KEYS))
        config = {"priority": [str(200 + number)], "enabled": ["true"], "active": ["true"], "keySize": ["2048"]}
        kind = {"providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider"}
        home = self.manage("GET", "")["id"]
        self.manage("POST", "/components", {"name": "new", "parentId": home, "config": config, **kind})
        return str(self.manage("GET", "/keys")["active"]["RS256"])

    def withdraw_first_key(self) -> None:
        listed = self.manage("GET", KEYS)
        (first,) = [each for each in listed if each["providerId"] == "rsa-generated" and each["name"] != "new"]
        first["config"] |= {"active": ["false"], "enabled": ["false"]}
        self.manage("PUT", f"/components/{first['id']}", first)

    def stop(self) -> None:
        kubectl("-n", self.namespace, "delete", "pod", "keycloak", "--grace-period=1", "--timeout=120s")


@contextmanager
def keycloak(namespace: str) -> Iterator[Keycloak]:
    """Run a Keycloak in a namespace that the caller removes; its authority is in the ConfigMap `authority`."""
    image, tls = built("keycloak"), certified(host(namespace))
    secret, password, admin = (secrets.token_hex(16) for _ in range(3))
    realms = {f"{name}-realm.json": json.dumps(realm(name, secret, password)) for name in REALMS}

    def of_secret(name: str, data: dict[str, str]) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}

    items: list[Any] = [
        of_secret("keycloak", {"admin": admin}),
        of_secret("keycloak-tls", {"tls.crt": tls.certificate, "tls.key": tls.key}),
        of_secret("keycloak-realms", realms),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "authority"},
            "data": {"ca.crt": tls.authority},
        },
    ]
    kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    given = {"image": image, "address": address(namespace), "realm": REALMS[-1]}
    objects = Template((HERE / "keycloak.yaml").read_text()).substitute(given)
    kubectl("-n", namespace, "apply", "-f", "-", stdin=objects)
    try:
        kubectl("-n", namespace, "wait", "pod/keycloak", "--for=condition=Ready", f"--timeout={START_SECONDS}s")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{kubectl('-n', namespace, 'logs', 'keycloak', '--tail=40')}") from error
    with forwarded(namespace, "pod/keycloak", 8443) as port:
        yield Keycloak(namespace, port, tls, secret, password, admin)
