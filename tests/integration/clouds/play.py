"""Run a provider role by ansible-playbook, and read what it did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# What a machine may have set for itself, and a test must not inherit.
CLEARED = (
    "AWS_", "ARM_", "AZURE_", "GOOGLE_", "GCP_", "CLOUDSDK_", "ANSIBLE_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "NO_PROXY", "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE", "SSL_CERT",
)  # fmt: skip


@dataclass(frozen=True)
class Played:
    """What a play did: the role's report, the returned storage, and Ansible's own counts."""

    code: int
    changed: int
    failed: int
    report: dict[str, Any]
    storage: dict[str, Any]
    message: str
    output: str

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        return [(each["action"], each["kind"], each["name"]) for each in self.report.get("changes", [])]


def environment(cloud: dict[str, str]) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(CLEARED)}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_JSON_INDENT": "0",
        "ANSIBLE_SHOW_CUSTOM_STATS": "1",
        **cloud,
    }


def play(provider: str, cloud: dict[str, str], variables: dict[str, Any], *flags: str) -> Played:
    """Run the role of `provider` with `variables`; a failure is returned, not raised."""
    done = subprocess.run(
        [
            "ansible-playbook",
            str(HERE / "role.yml"),
            "-e",
            json.dumps({"mlflow_provider": provider, **variables}),
            *flags,
        ],
        cwd=ROOT,
        env=environment(cloud),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    text = done.stdout
    start = text.find('{"custom_stats"')
    report: dict[str, Any] = json.loads(text[start:]) if start >= 0 else {}
    results = [
        (task["task"]["name"], result)
        for one in report.get("plays", [])
        for task in one["tasks"]
        for result in task["hosts"].values()
    ]
    failures = [result.get("msg", "") for _, result in results if result.get("failed")]
    stats = report.get("stats", {}).get("localhost", {})
    shown = [report.get("global_custom_stats", {}), *report.get("custom_stats", {}).values()]
    returned: dict[str, Any] = next((each for each in shown if "storage" in each), {})
    return Played(
        code=done.returncode,
        changed=stats.get("changed", -1),
        failed=stats.get("failures", -1),
        report=returned.get("report", {}),
        storage=returned.get("storage", {}),
        message=str(failures[0]) if failures else "",
        output=text + done.stderr,
    )
