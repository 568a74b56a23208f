"""A PostgreSQL outside a release, with TLS and an authority of its own."""

from __future__ import annotations

import base64
import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import MLFLOW_IMAGE
from tests.unit.chart.rendering import Object


def secret(name: str, **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def pod(name: str, container: Object, volumes: list[Object], user: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, "mlflow.nebari.dev/database-client": "true"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {"runAsUser": user, "runAsGroup": user, "fsGroup": user},
            "containers": [{"name": name, **container}],
            "volumes": volumes,
        },
    }


def client(scripts: str, **more: str) -> Object:
    """Make a pod with MLflow's image and the chart's scripts; `more` are ConfigMaps by the directory they go to."""
    maps = {"/mlflow/scripts": scripts, **{f"/{path}": name for path, name in more.items()}}
    return pod(
        "client",
        {
            "image": MLFLOW_IMAGE,
            "command": ["sleep", "7200"],
            "env": [{"name": "HOME", "value": "/tmp"}, {"name": "PYTHONUNBUFFERED", "value": "1"}],  # noqa: S108
            "volumeMounts": [
                *({"name": name, "mountPath": path} for path, name in maps.items()),
                {"name": "database", "mountPath": "/mlflow/database"},
                {"name": "authority", "mountPath": "/mlflow/database-ca"},
            ],
        },
        [
            *({"name": name, "configMap": {"name": name}} for name in maps.values()),
            {"name": "database", "emptyDir": {"medium": "Memory"}},
            {"name": "authority", "secret": {"secretName": "authority"}},
        ],
        10001,
    )


START_TLS = """
install -m 0600 /certificates/tls.key /certificates/tls.crt /tmp
exec docker-entrypoint.sh postgres -clisten_addresses='*' -cssl=on -cssl_cert_file=/tmp/tls.crt \
  -cssl_key_file=/tmp/tls.key "$@"
"""


def tls_database(name: str, password: str, *arguments: str) -> Object:
    """Make a PostgreSQL whose certificate is in the Secret of its name."""
    return pod(
        name,
        {
            "image": "docker.io/library/postgres:17.12",
            "command": ["sh", "-c", START_TLS, "postgres", *arguments],
            "env": [
                {"name": "POSTGRES_USER", "value": "mlflow"},
                {"name": "POSTGRES_PASSWORD", "value": password},
                {"name": "PGDATA", "value": "/data/pgdata"},
            ],
            "volumeMounts": [
                {"name": "data", "mountPath": "/data"},
                {"name": "run", "mountPath": "/var/run/postgresql"},
                {"name": "tls", "mountPath": "/certificates"},
            ],
        },
        [
            {"name": "data", "emptyDir": {}},
            {"name": "run", "emptyDir": {}},
            {"name": "tls", "secret": {"secretName": name}},
        ],
        999,
    )


def signed(name: str, authority: tuple[Any, Any] | None = None, *, days: int = 2) -> tuple[Any, Any]:
    """Make a certificate and its key; without an authority it is one, and with negative days it has expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=9)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority[0].subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=9 + days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
    )
    return built.sign(authority[1] if authority else key, hashes.SHA256()), key


def pem(thing: Any) -> str:
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(serialization.Encoding.PEM).decode()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return str(thing.private_bytes(*form).decode())
