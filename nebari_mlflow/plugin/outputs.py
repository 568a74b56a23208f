"""The stage's outputs, as they come back from the play. Later stages and the commands read them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Service(BaseModel):
    """The Service that answers the tracking API."""

    name: str
    namespace: str
    port: int


class OutputSchema(BaseModel):
    """What the play returns: where MLflow is, what runs there, and what this deploy changed."""

    model_config = ConfigDict(extra="allow")

    tracking_uri: str = Field(pattern=r"^http://")
    ui_url: str
    artifact_uri: str = Field(min_length=1)
    service: Service
    release: dict[str, Any]
    versions: dict[str, str]
    verified: bool
    changes: list[dict[str, Any]]
