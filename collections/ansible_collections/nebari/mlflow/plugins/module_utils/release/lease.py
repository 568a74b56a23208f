# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""A Lease that makes deploys of one release take turns.

All times are the API server's. A holder renews every 5 s; one that did not for 15 s has lost it. A holder that was
killed on this host is recognised by its pid at once, without waiting.
"""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..errors import ApiError, Busy, ReleaseError
from ..kube.times import parse_time
from ..supervise.process import Process, host_id

if TYPE_CHECKING:
    from ..kube.api import Api, Json
    from ..supervise.progress import Progress

DURATION = 15  # seconds without a renewal, until another run may take over
BETWEEN_TASKS = 120  # seconds that it lasts while another collection's module works and nobody renews it
RENEW_EVERY = 5.0  # seconds
ORPHAN_GRACE = 40.0  # how long a run whose play was killed may take to notice and to stop
NOT_FOUND, CONFLICT = 404, 409
PREFIX = "mlflow.nebari.dev/"
STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Holder:
    """The identity that this process writes into the Lease."""

    identity: str
    host: str
    process: Process
    controller: Process | None  # the ansible-playbook that wants the result

    @classmethod
    def here(cls, controller: Process | None, *, of_play: bool = False) -> Holder:
        """Return this process, or with `of_play` the play if it is known: all its tasks are the same holder then."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            user = str(os.getuid())
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        process = controller if of_play and controller and host_id() else Process.of(os.getpid())
        identity = f"{user}@{socket.gethostname()} pid {process.pid} started {since}"
        return cls(identity, host_id(), process, controller)

    @property
    def is_play(self) -> bool:
        """Say if a whole play holds the Lease, and not one of its tasks."""
        return self.process == self.controller

    def annotations(self) -> dict[str, str]:
        """Return the annotations by which the next run recognizes the holder."""
        marks = {"host": self.host, "process": str(self.process), "controller": str(self.controller or "")}
        return {PREFIX + name: value for name, value in marks.items()}

    def wrote(self, annotations: Json) -> bool:
        """Say if the annotations are this holder's."""
        return bool(self.host) and all(annotations.get(name) == value for name, value in self.annotations().items())


def judge(lease: Json | None, me: Holder, now: datetime) -> str:
    """Say whether a Lease is `free`, `stale` (its holder is dead), `ending` (its play is dead) or `held`."""
    spec = (lease or {}).get("spec") or {}
    if lease is None or not spec.get("holderIdentity"):
        return "free"
    marks = lease["metadata"].get("annotations") or {}
    if me.wrote(marks):
        return "free"  # our own write, whose answer was lost
    renewed = parse_time(str(spec.get("renewTime") or ""))
    if renewed is None or now - renewed > timedelta(seconds=int(spec.get("leaseDurationSeconds") or DURATION)):
        return "stale"
    if not me.host or marks.get(PREFIX + "host") != me.host:
        return "held"
    process = Process.parse(str(marks.get(PREFIX + "process", "")))
    if process is not None and not process.alive():
        return "stale"
    controller = Process.parse(str(marks.get(PREFIX + "controller", "")))
    return "ending" if controller is not None and not controller.alive() else "held"


def held_error(name: str, namespace: str, lease: Json, now: datetime) -> ReleaseError:
    """Return the refusal that says who holds the Lease, since when, and for how long."""
    spec = lease["spec"]
    renewed = parse_time(str(spec.get("renewTime") or ""))
    lasts = int(spec.get("leaseDurationSeconds") or DURATION)
    ago = f"{max(0, (now - renewed).total_seconds()):.0f} s ago" if renewed else "never"
    return Busy(
        f"Another deploy of {name} in namespace {namespace} is running: {spec['holderIdentity']}, "
        f"since {spec.get('acquireTime', 'an unknown time')}, last heard of {ago}.",
        f"Wait for it to end, or stop it; {lasts} s after it was last heard of, this run would take over.",
    )


