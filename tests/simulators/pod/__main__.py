"""Serve one cloud in a pod until SIGTERM: python -m tests.simulators.pod CLOUD FOLDER.

The proxy listens at 443, the webhook that gives pods their tokens at 8443; the pod is reached as cloud.NAMESPACE.svc.
FOLDER gets `environment.json`, what a deployer must set, `ca.pem`, whom everybody must trust, and `calls.jsonl`, what
was called.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from pathlib import Path

from . import aws, azure, gcp, webhook
from .cluster import Cluster

SERVE = {"aws": aws.serve, "azure": azure.serve, "gcp": gcp.serve}


def main(cloud: str, folder: Path) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    cluster = Cluster()
    everywhere = "0.0.0.0"  # noqa: S104 - callers are in other pods
    with SERVE[cloud](folder, cluster, port=443, address=everywhere) as (proxy, environment):
        host = f"cloud.{cluster.namespace}.svc"
        with webhook.serving(cloud, host, 8443, cluster, proxy.authority):
            (folder / "calls.jsonl").touch()
            ready = folder / "environment.new"
            ready.write_text(json.dumps(environment))
            ready.rename(folder / "environment.json")
            ended.wait()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
