"""The server: its environment, addresses, sizes, and the shapes of storage and database."""

from __future__ import annotations

import fnmatch
import json
import re
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import mlflow_uri
import pytest

from tests.unit.chart.configurations import AZURE, EXTERNAL_PARTS, EXTERNAL_URI, GCS, MINIO, S3, TRAEFIK
from tests.unit.chart.rendering import RELEASE, Object, containers, env, one, pods, refusal, render, server

URI = "MLFLOW_BACKEND_STORE_URI"


def test_restricted_by_default() -> None:
    found = env(server(render()))
    assert {name: found[name] for name in found if found[name] in ("true", "false", "SAMEORIGIN")} == {
        "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        "MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_X_FRAME_OPTIONS": "SAMEORIGIN",
    }
    for key in ("CRYPTO_KEK_PASSPHRASE", "WEBHOOK_SECRET_ENCRYPTION_KEY", "FLASK_SERVER_SECRET_KEY"):
        expected = {"secretKeyRef": {"name": "demo-mlflow-keys", "key": f"MLFLOW_{key}"}}
        assert found[f"MLFLOW_{key}"] == expected


@pytest.mark.parametrize(
    ("given", "rendered"),
    [
        ({}, {"type": "Recreate", "rollingUpdate": None}),
        ({"type": "RollingUpdate"}, {"type": "RollingUpdate"}),
        (
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}},
        ),
    ],
)
def test_one_may_go_back_from_rolling_updates(given: Object, rendered: Object) -> None:
    """Kubernetes fills in `rollingUpdate`, and refuses `Recreate` unless it is taken away."""
    found = one(render({"tracking": {"strategy": given}}), "Deployment")
    assert found["spec"]["strategy"] == rendered


def test_what_is_asked_for_is_switched_on() -> None:
    asked = {"jobExecution": True, "aiGateway": True, "modelCodeExecution": True, "telemetry": True}
    found = env(server(render({"tracking": asked})))
    assert found["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == found["MLFLOW_ENABLE_AI_GATEWAY"] == "true"
    assert found["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "true"
    assert found["MLFLOW_DISABLE_TELEMETRY"] == "false"


def test_arguments() -> None:
    assert server(render({"tracking": {"extraArgs": ["--uvicorn-opts=--timeout-keep-alive=120"]}}))["args"] == [
        "--port=5000",
        "--workers=2",
        "--serve-artifacts",
        "--artifacts-destination=/mlflow/artifacts",
        "--app-name=nebari-mlflow",
        "--uvicorn-opts=--timeout-keep-alive=120",
    ]


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (["--disable-security-middleware"], "tracking.allowedHosts"),
        (["--allowed-hosts=*"], "tracking.allowedHosts"),
        (["--allowed-hosts", "*"], "tracking.allowedHosts"),
        (["--cors-allowed-origins=*"], "tracking.corsAllowedOrigins"),
        (["--host=127.0.0.1"], "fixed"),
        (["-h", "127.0.0.1"], "fixed"),
        (["--port=80"], "tracking.service.port"),
        (["-p80"], "tracking.service.port"),
        (["--secrets-cache-ttl=60", "-w", "1"], "tracking.workers"),
        (["--workers 1"], "tracking.workers"),
        (["--artifacts-destination=s3://other"], "storage.uri"),
        (["--default-artifact-root=s3://other"], "storage.uri"),
        (["--no-serve-artifacts"], "storage.uri"),
        (["--artifacts-only"], "nothing but artifacts"),
        (["--app-name=basic-auth"], "application that checks requests"),
        (["--gunicorn-opts=-w 1"], "application that checks requests"),
        (["--waitress-opts", "--threads=1"], "application that checks requests"),
        (["--dev"], "application that checks requests"),
        (["--backend-store-uri=sqlite:///x"], "externalDatabase"),
        (["--registry-store-uri", "sqlite:///x"], "externalDatabase"),
        (["--read-replica-backend-store-uri=postgresql://u:p@h/d"], "Secret"),
        (["--static-prefix=/mlflow"], "route.path"),
        (["--expose-prometheus=/tmp/x"], "tracking.metrics.enabled"),
        (["--uvicorn-opts=--workers 1"], "uvicorn --workers"),
        (["--uvicorn-opts", "--timeout-keep-alive 9 --forwarded-allow-ips=*"], "--forwarded-allow-ips"),
        (["--uvicorn-opts=--env-file /tmp/x"], "--env-file"),
    ],
    ids=str,
)
def test_arguments_that_undo_values_are_refused(arguments: list[str], instead: str) -> None:
    sentence = refusal({"tracking": {"extraArgs": arguments}})
    assert "tracking.extraArgs must not" in sentence
    assert instead in sentence


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("NEBARI_MLFLOW_ARTIFACT_LOCATIONS", "[]", "tracking.artifactLocations"),
        ("MLFLOW_GUNICORN_OPTS", "", "tracking.workers"),
        ("FORWARDED_ALLOW_IPS", "*", "pass for the pod itself"),
        ("UVICORN_HOST", "127.0.0.1", "tracking.extraArgs"),
        ("MLFLOW_UVICORN_OPTS", "--uds /tmp/x", "--uds"),
        ("PYTHONPATH", "/my/modules", "/mlflow/app:/my/modules"),
    ],
)
def test_variables_that_undo_checks_are_refused(name: str, value: str, sentence: str) -> None:
    assert sentence in refusal({"tracking": {"extraEnvVars": [{"name": name, "value": value}]}})


