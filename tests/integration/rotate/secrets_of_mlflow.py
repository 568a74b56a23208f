"""In the server's container, with its present keys alone: write secrets as MLflow does, or read them."""

import json
import os
import sys

os.environ["MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"] = "true"
from mlflow.entities.webhook import WebhookEvent
from mlflow.store.model_registry.dbmodels.models import SqlWebhook
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.tracking.dbmodels.models import SqlGatewaySecret
from mlflow.tracking import _get_store
from mlflow.utils import crypto

uri = os.environ["MLFLOW_BACKEND_STORE_URI"]
tracking, registry = _get_store(uri), SqlAlchemyStore(uri)
if sys.argv[1] == "write":
    for number in range(3):
        value = f"value {number}"
        registry.create_webhook(
            f"hook-{number}", "https://hooks.example.org", [WebhookEvent("prompt", "created")], secret=value
        )
        tracking.create_gateway_secret(f"secret-{number}", {"api_key": value})
if sys.argv[1] == "other":  # what a server does that meets a row of the other key
    from nebari_mlflow_server import rotation

    former = crypto.KEKManager(passphrase="the former one")
    row = crypto._encrypt_secret("value", former, "s-1", "name")
    rotation.use_passphrase("the former one")
    args = (row.encrypted_value, row.wrapped_dek, crypto.KEKManager(), "s-1", "name")
    assert crypto._decrypt_secret(*args) == "value"
with registry.ManagedSessionMaker() as session:
    hooks = {row.name: row.secret for row in session.query(SqlWebhook).all()}
with tracking.ManagedSessionMaker() as session:
    rows = {row.secret_name: row.secret_id for row in session.query(SqlGatewaySecret).all()}
secrets = {name: tracking._get_decrypted_secret(identity) for name, identity in rows.items()}
print("SECRETS " + json.dumps({"hooks": hooks, "gateway": secrets}, sort_keys=True))
