"""Searches and pages at 100,000 runs and 10,000,000 metric points, with our indexes and without them.

RUNS and STEPS change the size. The same server and database; in turn, the indexes are hidden from PostgreSQL's planner
and shown to it again. Medians over HTTP, and the time that PostgreSQL itself takes for the newest hundred runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import statistics
import time
from typing import Any

from benchmarks.ratio import report, run, say
from tests.support import run_pod

NAMESPACE, RELEASE = "bench-search", "bench-mlflow"
RUNS, STEPS = int(os.environ.get("RUNS", "100000")), int(os.environ.get("STEPS", "20"))
PAIRS = int(os.environ.get("PAIRS", "3"))
EXPERIMENTS = 20
INPUTS = {
    "mlflow_provider": "local",
    "mlflow_project_name": "bench",
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
    "mlflow_verify": False,
}
FILL = f"""
SET synchronous_commit = off;
INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time)
  SELECT 'experiment ' || i, 'mlflow-artifacts:/' || i, 'active', i, i FROM generate_series(1, {EXPERIMENTS}) i;
INSERT INTO runs
  (run_uuid, name, source_type, user_id, status, start_time, lifecycle_stage, artifact_uri, experiment_id)
  SELECT md5('run' || i), 'run-' || i, 'LOCAL', 'user-' || i % 100, 'FINISHED',
  1700000000000 + i::bigint * 7919 % {RUNS}, 'active',
  'mlflow-artifacts:/' || 1 + i % {EXPERIMENTS}, 1 + i % {EXPERIMENTS} FROM generate_series(1, {RUNS}) i;
INSERT INTO tags SELECT key, CASE key WHEN 'team' THEN 'team-' || i % 1000 ELSE 'user-' || i % 100 END, md5('run' || i)
  FROM generate_series(1, {RUNS}) i, unnest(ARRAY['mlflow.user', 'team', 'mlflow.source.name']) key;
INSERT INTO params SELECT 'p' || k, CASE k WHEN 0 THEN (ARRAY['0.1', '0.01'])[1 + i % 2] ELSE md5((i * k)::text) END,
  md5('run' || i) FROM generate_series(1, {RUNS}) i, generate_series(0, 4) k;
INSERT INTO latest_metrics SELECT 'm' || k, (i::bigint * 2654435761 + k) % 100000 / 100000.0, 0, {STEPS} - 1, false,
  md5('run' || i) FROM generate_series(1, {RUNS}) i, generate_series(0, 4) k;
INSERT INTO metrics SELECT 'm' || k, (i::bigint * 2654435761 + k + s) % 100000 / 100000.0, s, md5('run' || i), s, false
  FROM generate_series(1, {RUNS}) i, generate_series(0, 4) k, generate_series(0, {STEPS} - 1) s;
VACUUM ANALYZE;
"""  # noqa: S608
TEN = list(range(1, 11))
SOME = list(map(str, TEN))
NEWEST = ["attributes.start_time DESC"]
SEARCHES: dict[str, dict[str, Any]] = {
    "newest 100 of one experiment": {"experiment_ids": ["3"], "order_by": NEWEST},
    "newest 100 of ten experiments": {"experiment_ids": SOME, "order_by": NEWEST},
    "a client's 100 of ten, without order_by": {"experiment_ids": SOME},
    "newest 100 with metrics.m1 > 0.999": {
        "experiment_ids": SOME, "order_by": NEWEST, "filter": "metrics.m1 > 0.999",
    },
    "newest 100 with a tag": {"experiment_ids": SOME, "order_by": NEWEST, "filter": "tags.team = 'team-7'"},
    "newest 100 with a param that half of the runs have": {
        "experiment_ids": SOME, "order_by": NEWEST, "filter": "params.p0 = '0.01'",
    },
    "the run with a param": {
        "experiment_ids": list(map(str, range(1, EXPERIMENTS + 1))), "order_by": NEWEST,
        "filter": f"params.p2 = '{hashlib.md5(b'24690', usedforsecurity=False).hexdigest()}'",
    },
}  # fmt: skip
SHOWN = [hashlib.md5(f"run{number}".encode(), usedforsecurity=False).hexdigest() for number in range(1, 101)]
PAGES = {
    "the list of experiments": "experiments/search?max_results=25&order_by=last_update_time+DESC",
    "an experiment": "experiments/get?experiment_id=3",
    "a run": f"runs/get?run_id={SHOWN[0]}",
    "a metric's history in 100 runs": "metrics/get-history-bulk?metric_key=m1&max_results=25000&run_id="
    + "&run_id=".join(SHOWN),
    "a chart's points of 100 runs": "metrics/get-history-bulk-interval?metric_key=m1&max_results=320&run_ids="
    + "&run_ids=".join(SHOWN),
}
MODELS: dict[str, Any] = {
    "experiment_ids": ["3"],
    "max_results": 50,
    "order_by": [{"field_name": "creation_timestamp"}],
}
ASKED: dict[str, tuple[str, Any]] = {
    **{title: ("runs/search", {"max_results": 100, **body}) for title, body in SEARCHES.items()},
    **{title: (path, None) for title, path in PAGES.items()},
    "an experiment's models": ("logged-models/search", MODELS),
}
ASK = """
import json, os, statistics, sys, time, urllib.error, urllib.request
for path, body in json.loads(sys.argv[1]):
    took = []
    for _ in range(8):
        request = urllib.request.Request(os.environ["MLFLOW_TRACKING_URI"] + "/ajax-api/2.0/mlflow/" + path,
                                         body and json.dumps(body).encode(), {"Content-Type": "application/json"})
        began = time.monotonic()
        for attempt in range(30):
            try:
                urllib.request.urlopen(request, timeout=120).read()
                break
            except urllib.error.HTTPError:
                raise
            except OSError:
                time.sleep(1)
                began = time.monotonic()
        took.append(time.monotonic() - began)
    print(statistics.median(took[2:]))