def test_modules_beside_the_application_are_allowed() -> None:
    entry = {"name": "PYTHONPATH", "value": "/my/modules:/mlflow/app"}
    assert env(server(render({"tracking": {"extraEnvVars": [entry]}})))["PYTHONPATH"] == entry["value"]


def test_the_application_is_a_package_that_python_finds(tmp_path: Path) -> None:
    objects = render()
    pod = one(objects, "Deployment", "demo-mlflow-tracking")["spec"]["template"]["spec"]
    (volume,) = [volume["configMap"] for volume in pod["volumes"] if volume["name"] == "app"]
    files = one(objects, "ConfigMap", volume["name"])["data"]
    assert {item["key"] for item in volume["items"]} == set(files)
    for item in volume["items"]:
        (tmp_path / item["path"]).parent.mkdir(exist_ok=True)
        (tmp_path / item["path"]).write_text(files[item["key"]])
    (mount,) = [mount for mount in server(objects)["volumeMounts"] if mount["name"] == "app"]
    assert env(server(objects))["PYTHONPATH"] == mount["mountPath"]
    (package,) = distributions(path=[str(tmp_path)])
    (found,) = package.entry_points.select(group="mlflow.app")
    assert f"--app-name={found.name}" in server(objects)["args"]
    name, _, function = found.value.partition(":")
    assert f"def {function}(" in (tmp_path / name.replace(".", "/")).with_suffix(".py").read_text()


@pytest.mark.parametrize(("storage", "attempts"), [(S3, "3"), (GCS, None), ({}, None)], ids=["s3", "gcs", "volume"])
def test_s3_is_waited_for_within_bounds(storage: Object, attempts: str | None) -> None:
    found = env(server(render({"storage": storage})))
    assert found.get("AWS_MAX_ATTEMPTS") == attempts
    assert found.get("AWS_RETRY_MODE") == (attempts and "standard")
    mine = {"storage": {"uri": "s3://b", "env": {"AWS_MAX_ATTEMPTS": "9"}}}
    assert env(server(render(mine)))["AWS_MAX_ATTEMPTS"] == "9"


def test_locations_of_an_earlier_server_are_allowed_everywhere() -> None:
    more = ["s3://old.bucket/a+b", "/mlflow/artifacts-of-before"]
    found = env(server(render({"storage": GCS, "tracking": {"artifactLocations": more}})))
    assert json.loads(found["NEBARI_MLFLOW_ARTIFACT_LOCATIONS"]) == more
    pattern = found["MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX"]
    assert re.search(pattern, "s3://old.bucket/a+b/1/artifacts/model")
    assert not re.search(pattern, "s3://oldxbucket/aab/1/artifacts/model")
    for wrong in ("s3://b/../c", "s3://b/%2e%2e/c", "bucket/x", "s3://b#x"):
        assert "artifactLocations" in refusal({"tracking": {"artifactLocations": [wrong]}})


