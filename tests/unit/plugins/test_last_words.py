"""What a failed smoke test shows of the servers' logs and of what is open: tables, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ApiError
from ansible_collections.nebari.mlflow.plugins.module_utils.health import last_words

Object = dict[str, Any]
TIMEOUT = 'botocore.exceptions.ConnectTimeoutError: Connect timeout on endpoint URL: "http://minio.storage.svc/b/x"'
REFUSED = "boto3.exceptions.S3UploadFailedError: Failed to upload x: (NoSuchBucket) the bucket does not exist"
LOG = f"""2026/11/27 00:02:40 INFO: started
Traceback (most recent call last):
  File "urllib3/connection.py", line 1
TimeoutError: timed out
During handling of the above exception, another exception occurred:
{TIMEOUT}
2026/11/27 00:02:47 ERROR: Exception in ASGI application
2026/11/27 00:02:48 INFO: "PUT /x HTTP/1.1" 500
"""


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (LOG, ["TimeoutError: timed out", TIMEOUT]),
        (LOG * 3, ["TimeoutError: timed out", TIMEOUT]),
        (LOG + REFUSED, ["TimeoutError: timed out", TIMEOUT, REFUSED]),
        ("a\nERROR: no such file\nb", ["ERROR: no such file"]),
        ("INFO: 0 errors\nINFO: Error is a word here", []),
        ("redis.ConnectionError: redis://:hidden@host:6379", ["redis.ConnectionError: redis://:***@host:6379"]),
        ("", []),
    ],
)
def test_the_last_errors_of_a_log(log: str, expected: list[str]) -> None:
    assert last_words.errors(log) == expected


LABELS = {"app": "server"}
SERVER: Object = {
    "kind": "Deployment",
    "metadata": {"name": "server"},
    "spec": {"selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": {**LABELS, "version": "1"}}}},
}


def policy(name: str, labels: Object, port: int) -> Object:
    rule = {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [{"port": port}]}
    return {
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": labels}, "egress": [rule]},
    }


class Server:
    """Stands for `Api`: one pod, its log, and a policy that was changed by hand."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses

    def request(self, _method: str, _path: str, **_: Any) -> Object:
        self._check()
        return {"items": [{"metadata": {"name": "server-1"}, "spec": {"containers": [{"name": "main"}]}}]}

    def text(self, _path: str, query: Object) -> str:
        self._check()
        assert query["container"] == "main"
        return LOG

    def find(self, _path: str) -> Object:
        self._check()
        return policy("server", LABELS, 9000)

    def _check(self) -> None:
        if self.refuses:
            raise ApiError(403, {}, "not for you")


OBJECTS = [SERVER, policy("server", LABELS, 443), policy("other", {"app": "other"}, 25)]


def test_failed_test_shows_server_errors_and_open_ways() -> None:
    api: Any = Server()
    assert last_words.explain(api, "dev", OBJECTS).splitlines() == [
        "The last errors of Pod/server-1:",
        "  TimeoutError: timed out",
        f"  {TIMEOUT}",
        "NetworkPolicy/server lets it reach:",
        "  TCP 9000 to 10.0.0.1/32",
    ]


def test_what_may_not_be_read_hides_nothing_else() -> None:
    api: Any = Server(refuses=True)
    assert last_words.explain(api, "dev", OBJECTS).splitlines() == [
        "NetworkPolicy/server lets it reach:",
        "  TCP 443 to 10.0.0.1/32",
    ]
