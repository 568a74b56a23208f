"""Tokens of a real Keycloak get in through the public address, with the groups that it gives; other tokens do not."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.identity.forged import (
    by_another_key,
    by_public_key,
    claims_of,
    key_id,
    unsigned,
    with_other_claims,
)
from tests.integration.identity.keycloak import CROWD, DEPARTMENT, Keycloak, issuer, keycloak
from tests.integration.identity.outside import logs_a_run
from tests.integration.nebari.edge.traefik import Edge, Response, edge
from tests.support import ROOT, Played, kubectl, play, run_pod

LONG = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
pytestmark = [pytest.mark.cluster, LONG]

NAMESPACE = f"keycloak-{os.getpid()}"
DOMAIN = "keycloak.example.org"
PROJECT = "door"
REMEMBER_SECONDS = 2
LEEWAY_SECONDS, PAUSE_SECONDS = 60, 5
"""How far clocks may differ, and the time between two looks for keys that are not known."""
AUTHORITY = "/mlflow/authority"
VARIABLES: dict[str, Any] = {
    "mlflow_provider": "local",
    "mlflow_project_name": PROJECT,
    "mlflow_namespace": NAMESPACE,
    "mlflow_domain": DOMAIN,
    "mlflow_route": {"type": "traefik"},
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
    "mlflow_access": {
        "mode": "users",
        "rememberSeconds": REMEMBER_SECONDS,
        "adminGroups": ["admin", "no-such-group"],
        "teams": ["no-such-team", "data"],
        "openid": [
            {"issuer": issuer(NAMESPACE, "nebari"), "audience": "mlflow"},
            {"issuer": issuer(NAMESPACE, "partner"), "clients": ["mlflow-cli"], "usernameClaim": "sub"},
        ],
    },
    "mlflow_overrides": {
        "tracking": {
            "workers": 2,
            "extraVolumes": [{"name": "authority", "configMap": {"name": "authority"}}],
            "extraVolumeMounts": [{"name": "authority", "mountPath": AUTHORITY, "readOnly": True}],
            "extraEnvVars": [{"name": "SSL_CERT_FILE", "value": f"{AUTHORITY}/ca.crt"}],
        }
    },
}
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
WHO = "/ajax-api/2.0/mlflow/users/current"


@dataclass(frozen=True)
class Here:
    """The deployment, and the Keycloak whose tokens it accepts."""

    edge: Edge
    keycloak: Keycloak
    played: Played

    def ask(self, token: str, path: str = SEARCH, body: Any = None, method: str = "") -> Response:
        text = None if body is None else json.dumps(body)
        return self.edge.request(f"/mlflow{path}", text, {"Authorization": f"Bearer {token}"}, method)

    def status(self, token: str) -> int:
        return self.ask(token).status

    def message(self, token: str, status: int = 401) -> str:
        answer = self.ask(token)
        assert answer.status == status, answer
        return str(json.loads(answer.body)["message"])

    def unavailable(self, token: str) -> str:
        """Wait until nobody can tell whose token it is, and return what is said then. Meanwhile it lets nobody in."""
        end = time.monotonic() + 60
        while "Nobody is let in unchecked" not in (answer := self.ask(token)).body:
            # 404 comes from Traefik, for as long as the server that restarts has no pod.
            assert answer.status in (401, 404, 502, 503), answer
            assert time.monotonic() < end, answer
            time.sleep(1)
        assert answer.status == 503
        return str(json.loads(answer.body)["message"])

    def who(self, token: str) -> dict[str, Any]:
        answer = self.ask(token, WHO)
        assert answer.status == 200, answer
        found: dict[str, Any] = json.loads(answer.body)["user"]
        return found

    def create(self, token: str, name: str) -> str:
        answer = self.ask(token, "/api/2.0/mlflow/experiments/create", {"name": name})
        assert answer.status == 200, answer
        return str(json.loads(answer.body)["experiment_id"])

    def may_read(self, token: str, experiment: str) -> int:
        return self.ask(token, f"/api/2.0/mlflow/experiments/get?experiment_id={experiment}").status

    def may_delete(self, token: str, experiment: str) -> int:
        """Try what only whoever manages an experiment may do."""
        body = {"experiment_id": experiment}
        return self.ask(token, "/api/2.0/mlflow/experiments/delete", body).status


@pytest.fixture(scope="module")
def here() -> Iterator[Here]:
    kubectl("create", "namespace", NAMESPACE)
    kubectl("-n", NAMESPACE, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    try:
        with keycloak(NAMESPACE) as made, edge(NAMESPACE, DOMAIN, wait=False) as front:
            played = play("mlflow", **VARIABLES)
            assert played.returncode == 0, played.failure
            found = Here(front, made, played)
            end = time.monotonic() + 60
            while found.status("none") != 401:
                assert time.monotonic() < end, "Traefik has no route"
                time.sleep(0.5)
            yield found
    finally:
        play("destroy", **VARIABLES)
        kubectl("delete", "namespace", NAMESPACE, "--wait=false", "--ignore-not-found")


# Who gets in


def test_person_and_program_log_runs_through_the_public_address(here: Here) -> None:
    """The program first: an experiment that alice creates belongs to her team."""
    program = logs_a_run(NAMESPACE, DOMAIN, "/mlflow", here.keycloak.token_of_program(), "program")
    assert program == ["service-account-mlflow", "hello", "service-account-mlflow"]
    alice = logs_a_run(NAMESPACE, DOMAIN, "/mlflow", here.keycloak.token("alice"), "person")
    assert alice == ["alice", "hello", "alice"]


def test_confidential_clients_tokens_name_the_same_person(here: Here) -> None:
    for client in ("mlflow", "mlflow-cli"):
        assert here.who(here.keycloak.token("bob", client=client))["username"] == "bob"


REFUSED: dict[str, tuple[Callable[[Keycloak], str], str]] = {
    "of a realm that is not named": (lambda each: each.token("alice", "foreign"), "are not accepted here"),
    "of Keycloak's administrator": (lambda each: each.token_of_admin(), "are not accepted here"),
    "for another audience": (lambda each: each.token("alice", client="grafana"), "audience 'mlflow'"),
    "of another client": (lambda each: each.token("alice", "partner", "grafana"), "another client than mlflow-cli"),
    "that is an ID token": (lambda each: each.login("alice", client="mlflow")["id_token"], "no access token"),
    "that is an ID token of a named client": (lambda each: each.login("alice", "partner")["id_token"], "no access"),
    "that is a refresh token": (lambda each: each.login("alice")["refresh_token"], "not with a public key"),
    "without a signature": (lambda each: unsigned(each.token("alice")), "not with a public key"),
    "signed by the public key": (
        lambda each: by_public_key(each.token("alice"), each.certificates())[0],
        "not with a public key",
    ),
    "signed by another key": (lambda each: by_another_key(each.token("alice")), "Signature"),
    "signed by an unknown key": (lambda each: by_another_key(each.token("alice"), "none"), "does not publish"),
    "with claims that were changed": (
        lambda each: with_other_claims(each.token("alice"), preferred_username="root", groups=["/admin"]),
        "Signature",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_token_is_refused_with_one_sentence(here: Here, kind: str) -> None:
    make, words = REFUSED[kind]
    token = make(here.keycloak)
    said = here.message(token)
    assert words in said
    assert said.endswith(".")
    assert ". " not in said
    assert not [part for part in token.split(".") if part and part in said]


def test_expired_token_is_refused_after_a_minute(here: Here) -> None:
    here.keycloak.manage("PUT", "", {"accessTokenLifespan": 1})
    try:
        token = here.keycloak.token("alice")
    finally:
        here.keycloak.manage("PUT", "", {"accessTokenLifespan": 300})
    expires = claims_of(token)["exp"]
    assert here.status(token) == 200
    while here.status(token) == 200:
        assert time.time() < expires + LEEWAY_SECONDS + REMEMBER_SECONDS + 10
        time.sleep(1)
    assert time.time() > expires + LEEWAY_SECONDS
    assert "it has expired" in here.message(token)


@pytest.mark.usefixtures("here")
def test_second_release_cannot_have_the_same_address() -> None:
    refused = play("mlflow", **{**VARIABLES, "mlflow_project_name": "second"})
    assert f"https://{DOMAIN}/mlflow/ is the address of the release '{PROJECT}-mlflow'" in refused.failure
    assert refused.changed == 0


# Groups


def test_groups_of_the_token_decide_what_one_may_do(here: Here) -> None:
    alice, bob, root = (here.keycloak.token(name) for name in ("alice", "bob", "root"))
    assert [here.who(token)["is_admin"] for token in (alice, bob, root)] == [False, False, True]
    own = here.create(alice, "of data")
    assert [here.may_read(token, own) for token in (alice, bob, root)] == [200, 403, 200]
    here.keycloak.join("bob", "data")
    assert here.may_read(here.keycloak.token("bob"), own) == 200
    here.keycloak.join("bob", "data", leave=True)
    assert here.may_read(here.keycloak.token("bob"), own) == 403


def test_groups_of_a_program_count(here: Here) -> None:
    here.keycloak.join("service-account-mlflow", "admin")
    assert here.who(here.keycloak.token_of_program())["is_admin"] is True
    here.keycloak.join("service-account-mlflow", "admin", leave=True)
    assert here.who(here.keycloak.token_of_program())["is_admin"] is False


def test_200_groups_fit_through_the_door(here: Here) -> None:
    token = here.keycloak.token("many")
    groups = claims_of(token)["groups"]
    assert (len(groups), f"/{DEPARTMENT}/project-199" in groups) == (200, True)
    assert here.who(token)["username"] == "many"


def test_fifty_people_work_for_a_minute_without_an_error(here: Here) -> None:
    tokens = json.dumps([here.keycloak.token(name) for name in CROWD])
    uri = f"http://{PROJECT}-mlflow-tracking.{NAMESPACE}.svc:5000"
    people = (ROOT / "benchmarks/people.py").read_text()
    given = [str(len(CROWD)), "60", "uploads"]
    said = run_pod(NAMESPACE, "people", people, *given, MLFLOW_TRACKING_URI=uri, MLFLOW_TOKENS=tokens)
    found = json.loads(said.splitlines()[-1])
    print(sum(found["answers"].values()), "requests; seconds of 95 of 100:", found["p95"])
    assert {answer.rpartition(" ")[2] for answer in found["answers"]} == {"200"}, found
    log = kubectl("-n", NAMESPACE, "logs", f"deploy/{PROJECT}-mlflow-tracking", "-c", "tracking")
    assert {name for name in CROWD if f'"user": "{name}"' in log} == set(CROWD)


# Who is whom


def test_renamed_person_is_another_one(here: Here) -> None:
    identity = here.keycloak.create("carol")
    own = here.create(here.keycloak.token("carol"), "of carol")
    here.keycloak.rename("carol", "caroline")
    token = here.keycloak.token("caroline")
    assert (claims_of(token)["sub"], here.who(token)["username"]) == (identity, "caroline")
    assert (here.may_read(token, own), here.may_delete(token, own)) == (200, 403)
    here.keycloak.rename("caroline", "carol")
    assert here.may_delete(here.keycloak.token("carol"), own) == 200


def test_new_person_of_an_old_name_inherits_until_the_user_is_deleted(here: Here) -> None:
    first = here.keycloak.create("dave")
    token = here.keycloak.token("dave")
    inherited, protected = (here.create(token, f"of dave {number}") for number in (1, 2))
    here.keycloak.delete("dave")
    assert here.keycloak.create("dave") != first
    token = here.keycloak.token("dave")
    assert here.may_delete(token, inherited) == 200
    root = here.keycloak.token("root")
    gone = here.ask(root, "/api/2.0/mlflow/users/delete", {"username": "dave"}, "DELETE")
    assert gone.status == 200, gone
    time.sleep(REMEMBER_SECONDS)
    for _ in range(10):  # of each worker
        assert here.may_read(token, protected) == 200
        assert here.may_delete(token, protected) == 403
    own = here.create(token, "of the new dave")
    assert here.may_delete(token, own) == 200


def test_new_person_inherits_nothing_where_the_claim_is_never_given_again(here: Here) -> None:
    first = here.keycloak.create("erin", realm="partner")
    token = here.keycloak.token("erin", "partner")
    assert here.who(token)["username"] == first
    own = here.create(token, "of the first erin")
    here.keycloak.delete("erin", "partner")
    second = here.keycloak.create("erin", realm="partner")
    token = here.keycloak.token("erin", "partner")
    assert (here.who(token)["username"], second == first) == (second, False)
    assert here.may_delete(token, own) == 403


# What an administrator of Keycloak, and time, change


def test_new_key_of_keycloak_counts_at_once_and_a_withdrawn_one_no_longer(here: Here) -> None:
    time.sleep(PAUSE_SECONDS)  # forged tokens of other tests made the server look for keys
    old = here.keycloak.token("alice")
    assert here.status(old) == 200
    name = here.keycloak.add_key()
    new = here.keycloak.token("alice")
    assert (key_id(new), key_id(old) != name) == (name, True)
    assert [here.status(new), here.status(old)] == [200, 200]
    here.keycloak.withdraw_first_key()
    token = here.keycloak.token("alice")
    assert key_id(token) == name
    end = time.monotonic() + 30
    while here.status(old) != 401:
        here.status(by_another_key(token, "unknown"))  # it makes a worker look again
        assert time.monotonic() < end
        time.sleep(1)
    time.sleep(PAUSE_SECONDS)
    assert here.status(token) == 200


def test_no_token_reaches_a_log(here: Here) -> None:
    token = here.keycloak.token("alice")
    here.status(token)
    here.message(by_another_key(token))
    log = kubectl("-n", NAMESPACE, "logs", f"deploy/{PROJECT}-mlflow-tracking", "-c", "tracking")
    assert '"user": "alice"' in log
    assert token.split(".")[1] not in log
    assert token.split(".")[2] not in log


def test_keycloak_that_is_stopped_means_503_and_never_open(here: Here) -> None:
    """Last, since it takes Keycloak away."""
    known = here.keycloak.token("alice")
    time.sleep(PAUSE_SECONDS)
    assert here.status(known) == 200
    here.keycloak.add_key()
    new = here.keycloak.token("alice")  # signed by a key that the server has not seen yet
    here.keycloak.stop()
    said = here.unavailable(new)
    assert f"{issuer(NAMESPACE, 'nebari')} does not answer" in said
    assert here.status(known) == 200  # its key is known
    kubectl("-n", NAMESPACE, "rollout", "restart", f"deploy/{PROJECT}-mlflow-tracking")
    kubectl("-n", NAMESPACE, "rollout", "status", f"deploy/{PROJECT}-mlflow-tracking", "--timeout=240s")
    assert "does not answer" in here.unavailable(known)  # a new server knows no keys, and starts nevertheless
