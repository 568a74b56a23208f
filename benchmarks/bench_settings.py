"""PostgreSQL's settings, one by one beside its defaults, for MLflow's own statements on a filled database.

RUNS and STEPS change the size, PAIRS how often each is measured. The time is PostgreSQL's own, planning and execution.
The metric `steps` has values far above those of the others, which is where PostgreSQL's estimate of `metrics.m1 > 0.9`
goes wrong. At the end, each statement with our indexes beside the same without them.
"""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Callable

from benchmarks import bench_search as search
from benchmarks.ratio import report, run, say

PAIRS = int(os.environ.get("PAIRS", "3"))
SKEWED = f"""
INSERT INTO latest_metrics SELECT 'steps', i, 0, 0, false, md5('run' || i) FROM generate_series(1, {search.RUNS}) i;
VACUUM ANALYZE latest_metrics;
"""  # noqa: S608
RUNS = """
EXPLAIN (ANALYZE, TIMING OFF) SELECT DISTINCT runs.*, CASE WHEN start_time IS NULL THEN 1 ELSE 0 END AS clause_1
FROM runs {} WHERE experiment_id IN ({}) AND lifecycle_stage IN ('active')
ORDER BY clause_1, start_time DESC, runs.run_uuid LIMIT 101
"""
JOIN = "JOIN (SELECT * FROM {} WHERE {}) AS anon_1 ON runs.run_uuid = anon_1.run_uuid"
TEN = ", ".join(map(str, search.TEN))


def metric(condition: str) -> str:
    return RUNS.format(JOIN.format("latest_metrics", f"{condition} AND is_nan = false"), TEN)


STATEMENTS = {
    "newest of one experiment": RUNS.format("", "3"),
    "newest of ten": RUNS.format("", TEN),
    "a metric that few runs reach": metric("key = 'm1' AND value > 0.999"),
    "a metric that half of the runs reach": metric("key = 'm1' AND value > 0.5"),
    "a metric that no run reaches": metric("key = 'm1' AND value > 2"),
    "a tag": RUNS.format(JOIN.format("tags", "key = 'team' AND value = 'team-7'"), TEN),
    "a tag that no run has": RUNS.format(JOIN.format("tags", "key = 'team' AND value = 'none'"), TEN),
    "a param that half of the runs have": RUNS.format(JOIN.format("params", "key = 'p0' AND value = '0.01'"), TEN),
    "history of a metric": """
EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM metrics WHERE run_uuid = md5('run77') AND key = 'm1'
ORDER BY timestamp, step, value LIMIT 25000
""",
    "metrics of 100 runs": """
EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM latest_metrics WHERE run_uuid IN (SELECT md5('run' || i) FROM
generate_series(1, 100) i)
""",
}


def reload(setting: str) -> Callable[[bool], None]:
    """Return what sets it, for all sessions, or takes it back."""

    def change(on: bool) -> None:
        search.sql(f"ALTER SYSTEM {f'SET {setting}' if on else f'RESET {setting.split()[0]}'}")
        search.sql("SELECT pg_reload_conf()")

    return change


def restart(setting: str) -> Callable[[bool], None]:
    """Return what sets something that PostgreSQL reads at its start."""
    change = reload(setting)

    def changed(on: bool) -> None:
        change(on)
        kubectl = ("kubectl", "-n", search.NAMESPACE)
        run(*kubectl, "delete", "pod", f"{search.RELEASE}-postgresql-0")
        run(*kubectl, "rollout", "status", f"sts/{search.RELEASE}-postgresql", "--timeout=3m")
        measure()  # reads what was in memory before

    return changed


def run_sql(on: str, off: str) -> Callable[[bool], None]:
    def change(wanted: bool) -> None:
        for statement in (on if wanted else off).split(";"):
            search.sql(statement)

    return change


GROWTH = f"""
WITH new AS (
  INSERT INTO runs
  (run_uuid, name, source_type, user_id, status, start_time, lifecycle_stage, artifact_uri, experiment_id)
  SELECT md5(random()::text), 'run', 'LOCAL', 'user', 'FINISHED', 1800000000000 + i, 'active', 'mlflow-artifacts:/',
  1 + i % {search.EXPERIMENTS} FROM generate_series(1, {search.RUNS // 10}) i RETURNING run_uuid
), tagged AS (
  INSERT INTO tags SELECT 'team', 'team-' || (random() * 1000)::int, run_uuid FROM new
), given AS (
  INSERT INTO params SELECT 'p0', (ARRAY['0.1', '0.01'])[1 + (random() > 0.5)::int], run_uuid FROM new
)
INSERT INTO latest_metrics SELECT 'm' || k, random(), 0, 0, false, run_uuid FROM new, generate_series(0, 4) k
"""  # noqa: S608


def vacuum(on: bool) -> None:
    """Let vacuum see all rows, or add a tenth that it has not seen, half of what PostgreSQL waits for."""
    search.sql("VACUUM ANALYZE" if on else GROWTH)


VARIANTS: dict[str, Callable[[bool], None]] = {
    "jit = off": reload("jit = off"),
    "random_page_cost = 1.1": reload("random_page_cost = 1.1"),
    "effective_cache_size = 512MB": reload("effective_cache_size = '512MB'"),
    "shared_buffers = 256MB": restart("shared_buffers = '256MB'"),
    "statistics of (key, value)": run_sql(
        "CREATE STATISTICS bench (mcv, dependencies) ON key, value FROM latest_metrics; ANALYZE latest_metrics",
        "DROP STATISTICS IF EXISTS bench; ANALYZE latest_metrics",
    ),
    "statistics target 10000 of value": run_sql(
        "ALTER TABLE latest_metrics ALTER value SET STATISTICS 10000; ANALYZE latest_metrics",
        "ALTER TABLE latest_metrics ALTER value SET STATISTICS DEFAULT; ANALYZE latest_metrics",
    ),
    "vacuum before a tenth is new": vacuum,
    "our indexes": lambda on: search.show(on),
}
CHOSEN = os.environ.get("VARIANTS", ",".join(VARIANTS)).split(",")


def took(statement: str) -> float:
    """Return PostgreSQL's milliseconds, the median of five."""
    found = [re.findall(r"(?:Planning|Execution) Time: ([0-9.]+)", search.sql(statement)) for _ in range(5)]
    return statistics.median(sum(map(float, each)) for each in found)


def measure() -> dict[str, float]:
    return {title: took(statement) for title, statement in STATEMENTS.items()}


def main() -> None:
    """Print the ratio of each statement, with each setting over without it."""
    try:
        search.fill()
        search.sql(SKEWED)
        search.sql("ALTER SYSTEM SET autovacuum = off")
        search.sql("SELECT pg_reload_conf()")
        for name in CHOSEN:
            change = VARIANTS[name]
            found: dict[bool, list[dict[str, float]]] = {True: [], False: []}
            for number in range(1, PAIRS + 1):
                for on in (True, False):
                    change(on)
                    found[on].append(measure())
                say(f"  {name}: pair {number} of {PAIRS}")
            if name == "our indexes":
                change(True)
            for title in STATEMENTS:
                pairs = [(a[title], b[title]) for a, b in zip(found[True], found[False], strict=True)]
                report(f"{name}: {title}, ms", pairs, "below 1 is better with it")
    finally:
        run("kubectl", "delete", "namespace", search.NAMESPACE, "--ignore-not-found", "--wait=false")


if __name__ == "__main__":
    main()