"""
PLAN = """
EXPLAIN (ANALYZE, TIMING OFF) SELECT DISTINCT runs.*, CASE WHEN start_time IS NULL THEN 1 ELSE 0 END AS clause_1
FROM runs WHERE experiment_id IN ({}) AND lifecycle_stage IN ('active')
ORDER BY clause_1, start_time DESC, run_uuid LIMIT 101
"""


def sql(statement: str) -> str:
    pod = ("kubectl", "exec", "-i", "-n", NAMESPACE, f"{RELEASE}-postgresql-0", "-c", "postgresql", "--")
    return run(*pod, "psql", "-v", "ON_ERROR_STOP=1", "-qAt", "-U", "postgres", "-d", "mlflow", stdin=statement)


def show(visible: bool) -> None:
    """Hide the indexes from the planner, or show them."""
    sql(
        f"UPDATE pg_index SET indisvalid = {visible} WHERE indexrelid IN "  # noqa: S608
        r"(SELECT oid FROM pg_class WHERE relkind = 'i' AND relname LIKE 'nebari\_mlflow\_%')"
    )


def in_database(experiments: list[int]) -> float:
    """Return PostgreSQL's own milliseconds for the newest runs."""
    statement = PLAN.format(", ".join(map(str, experiments)))
    found = [float(re.findall(r"Execution Time: ([0-9.]+)", sql(statement))[0]) for _ in range(5)]
    return statistics.median(found)


def measure() -> list[float]:
    uri = f"http://{RELEASE}-tracking.{NAMESPACE}.svc:5000"
    asked = json.dumps(list(ASKED.values()))
    return [
        float(line) for line in run_pod(NAMESPACE, "ask", ASK, asked, MLFLOW_TRACKING_URI=uri, timeout=1800).split()
    ]


def fill() -> None:
    """Deploy a server and give its database so many runs."""
    run("ansible-playbook", "playbooks/mlflow.yml", "-e", json.dumps(INPUTS))
    began = time.monotonic()
    sql(FILL)
    say(f"  {RUNS} runs, {RUNS * 5 * STEPS} metric points: filled in {time.monotonic() - began:.0f} s")


def main() -> None:
    """Print the ratio of each search, with the indexes over without them."""
    http: dict[bool, list[list[float]]] = {True: [], False: []}
    database: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    try:
        fill()
        for number in range(1, PAIRS + 1):
            for visible in (True, False):
                show(visible)
                http[visible].append(measure())
                database[visible].append((in_database([3]), in_database(TEN)))
            say(f"  pair {number} of {PAIRS}")
        for number, title in enumerate(ASKED):
            pairs = [(1000 * a[number], 1000 * b[number]) for a, b in zip(http[True], http[False], strict=True)]
            report(f"{title}, ms over HTTP, with / without the indexes", pairs, "aim at most 1")
        for number, title in enumerate(("one experiment", "ten experiments")):
            pairs = [(a[number], b[number]) for a, b in zip(database[True], database[False], strict=True)]
            report(f"newest 100 of {title}, ms in PostgreSQL", pairs, "aim 5 ms")
    finally:
        run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


if __name__ == "__main__":
    main()
