"""How large the database and the volumes are, and when they will be full at the pace of the last runs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import Target

DAYS = 30  # as the query has it
QUERY = """
SELECT pg_database_size(current_database()),
       (SELECT pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = 'metrics'::regclass AND indisprimary),
       (SELECT greatest(c.reltuples, 0) * (12 + (
            SELECT coalesce(sum(avg_width), 0) FROM pg_stats WHERE schemaname = n.nspname AND tablename = 'metrics'
            AND attname IN ('key', 'value', 'timestamp', 'run_uuid', 'step', 'is_nan'))) / 0.7
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = 'metrics'::regclass),
       count(*) FILTER (WHERE start_time > (extract(epoch FROM now()) - 30 * 86400) * 1000),
       count(*),
       coalesce(extract(epoch FROM now()) - min(start_time) / 1000.0, 0) / 86400
FROM runs
"""
"""Bytes of the database, of the index of metrics and of what its rows need; runs of the last days, all, days since."""

SCRIPT = 'psql -U postgres -d mlflow -Atc "$1" && df -P -k /var/lib/postgresql/data'
BLOATED = 64 * 1024 * 1024
FEWEST_RUNS, FEWEST_DAYS = 20, 1.0
"""With less than this, a pace would be a guess."""


@dataclass(frozen=True)
class Room:
    """What the database and its volume say."""

    bytes: int
    index_bytes: int = 0
    index_needs: int = 0
    recent_runs: int = 0
    runs: int = 0
    days: float = 0.0
    free: int = 0

    @property
    def daily(self) -> int | None:
        """Bytes a day, if each run takes as much room as those before; None if there are too few runs to say."""
        span = min(self.days, float(DAYS))
        if self.runs < FEWEST_RUNS or span < FEWEST_DAYS:
            return None
        return int(self.bytes * self.recent_runs / self.runs / span)

    @property
    def full_in_days(self) -> int | None:
        """Return the days until the volume is full; None if that cannot be said."""
        return int(self.free / self.daily) if self.daily else None

    @property
    def is_bloated(self) -> bool:
        """Whether the index of metrics is twice as large as its rows need."""
        return bool(self.index_needs) and self.index_bytes > max(BLOATED, 2 * self.index_needs)

    def report(self) -> dict[str, Any]:
        """Return the fields that are known, as `--json` prints them; sizes in bytes."""
        given = {"bytes": self.bytes, "free": self.free, "daily": self.daily, "full_in_days": self.full_in_days}
        return {name: value for name, value in given.items() if value is not None}


def read(said: str) -> Room | None:
    """Read what the script printed; None if it is something else."""
    lines = said.strip().splitlines()
    try:
        size, index, needs, recent, runs, days = lines[0].split("|")
        free = int(lines[-1].split()[3]) * 1024
        return Room(int(size), int(index), int(float(needs or 0)), int(recent), int(runs), float(days), free)
    except (IndexError, ValueError):
        return None


def of_database(target: Target, pod: str) -> Room | None:
    """Ask the database's pod; None when it cannot be asked. kubectl asks in a tenth of the library's time."""
    command = ["exec", pod, "-c", "postgresql", "--", "sh", "-c", SCRIPT, "sh", QUERY]
    return read(_ask(target, command))


def free_for_artifacts(target: Target, path: str) -> int | None:
    """Ask the server's pod for the bytes that are free on the volume of artifacts."""
    command = ["exec", f"deploy/{target.release}-tracking", "-c", "tracking", "--", "df", "-P", "-k", path]
    try:
        return int(_ask(target, command).strip().splitlines()[-1].split()[3]) * 1024
    except (IndexError, ValueError):
        return None


def _ask(target: Target, command: list[str]) -> str:
    line = target.kubectl("-n", target.namespace, *command)
    try:
        return subprocess.run(line, capture_output=True, check=True, timeout=5, text=True).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
