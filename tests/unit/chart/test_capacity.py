"""Workers, places at the database, connections and memory fit into each other, whatever is set."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from nebari_mlflow.cli import doctor
from tests.unit.chart.configurations import S3
from tests.unit.chart.rendering import Object, env, one, refusal, render, server

EXTERNAL: Object = {"postgresql": {"enabled": False}, "externalDatabase": {"host": "db", "existingSecret": "db"}}
RESERVED = 15
JOBS_OF = "MLFLOW_SERVER"


def tracking(**values: Any) -> Object:
    return {"storage": S3, "tracking": values}


def external(connections: int, **values: Any) -> Object:
    return {
        **tracking(**values),
        **EXTERNAL,
        "externalDatabase": {**EXTERNAL["externalDatabase"], "maxConnections": connections},
    }


def numbers(values: Object) -> tuple[int, int, int]:
    """Return a server's workers, a worker's places, and PostgreSQL's connections (0 if it is external)."""
    objects = render(values)
    container = server(objects)
    found = env(container)
    workers = next(int(argument[10:]) for argument in container["args"] if argument.startswith("--workers="))
    assert found["MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW"] == "-1", "a request that holds a connection gets its second"
    places = int(found["NEBARI_MLFLOW_DATABASE_PLACES"])
    assert int(found["MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"]) == 2 * places + 2, "none is opened and closed all the time"
    offered = 0
    if any(item["kind"] == "StatefulSet" for item in objects):
        arguments = one(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]["args"]
        offered = next(int(each.partition("=")[2]) for each in arguments if "max_connections" in each)
    return workers, places, offered


def most(pods: int, workers: int, places: int) -> int:
    """Return the connections that so many pods open at worst: gate.py says how many a place takes."""
    return pods * (2 + workers * (2 * places + 2))


@pytest.mark.parametrize("rolling", [False, True], ids=["recreate", "rolling"])
@pytest.mark.parametrize("autoscaled", [False, True], ids=["fixed", "autoscaled"])
@pytest.mark.parametrize("replicas", range(1, 9))
def test_connections_suffice_for_every_count_of_replicas(replicas: int, autoscaled: bool, rolling: bool) -> None:
    scaling = {"autoscaling": {"enabled": True, "minReplicas": 1, "maxReplicas": replicas}}
    count = scaling if autoscaled else {"replicaCount": replicas}
    pods = replicas * 2 if rolling else replicas
    strategy = {"strategy": {"type": "RollingUpdate" if rolling else "Recreate"}}
    workers, places, offered = numbers(tracking(**count, **strategy))
    assert 1 <= places <= 10
    assert most(pods, workers, places) <= offered - RESERVED
    for connections in () if autoscaled else (100, 300):
        given = external(connections, **count, **strategy)
        if connections - RESERVED < most(pods, 2, 1):
            assert "externalDatabase.maxConnections" in refusal(given)
        else:
            workers, places, _ = numbers(given)
            assert 1 <= places <= 10
            assert most(pods, workers, places) <= connections - RESERVED
            assert places == 10 or most(pods, workers, places + 1) > connections - RESERVED, "none is wasted"


@pytest.mark.parametrize(("workers", "connections"), list(itertools.product([1, 4, 8], [60, 100, 200])))
def test_given_workers_and_connections_limit_the_requests(workers: int, connections: int) -> None:
    values = {"tracking": {"workers": workers}, "postgresql": {"maxConnections": connections}}
    found, places, offered = numbers(values)
    assert (found, offered) == (workers, connections)
    assert most(1, workers, places) <= connections - RESERVED


@pytest.mark.parametrize("connections", [*range(77, 89), 200])
def test_with_users_the_connections_carry_what_reads_permissions(connections: int) -> None:
    access = {"access": {"mode": "users", "kubernetes": {"enabled": True}}}
    workers, places, _ = numbers({**external(connections, workers=3), **access})

    def opened(places: int) -> int:
        return 2 + workers * (2 * (2 * places + 2) + 1)

    assert opened(places) <= connections - RESERVED < opened(places + 1) or places == 10


