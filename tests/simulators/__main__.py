"""Serve one cloud until SIGTERM: python -m tests.simulators CLOUD FOLDER.

FOLDER gets `environment.json`, what a client must set, and `calls.jsonl`, what was called; at the end `foreign.json`
says whether what others have is as it was. The account holds what a platform has before MLflow comes (the cluster's
OIDC provider, the resource group) and objects of other people.
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

from tests.integration.clouds.aws_lab import AwsLab
from tests.integration.clouds.azure_lab import SUBSCRIPTION, AzureLab
from tests.integration.clouds.gcp_lab import CLOUD_PROJECT, NUMBER, GcpLab
from tests.integration.clouds.lab import Lab

from . import aws, azure, gcp


@contextmanager
def lab_of(cloud: str, folder: Path) -> Iterator[Lab]:
    if cloud == "aws":
        with aws.serve(folder) as amazon:
            yield AwsLab(*amazon)
    elif cloud == "gcp":
        with gcp.serve(folder, CLOUD_PROJECT, NUMBER) as google:
            yield GcpLab(*google)
    else:
        with azure.serve(folder, SUBSCRIPTION) as microsoft:
            yield AzureLab(*microsoft)


def main(cloud: str, folder: Path) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    (folder / "pid").write_text(str(os.getpid()))
    with lab_of(cloud, folder) as lab:
        lab.reset()
        before = lab.others()
        (folder / "calls.jsonl").touch()
        write(folder / "environment.json", lab.environment())
        ended.wait()
        write(folder / "foreign.json", {"intact": lab.others() == before})


def write(path: Path, content: object) -> None:
    """Write a file that is whole as soon as it is there."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content))
    new.rename(path)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