def allowed(hosts: str, host: str) -> bool:
    """Compare as MLflow does: exactly, or by pattern where there is an asterisk."""
    return any(fnmatch.fnmatch(host, known) if "*" in known else host == known for known in hosts.split(","))


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("demo-mlflow-tracking", True),
        ("demo-mlflow-tracking:5000", True),
        ("demo-mlflow-tracking.dev", True),
        ("demo-mlflow-tracking.dev.svc:5000", True),
        ("demo-mlflow-tracking.dev.svc.cluster.local", True),
        ("demo-mlflow-tracking.dev.svc.cluster.local:5000", True),
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:43210", True),
        ("nebari.example.org", True),
        ("nebari.example.org:8443", True),
        ("other.example.org", True),
        ("other.example.org:8443", False),
        ("demo-mlflow-tracking.evil.org", False),
        ("nebari.example.org.evil.org", False),
        ("evil.org", False),
        ("10.244.0.5:5000", False),
    ],
)
def test_hosts_that_are_answered(host: str, answered: bool) -> None:
    values = {"route": TRAEFIK, "tracking": {"allowedHosts": ["other.example.org"]}}
    hosts = env(server(render(values)))["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert allowed(hosts, host) is answered


def test_a_scraper_is_answered_at_the_address_of_the_pod() -> None:
    container = server(render({"tracking": {"metrics": {"enabled": True}}}))
    found = env(container)
    assert "$(POD_IP):5000" in found["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    names = [entry["name"] for entry in container["env"]]
    assert names.index("POD_IP") < names.index("MLFLOW_SERVER_ALLOWED_HOSTS")
    assert "--expose-prometheus=/tmp/metrics" in container["args"]


@pytest.mark.parametrize(
    ("values", "origins"),
    [
        ({}, None),
        ({"route": TRAEFIK}, "https://nebari.example.org"),
        ({"route": {**TRAEFIK, "tls": False}}, "http://nebari.example.org"),
        (
            {"route": TRAEFIK, "tracking": {"corsAllowedOrigins": ["https://a.example.org:8443"]}},
            "https://nebari.example.org,https://a.example.org:8443",
        ),
    ],
)
def test_origins(values: Object, origins: str | None) -> None:
    assert env(server(render(values))).get("MLFLOW_SERVER_CORS_ALLOWED_ORIGINS") == origins


@pytest.mark.parametrize(
    ("source", "accepted"),
    [
        ("mlflow-artifacts:/1/2/artifacts/model", True),
        ("models:/m-1", True),
        ("runs:/1/model", True),
        ("dummy-source", True),
        ("prompt-template", True),
        ("s3://bucket/path/1/model", True),
        ("s3://bucket/pathology/model", False),
        ("s3://other/path/1", False),
        ("http://169.254.169.254/latest", False),
        ("file:///etc/passwd", False),
        ("/etc/passwd", False),
        ("dummy-source/../etc", False),
    ],
)
def test_sources_of_model_versions(source: str, accepted: bool) -> None:
    pattern = env(server(render({"storage": S3})))["MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX"]
    assert bool(re.search(pattern, source)) is accepted


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"tracking": {"replicaCount": 2}}, "ReadWriteMany"),
        ({"tracking": {"autoscaling": {"enabled": True}}}, "ReadWriteMany"),
        ({"storage": S3, "tracking": {"replicaCount": 2, "jobExecution": True}}, "MLFLOW_SERVER_JOB_HUEY_REDIS_URL"),
        ({"image": {"tag": "v3.16.2-full"}}, "at least 3.17.0"),
        ({"image": {"tag": "3.3.2"}}, "at least 3.17.0"),
        ({"storage": {"uri": "file:///mlflow"}}, "storage.uri"),
        ({"storage": {"uri": "s3://b", "volume": {"size": "1Gi"}}}, "remove storage.volume"),
        ({"storage": {"uri": "/mlflow/scripts/"}}, "use another path"),
        ({"storage": {"env": {"MLFLOW_WORKSPACE": "a"}}}, "MLFLOW_WORKSPACE"),
        ({"tracking": {"extraEnvVars": [{"name": "MLFLOW_SERVER_ALLOWED_HOSTS", "value": "*"}]}}, "allowedHosts"),
        ({"postgresql": {"enabled": False}}, "externalDatabase.host"),
        ({"externalDatabase": {"host": "db"}}, "postgresql.enabled"),
        ({"postgresql": {"enabled": False}, "externalDatabase": {"host": "db"}}, "existingSecret"),
        (
            {
                "postgresql": {"enabled": False},
                "externalDatabase": {"host": "d", "existingSecret": "s", "existingSecretUriKey": "u"},
            },
            "Empty one",
        ),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_with_the_way_out(values: Object, sentence: str) -> None:
    assert sentence in refusal(values)


