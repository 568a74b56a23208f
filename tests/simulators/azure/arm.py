"""The Resource Manager: what it keeps of one subscription, and what it does itself for every resource provider."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..http import Request, Response, answer
from .clouds import PUBLIC, Hosts

if TYPE_CHECKING:
    from .grants import Grant

GROUP = r"/subscriptions/([^/]+)/resourcegroups/([^/]+)"
LOCATIONS = {"westeurope", "eastus", "centralus"}
DEPLOYER = "deployer"
TOKEN = "a-token"
# https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations
TAGS, TAG_KEY, TAG_VALUE = 50, 128, 256  # a storage account's keys are shorter than others'
TAG_REFUSED = re.compile(r"[<>%&\\?/]")


class Refused(Exception):
    """An error in the Resource Manager's envelope.

    https://learn.microsoft.com/azure/azure-resource-manager/management/common-error-codes
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        self.response = answer(status, {"error": {"code": code, "message": message}})
        super().__init__(message)


@dataclass
class Operation:
    """A long operation: `looks` answers of 202, then `end` happens and `final` is the answer.

    https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
    """

    looks: int
    end: Callable[[], Response]


@dataclass
class Arm:
    """One subscription, by lower-case resource ids.

    For `lag` reads a new identity is unknown to its own provider, and then to role assignments. A new credential works
    `settle` seconds after it was written; whoever asks earlier waits `settle` seconds more. A new role assignment works
    after `settle` seconds too.
    """

    subscription: str
    hosts: Hosts = PUBLIC
    lag: int = 0
    settle: float = 0.0
    page: int = 100  # entries of a list in one answer
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # of storage accounts, which are global
    hidden: dict[str, int] = field(default_factory=dict)  # reads for which an id is not there yet
    unknown_for: dict[str, int] = field(default_factory=dict)  # role assignments that do not know a principal yet
    deleting: dict[str, int] = field(default_factory=dict)  # attempts for which a name cannot be used again
    operations: dict[str, Operation] = field(default_factory=dict)
    unregistered: set[str] = field(default_factory=set)  # provider namespaces
    linked_denied: set[str] = field(default_factory=set)  # permissions on other people's resources
    grants: list[Grant] | None = None  # what the deployer may do; None is everything
    fails: tuple[str, str] | None = None  # code and message with which the next long operation ends
    since: dict[str, float] = field(default_factory=dict)  # when an id was written
    missed: dict[str, float] = field(default_factory=dict)  # until when a credential is remembered as unknown
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)  # token -> who, for what
    lock: threading.RLock = field(default_factory=threading.RLock)

    def clear(self) -> None:
        for everything in (self.resources, self.names, self.hidden, self.unknown_for, self.deleting, self.operations):
            everything.clear()
        for more in (self.unregistered, self.linked_denied, self.since, self.missed, self.tokens):
            more.clear()
        self.hosts, self.lag, self.settle, self.page, self.fails, self.grants = PUBLIC, 0, 0.0, 100, None, None

    def get(self, request: Request, code: str = "ResourceNotFound") -> dict[str, Any]:
        path = request.path.lower()
        self.group(path)
        if self.hidden.get(path, 0) > 0:
            self.hidden[path] -= 1
        elif path in self.resources:
            return self.resources[path]
        raise Refused(404, code, f"The Resource '{request.path}' was not found.")

    def group(self, path: str) -> None:
        """Refuse what is in a group that does not exist."""
        group = re.match(GROUP, path)
        if group and group.group() not in self.resources:
            raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group[2]}' could not be found.")

    def parent(self, request: Request, path: str) -> dict[str, Any]:
        """Return the resource that a child is written to; one that is new may not be known yet."""
        if self.hidden.get(path, 0) > 0 or path not in self.resources:
            self.hidden[path] = max(self.hidden.get(path, 0) - 1, 0)
            said = f"Failed to perform 'write' on '{request.path}', because the parent resource could not be found."
            raise Refused(404, "ParentResourceNotFound", said)
        return self.resources[path]

    def put(self, request: Request, kind: str, resource: dict[str, Any]) -> dict[str, Any]:
        self.group(request.path.lower())
        self.since[request.path.lower()] = time.monotonic()
        name = request.path.rpartition("/")[2]
        self.resources[request.path.lower()] = {"id": request.path, "name": name, "type": kind, **resource}
        return self.resources[request.path.lower()]

    def remove(self, path: str) -> None:
        for each in [each for each in self.resources if each == path or each.startswith(f"{path}/")]:
            del self.resources[each]

    def within(self, prefix: str) -> list[dict[str, Any]]:
        """Return what is directly below an id."""
        pattern = re.compile(re.escape(prefix) + "/[^/]+")
        return [each for path, each in self.resources.items() if pattern.fullmatch(path)]

    def paged(self, request: Request, entries: list[dict[str, Any]]) -> Any:
        """Answer a list: of a page's length, with the address of the next page.

        With short pages the first one is empty, as some are.
        https://learn.microsoft.com/rest/api/azure/#async-operations-throttling-and-paging
        """
        start = int(request.query.get("$skiptoken", -1 if self.page < len(entries) else 0))
        end = 0 if start < 0 else start + self.page
        listed: dict[str, Any] = {"value": entries[max(start, 0) : end]}
        if end < len(entries):
            address = re.sub(r"&(\$|%24)skiptoken=\d+", "", request.target)
            listed["nextLink"] = f"https://{request.host}{address}&$skiptoken={end}"
        return listed

    def later(self, request: Request, end: Callable[[], Response]) -> Response:
        """Answer 202; the operation ends at the second look."""
        name = uuid.uuid4().hex
        if self.fails is not None:
            code, message = self.fails
            self.fails = None
            failed = Refused(409, code, message).response
            end = lambda: failed  # noqa: E731
        self.operations[name] = Operation(1, end)
        address = f"https://{request.host}/subscriptions/{self.subscription}/operationresults/{name}"
        return Response(202, b"", {"Location": f"{address}?api-version=2023-05-01", "Retry-After": "1"})


