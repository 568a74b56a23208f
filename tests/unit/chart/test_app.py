"""What stands in front of MLflow: which locations it opens, whose pages may write, how many threads a store holds."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from nebari_mlflow_server import app, slots
from nebari_mlflow_server.locations import LocationError, Locations
from nebari_mlflow_server.origins import Origins, permitted
from nebari_mlflow_server.slots import Slots, waits_for_store

from tests.unit.chart.exchange import Exchange, fine

STORE = Locations("s3://bucket/path", ["gs://old/mlflow/", "file:///data/old"])
VOLUME = Locations("/mlflow/artifacts")
AZURE = Locations("wasbs://nebari-mlflow@account.blob.core.windows.net/mlflow")


@pytest.mark.parametrize(
    ("locations", "location"),
    [
        (STORE, "mlflow-artifacts:/7"),
        (STORE, "mlflow-artifacts:/"),
        (STORE, "mlflow-artifacts:/name of mine/ü"),
        (STORE, "s3://bucket/path"),
        (STORE, "s3://bucket/path/"),
        (STORE, "s3://bucket/path/7/0a/artifacts"),
        (STORE, "S3://bucket/path/7"),
        (STORE, "gs://old/mlflow/7"),
        (STORE, "/data/old/7"),
        (STORE, "file:///data/old/7"),
        (STORE, "file:/data/old/7"),
        (VOLUME, "/mlflow/artifacts/7/traces/1"),
        (VOLUME, "/mlflow//artifacts/7"),
        (VOLUME, "file:///mlflow/artifacts/7"),
        (AZURE, "wasbs://nebari-mlflow@account.blob.core.windows.net/mlflow/7"),
    ],
)
def test_locations_in_the_store_or_the_list_are_opened(locations: Locations, location: str) -> None:
    locations.check(location)


@pytest.mark.parametrize(
    ("locations", "location"),
    [
        (STORE, ""),
        (STORE, "gs://x/y"),
        (STORE, "s3://bucket"),
        (STORE, "s3://bucket/pathology"),
        (STORE, "s3://bucket-evil/path"),
        (STORE, "s3://bucket.evil.org/path"),
        (STORE, "s3://BUCKET/path"),
        (STORE, "s3://bucket@evil/path"),
        (STORE, "s3://user:pw@bucket/path"),
        (STORE, "s3://bucket:443/path"),
        (STORE, "s3://bucket//path/x"),
        (STORE, "s3:bucket/path"),
        (STORE, "s3:/bucket/path"),
        (STORE, "s3://bucket/path/../other"),
        (STORE, "s3://bucket/path/%2e%2e/other"),
        (STORE, "s3://bucket/path/%252e%252e/other"),
        (STORE, "s3://bucket/path/..%2fother"),
        (STORE, "s3://bucket/path/./x"),
        (STORE, "s3://bucket/path/x\\..\\..\\y"),
        (STORE, "s3://bucket/path/%5c..%5cy"),
        (STORE, "s3://bucket/path#/x"),
        (STORE, "s3://bucket/path?x=y"),
        (STORE, "s3://bucket/path/x%00"),
        (STORE, "s3://buck\net/path"),
        (STORE, " s3://bucket/path"),
        (STORE, "s3://[bucket/path"),
        (STORE, "gs://old/mlflowx"),
        (STORE, "/etc"),
        (STORE, "file:///proc/self/environ"),
        (STORE, "file://host/data/old"),
        (STORE, "//host/data/old"),
        (STORE, "file:///data/old/%2e%2e/%2e%2e/etc"),
        (STORE, "data/old"),
        (STORE, "mlflow-artifacts://other:5000/7"),
        (STORE, "mlflow-artifacts:/../x"),
        (STORE, "mlflow-artifacts:/%2e%2e/x"),
        (STORE, "mlflow-artifacts:7"),
        (STORE, "https://bucket/path"),
        (STORE, "runs:/1/model"),
        (STORE, "models:/m-1"),
        (VOLUME, "/mlflow/artifacts/../../etc"),
        (VOLUME, "/mlflow/artifacts-evil"),
        (VOLUME, "/mlflow/artifacts?x"),
        (VOLUME, "s3://mlflow/artifacts"),
        (AZURE, "wasbs://other@account.blob.core.windows.net/mlflow/7"),
        (AZURE, "wasbs://nebari-mlflow@other.blob.core.windows.net/mlflow/7"),
        (AZURE, "abfss://nebari-mlflow@account.blob.core.windows.net/mlflow/7"),
    ],
)
def test_every_other_location_is_refused_with_the_allowed_ones(locations: Locations, location: str) -> None:
    with pytest.raises(LocationError, match=r"not allowed: this server opens only mlflow-artifacts:/, .*") as refused:
        locations.check(location)
    assert locations.texts[-1] in str(refused.value)
    assert "tracking.artifactLocations" in str(refused.value)
    assert str(refused.value).isprintable()


class MlflowError(Exception):
    """Stands in for MLflow's exception, which the tests' environment has not."""

    @classmethod
    def invalid_parameter_value(cls, message: str) -> MlflowError:
        return cls(message)


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, Any]]:
    protos = SimpleNamespace(TEMPORARILY_UNAVAILABLE="TEMPORARILY_UNAVAILABLE")
    for name, module in {
        "mlflow": SimpleNamespace(),
        "mlflow.exceptions": SimpleNamespace(MlflowException=MlflowError),
        "mlflow.protos": SimpleNamespace(),
        "mlflow.protos.databricks_pb2": protos,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)

    class GCSArtifactRepository:
        def __init__(self, artifact_uri: str, tracking_uri: str | None = None) -> None:
            self.opened = (artifact_uri, tracking_uri)

    def resolve(proxied_artifact_root: str, relative_path: str | None = None) -> str:
        return proxied_artifact_root.partition(":/")[2] + (f"/{relative_path}" if relative_path else "")

    handlers = SimpleNamespace(
        _validate_storage_location_uri=lambda value, field_name: f"{field_name}={value}",
        _get_proxied_run_artifact_destination_path=resolve,
    )
    repositories: dict[str, Any] = dict.fromkeys(("gs", "s3", "runs"), GCSArtifactRepository)
    app.keep_to(STORE, handlers, repositories)
    return handlers, repositories


def test_a_client_s_location_is_checked_when_given(guarded: tuple[Any, dict[str, Any]]) -> None:
    validate = guarded[0]._validate_storage_location_uri
    assert validate("s3://bucket/path/7", "artifact_location") == "artifact_location=s3://bucket/path/7"
    with pytest.raises(MlflowError, match=r"'gs://x/y' is not allowed"):
        validate("gs://x/y", "artifact_location")


def test_a_stored_location_is_checked_before_it_is_opened(guarded: tuple[Any, dict[str, Any]]) -> None:
    _, repositories = guarded
    assert repositories["gs"]("gs://old/mlflow/7", tracking_uri="t").opened == ("gs://old/mlflow/7", "t")
    assert repositories["runs"]("runs:/1/model").opened[0] == "runs:/1/model", "it is resolved, then checked"
    assert repositories["gs"].__name__ == "GCSArtifactRepository", "MLflow names dataset sources by it"
    with pytest.raises(MlflowError, match="not allowed"):
        repositories["gs"]("gs://x/y")
    with pytest.raises(MlflowError, match="not allowed"):
        repositories["s3"](artifact_uri="s3://other/path")


def test_a_stored_location_of_the_proxy_stays_in_the_store(guarded: tuple[Any, dict[str, Any]]) -> None:
    resolve = guarded[0]._get_proxied_run_artifact_destination_path
    assert resolve(proxied_artifact_root="mlflow-artifacts:/7", relative_path="a/b") == "7/a/b"
    assert resolve("mlflow-artifacts:/7") == "7"
    for wrong in ("mlflow-artifacts:/../x", "mlflow-artifacts:/7/%2e%2e/%2e%2e/x"):
        with pytest.raises(MlflowError, match="not allowed"):
            resolve(proxied_artifact_root=wrong)


def test_clients_hear_of_no_way_past_the_server() -> None:
    """Otherwise they take it by themselves, and one that does not reach the store fails after ten minutes a file."""
    told = {"store_type": "SqlStore", "multipart_uploads_enabled": True, "multipart_downloads_enabled": True}
    handlers = SimpleNamespace(build_server_info_payload=lambda: dict(told))
    app.offer_the_proxy_alone(handlers)
    assert handlers.build_server_info_payload() == {
        "store_type": "SqlStore",
        "multipart_uploads_enabled": False,
        "multipart_downloads_enabled": False,
    }


def test_an_mlflow_without_these_functions_does_not_start() -> None:
    with pytest.raises(AttributeError):
        app.keep_to(STORE, SimpleNamespace(), {})


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "may"),
    [
        ("https://mlflow.example.org", "mlflow.example.org", [], True),
        ("https://mlflow.example.org", "mlflow.example.org:443", [], True),
        ("https://mlflow.example.org:8443", "mlflow.example.org:8443", [], True),
        ("http://localhost:5000", "localhost:5000", [], True),
        ("http://127.0.0.1:5000", "127.0.0.1:5000", [], True),
        ("https://lab.example.org", "mlflow.example.org", ["https://lab.example.org"], True),
        ("https://a.lab.example.org", "mlflow.example.org", ["https://*.lab.example.org"], True),
        ("http://localhost:8888", "localhost:5000", [], False),
        ("http://localhost:8888", "mlflow.example.org", [], False),
        ("https://evil.org", "mlflow.example.org", [], False),
        ("https://mlflow.example.org.evil.org", "mlflow.example.org", [], False),
        ("https://lab.example.org.evil.org", "mlflow.example.org", ["https://lab.example.org"], False),
        ("http://mlflow.example.org:8080", "mlflow.example.org", [], False),
        ("null", "null", [], False),
        ("", "", [], False),
        ("https://[", "[", [], False),
    ],
)
def test_whose_pages_may_write(origin: str, host: str, allowed: list[str], may: bool) -> None:
    assert permitted(origin, host, allowed) is may


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/graphql", 403),
        ("POST", "/api/2.0/mlflow/runs/create", 403),
        ("DELETE", "/anything", 403),
        ("GET", "/graphql", 200),
        ("OPTIONS", "/api/2.0/mlflow/runs/create", 200),
    ],
)
def test_pages_of_other_sites_change_nothing_at_any_path(method: str, path: str, status: int) -> None:
    exchange = Exchange(method, path, origin="https://evil.org", host="mlflow.example.org")
    assert asyncio.run(exchange.to(Origins(fine, []))) == status


def test_clients_without_an_origin_are_no_pages() -> None:
    assert asyncio.run(Exchange("POST", "/graphql", host="mlflow").to(Origins(fine, []))) == 200


def query(text: str) -> bytes:
    return json.dumps({"query": text}).encode()


@pytest.mark.parametrize(
    ("method", "path", "body", "waits"),
    [
        ("GET", "/get-artifact", b"", True),
        ("GET", "/model-versions/get-artifact", b"", True),
        ("GET", "/api/2.0/mlflow/artifacts/list", b"", True),
        ("GET", "/ajax-api/2.0/mlflow/artifacts/list", b"", True),
        ("POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", b"", True),
        ("GET", "/api/2.0/mlflow/logged-models/m-1/artifacts/directories", b"", True),
        ("GET", "/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files", b"", True),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact", b"", True),
        ("GET", "/ajax-api/3.0/mlflow/get-trace-artifact", b"", True),
        ("POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run", b"", True),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts", b"", True),
        ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/7/a", b"", True),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/7/a", b"", True),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/7/a", b"", True),
        ("POST", "/graphql", query("{mlflowListArtifacts(input: {}) {x}}"), True),
        ("POST", "/graphql", b'{"query": "{ml\\u0066lowListArtif\\u0061cts{x}}"}', True),
        ("POST", "/graphql", b"no JSON", True),
        ("POST", "/graphql", query("{mlflowGetRun(input: {}) {x}}"), False),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/7/a", b"", False),
        ("GET", "/ajax-api/2.0/mlflow-artifacts/artifacts/7/a", b"", False),
        ("POST", "/api/2.0/mlflow/runs/log-batch", b"", False),
        ("GET", "/api/2.0/mlflow/experiments/search", b"", False),
        ("GET", "/health", b"", False),
    ],
)
def test_which_requests_wait_for_the_store_in_a_thread(method: str, path: str, body: bytes, waits: bool) -> None:
    assert waits_for_store(method, path, body) is waits


LIST = "/api/2.0/mlflow/artifacts/list"


class SlowStore:
    """An application whose store answers when it is told to."""

    def __init__(self) -> None:
        self.answers, self.asked, self.streams = asyncio.Event(), 0, asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == LIST:
            self.asked += 1
            await self.answers.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == LIST:
            await self.streams.wait()
        await send({"type": "http.response.body", "body": (await receive())["body"]})


def test_a_slow_store_holds_a_part_of_the_threads() -> None:
    async def attack() -> None:
        store = SlowStore()
        limited = Slots(store, slots=2, patience=0.05)
        lists = [Exchange("GET", LIST) for _ in range(5)]
        tasks = [asyncio.create_task(each.to(limited)) for each in lists]
        await asyncio.sleep(0.01)
        assert store.asked == 2
        assert await Exchange("POST", "/api/2.0/mlflow/runs/log-batch", b"{}").to(limited) == 200
        done, pending = await asyncio.wait(tasks, timeout=1)
        assert len(pending) == 2
        assert [task.result() for task in done] == [503] * 3
        refused = next(each for each in lists if each.sent)
        assert refused.headers[b"retry-after"] == b"5", "MLflow's clients come back then"
        assert json.loads(refused.sent[1]["body"])["error_code"] == "TEMPORARILY_UNAVAILABLE"
        store.answers.set()
        store.streams.set()
        assert [(await task) for task in pending] == [200, 200]
        assert await Exchange("GET", LIST).to(limited) == 200

    asyncio.run(attack())


def test_another_store_holds_a_part_of_the_places(guarded: tuple[Any, dict[str, Any]]) -> None:
    """The server's own store is read while 12 requests wait for one of the list."""
    answers = threading.Event()

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        def read() -> int:
            try:
                guarded[1]["s3"](scope["uri"])
            except MlflowError as error:
                return 503 if error.args[-1] == "TEMPORARILY_UNAVAILABLE" else 400
            if scope["uri"].startswith("gs:"):
                answers.wait(5)
            return 200

        await receive()
        await send({"type": "http.response.start", "status": await asyncio.to_thread(read), "headers": []})

    def read(uri: str) -> Exchange:
        exchange = Exchange("GET", LIST)
        exchange.scope["uri"] = uri
        return exchange

    async def attack() -> None:
        with ThreadPoolExecutor(40) as pool:
            asyncio.get_running_loop().set_default_executor(pool)
            limited = Slots(reads)
            lists = [read("gs://old/mlflow/7") for _ in range(12)]
            tasks = [asyncio.create_task(each.to(limited)) for each in lists]
            done, pending = await asyncio.wait(tasks, timeout=0.3)
            assert ([task.result() for task in done], len(pending)) == ([503] * 2, slots.OTHER_STORES)
            assert next(each for each in lists if each.sent).headers[b"retry-after"] == b"5"
            assert await read("s3://bucket/path/7").to(limited) == 200
            answers.set()
            assert [await task for task in pending] == [200] * slots.OTHER_STORES
            assert await read("gs://old/mlflow/7").to(limited) == 200

    asyncio.run(attack())