@pytest.mark.parametrize(
    ("release", "sentence"), [("a" * 42, "at most 41"), ("a.b", "lower-case"), ("1a", "a letter first")]
)
def test_names_of_releases_that_cannot_work(release: str, sentence: str) -> None:
    assert sentence in refusal({}, release=release)


def test_the_longest_name_fits() -> None:
    objects = render(release="a" * 41)
    assert max(len(item["metadata"]["name"]) for item in objects if item["kind"] in {"Job", "Service"}) <= 63


def test_artifacts_on_a_volume() -> None:
    values = {
        "storage": {
            "uri": "/data/mlflow",
            "volume": {"size": "1Ti", "storageClass": "nfs", "accessMode": "ReadWriteMany"},
        }
    }
    objects = render(values | {"tracking": {"replicaCount": 2}})
    claim = one(objects, "PersistentVolumeClaim", f"{RELEASE}-artifacts")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "nfs",
        "resources": {"requests": {"storage": "1Ti"}},
    }
    assert {"name": "artifacts", "mountPath": "/data/mlflow"} in server(objects)["volumeMounts"]


@pytest.mark.parametrize("storage", [S3, GCS, AZURE, MINIO], ids=["s3", "gcs", "azure", "minio"])
def test_artifacts_in_an_object_store(storage: dict[str, Any]) -> None:
    objects = render({"storage": storage})
    container = server(objects)
    assert f"--artifacts-destination={storage['uri']}" in container["args"]
    assert storage.get("env", {}).items() <= env(container).items()
    assert not [item for item in objects if item["kind"] == "PersistentVolumeClaim"]
    account = one(objects, "ServiceAccount")["metadata"]
    assert account.get("annotations", {}) == storage.get("serviceAccountAnnotations", {})
    labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert storage.get("podLabels", {}).items() <= labels.items()
    sources = [source["secretRef"]["name"] for source in container.get("envFrom", [])]
    assert sources == ([storage["secret"]] if "secret" in storage else [])


def test_the_database_is_the_same_for_all_that_use_it() -> None:
    users = [
        {name: value for name, value in env(container).items() if name.startswith("PG") or name == URI}
        for name, pod in pods(render())
        for container in containers(pod)
        if name.startswith(("Deployment", "Job"))
    ]
    assert len(users) == 3
    assert {user.pop("PGAPPNAME") for user in users} == {"mlflow-server", "mlflow-migrate", "mlflow-wait-for-schema"}
    assert users[0] == users[1] == users[2]


def test_the_database_of_the_release() -> None:
    found = env(server(render()))
    assert found[URI] == "postgresql+psycopg2://mlflow@demo-mlflow-postgresql:5432/mlflow"
    assert found["PGPASSWORD"] == {"secretKeyRef": {"name": "demo-mlflow-postgresql", "key": "password"}}
    assert "PGSSLMODE" not in found


def test_a_database_by_its_parts() -> None:
    for found in readers(EXTERNAL_PARTS):
        assert found[URI] == "postgresql://user%40server@db.example.org:5432/mlflow"
        assert found["PGPASSWORD"] == {"secretKeyRef": {"name": "db", "key": "password"}}
        assert (found["PGSSLMODE"], found["PGSSLROOTCERT"]) == ("verify-full", "/mlflow/database-ca/ca.crt")
    assert not [item for item in render(EXTERNAL_PARTS) if item["metadata"]["name"].endswith("-postgresql")]


