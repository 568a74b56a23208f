"""Calls and seconds of the cloud modules against the simulators, and for AWS against amazon.aws's own modules."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.ratio import ROOT, report, say, seconds
from tests.integration.clouds.aws_lab import REGION, AwsLab
from tests.integration.clouds.azure_lab import SUBSCRIPTION, AzureLab
from tests.integration.clouds.gcp_lab import CLOUD_PROJECT, NUMBER, GcpLab
from tests.integration.clouds.lab import Lab
from tests.integration.clouds.play import environment
from tests.simulators import aws, azure, gcp

PAIRS = 3
PRIVATE = dict.fromkeys(
    ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"), True
)
# The same objects as ours, by the modules of the collection; it has none for the OIDC provider.
BASELINE = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "module_defaults": {"group/aws": {"region": REGION}},
        "tasks": [
            {"amazon.aws.kms_key": {"alias": "baseline", "enable_key_rotation": True, "tags": {"a": "b"}}},
            {
                "amazon.aws.s3_bucket": {
                    "name": "baseline-mlflow",
                    "versioning": True,
                    "encryption": "aws:kms",
                    "encryption_key_id": "alias/baseline",
                    "object_ownership": "BucketOwnerEnforced",
                    "public_access": PRIVATE,
                    "tags": {"a": "b"},
                }
            },
            {
                "amazon.aws.iam_role": {
                    "name": "baseline",
                    "assume_role_policy_document": json.dumps({"Version": "2012-10-17", "Statement": []}),
                    "tags": {"a": "b"},
                }
            },
            {
                "amazon.aws.iam_policy": {
                    "iam_type": "role",
                    "iam_name": "baseline",
                    "policy_name": "artifacts",
                    "policy_json": json.dumps(
                        {
                            "Version": "2012-10-17",
                            "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
                        }
                    ),
                }
            },
        ],
    }
]


def count(lab: Lab) -> tuple[int, int]:
    calls = [call for call in lab.cloud.calls if call.action != "token"]
    return len([call for call in calls if not call.write]), len([call for call in calls if call.write])


def table(lab: Lab) -> None:
    """Print the calls of a first deploy and of one with nothing to do."""
    os.environ.update(lab.environment())
    lab.reset()
    for title in ("fresh", "no-op"):
        took = seconds(lab.converge)
        reads, writes = count(lab)
        print(f"{lab.provider} {title}: {reads} reads, {writes} writes, {took:.1f} s", flush=True)


def against_the_collection(lab: AwsLab, folder: Path) -> None:
    """Compare two no-ops by ansible-playbook, in calls and in seconds."""
    playbook = folder / "baseline.yml"
    playbook.write_text(json.dumps(BASELINE))
    child = environment(lab.environment())

    def baseline() -> None:
        lab.cloud.calls.clear()
        subprocess.run(["ansible-playbook", str(playbook)], cwd=ROOT, env=child, check=True, capture_output=True)

    lab.reset()
    lab.moto.rules.lag = 0  # the collection's modules do not wait until a new key is known everywhere
    baseline()
    lab.play()
    calls: list[tuple[float, float]] = []
    times: list[tuple[float, float]] = []
    for pair in range(1, PAIRS + 1):
        ours = seconds(lab.play)
        our_calls = len(lab.cloud.calls)
        theirs = seconds(baseline)
        times.append((ours, theirs))
        calls.append((our_calls, len(lab.cloud.calls)))
        say(f"  no-op: pair {pair} of {PAIRS}")
    report("aws no-op / amazon.aws modules for the same objects, calls", calls, "aim below 1")
    report("aws no-op / amazon.aws modules for the same objects, seconds", times, "aim below 1")


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with ExitStack() as stack:

        def folder() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory()))

        amazon = AwsLab(*stack.enter_context(aws.serve(folder())))
        for lab in (
            amazon,
            GcpLab(*stack.enter_context(gcp.serve(folder(), CLOUD_PROJECT, NUMBER))),
            AzureLab(*stack.enter_context(azure.serve(folder(), SUBSCRIPTION))),
        ):
            table(lab)
        against_the_collection(amazon, folder())


if __name__ == "__main__":
    main()
