"""Dump, load and copy of a backup against bare pg_dump, pg_restore and cp, in turn, in the same pods and volumes.

RUNS, POINTS and MEGABYTES (of artifacts) change the size. Ours is the time in which the database is dumped, cut into
parts, checked and written, and in which it is read, checked and loaded; the baseline is the program alone, writing one
file and reading it. What either copies is on the disk at the end.
"""

from __future__ import annotations

import json
import os
import re
import time
from datetime import datetime
from typing import Any

from benchmarks.ratio import report, run, say

NAMESPACE, RELEASE = "bench-backup", "bench-mlflow"
RUNS, POINTS = int(os.environ.get("RUNS", "10000")), int(os.environ.get("POINTS", "1000000"))
MEGABYTES = int(os.environ.get("MEGABYTES", "1000"))
PAIRS = int(os.environ.get("PAIRS", "3"))
AIM = "aim at most 1.10"
INPUTS = {
    "mlflow_provider": "local",
    "mlflow_project_name": "bench",
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
    "mlflow_verify": False,
    "mlflow_overrides": {"tracking": {"workers": 1}, "backup": {"volume": {"create": True}, "artifacts": "copy"}},
}
FILL = f"""
SET synchronous_commit = off;
INSERT INTO experiments (name, artifact_location, lifecycle_stage)
  VALUES ('bench', 'mlflow-artifacts:/bench', 'active');
INSERT INTO runs (run_uuid, name, status, lifecycle_stage, artifact_uri, experiment_id)
  SELECT md5('run' || i), 'run-' || i, 'FINISHED', 'active', 'mlflow-artifacts:/bench/' || i, experiment_id
  FROM generate_series(1, {RUNS}) i, experiments WHERE experiments.name = 'bench';
INSERT INTO params SELECT 'p' || k, md5((i * k)::text), md5('run' || i)
  FROM generate_series(1, {RUNS}) i, generate_series(0, 4) k;
INSERT INTO metrics SELECT 'loss', (i::bigint * 2654435761 + s) % 100000 / 100000.0, s, md5('run' || i), s, false
  FROM generate_series(1, {RUNS}) i, generate_series(1, {POINTS // RUNS}) s;
VACUUM ANALYZE;
"""  # noqa: S608
# What bare programs need: the database's way, and for a load a server with the settings of a drill's.
DUMP = f"""
began=$(date +%s%N)
pg_dump -Fc -h {RELEASE}-postgresql -U mlflow -d mlflow -f /mlflow/backups/bare.dump
echo "took $(( ($(date +%s%N) - began) / 1000000 ))"
"""
FILES = f"""
rm -rf /mlflow/artifacts/bench && mkdir /mlflow/artifacts/bench && cd /mlflow/artifacts/bench
for each in $(seq 100); do head -c {MEGABYTES * 10_000} /dev/urandom > $each.bin; done
sync -f .  # otherwise whoever copies first waits for these, too
"""
COPY = """
rm -rf /mlflow/backups/bare
began=$(date +%s%N)
cp -r /mlflow/artifacts /mlflow/backups/bare
sync -f /mlflow/backups/bare
echo "took $(( ($(date +%s%N) - began) / 1000000 ))"
rm -rf /mlflow/backups/bare
"""
LOAD = """
s=/mlflow/scratch
mkdir -p $s/run
initdb -D $s/data --username=postgres --auth=trust --no-sync >/dev/null
pg_ctl -D $s/data -w -l $s/log start -o "-p 5433 -k $s/run -c listen_addresses= -c fsync=off -c full_page_writes=off \
  -c synchronous_commit=off -c max_wal_size=1GB" >/dev/null
unset PGREQUIREAUTH  # this server trusts whoever reaches its socket
export PGHOST=$s/run PGPORT=5433 PGUSER=postgres
createdb mlflow
began=$(date +%s%N)
pg_restore -d mlflow --no-owner --no-privileges --single-transaction --exit-on-error /mlflow/backups/bare.dump
echo "took $(( ($(date +%s%N) - began) / 1000000 ))"
pg_ctl -D $s/data -m immediate -w stop >/dev/null
"""


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    return run("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin)


def sql(statement: str) -> str:
    pod = ("exec", "-i", f"{RELEASE}-postgresql-0", "-c", "postgresql", "--")
    return kubectl(*pod, "psql", "-v", "ON_ERROR_STOP=1", "-qAt", "-U", "postgres", "-d", "mlflow", stdin=statement)


def job(name: str, verb: str = "", script: str = "") -> str:
    """Run a Job made from the release's own: with a verb of ours, or a script in the container of the programs."""
    cronjob = json.loads(kubectl("get", "cronjob", f"{RELEASE}-drill", "-o", "json"))
    spec: dict[str, Any] = {**cronjob["spec"]["jobTemplate"]["spec"], "backoffLimit": 0}
    spec.pop("podFailurePolicy", None)
    pod = spec["template"]["spec"]
    driver, programs = pod["containers"]
    if verb:
        driver["args"] = [verb]
    else:
        password = {"secretKeyRef": {"name": f"{RELEASE}-postgresql", "key": "password"}}
        programs["env"] = [*programs["env"], {"name": "PGPASSWORD", "valueFrom": password}]
        programs["command"] = ["bash", "-euc", script]
        for volume in ("backups", "artifacts"):
            programs["volumeMounts"].append({"name": volume, "mountPath": f"/mlflow/{volume}"})
        pod["containers"] = [programs]
    whole = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
    kubectl("delete", "job", name, "--ignore-not-found", "--wait=true")
    kubectl("apply", "-f", "-", stdin=json.dumps(whole))
    kubectl("wait", f"job/{name}", "--for=condition=Complete", "--timeout=1800s")
    container = "backup" if verb else "postgresql"
    return kubectl("logs", f"job/{name}", "-c", container, "--timestamps")


def between(log: str, first: str, last: str) -> float:
    """Return the seconds from the first line that begins with some words to the next one that does with others."""
    times: dict[str, datetime] = {}
    for line in log.splitlines():
        stamp, _, text = line.partition(" ")
        for words in (first, last):
            if text.startswith(words) and (words == first or first in times):
                times.setdefault(words, datetime.fromisoformat(f"{stamp[:26].rstrip('Z')}+00:00"))
    return (times[last] - times[first]).total_seconds()


def bare(name: str, script: str) -> float:
    return int(re.findall(r"took (\d+)", job(name, script=script))[0]) / 1000


def main() -> None:
    """Print the ratios of a dump and of a load."""
    dumps: list[tuple[float, float]] = []
    loads: list[tuple[float, float]] = []
    copies: list[tuple[float, float]] = []
    try:
        run("ansible-playbook", "playbooks/mlflow.yml", "-e", json.dumps(INPUTS))
        began = time.monotonic()
        sql(FILL)
        say(f"  {RUNS} runs, {POINTS} metric points: filled in {time.monotonic() - began:.0f} s")
        job("warm", script=DUMP)
        for number in range(1, PAIRS + 1):
            kubectl("exec", f"deploy/{RELEASE}-tracking", "-c", "tracking", "--", "sh", "-ec", FILES)
            log = job("ours-dump", verb="backup")
            dumps.append((between(log, "dumping the database", "copying artifacts"), bare("bare-dump", DUMP)))
            copies.append((between(log, "copying artifacts", "{"), bare("bare-copy", COPY)))
            loaded = between(job("ours-load", verb="drill"), "restoring the database", "comparing every table")
            loads.append((loaded, bare("bare-load", LOAD)))
            say(f"  pair {number} of {PAIRS}: dump {dumps[-1]}, load {loads[-1]}, copy {copies[-1]}")
        report("dump into a backup, s, ours / pg_dump", dumps, AIM)
        report("load from a backup, s, ours / pg_restore", loads, AIM)
        report(f"copy of {MEGABYTES} MB of artifacts into a backup, s, ours / cp", copies, AIM)
    finally:
        run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


if __name__ == "__main__":
    main()