@pytest.mark.parametrize(
    ("parts", "uri"),
    [
        ({"existingSecretUserKey": "username"}, "postgresql://db.example.org:5432/mlflow"),
        ({"host": "a,b.example.org", "port": 6432}, "postgresql://user%40server@a,b.example.org:6432/mlflow"),
        ({"host": "fd00::1"}, "postgresql://user%40server@[fd00::1]:5432/mlflow"),
        (
            {"parameters": {"options": "-csearch_path=a b", "target_session_attrs": "read-write"}},
            "postgresql://user%40server@db.example.org:5432/mlflow?options=-csearch_path%3Da%20b&target_session_attrs=read-write",
        ),
    ],
    ids=str,
)
def test_parts_of_a_database_become_one_uri(parts: Object, uri: str) -> None:
    given = {**EXTERNAL_PARTS, "externalDatabase": {**EXTERNAL_PARTS["externalDatabase"], **parts}}
    for found in readers(given):
        assert found[URI] == uri
        mlflow_uri.split(uri)
        key = parts.get("existingSecretUserKey")
        assert found.get("PGUSER") == ({"secretKeyRef": {"name": "db", "key": key}} if key else None)


@pytest.mark.parametrize("kind", ["caSecret", "caConfigMap"])
def test_an_authority_comes_from_a_secret_or_a_config_map(kind: str) -> None:
    given = {"host": "db", "existingSecret": "db", kind: "ca", "caKey": "bundle.pem"}
    values = {"postgresql": {"enabled": False}, "externalDatabase": given}
    for _, pod in pods(render(values)):
        for volume in pod["volumes"]:
            if volume["name"] == "database-ca":
                source = volume["secret" if kind == "caSecret" else "configMap"]
                assert source["items"] == [{"key": "bundle.pem", "path": "ca.crt"}]
    assert {found["PGSSLROOTCERT"] for found in readers(values)} == {"/mlflow/database-ca/ca.crt"}
    assert "caConfigMap" in refusal({**values, "externalDatabase": {**given, "caSecret": "a", "caConfigMap": "b"}})


def readers(values: Object) -> list[Object]:
    """Return the environment of the two containers that read what the Secret and the values say."""
    users = database_users(values)
    return [users["migrate"], users["wait-for-schema"]]


def database_users(values: Object) -> dict[str, Object]:
    """Return the environment of each container that uses the database."""
    found = {}
    for name, pod in pods(render(values)):
        for container in containers(pod):
            if name.startswith(("Deployment", "Job")):
                found[container["name"]] = env(container)
    return found


@pytest.mark.parametrize("values", [EXTERNAL_URI, EXTERNAL_PARTS], ids=["uri", "parts"])
def test_database_is_checked_first_and_server_never_sees_its_secret(values: Object) -> None:
    users = database_users(values)
    for name in ("migrate", "wait-for-schema") if values is EXTERNAL_URI else ():
        assert users[name][URI] == {"secretKeyRef": {"name": "db", "key": "uri"}}
        assert users[name]["DATABASE_URI_FROM"] == "Secret db, key uri"
    assert users["tracking"][URI] == "postgresql+psycopg2:///?service=mlflow"
    assert users["tracking"]["PGSERVICEFILE"] == users["wait-for-schema"]["SERVICE_FILE"]
    assert '"name": "db"' not in json.dumps(users["tracking"])


def test_what_the_pod_knows_of_a_uri_stays_in_memory() -> None:
    pod = one(render(EXTERNAL_URI), "Deployment")["spec"]["template"]["spec"]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "database"]
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}
    mounts = {
        container["name"]: mount["readOnly"]
        for container in containers(pod)
        for mount in container["volumeMounts"]
        if mount["name"] == "database"
    }
    assert mounts == {"tracking": True, "wait-for-schema": False}


@pytest.mark.parametrize("values", [{}, EXTERNAL_PARTS, EXTERNAL_URI], ids=["own", "parts", "uri"])
def test_a_password_is_only_given_by_scram(values: Object) -> None:
    assert {found["PGREQUIREAUTH"] for found in database_users(values).values()} == {"scram-sha-256"}


@pytest.mark.parametrize(
    ("external", "mode", "roots"),
    [
        ({}, "verify-full", "/mlflow/database/roots.crt"),
        ({"caSecret": "ca"}, "verify-full", "/mlflow/database-ca/ca.crt"),
        ({"sslMode": "require"}, "require", None),
        ({"sslMode": "verify-ca"}, "verify-ca", "/mlflow/database/roots.crt"),
    ],
    ids=["default", "own authority", "explicitly weaker", "name not checked"],
)
def test_a_certificate_is_checked_unless_a_weaker_mode_is_named(external: Object, mode: str, roots: str | None) -> None:
    given = {"host": "db.example.org", "existingSecret": "db", **external}
    for found in readers({"postgresql": {"enabled": False}, "externalDatabase": given}):
        assert (found["PGSSLMODE"], found.get("PGSSLROOTCERT")) == (mode, roots)


