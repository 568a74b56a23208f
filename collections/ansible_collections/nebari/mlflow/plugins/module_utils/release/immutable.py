# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Changes that the API server refuses: carried out by replacing the object where no data can be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ReleaseError
from ..health import workloads
from . import volumes
from .changes import Change, Step
from .deletion import delete_and_wait

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .comparison import Comparison
    from .session import Session


def steps(session: Session, found: Comparison) -> list[Step]:
    """Return the steps that make the planned change possible. Raises ReleaseError if nothing does."""
    live = found.live
    if live is None:
        if found.refused is not None:
            raise refusal(found)
        return []
    if found.key.kind == "Job" and (found.refused or workloads.has_failed(live)):
        return [_replace_job(session, found, live)]
    if found.refused is None:
        return []
    if found.key.kind == "PersistentVolumeClaim":
        planned = volumes.for_claim(session, found, live)
    elif found.key.kind == "StatefulSet":
        planned = volumes.for_stateful_set(session, found, live)
    else:
        planned = []
    if not planned:
        raise refusal(found)
    return planned


def refusal(found: Comparison) -> ReleaseError:
    """Return the API server's reasons, by field where it names fields."""
    error = found.refused
    causes = error.causes if error else []
    reasons = [f"{cause['field']}: {cause.get('message')}" for cause in causes if cause.get("field")]
    if found.live is None:
        return ReleaseError(
            f"The API server refuses {found.key}: {'; '.join(reasons) or (error.message if error else '')}. "
            "Nothing of the chart was applied.",
            "Correct the values.",
        )
    return ReleaseError(
        f"{found.key} cannot be changed like this: {'; '.join(reasons) or (error.message if error else '')}. "
        "Nothing was changed.",
        f"Undo that change in the values, or delete {found.key} in namespace {found.key.namespace} by hand "
        "if it holds nothing of value; then run it again.",
    )


def _replace_job(session: Session, found: Comparison, live: Object) -> Step:
    """A Job runs once: one that gave up, or that has another template by now, is replaced."""
    if not workloads.has_failed(live) and workloads.state(live):
        raise ReleaseError(
            f"{found.key} is still running and would have to be replaced. Nothing was changed.",
            "Wait until it has ended; then run it again.",
        )
    path = session.discovery.path(found.item, session.options.namespace)
    uid = live["metadata"]["uid"]
    gone = Change("delete", "Job", found.key.name, found.key.namespace, before=live)
    made = Change("create", "Job", found.key.name, found.key.namespace, after=found.item)
    return Step(lambda: delete_and_wait(session, path, str(found.key), uid=uid), (gone, made))
