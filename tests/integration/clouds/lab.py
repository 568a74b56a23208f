"""A simulated account, and the role that works on it, run in this process."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress

from tests.simulators.http import Request, Response
from tests.simulators.proxy import Fault, Proxy

from . import role
from .play import Played, environment, play

HERE = Path(__file__).parent
PROJECT, NAMESPACE = "My_demo", "dev"
FAULTS = ("before", "after", "throttled", "broken", "conflict")


class Denied(Exception):
    """A cloud does not let a pod use the storage, in its own words."""


def projected_token(issuer: str, namespace: str, account: str, audience: str) -> str:
    """Return a token such as a cluster projects into a pod; the simulators read it and do not check who signed it.

    https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#serviceaccount-token-volume-projection
    """
    claims = {"iss": issuer, "sub": f"system:serviceaccount:{namespace}:{account}", "aud": audience}
    parts = ({"alg": "RS256"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "signature"])


class Lab(ABC):
    """What the tests of all clouds need of one."""

    provider: str
    variables: dict[str, Any]  # of a play
    params: dict[str, Any]  # of the role, without the prefixes of their names
    most_reads: int  # calls of a run that has nothing to do
    storage: dict[str, Any]  # what the last deploy returned

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.cloud = proxy.cloud
        self.extra: dict[str, str] = {}  # more of the environment of a play

    @abstractmethod
    def reset(self) -> None:
        """Empty the account but for objects of other people."""

    @abstractmethod
    def others(self) -> Any:
        """Return all that other people have, comparable by ==."""

    @abstractmethod
    def environment(self) -> dict[str, str]: ...

    @abstractmethod
    def fault(self, kind: str, request: Request) -> Response:
        """Return what the cloud says when it is throttled, broken or in conflict."""

    @abstractmethod
    def denial(self, action: str, request: Request) -> Response:
        """Return what the cloud says without the permission `action`."""

    @abstractmethod
    def drifts(self) -> dict[str, Callable[[], Any]]:
        """Return ways in which somebody spoils a setting, by the name of the field that is repaired."""

    @abstractmethod
    def owned(self) -> dict[str, Callable[[str], Any]]:
        """Return for each kind of object that carries an owner how to give ours to another one."""

    @abstractmethod
    def store(self) -> None:
        """Put data into the storage, so that deleting it takes more than one call."""

    @abstractmethod
    def has_data(self) -> bool: ...

    @abstractmethod
    def handed_over(self) -> dict[str, Any]:
        """Return the storage that the role must return for what there is."""

    @abstractmethod
    def slow(self, seconds: float) -> None:
        """Let each grant and trust take so long to work, from now on."""

    @abstractmethod
    def use(self, namespace: str, account: str, issuer: str = "") -> None:
        """Write, read and delete an artifact as a pod of that service account would, or raise Denied."""

    @abstractmethod
    def duplicates(self) -> int:
        """Return how many objects of this deployment exist beyond the ones that are used."""

    def converge(self, check: bool = False, progress: Path | None = None, **changed: Any) -> dict[str, Any]:
        common = {"adopt": "", "state": "present", "delete_data": False, "project": PROJECT, "namespace": NAMESPACE}
        self.cloud.calls.clear()
        params = {**common, **self.params, **changed}
        shown = Progress(str(progress) if progress else None, PROJECT)
        done = role.converge(self.provider, params, check, shown)
        if params["state"] == "present":
            self.storage = done["storage"]
        return done

    def send(self, method: str, url: str, **options: Any) -> requests.Response:
        """Call the cloud as a pod's client would."""
        answered = requests.request(
            method,
            url,
            proxies={"https": self.proxy.url},
            verify=str(self.proxy.authority.bundle),
            timeout=30,
            **options,
        )
        if answered.status_code >= 400:
            raise Denied(f"{answered.status_code}: {answered.text}")
        return answered

    def play(self, *flags: str, **variables: Any) -> Played:
        self.cloud.calls.clear()
        names = {"mlflow_project_name": PROJECT, "mlflow_namespace": NAMESPACE}
        return play(
            self.provider, {**self.environment(), **self.extra}, {**names, **self.variables, **variables}, *flags
        )

    def inject(self, kind: str, nth: int) -> Fault:
        """Break the call number `nth` of the next run, once."""
        seen = [0]

        def match(_: Request) -> bool:
            seen[0] += 1
            return seen[0] == nth + 1

        fault = Fault(match, kind if kind in ("before", "after") else lambda request: self.fault(kind, request))
        self.cloud.faults.append(fault)
        return fault

    def deny(self, action: str) -> None:
        """Take one permission away until the faults are cleared."""
        self.cloud.faults.append(
            Fault(
                lambda request: self.cloud.name(request)[0] == action,
                lambda request: self.denial(action, request),
                times=10**6,
            )
        )

    def before(self, action: str, happens: Callable[[], Any]) -> None:
        """Let something happen once, right before the next call of that action is carried out."""

        def interfere(request: Request) -> Response:
            happens()
            return self.cloud.app(request)

        self.cloud.faults.append(Fault(lambda request: self.cloud.name(request)[0] == action, interfere))

    def kill_at(self, nth: int, after: bool, **changed: Any) -> int:
        """Run the role in a process of its own and kill it at its write number `nth`; return the exit code."""
        params = {"adopt": "", "state": "present", "delete_data": False, "project": PROJECT, "namespace": NAMESPACE}
        self.cloud.calls.clear()
        child = subprocess.Popen(
            [
                sys.executable,
                str(HERE / "converge.py"),
                self.provider,
                json.dumps({**params, **self.params, **changed}),
            ],
            env={**environment(self.environment()), "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        writes = [0]

        def match(request: Request) -> bool:
            writes[0] += self.cloud.name(request)[1]
            if writes[0] != nth + 1:
                return False
            os.kill(child.pid, signal.SIGKILL)
            return True

        self.cloud.faults.append(Fault(match, "after" if after else "before"))
        code = child.wait(timeout=120)
        self.cloud.faults.clear()
        return code
