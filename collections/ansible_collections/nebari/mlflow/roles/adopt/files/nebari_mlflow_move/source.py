"""What is moved: a server, through its REST interface, or a file store, through a scratch database.

Both are read by MLflow's own stores. A server hands its artifacts out itself, so its store's keys are not needed.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol

from mlflow.entities import TraceData, ViewType
from mlflow.entities.trace_info_v2 import TraceInfoV2
from mlflow.exceptions import MlflowException
from mlflow.protos.service_pb2 import SearchTraces
from mlflow.store.model_registry.rest_store import RestStore as RestRegistry
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.proto_json_utils import message_to_json
from mlflow.utils.rest_utils import http_request
from nebari_mlflow_backup.artifacts import File, LocalFiles
from nebari_mlflow_backup.report import RefusedError

from nebari_mlflow_move import answers, locations

PAGE = 500
POINTS = 25_000
"""As MLflow's client asks for. Servers of MLflow 3.5 take no number for zero, and answer without a point."""
PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"
UNKNOWN = ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED")
OLDER = (*UNKNOWN, "INVALID_PARAMETER_VALUE")  # of a server whose filters know no tags


class Artifacts(Protocol):
    """The artifacts of one run or model."""

    def list(self) -> Iterator[File]: ...
    def open(self, path: str) -> IO[bytes]: ...
    def write(self, path: str, content: IO[bytes]) -> None: ...


class Source:
    """Everything that MLflow's interfaces list, page by page."""

    unread: Sequence[str] = ()
    """What cannot be read at all, one sentence each."""

    def __init__(self, store: Any, registry: Any) -> None:
        self.store, self.registry = store, registry

    def version(self) -> str:
        return ""

    def experiments(self) -> list[Any]:
        return list(pages(lambda token: self.store.search_experiments(ViewType.ALL, PAGE, page_token=token)))

    def runs(self, experiment: str) -> Iterator[Any]:
        yield from pages(
            lambda token: self.store.search_runs([experiment], "", ViewType.ALL, max_results=PAGE, page_token=token)
        )

    def models(self, experiment: str) -> Iterator[Any]:
        """Yield what MLflow 3 calls logged models; it lists none that were deleted."""
        yield from known(lambda token: self.store.search_logged_models([experiment], max_results=50, page_token=token))

    def traces(self, experiment: str) -> Iterator[Any]:
        yield from known(lambda token: self.store.search_traces([experiment], max_results=100, page_token=token))

    def registered(self) -> list[Any]:
        """Return registered models and prompts, which are registered models with a tag."""
        found = {each.name: each for each in pages(lambda t: self.registry.search_registered_models("", PAGE, None, t))}
        prompts = known(lambda token: self.registry.search_registered_models(PROMPTS, PAGE, None, token), OLDER)
        return list({**found, **{each.name: each for each in prompts}}.values())

    def versions(self, name: str) -> list[Any]:
        """Return the versions of one model or prompt."""
        quote = next((mark for mark in "'\"" if mark not in name), "")
        only = f"name = {quote}{name}{quote}" if quote else ""
        prompts = " AND ".join(filter(None, (only, PROMPTS)))
        found = [
            *pages(lambda token: self.registry.search_model_versions(only, PAGE, None, token)),
            *known(lambda token: self.registry.search_model_versions(prompts, PAGE, None, token), OLDER),
        ]
        return list({str(each.version): each for each in found if each.name == name}.values())

    def points(self, run: str, key: str) -> Iterator[Any]:
        yield from pages(lambda token: self.store.get_metric_history(run, key, POINTS, token))

    def others(self) -> dict[str, int]:
        """Count what is not moved."""
        found = {}
        counts: dict[str, Callable[[], int]] = {
            "evaluation datasets": lambda: len(list(known(lambda t: self.store.search_datasets(page_token=t)))),
            "webhooks": lambda: len(list(known(lambda t: self.registry.list_webhooks(page_token=t)))),
            "scorers": lambda: sum(self._scorers(each.experiment_id) for each in self.experiments()),
        }
        for name, count in counts.items():
            try:
                found[name] = count()
            except Exception as error:
                logging.getLogger(__name__).debug("%s: %s", name, error)
        return {name: number for name, number in found.items() if number}

    def _scorers(self, experiment: str) -> int:
        return len(list(known(lambda _token: self.store.list_scorers(experiment))))

    def of_run(self, run: Any) -> Artifacts:
        raise NotImplementedError

    def of_model(self, model: Any) -> Artifacts:
        raise NotImplementedError

    def spans(self, info: Any) -> list[Any]:
        raise NotImplementedError


