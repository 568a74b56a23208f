"""Names that several doors must agree on, derived from the project and the namespace alone."""

from __future__ import annotations

STAGE = "mlflow"
DEPLOY = "nebari.mlflow.mlflow"
DESTROY = "nebari.mlflow.destroy"
BACKUP = "nebari.mlflow.backup"
RESTORE = "nebari.mlflow.restore"
GC = "nebari.mlflow.gc"
ROTATE = "nebari.mlflow.rotate"
ADOPT = "nebari.mlflow.adopt"
ROTATED = ("keys", "postgresql", "access")  # generated Secrets, by the end of their names
STAGE_OUTPUTS = f"stages/{STAGE}"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
# Else MLflow's client goes to the store by itself, by URLs that the server signs: to S3 for every download, to any
# cloud's store for an upload of 500 MB. A pod may not reach the store, and a server without keys cannot always sign.
THROUGH_THE_SERVER = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}
# A notebook makes itself known by its own token, which Kubernetes puts in the place of $(…) when the pod starts.
TOKEN_VARIABLE = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 (a name)
NOTEBOOK_TOKEN = "$(JUPYTERHUB_API_TOKEN)"  # noqa: S105 (a reference)
HUB_SERVICE = "mlflow"
LOGIN_SERVICE = "forwardauth-service"
PORT = 5000
PATH = "/mlflow"


def release(project_name: str) -> str:
    """Return the Helm release's name. Nebari allows capitals and `_` in a project's name, Kubernetes does not."""
    return f"{project_name.lower().replace('_', '-')}-mlflow"


def service(project_name: str) -> str:
    """Return the name of the Service that answers the tracking API."""
    return f"{release(project_name)}-tracking"


def client_config(project_name: str) -> str:
    """Return the name of the ConfigMap whose keys are a client's environment."""
    return f"{release(project_name)}-client"


def tracking_uri(project_name: str, namespace: str) -> str:
    """Return the address of the tracking API inside the cluster."""
    return f"http://{service(project_name)}.{namespace}.svc:{PORT}"