def tagged(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """Return `new` as it is kept: names that differ in case are one, with the spelling that came first.

    https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources
    """
    if len(new) > TAGS:
        raise Refused(400, "InvalidTags", f"The number of tags {len(new)} is greater than the maximum {TAGS}.")
    spelling = {name.lower(): name for name in reversed([*old, *new])}
    kept: dict[str, str] = {}
    for name, value in new.items():
        if not isinstance(value, str):
            raise Refused(400, "InvalidRequestContent", f"The value of the tag '{name}' is not a string.")
        if not 0 < len(name) <= TAG_KEY or len(value) > TAG_VALUE or TAG_REFUSED.search(name):
            raise Refused(400, "InvalidTagNameCharacters", f"The tag name '{name}' or its value is not valid.")
        kept[spelling[name.lower()]] = value
    return kept


def placed(body: dict[str, Any]) -> str:
    """Return a location as it is kept; display names are taken too.

    https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-location-not-available
    """
    location = str(body["location"]).lower().replace(" ", "")
    if location not in LOCATIONS:
        said = f"The provided location '{body['location']}' is not available for resource type."
        raise Refused(400, "LocationNotAvailableForResourceType", said)
    return location


def known(body: Any, fields: set[str], required: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    """Refuse fields that the reference does not have or that only the service writes, and what lacks one it needs."""
    if not isinstance(body, dict) or set(body) - fields:
        raise Refused(501, "NotSimulated", f"fields {sorted(set(body) - fields)}")
    if required - set(body):
        raise Refused(400, "InvalidRequestContent", f"Missing fields: {sorted(required - set(body))}.")
    return body


def group_get(arm: Arm, request: Request, *_: str) -> Any:
    return arm.get(request)


def group_put(arm: Arm, request: Request, *_: str) -> Any:
    body = known(request.json(), {"location", "tags"}, {"location"})
    location = placed(body)
    old = arm.resources.get(request.path.lower())
    if old and old["location"] != location:
        said = f"The resource group already exists in location '{old['location']}'."
        raise Refused(409, "InvalidResourceGroupLocation", said)
    made = {"id": request.path, "name": request.path.rpartition("/")[2], "type": "Microsoft.Resources/resourceGroups"}
    tags = tagged({}, body.get("tags", {}))
    arm.resources[request.path.lower()] = {
        **made, "location": location, "tags": tags, "properties": {"provisioningState": "Succeeded"}
    }  # fmt: skip
    return answer(200 if old else 201, arm.resources[request.path.lower()])


def group_delete(arm: Arm, request: Request, *_: str) -> Any:
    path = request.path.lower()
    arm.get(request, "ResourceGroupNotFound")

    def end() -> Response:
        arm.remove(path)
        return Response(200)

    return arm.later(request, end)


def group_list(arm: Arm, request: Request, *_: str) -> Any:
    group = request.path.lower().removesuffix("/resources")
    arm.group(group)
    top = re.compile(re.escape(group) + r"/providers/[^/]+/[^/]+/[^/]+")
    return arm.paged(request, [each for path, each in arm.resources.items() if top.fullmatch(path)])


def poll(arm: Arm, _: Request, __: str, name: str) -> Response:
    operation = arm.operations[name]
    if operation.looks > 0:
        operation.looks -= 1
        return Response(202, b"", {"Retry-After": "1"})
    final = operation.end()
    operation.end = lambda: final
    return final


def snapshot(arm: Arm, prefix: str) -> Any:
    """Return all resources under an id, comparable by ==."""
    return json.loads(json.dumps({path: each for path, each in arm.resources.items() if path.startswith(prefix)}))