def test_the_doctor_knows_the_chart_s_names_and_numbers() -> None:
    found = env(server(render()))
    assert found[doctor.PLACES] == str(doctor.ENOUGH_PLACES)


def test_an_ordinary_server_works_on_ten_requests_a_worker() -> None:
    assert numbers({}) == (2, 10, 100)
    assert numbers(tracking(replicaCount=3)) == (2, 10, 200)


def test_job_execution_leaves_connections_for_its_processes() -> None:
    memory = {"resources": {"limits": {"memory": "6Gi"}}}
    values = {"tracking": {**memory, "jobExecution": True}, "postgresql": {"maxConnections": 100}}
    assert numbers(values)[1] < numbers({**values, "tracking": memory})[1]


@pytest.mark.parametrize(
    ("limits", "workers"),
    [
        ({"cpu": "2", "memory": "2Gi"}, 2),
        ({"cpu": 4, "memory": "4Gi"}, 4),
        ({"cpu": "2500m", "memory": "2Gi"}, 2),
        ({"cpu": "500m", "memory": "2Gi"}, 1),
        ({"cpu": "1.5", "memory": "2Gi"}, 1),
        ({"cpu": "8", "memory": "1Gi"}, 3),
        ({"cpu": "8", "memory": "300Mi"}, 1),
        ({"cpu": "8", "memory": "2G"}, 6),
        ({"cpu": "3", "memory": None}, 3),
        ({"cpu": None, "memory": None}, 2),
    ],
    ids=str,
)
def test_workers_follow_the_limits(limits: Object, workers: int) -> None:
    assert numbers({"tracking": {"resources": {"limits": limits}}})[0] == workers


@pytest.mark.parametrize(
    ("memory", "gateway", "workers", "jobs"),
    [
        ("4Gi", False, 2, "1"),
        ("6Gi", False, 2, "2"),
        ("16Gi", False, 2, "5"),
        ("4Gi", True, 1, "1"),
        ("8Gi", True, 2, "3"),
    ],
)
def test_memory_is_reckoned_with_running_jobs(memory: str, gateway: bool, workers: int, jobs: str) -> None:
    container = server(
        render(
            {
                "tracking": {
                    "jobExecution": True,
                    "aiGateway": gateway,
                    "resources": {"limits": {"cpu": "2", "memory": memory}},
                }
            }
        )
    )
    assert f"--workers={workers}" in container["args"]
    found = env(container)
    assert found["MLFLOW_SERVER_JUDGE_INVOKE_MAX_WORKERS"] == found["MLFLOW_SERVER_ONLINE_SCORING_MAX_WORKERS"] == jobs


@pytest.mark.parametrize(
    ("values", "requested", "limit"),
    [
        ({}, "512Mi", "2Gi"),
        ({"workers": 1}, "512Mi", "2Gi"),
        ({"resources": {"limits": {"cpu": "8"}}}, "2Gi", "2304Mi"),
        ({"aiGateway": True}, "1Gi", "2Gi"),
        ({"aiGateway": True, "workers": 4}, "2Gi", "2304Mi"),
        ({"jobExecution": True}, "2Gi", "4Gi"),
        ({"jobExecution": True, "workers": 1}, "1792Mi", "3840Mi"),
        ({"jobExecution": True, "jobs": 4}, "2Gi", "7936Mi"),
        ({"jobExecution": True, "aiGateway": True}, "2560Mi", "4608Mi"),
        ({"jobExecution": True, "resources": {"limits": {"memory": "6Gi"}}}, "2Gi", "6Gi"),
        ({"jobExecution": True, "resources": {"limits": {"memory": None}}}, "2Gi", None),
        ({"resources": {"limits": {"memory": "300Mi"}}}, "300Mi", "300Mi"),
        ({"resources": {"requests": {"memory": "3Gi"}}}, "3Gi", "3Gi"),
        ({"resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": 1500000000}}}, "64Mi", 1500000000),
    ],
    ids=str,
)
def test_memory_follows_from_workers_jobs_and_gateway(values: Object, requested: str, limit: str | int | None) -> None:
    resources = server(render({"tracking": values}))["resources"]
    assert resources["requests"]["memory"] == requested
    assert resources["limits"].get("memory") == limit


