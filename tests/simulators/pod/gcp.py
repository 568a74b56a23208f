"""Google Cloud in a pod: objects are kept by fake-gcs-server, and pods get their tokens from a metadata server.

https://cloud.google.com/storage/docs/json_api/v1/objects and https://cloud.google.com/storage/docs/resumable-uploads
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from joserfc.jwk import RSAKey

from .. import gcp
from ..gcp.errors import Refused
from ..gcp.storage import user
from ..gcp.tokens import known_bearer
from ..http import Request, Response
from ..http import answer as answered
from ..proxy import Proxy
from .cluster import Cluster
from .gcp_metadata import Metadata
from .stores import Store, free_port, running

PROJECT, NUMBER = "our-project-123", "4711"
HOST = "storage.googleapis.com"
OBJECTS = re.compile(r"/(?:upload/|download/)?storage/v1/b/([^/]+)/o(?:/.+)?")
VERBS = {"GET": "get", "HEAD": "get", "PUT": "create", "POST": "create", "DELETE": "delete"}


@contextmanager
def serve(folder: Path, cluster: Cluster, **listen: Any) -> Iterator[tuple[Proxy, dict[str, str]]]:
    """Run Google Cloud, in which a service account of the deployer's has a key."""
    with ExitStack() as stack:
        proxy, google = stack.enter_context(gcp.serve(folder, PROJECT, NUMBER, **listen))
        port = free_port()
        argv = ["fake-gcs-server", "-backend=memory", "-scheme=http", "-host=127.0.0.1", f"-port={port}"]
        stack.enter_context(running([*argv, "-log-level=error"], port))
        objects, metadata, manage = Objects(google, Store(port)), Metadata(google, cluster), proxy.cloud.app

        def app(request: Request) -> Response:
            if request.host == HOST and OBJECTS.fullmatch(request.path):
                return objects(request)
            if google.tokens.get(bearer(request), gcp.DEPLOYER).endswith(gcp.DEPLOYER) or "iamcred" in request.host:
                response = manage(request)
            else:
                response = Refused(403, "A pod has no right on this.").response(request.host)
            if request.method == "POST" and request.path == "/storage/v1/b" and response.status == 200:
                objects.create(request.json()["name"])
            return response

        proxy.cloud.app = app
        proxy.cloud.plain = lambda request: objects.sizes() if request.path == "/objects" else metadata(request)
        environment = {k: v for k, v in gcp.environment(proxy).items() if not k.startswith("GCP_")}
        yield proxy, environment | {"GOOGLE_CREDENTIALS": new_key(google), "PROJECT_ID": PROJECT}


def bearer(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def new_key(google: gcp.Google) -> str:
    """Return a key file of the deployer's service account."""
    key = RSAKey.generate_key(2048)
    google.keys[gcp.DEPLOYER] = key.as_pem(private=False).decode()
    return json.dumps(
        {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": key.as_pem(private=True).decode(),
            "client_email": gcp.DEPLOYER,
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )


class Objects:
    """Calls on objects, from whoever may use those of the bucket."""

    def __init__(self, google: gcp.Google, store: Store) -> None:
        self.google = google
        self._store = store

    def __call__(self, request: Request) -> Response:
        found = OBJECTS.fullmatch(request.path)
        assert found
        if not known_bearer(self.google, request):
            return Refused(401, "Request had invalid authentication credentials.").response(HOST)
        try:
            with self.google.lock:
                user(self.google, request, found[1], f"storage.objects.{VERBS[request.method]}")
        except Refused as refused:
            return refused.response(HOST)
        return self._store.forward(request, X_Forwarded_Proto="https")

    def create(self, bucket: str) -> None:
        body = json.dumps({"name": bucket, "versioning": {"enabled": True}}).encode()
        self._store.call("POST", "/storage/v1/b?project=p", body, Host=HOST, Content_Type="application/json")

    def sizes(self) -> Response:
        """Answer with the size of each object, by bucket/name: for the tests, not of Google."""
        found: dict[str, int] = {}
        for bucket in self.google.buckets:
            listed = json.loads(self._store.call("GET", f"/storage/v1/b/{quote(bucket)}/o", Host=HOST))
            found |= {f"{bucket}/{each['name']}": int(each["size"]) for each in listed.get("items", [])}
        return answered(200, found)
