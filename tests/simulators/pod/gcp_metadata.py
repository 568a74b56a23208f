"""The metadata server of GKE's nodes: it tells a pod by its address, and gives it what token it has a right to.

https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity#metadata_server and
https://cloud.google.com/compute/docs/metadata/querying-metadata
"""

from __future__ import annotations

import json
from collections.abc import Callable

from .. import gcp
from ..gcp.tokens import SCOPE, WORKLOAD, give
from ..http import Request, Response
from .cluster import Cluster, NotTrusted


class Metadata:
    """A pod whose service account is annotated gets the token of that Google service account, if its policy lets it;
    any other gets one of its own.
    """

    def __init__(self, google: gcp.Google, cluster: Cluster) -> None:
        self.google = google
        self.cluster = cluster

    def __call__(self, request: Request) -> Response:
        if request.headers.get("Metadata-Flavor") != "Google":
            return self._say(403, "Missing Metadata-Flavor:Google header.")
        path = request.path.removeprefix("/computeMetadata/v1/")
        known: dict[str, Callable[[], str]] = {
            "/": lambda: "computeMetadata/",
            "project/project-id": lambda: self.google.project,
            "universe/universe-domain": lambda: "googleapis.com",
        }
        if path in known:
            return self._say(200, known[path]())
        try:
            email, member = self._identity(request.client)
        except NotTrusted as error:
            return self._say(403, str(error))
        accounts = [f"instance/service-accounts/{each}/" for each in ("default", email)]
        if path in accounts:
            about = {"email": email, "aliases": ["default"], "scopes": [SCOPE]}
            return self._say(200, json.dumps(about), "application/json")
        if path in [f"{each}token" for each in accounts]:
            token = {"access_token": give(self.google, member), "expires_in": 3599, "token_type": "Bearer"}
            return self._say(200, json.dumps(token), "application/json")
        return self._say(404, f"not simulated: {request.target}")

    def _identity(self, address: str) -> tuple[str, str]:
        """Return the e-mail that the server names, and the member as which a policy knows the pod."""
        account = self.cluster.account_at(address)
        pool = f"{self.google.project}.svc.id.goog"
        member = f"serviceAccount:{pool}[{account.namespace}/{account.name}]"
        email = account.annotations.get("iam.gke.io/gcp-service-account")
        if email is None:
            return pool, gcp.principal(self.google, member)
        with self.google.lock:
            if email not in self.google.accounts or not self.google.may(member, WORKLOAD, email):
                raise NotTrusted(f"{member} does not have iam.serviceAccounts.getAccessToken on {email}")
        return email, f"serviceAccount:{email}"

    @staticmethod
    def _say(status: int, text: str, kind: str = "application/text") -> Response:
        return Response(status, text.encode(), {"Content-Type": kind, "Metadata-Flavor": "Google"})
