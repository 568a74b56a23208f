"""A filter that few runs pass becomes these runs; what many pass stays MLflow's own."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from nebari_mlflow_server import searches


class Statement:
    def __init__(self, runs: list[str]) -> None:
        self.runs = runs

    def limit(self, count: int) -> Statement:
        return Statement(self.runs[:count])


class Session:
    def __init__(self) -> None:
        self.most = 0

    def scalars(self, statement: Statement) -> Any:
        self.most = max(self.most, len(statement.runs))
        return SimpleNamespace(all=lambda: statement.runs)


def passed(*counts: int) -> Any:
    """Return MLflow's module, whose filters so many runs pass."""
    filters = [SimpleNamespace(c=SimpleNamespace(run_uuid=[str(i) for i in range(count)])) for count in counts]
    return SimpleNamespace(
        _get_sqlalchemy_filter_clauses=lambda parsed, session, dialect: ([parsed], filters, [session, dialect])
    )


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    models, sqlalchemy = ModuleType("models"), ModuleType("sqlalchemy")
    models.SqlRun = SimpleNamespace(run_uuid=SimpleNamespace(in_=lambda runs: ("in", len(runs))))  # type: ignore[attr-defined]
    sqlalchemy.select = Statement  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow.store.tracking.dbmodels.models", models)
    monkeypatch.setitem(sys.modules, "sqlalchemy", sqlalchemy)


@pytest.mark.parametrize(
    ("counts", "few", "many"),
    [
        ((), [], 0),
        ((0,), [0], 0),
        ((1, 5), [1, 5], 0),
        ((searches.FEW,), [searches.FEW], 0),
        ((searches.FEW + 1,), [], 1),
        ((10**5, 3), [3], 1),
    ],
)
def test_few_runs_are_named_and_many_are_left_to_the_database(
    counts: tuple[int, ...], few: list[int], many: int
) -> None:
    module, session = passed(*counts), Session()
    searches.few_first(module)
    attributes, others, datasets = module._get_sqlalchemy_filter_clauses("parsed", session, "postgresql")
    assert attributes == ["parsed", *(("in", count) for count in few)]
    assert len(others) == many
    assert datasets == [session, "postgresql"]
    assert session.most <= searches.FEW + 1


def test_a_release_without_the_function_ends() -> None:
    with pytest.raises(AttributeError):
        searches.few_first(SimpleNamespace())
