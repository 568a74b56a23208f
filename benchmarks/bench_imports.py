"""What importing a collection's client costs, against what our modules import. Every task of a play pays it again."""

from __future__ import annotations

import importlib.util
import sys
import time
from functools import partial

from benchmarks.ratio import compare, run, say

PAIRS = 5
COLLECTIONS = "ansible_collections"
AZURE = f"{COLLECTIONS}.azure.azcollection.plugins.module_utils"
OURS = f"{COLLECTIONS}.nebari.mlflow.plugins.module_utils"
# What our modules import, and the base class of the collection's modules for the same service.
PAIRED = {
    "kubernetes.core (the kubernetes library)": (
        "import urllib3, yaml",
        "import kubernetes.client, kubernetes.config, kubernetes.dynamic",
    ),
    "google.cloud (gcp_utils)": (
        f"import {OURS}.gcp.client",
        f"import {COLLECTIONS}.google.cloud.plugins.module_utils.gcp_utils",
    ),
    "amazon.aws (AnsibleAWSModule)": (
        f"import {OURS}.aws.client",
        f"import {COLLECTIONS}.amazon.aws.plugins.module_utils.modules",
    ),
    "azure.azcollection (azure_rm_common)": (f"import {OURS}.azure.client", f"import {AZURE}.azure_rm_common"),
}


def seconds(script: str) -> float:
    """Return the seconds of a fresh Python that only imports."""
    start = time.monotonic()
    run(sys.executable, "-c", script)
    return time.monotonic() - start


def main() -> None:
    for title, (ours, theirs) in PAIRED.items():
        if "azcollection" in theirs and importlib.util.find_spec("azure.mgmt.storage") is None:
            say(f"  {title}: its SDKs are not installed beside Nebari, whose pins exclude some of them")
            continue
        compare(f"import, {title}", partial(seconds, ours), partial(seconds, theirs), PAIRS, "no aim")


if __name__ == "__main__":
    main()
