"""The buffers between a client and a file on the server's volume: MLflow's and uvicorn's own beside larger ones.

MEGABYTES and PAIRS change what is measured. Client and servers share a pod.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchmarks.ratio import report, run
from tests.support import run_pod

NAMESPACE = "bench-buffers"
MEGABYTES, PAIRS = os.environ.get("MEGABYTES", "200"), os.environ.get("PAIRS", "5")


def main() -> None:
    """Print the ratio of each variant and direction."""
    try:
        run("kubectl", "create", "namespace", NAMESPACE)
        script = Path(__file__).with_name("buffers.py").read_text()
        said = run_pod(NAMESPACE, "buffers", script, MEGABYTES, PAIRS, timeout=900)
        for title, pairs in json.loads(said.splitlines()[-1]).items():
            report(f"{title} of {MEGABYTES} MB, MB/s, with / without", pairs, "above 1 is better with it")
    finally:
        run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


if __name__ == "__main__":
    main()
