"""Keep MLflow's own store of users and permissions in step with who comes.

MLflow decides what a person may do. It needs to know three things: that the person exists, who is an administrator,
and what belongs to a team. Nobody logs in with a password of this store: each gets a random one that is thrown away.
"""

from __future__ import annotations

import configparser
import functools
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from nebari_mlflow_server.people import Person, current

REFRESH_SECONDS = 300.0
"""How long a worker trusts that it has written what it knows about a person."""

OUTSIDE = "outside:"
"""Prefix of the role that everyone has who is not in a team. It denies what belongs to the team."""

_EXISTS = "RESOURCE_ALREADY_EXISTS"


def configure(default_permission: str) -> None:
    """Tell MLflow's authentication where its tables are. It reads a file, once, when it is imported."""
    settings = configparser.ConfigParser()
    settings["mlflow"] = {
        "default_permission": default_permission,
        "database_uri": os.environ["MLFLOW_BACKEND_STORE_URI"].replace("%", "%%"),
        "authorization_function": f"{__name__}:authenticate",
    }
    file, path = tempfile.mkstemp(suffix=".ini", prefix="mlflow-auth-")
    with os.fdopen(file, "w", encoding="utf-8") as writing:
        settings.write(writing)
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = path
    # No administrator with a password is created: administrators are people of a group.
    os.environ["_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED"] = "true"


def authenticate() -> Any:
    """MLflow's `authorization_function`: the person whom the middleware has found."""
    from flask import Response
    from werkzeug.datastructures import Authorization

    person = current.get()
    if person is None:
        return Response("Not authenticated.", 401)
    return Authorization("basic", {"username": person.name, "password": ""})


class Members:
    """The people whom this worker has seen."""

    def __init__(
        self, store: Any, workspace: str, teams: Sequence[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.store, self.workspace, self.teams, self.clock = store, workspace, tuple(teams), clock
        self._written: dict[str, tuple[float, Person]] = {}
        self._roles: dict[str, int] = {}

    def admit(self, person: Person) -> None:
        """Write what MLflow must know about a person before the first request is served. Idempotent."""
        written = self._written.get(person.name)
        is_new = not self.store.has_user(person.name)  # also if an administrator has deleted the user
        if not is_new and written and written[1] == person and self.clock() - written[0] < REFRESH_SECONDS:
            return
        if is_new:
            _once(lambda: self.store.create_user(person.name, secrets.token_urlsafe(48), is_admin=person.is_admin))
        user = self.store.get_user(person.name)
        # Of a person whose groups this credential does not tell, what another one told stays true.
        if is_new or person.groups is not None:
            if user.is_admin != person.is_admin:
                self.store.update_user(person.name, is_admin=person.is_admin)
            self._keep_out(user, person.groups or frozenset())
        self._written[person.name] = (self.clock(), person)

    def _keep_out(self, user: Any, groups: frozenset[str]) -> None:
        """Give the person the role of the outsiders of every other team, and take back that of the person's own."""
        has = self._outside(user)
        for team in self.teams:
            if team not in groups and team not in has:
                _once(functools.partial(self.store.assign_role_to_user, user.id, self.role(team)))
            elif team in groups and team in has:
                self.store.unassign_role_from_user(user.id, has[team])

    def _outside(self, user: Any) -> dict[str, int]:
        """The teams that the person is not in, with the role that says so."""
        roles = self.store.list_user_roles(user.id) if self.teams else []
        return {role.name.removeprefix(OUTSIDE): role.id for role in roles if role.name.startswith(OUTSIDE)}

    def role(self, team: str) -> int:
        """Return the role of a team's outsiders; create it if it does not exist."""
        if team not in self._roles:
            name = OUTSIDE + team
            text = f"Everyone who is not in {team}. Denies what belongs to the team."
            _once(lambda: self.store.create_role(name, self.workspace, text))
            self._roles[team] = self.store.get_role_by_name(self.workspace, name).id
        return self._roles[team]

    def keep(self, resource_type: str, resource: str) -> None:
        """Deny what the current person has just created to everyone outside the person's team.

        Of several teams it is the first of the configuration. Without a team it is everyone's.
        """
        person = current.get()
        if person is None or not self.teams:
            return
        outside = self._outside(self.store.get_user(person.name))
        team = next((team for team in self.teams if team not in outside), "")
        if team:
            role = self.role(team)
            _once(lambda: self.store.add_role_permission(role, resource_type, resource, "DENY"))


def _once(create: Callable[[], Any]) -> None:
    """Create something unless another worker did so meanwhile."""
    try:
        create()
    except Exception as error:  # MLflow's
        if getattr(error, "error_code", "") != _EXISTS:
            raise


def keep_new_ones(flask_app: Any, members: Members) -> None:
    """Have what a member of a team creates belong to the team, before the answer is sent."""
    from flask import request

    def created(path: str, answer: dict[str, Any]) -> tuple[str, str] | None:
        if path.endswith("/mlflow/experiments/create"):
            return "experiment", str(answer["experiment_id"])
        if path.endswith("/mlflow/registered-models/create"):
            model = answer["registered_model"]
            tags = {tag.get("key"): tag.get("value") for tag in model.get("tags", [])}
            kind = "prompt" if str(tags.get("mlflow.prompt.is_prompt", "")).lower() == "true" else "registered_model"
            return kind, str(model["name"])
        return None

    def after(response: Any) -> Any:
        if request.method == "POST" and response.status_code == 200 and members.teams:
            found = created(request.path, response.get_json(silent=True) or {}) if response.is_json else None
            if found:
                members.keep(*found)
        return response

    flask_app.after_request(after)