def test_a_slow_client_holds_no_place() -> None:
    async def slow() -> None:
        store = SlowStore()
        store.answers.set()
        limited = Slots(store, slots=1, patience=0.05)
        reading = asyncio.create_task(Exchange("GET", LIST).to(limited))
        sending = Exchange("POST", "/ajax-api/2.0/mlflow/upload-artifact", b"12")
        hang = asyncio.Event()
        sending.receive = hang.wait  # type: ignore[method-assign, assignment]
        writing = asyncio.create_task(sending.to(limited))
        await asyncio.sleep(0.01)
        store.streams.set()
        assert await Exchange("GET", LIST).to(limited) == 200
        assert await reading == 200
        writing.cancel()

    asyncio.run(slow())


def test_a_failed_request_gives_its_place_back() -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError

    async def fail() -> None:
        limited = Slots(broken, slots=1, patience=0.05)
        for _ in range(3):
            with pytest.raises(RuntimeError):
                await Exchange("GET", LIST).to(limited)

    asyncio.run(fail())


def test_a_body_that_was_looked_at_arrives_whole() -> None:
    exchange = Exchange("POST", "/graphql", query("{mlflowListArtifacts{x}}"))
    sent = b"".join(exchange.body)
    assert asyncio.run(exchange.to(Slots(fine))) == 200
    assert exchange.sent[1]["body"] == sent


def test_a_client_that_left_is_not_served() -> None:
    exchange = Exchange("GET", LIST)

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    exchange.receive = gone  # type: ignore[method-assign]
    asyncio.run(Slots(fine)(exchange.scope, exchange.receive, exchange.send))
    assert not exchange.sent


def test_half_of_the_threads_stay_for_tracking() -> None:
    assert slots.SLOTS == 40 // 2
