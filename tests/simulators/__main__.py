"""Serve one cloud until SIGTERM: python -m tests.simulators CLOUD FOLDER.

FOLDER gets `environment.json`, what a client must set, and `calls.jsonl`, what was called. The account is empty but for
what a platform has before MLflow comes: the cluster's OIDC provider, the resource group.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

from . import aws, azure, gcp


@contextmanager
def amazon(folder: Path) -> Iterator[dict[str, str]]:
    with aws.serve(folder) as (proxy, moto):
        keys = {"aws_access_key_id": "platform", "aws_secret_access_key": "platform"}
        iam = boto3.client("iam", region_name="eu-west-1", endpoint_url=moto.url, **keys)
        iam.create_open_id_connect_provider(
            Url="https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
            ThumbprintList=["9" * 40],
            ClientIDList=["sts.amazonaws.com"],
        )
        yield aws.environment(proxy)


@contextmanager
def google(folder: Path) -> Iterator[dict[str, str]]:
    with gcp.serve(folder, "our-project-123", "4711") as (proxy, _):
        yield gcp.environment(proxy)


@contextmanager
def microsoft(folder: Path) -> Iterator[dict[str, str]]:
    subscription = "00000000-0000-0000-0000-00000000000a"
    with azure.serve(folder, subscription) as (proxy, arm):
        group = f"/subscriptions/{subscription}/resourcegroups/demo-dev"
        arm.resources[group] = {"id": group, "location": "westeurope", "tags": {}}
        yield azure.environment(proxy)


def main(cloud: str, folder: Path) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    (folder / "pid").write_text(str(os.getpid()))
    with {"aws": amazon, "gcp": google, "azure": microsoft}[cloud](folder) as environment:
        (folder / "calls.jsonl").touch()
        ready = folder / "environment.new"
        ready.write_text(json.dumps(environment))
        ready.rename(folder / "environment.json")
        ended.wait()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