def test_other_ways_to_ask_for_the_password_are_named() -> None:
    for given, expected in (("scram-sha-256,md5", "scram-sha-256,md5"), ("", None)):
        values = {**EXTERNAL_PARTS, "externalDatabase": {**EXTERNAL_PARTS["externalDatabase"], "requireAuth": given}}
        assert env(server(render(values))).get("PGREQUIREAUTH") == expected
    assert "requireAuth" in refusal({"externalDatabase": {"requireAuth": "scram"}})


def test_one_replica_has_no_budget_and_several_do() -> None:
    assert not [item for item in render() if item["kind"] == "PodDisruptionBudget"]
    objects = render({"storage": S3, "tracking": {"replicaCount": 2}})
    assert one(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]


@pytest.mark.parametrize(("create", "replicas", "made"), [(True, 1, 1), (False, 2, 0), (None, 1, 0), (None, 2, 1)])
def test_a_budget_can_be_asked_for_and_left_out(create: bool | None, replicas: int, made: int) -> None:
    objects = render({"storage": S3, "tracking": {"replicaCount": replicas, "pdb": {"create": create}}})
    assert len([item for item in objects if item["kind"] == "PodDisruptionBudget"]) == made


@pytest.mark.parametrize(("metrics", "monitor", "made"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_a_service_monitor_scrapes_the_server_where_there_are_metrics(metrics: bool, monitor: bool, made: int) -> None:
    given = {"enabled": metrics, "serviceMonitor": {"enabled": monitor, "interval": "15s", "labels": {"team": "ops"}}}
    objects = render({"tracking": {"metrics": given}}, "--api-versions", "monitoring.coreos.com/v1")
    found = [item for item in objects if item["kind"] == "ServiceMonitor"]
    assert len(found) == made
    for item in found:
        assert item["metadata"]["labels"]["team"] == "ops"
        assert item["spec"]["endpoints"] == [{"port": "http", "path": "/metrics", "interval": "15s"}]
        service = one(objects, "Service", "demo-mlflow-tracking")
        assert item["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


@pytest.mark.parametrize("metrics", [True, False])
def test_dashboard_and_alerts_come_with_metrics_only(metrics: bool) -> None:
    given = {
        "enabled": metrics,
        "dashboard": {"enabled": True},
        "rules": {"enabled": True, "labels": {"release": "nebari"}},
    }
    objects = render({"tracking": {"metrics": given}})
    kinds = [item["kind"] for item in objects if item["metadata"]["name"].endswith("-dashboard")]
    rules = [item for item in objects if item["kind"] == "PrometheusRule"]
    assert (kinds, len(rules)) == ((["ConfigMap"], 1) if metrics else ([], 0))
    assert all(rule["metadata"]["labels"]["release"] == "nebari" for rule in rules)


def test_grafana_finds_a_dashboard_of_each_release() -> None:
    values = {"tracking": {"metrics": {"enabled": True, "dashboard": {"enabled": True}}}}
    uids = set()
    for release in ("one", "two"):
        found = one(render(values, release=release), "ConfigMap", f"{release}-dashboard")
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert found["metadata"]["annotations"] == {"dashboard/subdirectory": "Main"}
        ((name, text),) = found["data"].items()
        assert name == f"dev-{release}.json"  # Grafana's sidecar puts those of all namespaces into one directory
        dashboard = json.loads(text)
        uids.add(dashboard["uid"])
        queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        assert all('namespace="dev"' in query and f"{release}-" in query for query in queries)
        assert "@" not in text
    assert len(uids) == 2


def test_autoscaling_leaves_the_replicas_alone() -> None:
    objects = render({"storage": S3, "tracking": {"autoscaling": {"enabled": True, "maxReplicas": 3}}})
    assert "replicas" not in one(objects, "Deployment")["spec"]
    assert one(objects, "HorizontalPodAutoscaler")["spec"]["maxReplicas"] == 3


def test_probes() -> None:
    container = server(render())
    assert container["startupProbe"]["httpGet"]["path"] == container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}