def pages(read: Callable[[Any], Any]) -> Iterator[Any]:
    """Yield what every page has."""
    token = None
    while True:
        page = read(token)
        entries, token = page if isinstance(page, tuple) else (page, getattr(page, "token", None))
        yield from entries
        if not token:
            return


def known(read: Callable[[Any], Any], unknown: tuple[str, ...] = UNKNOWN) -> Iterator[Any]:
    """Yield nothing if the server's version has nothing of this kind."""
    try:
        yield from pages(read)
    except NotImplementedError:
        return
    except MlflowException as error:
        if error.error_code not in unknown:
            raise


class Server(Source):
    """A tracking server."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        creds = get_default_host_creds(self.url)
        super().__init__(RestStore(lambda: creds), RestRegistry(lambda: creds))
        self._creds = creds

    def check(self) -> None:
        """Refuse what is no MLflow, or does not let us in."""
        try:
            answer = http_request(
                self._creds,
                "/api/2.0/mlflow/experiments/search",
                "GET",
                params={"max_results": 1},
                max_retries=3,
                raise_on_status=False,
                allow_redirects=False,
            )
        except MlflowException as error:
            raise RefusedError(f"The server at {self.url} does not answer: {error.message}", answers.ADDRESS) from None
        cause, fix = answers.judge(answer.status_code, answer.headers.get("Content-Type", ""), self.url)
        if cause:
            raise RefusedError(cause, fix)

    @cache  # noqa: B019 (there is one)
    def version(self) -> str:
        answer = http_request(self._creds, "/version", "GET", max_retries=0, raise_on_status=False)
        return str(answer.text).strip() if answer.status_code == 200 and len(answer.text) < 30 else ""

    def traces(self, experiment: str) -> Iterator[Any]:
        if self.version().startswith("2."):
            yield from known(lambda token: self._older_traces(experiment, token))
        else:
            yield from super().traces(experiment)

    def _older_traces(self, experiment: str, token: str | None) -> tuple[list[Any], str | None]:
        """Read a page of traces of MLflow 2, which MLflow 3's client does not understand in a search."""
        asked = SearchTraces(experiment_ids=[experiment], max_results=100, page_token=token)
        answer = self.store._call_endpoint(SearchTraces, message_to_json(asked))
        return [TraceInfoV2.from_proto(each).to_v3() for each in answer.traces], answer.next_page_token or None

    def get(self, path: str, params: Mapping[str, str], *, stream: bool = False) -> Any:
        answer = http_request(self._creds, path, "GET", params=dict(params), stream=stream, raise_on_status=False)
        if answer.status_code != 200:
            said = str(answer.text)[:200]
            raise OSError(f"{path} answered {answer.status_code}: {said}")
        return answer

    def of_run(self, run: Any) -> Artifacts:
        run_id = {"run_id": run.info.run_id}
        return Served(self, "/api/2.0/mlflow/artifacts/list", "path", "/get-artifact", "path", run_id)

    def of_model(self, model: Any) -> Artifacts:
        begin = f"mlflow/logged-models/{model.model_id}/artifacts"
        listed, read = "artifact_directory_path", "artifact_file_path"
        return Served(self, f"/api/2.0/{begin}/directories", listed, f"/ajax-api/2.0/{begin}/files", read, {})

    def spans(self, info: Any) -> list[Any]:
        answer = self.get("/ajax-api/2.0/mlflow/get-trace-artifact", {"request_id": info.trace_id})
        return list(TraceData.from_dict(json.loads(answer.content)).spans)


