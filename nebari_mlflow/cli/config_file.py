"""Read nebari-config.yaml for the command line: without Nebari, its 5 s of imports and its calls to the cloud.

`nebari validate` checks the whole file. Here the `mlflow:` block is checked, and the few keys beside it that are used.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..errors import InputError

CLOUDS = {"azure": "azure", "google_cloud_platform": "gcp", "amazon_web_services": "aws"}
SECTIONS = ("local", "existing", *CLOUDS)
DEFAULTS: dict[str, Any] = {
    "region": "",
    "project": "",
    "tags": {},
    "permissions_boundary": "",
    "kube_context": None,
    "resource_group_name": None,
}


class Config(SimpleNamespace):
    """The keys of Nebari's configuration that the stage uses, under Nebari's own names."""

    @property
    def escaped_project_name(self) -> str:
        """Return the name that Nebari gives its clusters: on AWS, none begins with `aws`."""
        if self.provider == "azure":
            return str(self.project_name).replace("-", "a")
        begins = self.provider == "aws" and self.project_name.startswith("aws")
        return f"a{self.project_name}" if begins else str(self.project_name)


def load(path: Path) -> Config:
    """Return the configuration, or say what is wrong with it without showing its values. Raises InputError."""
    import yaml
    from pydantic import ValidationError

    from ..plugin.providers import fits_platform
    from ..plugin.schema import InputSchema

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            "NML101", f"{path} cannot be read: {error.strerror}.", "Give the file with --config."
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise InputError("NML101", f"{path} is not YAML{where}.", "Repair that line.") from error
    if not isinstance(document, dict) or not document.get("project_name"):
        raise InputError("NML101", f"{path} has no project_name.", "Give Nebari's configuration file with --config.")
    sections = {name: SimpleNamespace(**{**DEFAULTS, **(document.get(name) or {})}) for name in SECTIONS}
    try:
        block = InputSchema.model_validate({"mlflow": document.get("mlflow")}).mlflow
        config = Config(
            project_name=str(document["project_name"]),
            namespace=str(document.get("namespace") or "dev"),
            provider=str(document.get("provider") or _only_section(document)),
            domain=document.get("domain") or "",
            mlflow=block,
            **sections,
        )
        if block.enabled:
            fits_platform(config)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise InputError("NML102", f"{path}: {said}", "Correct the `mlflow:` block.") from error
    except ValueError as error:
        raise InputError("NML102", f"{path}: {error}", "Correct the `mlflow:` block.") from error
    return config


def _only_section(document: dict[str, Any]) -> str:
    """Infer the provider as Nebari does: from the one provider's section that is there."""
    found = [name for name in SECTIONS if name in document]
    return CLOUDS.get(found[0], found[0]) if len(found) == 1 else "local"
