"""Find the runs first that a filter by metric, param or tag lets through, if they are few.

PostgreSQL knows how values are spread over a whole table, not over one key. If other keys have larger values, it takes
`metrics.loss > 0.9` for a filter that many runs pass. Then it walks the newest runs until it has found a page of them,
and so reads every run. So the few that pass are asked for before; where they are many, walking finds a page soon.
"""

from __future__ import annotations

import functools
from typing import Any

FEW = 2000
"""Beyond them, walking the newest runs finds a page before a join with these is done."""


def few_first(module: Any) -> None:
    """Wrap what MLflow makes of filters. A release that has lost it ends here."""
    from mlflow.store.tracking.dbmodels.models import SqlRun
    from sqlalchemy import select

    clauses = module._get_sqlalchemy_filter_clauses

    @functools.wraps(clauses)
    def found(parsed: Any, session: Any, dialect: str) -> tuple[list[Any], list[Any], list[Any]]:
        attributes, others, datasets = clauses(parsed, session, dialect)
        joined = []
        for other in others:
            runs = session.scalars(select(other.c.run_uuid).limit(FEW + 1)).all()
            if len(runs) > FEW:
                joined.append(other)
            else:
                attributes.append(SqlRun.run_uuid.in_(runs))
        return attributes, joined, datasets

    module._get_sqlalchemy_filter_clauses = found
