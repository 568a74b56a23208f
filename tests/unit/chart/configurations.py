"""Configurations that tests of every object go through: each switches on what others leave off."""

from __future__ import annotations

from typing import Any

PLAYBOOKS = {"serviceAccount": {"name": "nebari-mlflow"}}
"""What the role `server` always sets; releases that are out there have these names."""

S3 = {
    "uri": "s3://bucket/path",
    "env": {"AWS_REGION": "eu-west-1"},
    "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/mlflow"},
}
AZURE = {
    "uri": "wasbs://nebari-mlflow@account.blob.core.windows.net/mlflow",
    "serviceAccountAnnotations": {"azure.workload.identity/client-id": "1b"},
    "podLabels": {"azure.workload.identity/use": "true"},
}
GCS = {
    "uri": "gs://bucket",
    "serviceAccountAnnotations": {"iam.gke.io/gcp-service-account": "m@p.iam"},
    "network": {"metadata": [{"cidr": "169.254.169.254/32", "port": 80}, {"cidr": "169.254.169.252/32", "port": 988}]},
}
MINIO = {
    "uri": "s3://bucket",
    "env": {"MLFLOW_S3_ENDPOINT_URL": "http://minio.storage.svc:9000"},
    "secret": "minio-credentials",
}
TRAEFIK: dict[str, Any] = {
    "type": "traefik",
    "domain": "nebari.example.org",
    "traefik": {"forwardAuth": {"name": "traefik-forward-auth"}},
}
EXTERNAL_PARTS: dict[str, Any] = {
    "postgresql": {"enabled": False},
    "externalDatabase": {"host": "db.example.org", "user": "user@server", "existingSecret": "db", "caSecret": "ca"},
}
EXTERNAL_URI: dict[str, Any] = {
    "postgresql": {"enabled": False},
    "externalDatabase": {"existingSecret": "db", "existingSecretUriKey": "uri"},
}

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "s3, replicas, metrics": {
        "storage": S3,
        "tracking": {
            "replicaCount": 3,
            "metrics": {
                "enabled": True,
                "serviceMonitor": {"enabled": True},
                "dashboard": {"enabled": True},
                "rules": {"enabled": True},
            },
        },
    },
    "azure, autoscaling": {"storage": AZURE, "tracking": {"autoscaling": {"enabled": True}}},
    "gcs": {"storage": GCS},
    "minio": {"storage": MINIO},
    "external database by parts": EXTERNAL_PARTS,
    "external database by URI": EXTERNAL_URI,
    "run as a Deployment": {"run": {"enabled": True, "source": {"launchCommand": "python3 train.py"}}},
    "run as a Job": {"run": {"enabled": True, "useJob": True, "command": ["python3", "-c", "pass"]}},
    "traefik": {"route": TRAEFIK},
}