class Lease:
    """Held inside `with`; given back in every case but kill -9, unless `stays` is set for the next task of the play."""

    def __init__(self, api: Api, name: str, namespace: str, progress: Progress, holder: Holder) -> None:
        self._api = api
        self._name, self._namespace = name, namespace
        self._folder = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{self._folder}/{name}"
        self._progress = progress
        self._me = holder
        self._stop = threading.Event()
        self._lost = ""
        self._lease: Json = {}
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self.took_over = ""
        self.stays = False
        self.lasts = BETWEEN_TASKS

    def refuse_if_held(self) -> None:
        """Wait for a run whose play was killed; raise when the Lease is someone's who is alive."""
        self._wait(self._api.find(self._path))

    def refuse_if_lost(self) -> None:
        """Raise when an earlier task of the play took the Lease, and it is another one's now."""
        found = self._api.find(self._path) if self._me.is_play else None
        if self._me.is_play and not (found and self._me.wrote(found["metadata"].get("annotations") or {})):
            self._lost = f"it was taken or removed {BETWEEN_TASKS} s after the last task of this play"
        self.check()

    def is_held_by_play(self) -> bool:
        """Whether an earlier task of the play took the Lease for those that follow."""
        return self._of_play() is not None

    def goes_on(self) -> bool:
        """Leave the Lease to the next task of the play, and for as long, if an earlier task took it for all of them."""
        found = self._of_play()
        if found is None:
            return False
        self.stays, self.lasts = True, int(found["spec"].get("leaseDurationSeconds") or BETWEEN_TASKS)
        return True

    def exists(self) -> bool:
        """Say if the Lease is there. Raises ApiError."""
        return self._api.find(self._path) is not None

    def __enter__(self) -> Lease:
        while not self._acquire():
            time.sleep(0.2)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        given_back = {"holderIdentity": None, "renewTime": None, "acquireTime": None}
        handed_on = {"renewTime": self._api.now().strftime(STAMP), "leaseDurationSeconds": self.lasts}
        try:
            self._write(handed_on if self.stays and self._me.is_play else given_back)
        except ReleaseError:
            self._lost = self._lost or "given back too late"  # it expires by itself

    def check(self) -> None:
        """Raise when the Lease was lost: another deploy may be working now."""
        if self._lost:
            raise Busy(f"The Lease {self._namespace}/{self._name} was lost: {self._lost}.", "Run it again.")

    def remove(self) -> None:
        """Delete the Lease of a release that is gone. Call it after the `with`."""
        version = self._lease["metadata"]["resourceVersion"]
        try:
            self._api.delete(self._path, body={"preconditions": {"resourceVersion": version}})
        except ApiError as error:
            if error.status != CONFLICT:  # else: taken by the next deploy already
                raise

    def _of_play(self) -> Json | None:
        found = self._api.find(self._path) if self._me.is_play else None
        if found is None or not found["spec"].get("holderIdentity"):
            return None
        return found if self._me.wrote(found["metadata"].get("annotations") or {}) else None

    def _wait(self, lease: Json | None) -> tuple[Json | None, str]:
        deadline = time.monotonic() + ORPHAN_GRACE
        while True:
            state = judge(lease, self._me, self._api.now())
            if state in {"free", "stale"}:
                return lease, state
            if lease is not None and (state == "held" or time.monotonic() > deadline):
                raise held_error(self._name, self._namespace, lease, self._api.now())
            self._progress.say("waiting for a run of a killed play to stop")
            time.sleep(0.5)
            lease = self._api.find(self._path)

    def _acquire(self) -> bool:
        found, state = self._wait(self._api.find(self._path))
        now = self._api.now().strftime(STAMP)
        spec: dict[str, Any] = {
            "holderIdentity": self._me.identity,
            "leaseDurationSeconds": DURATION,
            "acquireTime": now,
            "renewTime": now,
        }
        try:
            if found is None:
                metadata = {"name": self._name, "annotations": self._me.annotations()}
                body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
                self._lease = self._api.request("POST", self._folder, body=body)
            else:
                self.took_over = str(found["spec"].get("holderIdentity", "")) if state == "stale" else ""
                self._lease = found
                self._write(spec)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            return False
        return True

    def _write(self, changes: dict[str, Any]) -> None:
        """Replace the Lease as we last saw it; a conflict means that another deploy wrote it.

        Or that we did, and the answer was lost: then what is there is ours, and is written once more.
        """
        try:
            self._put(changes)
        except ApiError as error:
            there = self._api.find(self._path) if error.status == CONFLICT else None
            if there is None or not self._me.wrote(there["metadata"].get("annotations") or {}):
                raise
            self._lease = there
            self._put(changes)

    def _put(self, changes: dict[str, Any]) -> None:
        spec = {name: value for name, value in {**self._lease["spec"], **changes}.items() if value is not None}
        marks = {**(self._lease["metadata"].get("annotations") or {}), **self._me.annotations()}
        body = {**self._lease, "metadata": {**self._lease["metadata"], "annotations": marks}, "spec": spec}
        self._lease = self._api.request("PUT", self._path, body=body)

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self._stop.wait(RENEW_EVERY):
            try:
                self._write({"renewTime": self._api.now().strftime(STAMP)})
                renewed = time.monotonic()
            except ApiError as error:
                if error.status in {CONFLICT, NOT_FOUND}:
                    self._lost = f"it was taken or removed ({error.message})"
                    return
            except ReleaseError:
                pass
            if time.monotonic() - renewed > DURATION:
                self._lost = f"it could not be renewed for {DURATION} s"
                return
