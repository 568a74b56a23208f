# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Look at the pods, claims and events behind workloads that are not ready."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..errors import ApiError
from ..kube.times import parse_time
from . import backoff, mounts, probes, sidecars, workloads
from .podstate import is_ready, of_pod
from .problems import Patience, Problem, creation, job_failed
from .progress_line import waits_for
from .volume_claims import of_claim

if TYPE_CHECKING:
    from ..kube.objects import Object
    from ..release.session import Session

LOG_LINES = 12
CODE = "mlflow.nebari.dev/error-code"  # of the page about what a Job reports
TOUCH_EVERY = 8.0  # seconds
CLOCK_STEP = timedelta(seconds=2)


class Diagnosis:
    """Looks again and again while a deploy waits. The first look also sets right what an earlier run left."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._root = f"/api/v1/namespaces/{session.options.namespace}"
        self._since = session.api.now() - CLOCK_STEP
        self.patience = Patience()
        self._first = True
        self._touch_at = 0.0
        self._classes: list[Object] | None = None
        self._classes_read = 0.0

    def look(self, waiting: list[Object]) -> list[Problem]:
        """Return the problems behind the workloads, the most telling one first."""
        events = self._events()
        found: list[Problem] = []
        for item in waiting:
            found += self._of_workload(item, events)
        self.patience.note(found)
        self._first = False
        return sorted(found, key=lambda p: (not self.patience.is_lasting(p), p.grace is None, not p.cause))

    def explained(self, problem: Problem) -> Problem:
        """Return the problem with the last log lines of the container that shows it."""
        if not problem.log_of:
            return problem
        for previous in ("false", "true"):
            query = {"container": problem.log_of, "tailLines": LOG_LINES, "previous": previous}
            try:
                lines = self._session.api.text(f"{self._root}/pods/{problem.pod}/log", query).strip()
            except ApiError:
                continue
            if lines:
                return problem.with_log(lines)
        return problem

    def _of_workload(self, item: Object, events: list[Object]) -> list[Problem]:
        pods = self._pods(item)
        where = f"{item['kind']}/{item['metadata']['name']}"
        if workloads.has_failed(item):
            return [self._failed_job(item, where, pods)]
        unready = [pod for pod in pods if not is_ready(pod)]
        found = [
            probes.told(problem, pod, events, self._session.api.now()) for pod in unready for problem in of_pod(pod)
        ]
        found += [problem for pod in unready if (problem := mounts.of_pod(pod, events))]
        if item["kind"] == "Job":
            own = [str(container["name"]) for container in item["spec"]["template"]["spec"]["containers"]]
            found += [problem for pod in unready if (problem := sidecars.of_pod(pod, own))]
            found += [problem for pod in pods for problem in self._waiting(pod, own[0])]
        if self._first and item["kind"] != "Job":
            backoff.start_anew(self._session, [problem for problem in found if problem.stuck])
        if item["kind"] == "StatefulSet":
            backoff.replace_outdated(self._session, item, pods)
        message = self._creation_failure(item, pods, events)
        if message:
            found.insert(0, creation(where, message))
        return found + self._claims(pods, events)

    def _pods(self, item: Object) -> list[Object]:
        """The pods of a workload's newest template, in the order in which they were created."""
        selector = workloads.selector(item)
        if not selector:
            return []
        query = {"labelSelector": selector}
        pods: list[Object] = self._session.api.request("GET", f"{self._root}/pods", query=query)["items"]
        if item["kind"] == "Deployment":
            newest = self._newest_replica_set(item)
            label = (newest["metadata"].get("labels") or {}).get("pod-template-hash") if newest else None
            pods = [pod for pod in pods if pod["metadata"]["labels"].get("pod-template-hash") == label]
        return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def _newest_replica_set(self, item: Object) -> Object | None:
        path = f"/apis/apps/v1/namespaces/{self._session.options.namespace}/replicasets"
        found = self._session.api.request("GET", path, query={"labelSelector": workloads.selector(item)})["items"]
        revision = "deployment.kubernetes.io/revision"
        return max(found, key=lambda rs: int((rs["metadata"].get("annotations") or {}).get(revision, 0)), default=None)

    def _creation_failure(self, item: Object, pods: list[Object], events: list[Object]) -> str:
        """Why the controller creates no pod; at the first look that is an earlier run's trouble."""
        conditions = (item.get("status") or {}).get("conditions") or []
        told = [str(c.get("message")) for c in conditions if c["type"] == "ReplicaFailure" and c["status"] == "True"]
        if self._first and (told or (not pods and self._is_older(item))):
            owner = self._newest_replica_set(item) if item["kind"] == "Deployment" else item
            if owner is not None:
                backoff.retry_now(self._session, owner, item["kind"])
            return ""
        told += [str(e["message"]) for e in events if e.get("reason") == "FailedCreate" and _about(e, item)]
        return told[-1] if told else ""

    def _is_older(self, item: Object) -> bool:
        """Whether an earlier run made it."""
        made = parse_time(str(item["metadata"]["creationTimestamp"]))
        return made is not None and made < self._since

    def _failed_job(self, item: Object, where: str, pods: list[Object]) -> Problem:
        conditions = {c["type"]: c for c in item["status"]["conditions"]}
        last = pods[-1] if pods else None
        container = last["spec"]["containers"][0]["name"] if last else ""
        message = str(conditions["Failed"].get("message") or "")
        code = (item["metadata"].get("annotations") or {}).get(CODE, "")
        return job_failed(where, message, last["metadata"]["name"] if last else "", container, code)

    def _waiting(self, pod: Object, container: str) -> list[Problem]:
        """What a Job's pod that runs says that it waits for."""
        name = pod["metadata"]["name"]
        running = (pod.get("status") or {}).get("phase") == "Running"
        namespace = self._session.options.namespace
        line = waits_for(self._session.api, namespace, name, container) if running else ""
        return [Problem(f"Pod/{name}", "waiting", line)] if line else []

    def _claims(self, pods: list[Object], events: list[Object]) -> list[Problem]:
        names = [
            volume["persistentVolumeClaim"]["claimName"]
            for pod in pods
            if not pod["spec"].get("nodeName")
            for volume in pod["spec"].get("volumes") or []
            if "persistentVolumeClaim" in volume
        ]
        found = []
        for name in dict.fromkeys(names):
            claim = self._session.api.find(f"{self._root}/persistentvolumeclaims/{name}")
            if claim is None:
                continue
            if not claim["spec"].get("volumeName") and self._is_older(claim) and time.monotonic() > self._touch_at:
                # One touch can be too early: the scheduler may look before the claim has its class.
                self._touch_at = time.monotonic() + TOUCH_EVERY
                backoff.touch(self._session, f"{self._root}/persistentvolumeclaims/{name}")
            about = [event for event in events if _about(event, claim)]
            problem = of_claim(claim, self._storage_classes(), about)
            if problem:
                found.append(problem)
        return found

    def _storage_classes(self) -> list[Object] | None:
        """Read at most every 5 s; None when we may not."""
        if time.monotonic() - self._classes_read > 5:
            self._classes_read = time.monotonic()
            try:
                answer: dict[str, Any] = self._session.api.request("GET", "/apis/storage.k8s.io/v1/storageclasses")
                self._classes = answer["items"]
            except ApiError:
                self._classes = None
        return self._classes

    def _events(self) -> list[Object]:
        """The warnings since this wait began: an older one may be about what has been repaired since."""
        query = {"fieldSelector": "type=Warning", "limit": 500}
        try:
            items = self._session.api.request("GET", f"{self._root}/events", query=query)["items"]
        except ApiError:
            return []
        return sorted((e for e in items if (when := _time(e)) and when >= self._since), key=lambda e: str(_time(e)))


def _time(event: Object) -> Any:
    stamp = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return parse_time(str(stamp or event["metadata"].get("creationTimestamp") or ""))


def _about(event: Object, item: Object) -> bool:
    return bool((event.get("involvedObject") or {}).get("uid") == item["metadata"]["uid"])
