"""docs/reference/config.md, made from the schema: `python -m nebari_mlflow.reference > docs/reference/config.md`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from .plugin.schema import Mlflow

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """\
# The `mlflow:` block of nebari-config.yaml

Generated from the schema by `python -m nebari_mlflow.reference`; with `--json-schema`, that prints a JSON schema.

Unknown keys are refused. Secrets do not belong in this file: name a Secret in Nebari's namespace instead. Texts reach
the cluster unchanged; Ansible does not evaluate `{{ }}` in them.

"""


EXAMPLES = {
    "mlflow": """\
mlflow:
  enabled: true
  replicas: 1
  timeout: 900
  overrides:
    tracking:
      resources:
        limits: {memory: 4Gi, cpu: "2"}
""",
    "mlflow.storage": """\
mlflow:
  storage:
    uri: gs://our-bucket/mlflow
    service_account_annotations: {iam.gke.io/gcp-service-account: mlflow@our-project-123.iam.gserviceaccount.com}
    network:
      metadata:
        - {cidr: 169.254.169.254/32, port: 80}
        - {cidr: 169.254.169.254/32, port: 8080}
        - {cidr: 169.254.169.252/32, port: 987}
        - {cidr: 169.254.169.252/32, port: 988}
""",
    "mlflow.storage.volume": """\
mlflow:
  storage:
    uri: /mlflow/artifacts
    volume: {size: 100Gi, storage_class: fast}
""",
    "mlflow.database": """\
mlflow:
  database: {secret: mlflow-database, key: uri}
""",
    "mlflow.access": """\
mlflow:
  access:
    mode: users
    admin_groups: [admin]
    teams: [data-science]
    default_permission: READ
""",
    "mlflow.local": """\
mlflow:
  local: {size: 100Gi, storage_class: fast}
""",
    "mlflow.local.s3": """\
mlflow:
  local:
    s3: {endpoint: "http://minio.storage.svc:9000", bucket: mlflow, secret: store-keys}
""",
    "mlflow.existing": """\
mlflow:
  existing: {size: 100Gi, access_mode: ReadWriteMany, storage_class: shared}
""",
    "mlflow.existing.s3": """\
mlflow:
  existing:
    s3: {endpoint: "https://s3.example.org:9000", bucket: mlflow, prefix: team-a, secret: store-keys}
""",
    "mlflow.azure": """\
mlflow:
  azure: {replication: ZRS, tags: {team: research}}
""",
    "mlflow.azure.network_rules": """\
mlflow:
  azure:
    network_rules: {default_action: Deny, bypass: AzureServices, ip_rules: [203.0.113.0/24]}
""",
    "mlflow.gcp": """\
mlflow:
  gcp: {direct_identity: true, labels: {team: research}}
""",
    "mlflow.aws": """\
mlflow:
  aws:
    identity: pod_identity
    permissions_boundary: arn:aws:iam::111122223333:policy/nebari-mlflow-boundary
    tags: {team: research}
""",
}
"""The page shows them; a test gives each to the schema."""


def markdown() -> str:
    """Return the page: one table for the block and one for each block in it."""
    schema = Mlflow.model_json_schema()
    return HEAD + "\n".join(_section("mlflow", schema, schema)) + "\n"


def _section(where: str, node: dict[str, Any], root: dict[str, Any]) -> Iterator[str]:
    yield f"## `{where}`\n\n{node.get('description', '').splitlines()[0]}\n"
    yield "| key | type | default | what it is |\n|---|---|---|---|"
    below = []
    for name, field in node["properties"].items():
        reference = _reference(field, root)
        kind = "block" if reference else _type(field)
        default = "required" if name in node.get("required", []) else _default(field, reference)
        text = field.get("description", "").replace("|", "\\|")
        yield f"| `{name}` | {kind} | {default} | {text} |"
        if reference:
            below.append((f"{where}.{name}", reference))
    yield ""
    if where in EXAMPLES:
        yield f"```yaml\n{EXAMPLES[where]}```\n"
    for path, reference in below:
        yield from _section(path, reference, root)


def _reference(field: dict[str, Any], root: dict[str, Any]) -> dict[str, Any] | None:
    for option in (field, *field.get("anyOf", [])):
        if "$ref" in option:
            found: dict[str, Any] = root["$defs"][option["$ref"].rpartition("/")[2]]
            return found
    return None


def _type(field: dict[str, Any]) -> str:
    kinds = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    if not kinds:
        return "any"
    if "enum" in kinds[0]:
        return ", ".join(f"`{value}`" for value in kinds[0]["enum"])
    names = {"string": "text", "integer": "number", "boolean": "true or false", "object": "mapping", "array": "list"}
    low, high = kinds[0].get("minimum"), kinds[0].get("maximum")
    return names[kinds[0]["type"]] + (f" from {low} to {high}" if low is not None else "")


def _default(field: dict[str, Any], reference: dict[str, Any] | None) -> str:
    value = field.get("default")
    return "" if reference or value in (None, "", {}, []) else f"`{json.dumps(value)}`"


def main() -> None:
    """Write the page, or the JSON schema, to standard output."""
    wants_schema = "--json-schema" in sys.argv
    sys.stdout.write(json.dumps(Mlflow.model_json_schema(), indent=2) + "\n" if wants_schema else markdown())


if __name__ == "__main__":
    main()