def test_wanted_jobs_are_what_runs() -> None:
    for jobs in (1, 4):
        found = env(server(render({"tracking": {"jobExecution": True, "jobs": jobs}})))
        assert found["MLFLOW_SERVER_JUDGE_INVOKE_MAX_WORKERS"] == str(jobs)
        assert found["MLFLOW_SERVER_ONLINE_SCORING_MAX_WORKERS"] == str(jobs)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"tracking": {"jobs": 3}}, "tracking.jobs is 3, but tracking.jobExecution is false"),
        (
            tracking(extraEnvVars=[{"name": "MLFLOW_SERVER_JUDGE_INVOKE_MAX_WORKERS", "value": "9"}]),
            "use tracking.jobs",
        ),
        ({"storage": {"env": {f"{JOBS_OF}_ONLINE_SCORING_MAX_WORKERS": "9"}}}, "use tracking.jobs"),
    ],
    ids=str,
)
def test_jobs_that_memory_is_not_reckoned_with_are_refused(values: Object, sentence: str) -> None:
    assert sentence in refusal(values)


TWO_GIB: Object = {"limits": {"memory": "2Gi"}}


@pytest.mark.parametrize(
    ("autoscaling", "resources", "sentence"),
    [
        ({"minReplicas": 5}, {}, "minReplicas is 5, above tracking.autoscaling.maxReplicas, which is 4"),
        ({}, {"requests": {"cpu": None}}, "tracking.resources.requests.cpu"),
        ({}, {"requests": None}, "tracking.resources.requests.cpu"),
    ],
)
def test_autoscaling_that_could_not_work_is_refused(autoscaling: Object, resources: Object, sentence: str) -> None:
    values = tracking(autoscaling={"enabled": True, **autoscaling}, resources=resources)
    assert sentence in refusal(values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"postgresql": {"maxConnections": 24}}, "raise it to at least 25"),
        (external(60, replicaCount=10), "raise it to at least 115"),
        (tracking(replicaCount=20, strategy={"type": "RollingUpdate"}), "limits.memory to at least 1833Mi"),
        ({"postgresql": {"maxConnections": 500}}, "limits.memory to at least 2173Mi"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_the_number(values: Object, sentence: str) -> None:
    assert sentence in refusal(values)


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ({"jobExecution": True}, 3840),
        ({"jobExecution": True, "jobs": 3}, 6400),
        ({"jobExecution": True, "aiGateway": True, "workers": 2}, 4608),
        ({"aiGateway": True, "workers": 4}, 2304),
    ],
    ids=str,
)
def test_too_little_memory_is_refused_with_the_number(values: Object, fits: int) -> None:
    assert f"raise it to at least {fits}Mi, or remove it" in refusal({"tracking": {**values, "resources": TWO_GIB}})
    for memory in (fits - 1, fits):
        given = {"tracking": {**values, "resources": {"limits": {"memory": f"{memory}Mi"}}}}
        assert (f"to at least {fits}Mi" in refusal(given)) if memory < fits else render(given)


@pytest.mark.parametrize("strategy", ["Recreate", "RollingUpdate"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_pod_drains_where_another_takes_its_place(replicas: int, strategy: str) -> None:
    container = server(render(tracking(replicaCount=replicas, strategy={"type": strategy})))
    assert ("lifecycle" in container) is (replicas > 1 or strategy == "RollingUpdate")


def test_idle_connections_outlive_every_proxy_s() -> None:
    assert int(env(server(render()))["UVICORN_TIMEOUT_KEEP_ALIVE"]) > 3600
