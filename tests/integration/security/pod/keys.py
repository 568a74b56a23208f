"""Write a webhook and a gateway secret as MLflow does, or say what the webhooks are now."""

from __future__ import annotations

import os
import sys

from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking

uri = os.environ["MLFLOW_BACKEND_STORE_URI"]
registry = Registry(uri)  # a webhook needs a public address; nothing is sent to it
if sys.argv[1] == "write":
    event = WebhookEvent(WebhookEntity.REGISTERED_MODEL, WebhookAction.CREATED)
    registry.create_webhook(sys.argv[2], "https://1.1.1.1/hook", [event], secret="hmac")
    Tracking(uri, "/tmp").create_gateway_secret(sys.argv[2], {"api_key": "sk-of-a-test"}, provider="openai")  # noqa: S108
for webhook in registry.list_webhooks():
    print("webhook", webhook.name, webhook.status, flush=True)
