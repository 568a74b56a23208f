# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Generate the Secrets that are missing, unless a generated value would not fit data that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import guards, namespace, restarts, secrets
from .changes import Change, Outcome

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .session import Session


def ensure_generated(session: Session, *, check_mode: bool) -> Outcome:
    """Add every missing Secret and key. What exists is never changed."""
    is_missing = namespace.find_namespace(session) is None
    there = {} if is_missing else guards.secrets_of(session)
    wanted = [spec for spec in session.options.secrets if secrets.missing(spec, there.get(spec.name))]
    if wanted and not is_missing:
        guards.refuse_lost(session, there)
    changes = [_namespace(session)] if is_missing and wanted else []
    for spec in wanted:
        live = there.get(spec.name)
        before, after = secrets.before_and_after(spec, live)
        fields = tuple(f"data.{name}" for name in secrets.missing(spec, live))
        action = "create" if live is None else "update"
        shown: tuple[Object, Object] = ({"data": before} if live else {}, {"data": after})
        changes.append(Change(action, "Secret", spec.name, session.options.namespace, fields, *shown))
    if check_mode:
        return Outcome(changes)
    if changes:
        namespace.ensure_namespace(session)
    now = session.api.now().strftime(restarts.STAMP)
    for spec in wanted:
        renewed = now if secrets.lost(spec, there.get(spec.name)) else ""
        secrets.ensure(session.api, spec, session.options.name, session.options.namespace, renewed=renewed)
    return Outcome(changes)


def _namespace(session: Session) -> Change:
    return Change("create", "Namespace", session.options.namespace, after=namespace.manifest(session.options))