class Served:
    """Artifacts that a server lists and hands out."""

    def __init__(self, server: Server, listing: str, folder: str, file: str, path: str, fixed: dict[str, str]) -> None:
        self._server, self._fixed = server, fixed
        self._listing, self._folder, self._file, self._path = listing, folder, file, path

    def list(self) -> Iterator[File]:
        folders = [""]
        while folders:
            folder = folders.pop()
            asked = {**self._fixed, **({self._folder: folder} if folder else {})}
            while True:
                found = self._server.get(self._listing, asked).json()
                for each in found.get("files", []):
                    if each.get("is_dir"):
                        folders.append(each["path"])
                    else:
                        yield File(each["path"], int(each.get("file_size") or 0), "")
                if not found.get("next_page_token"):
                    break
                asked["page_token"] = found["next_page_token"]

    def open(self, path: str) -> IO[bytes]:
        answer = self._server.get(self._file, {**self._fixed, self._path: path}, stream=True)
        answer.raw.decode_content = True
        stream: IO[bytes] = answer.raw
        return stream

    def write(self, path: str, content: IO[bytes]) -> None:
        raise NotImplementedError(path, content)


class Directory(Source):
    """A file store, which MLflow's own program has put into a scratch database."""

    def __init__(self, root: Path, store: Any, registry: Any, unread: list[str]) -> None:
        super().__init__(store, registry)
        self._root, self.unread = root, unread

    def of_run(self, run: Any) -> Artifacts:
        return LocalFiles(str(self._below(run.info.experiment_id, run.info.run_id, "artifacts")))

    def of_model(self, model: Any) -> Artifacts:
        return LocalFiles(str(self._below(model.experiment_id, "models", model.model_id, "artifacts")))

    def spans(self, info: Any) -> list[Any]:
        file = self._below(info.experiment_id, "traces", info.trace_id, "artifacts", "traces.json")
        return list(TraceData.from_dict(json.loads(file.read_text(encoding="utf-8"))).spans) if file.is_file() else []

    def _below(self, experiment: str, *parts: str) -> Path:
        kept = self._root / str(experiment)
        return (kept if kept.is_dir() else self._root / ".trash" / str(experiment)).joinpath(*parts)


def distinct(root: Path) -> None:
    """Leave each point of a metric once in the copy: MLflow's own migration stops at the second one."""
    for folder, _folders, names in os.walk(root):
        if "metrics" in Path(folder).relative_to(root).parts:
            for name in names:
                file = Path(folder, name)
                lines = file.read_text(encoding="utf-8").splitlines()
                once = list(dict.fromkeys(line for line in lines if line.strip()))
                if len(once) != len(lines):
                    file.write_text("".join(f"{line}\n" for line in once), encoding="utf-8")


def of_directory(folder: Path, scratch: Path) -> Directory:
    """Have MLflow migrate a file store into a scratch database, whose experiments may have any number."""
    from mlflow.store import fs2db
    from mlflow.tracking._model_registry.utils import _get_store as registry_at
    from mlflow.tracking._tracking_service.utils import _get_store as store_at

    try:
        root = fs2db._resolve_mlruns(folder)
    except MlflowException as error:
        raise RefusedError(
            f"The directory holds no file store of MLflow: {error.message}",
            "Give the directory mlruns, or the one that it is in: --from-directory ./mlruns",
        ) from None
    distinct(root)
    uri, heard = f"sqlite:///{scratch}", Heard()
    logging.getLogger("mlflow.store.fs2db").addHandler(heard)
    fs2db.migrate(root, uri, progress=False)
    return Directory(root, store_at(uri, locations.ROOT), registry_at(uri), heard.sentences)


class Heard(logging.Handler):
    """Warnings: MLflow's migration passes over a file that it cannot read."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(record.getMessage())
