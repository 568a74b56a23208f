"""What a server's first answer means, before anything is read or written."""

from __future__ import annotations

from http import HTTPStatus

KEYS = (
    "Put MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, into a Secret or a file, and "
    "name it with --secret or --credentials (mlflow_adopt_from.secret, mlflow_adopt_from.credentials)."
)
ADDRESS = "Give the address that MLFLOW_TRACKING_URI would have, as a pod of this namespace reaches it."
OLDEST = (1, 28)


def judge(status: int, kind: str, url: str) -> tuple[str, str]:
    """Return cause and fix; empty if MLflow answered."""
    is_json = kind.partition(";")[0].strip() == "application/json"
    if status == HTTPStatus.OK and is_json:
        return "", ""
    if status == HTTPStatus.UNAUTHORIZED:
        return f"The server at {url} wants a login, and refused the one it got (401).", KEYS
    if status == HTTPStatus.FORBIDDEN:
        return f"The server at {url} does not let this user read its experiments (403).", KEYS
    if status == HTTPStatus.OK or HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"The server at {url} answered with a page and not as MLflow does: a login stands before it.", (
            "Give an address behind the login, such as http://SERVICE.NAMESPACE.svc:5000."
        )
    if status == HTTPStatus.NOT_FOUND:
        return f"There is no MLflow at {url} that can search experiments (404): it needs MLflow 1.28 or later.", ADDRESS
    return f"The server at {url} answered {status} to a search for experiments.", ADDRESS
