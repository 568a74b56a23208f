"""What importing a collection's client costs, against what our modules import. Every task of a play pays it again."""

from __future__ import annotations

import importlib.util
import sys
import time

from benchmarks.ratio import compare, run, say

PAIRS = 5
COLLECTIONS = "ansible_collections"
AZURE = f"{COLLECTIONS}.azure.azcollection.plugins.module_utils"
OURS = "import urllib3, yaml"
BASELINES = {
    "kubernetes.core (the kubernetes library)": "import kubernetes.client, kubernetes.config, kubernetes.dynamic",
    "google.cloud (gcp_utils)": f"import {COLLECTIONS}.google.cloud.plugins.module_utils.gcp_utils",
    "amazon.aws (boto3 and its module class)": f"import boto3, {COLLECTIONS}.amazon.aws.plugins.module_utils.modules",
    "azure.azcollection (azure_rm_common)": f"import {AZURE}.azure_rm_common",
}


def seconds(script: str) -> float:
    """Return the seconds of a fresh Python that only imports."""
    start = time.monotonic()
    run(sys.executable, "-c", script)
    return time.monotonic() - start


def main() -> None:
    for title, script in BASELINES.items():
        if "azcollection" in script and importlib.util.find_spec("azure.mgmt.storage") is None:
            say(f"  {title}: its SDKs are not installed beside Nebari, whose pins exclude some of them")
            continue
        compare(f"import, {title}", lambda: seconds(OURS), lambda script=script: seconds(script), PAIRS, "no aim")  # type: ignore[misc]


if __name__ == "__main__":
    main()
