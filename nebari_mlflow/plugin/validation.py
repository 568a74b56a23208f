"""Checks that pydantic's types cannot say: unknown keys with the nearest name, versions, secrets."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, TypeVar

from ansible_collections.nebari.mlflow.plugins.filter.secrets import plain_secrets
from ansible_collections.nebari.mlflow.plugins.filter.unknown import refused_values, unknown_names
from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from ..collection import CHART

OLDEST = (3, 17)
Block = TypeVar("Block", bound=BaseModel)


class Strict(BaseModel):
    """A block that refuses unknown keys, says which one was probably meant, and never prints a value."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _nearest_name(cls, data: object) -> object:
        if isinstance(data, dict):
            unknown = unknown_names(map(str, data), cls.model_fields)
            if unknown:
                raise ValueError(" ".join(sentence.replace("variable", "key") for sentence in unknown))
        return data


def check_block(value: object) -> object:
    """Return the block; a bare `mlflow:` means the defaults. Raises ValueError for anything but a mapping."""
    if value is None:
        return {}
    if not isinstance(value, (dict, BaseModel)):
        kinds = ((list, "a list"), (str, "a text"), (bool, "true or false"))
        kind = next((said for kind, said in kinds if isinstance(value, kind)), "not a mapping")
        raise ValueError(f"mlflow is {kind}. Write keys below it, for example `enabled: true`, or leave it out.")
    return value


def supported(version: str) -> str:
    """Return a version without `v`. Raises ValueError before 3.17: its known holes can be reached over the network."""
    if not version:
        return version
    match = re.fullmatch(r"v?([0-9]+)\.([0-9]+)\.[0-9]+", version)
    if match is None:
        raise ValueError(f"version is {version!r}. Give a release such as 3.17.2, or leave it out.")
    if (int(match[1]), int(match[2])) < OLDEST:
        raise ValueError(
            f"version is {version!r}, and 3.17 is the oldest that is supported. Leave it out, or give 3.17.2."
        )
    return version.removeprefix("v")


def registry(value: str) -> str:
    """Return a registry. Raises ValueError for what cannot begin an image's name; pulls would fail much later."""
    host = value.partition("://")[2] or value
    if value != host.rstrip("/"):
        raise ValueError(
            f"image_registry is {value!r}. Give a host, and a port and a path if it has them, without a scheme and "
            f"without a slash at the end, such as {host.rstrip('/') or 'mirror.example.org'}."
        )
    return value


def known_values(values: dict[str, Any]) -> dict[str, Any]:
    """Raise ValueError with a sentence for each Helm value that the chart refuses."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    errors = refused_values(values, schema, "overrides")
    if errors:
        raise ValueError(" ".join(errors))
    return values


def no_secrets(block: Block) -> Block:
    """Raise ValueError for a secret in any text of the block: nebari-config.yaml is kept in git."""
    errors = plain_secrets(block.model_dump(exclude_none=True), "mlflow")
    if errors:
        raise ValueError(" ".join(errors))
    return block


Version = Annotated[str, AfterValidator(supported)]
Registry = Annotated[str, AfterValidator(registry)]
HelmValues = Annotated[dict[str, Any], AfterValidator(known_values)]
