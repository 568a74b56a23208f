"""The words in which Google refuses."""

from __future__ import annotations

from typing import Any

from ..http import Request, Response, answer

DEPLOYER = "deployer@our-project-123.iam.gserviceaccount.com"


class Refused(Exception):
    """An error in the envelope of the service that answers.

    https://cloud.google.com/storage/docs/json_api/v1/status-codes and https://cloud.google.com/apis/design/errors
    """

    def __init__(self, status: int, message: str, reason: str = "", **metadata: str) -> None:
        self.status = status
        self.message = message
        self.reason = reason or NAMES.get(status, ("invalid", ""))[0]
        self.metadata = metadata
        super().__init__(message)

    def response(self, host: str) -> Response:
        error: dict[str, Any] = {"code": self.status, "message": self.message}
        if host.startswith("storage."):
            error["errors"] = [{"message": self.message, "domain": "global", "reason": self.reason}]
        else:
            error["status"] = NAMES.get(self.status, ("", "INVALID_ARGUMENT"))[1]
            if self.metadata:
                kind = "type.googleapis.com/google.rpc.ErrorInfo"
                error["details"] = [{"@type": kind, "reason": self.reason, "metadata": self.metadata}]
        return answer(self.status, {"error": error})


NAMES = {
    400: ("invalid", "INVALID_ARGUMENT"),
    401: ("authError", "UNAUTHENTICATED"),
    403: ("forbidden", "PERMISSION_DENIED"),
    404: ("notFound", "NOT_FOUND"),
    409: ("conflict", "ABORTED"),
    412: ("conditionNotMet", "FAILED_PRECONDITION"),
    501: ("notImplemented", "UNIMPLEMENTED"),
}


def denied(host: str, permission: str, target: str) -> Refused:
    """Return the refusal for a lack of `permission`, as each service words it."""
    if host.startswith("storage."):
        return Refused(
            403, f"{DEPLOYER} does not have {permission} access to the {target}. "
            f"Permission '{permission}' denied on resource (or it may not exist).",
        )  # fmt: skip
    return Refused(
        403, f"Permission '{permission}' denied on resource (or it may not exist).", "IAM_PERMISSION_DENIED",
        permission=permission,
    )  # fmt: skip


def known(body: Any, fields: set[str], required: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    """Refuse fields that the reference does not have or that only the service writes, and what lacks one it needs."""
    if not isinstance(body, dict) or set(body) - fields:
        raise Refused(501, f"not simulated: fields {sorted(set(body) - fields)}")
    if required - set(body):
        raise Refused(400, f"Required: {sorted(required - set(body))}", "required")
    return body


def query(request: Request, names: set[str]) -> None:
    if set(request.query) != names:
        raise Refused(501, f"not simulated: query {sorted(request.query)}")
