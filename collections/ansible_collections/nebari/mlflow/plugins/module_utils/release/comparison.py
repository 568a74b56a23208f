# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Compare a manifest with the cluster by asking the API server what applying it would do, without doing it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..errors import ApiError, ForeignObject
from ..kube.api import MERGE, STRATEGIC
from ..kube.errors import RIGHT
from ..kube.merge import differing, patch, unmet
from .manifest import RELEASE_NAME, Key, annotation, as_applied, by_key, clean, is_owned, key
from .ownership import other_chart

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..kube.objects import Object
    from .session import Session

WORKERS = 6  # threads
INVALID, FORBIDDEN, CONFLICT = 422, 403, 409


@dataclass(frozen=True)
class Comparison:
    """One object of the manifest: as it is now and as it would become.

    `refused` is the API server's answer where it would not take the change, such as to an immutable field.
    """

    key: Key
    item: Object
    live: Object | None
    after: Object
    refused: ApiError | None = None

    @property
    def fields(self) -> list[str]:
        """Return the dotted paths in which live and wanted differ."""
        if self.live is None:
            return []
        if self.refused is not None:
            return unmet(self.item, self.live)
        return differing(clean(self.live), clean(self.after))

    @property
    def differs(self) -> bool:
        """Say if a deploy has to write the object."""
        return self.live is None or self.refused is not None or bool(self.fields)


def compare(session: Session, old: list[Object], new: list[Object]) -> list[Comparison]:
    """Compare each object; `old` is the manifest that was applied last, for the fields that it set and `new` drops."""
    before = by_key(old, session.options.namespace)
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda item: _one(session, before, item), new))


def _one(session: Session, before: dict[Key, Object], item: Object) -> Comparison:
    options = session.options
    which = key(item, options.namespace)
    path = session.discovery.path(item, options.namespace)
    applied = as_applied(item, options.name, options.namespace)
    live = session.api.find(path)
    if live is None:
        folder = path.rpartition("/")[0]
        create = partial(session.api.request, "POST", folder, query={"dryRun": "All"}, body=applied)
        return Comparison(which, item, None, applied, _answer(create)[1])
    old = before.get(which)
    _refuse_foreign(session, which, live, None if old else item)
    base = as_applied(old, options.name, options.namespace) if old else None
    body = patch(base, applied, strategic=is_built_in(session, item))
    after, refused = _answer(partial(send_patch, session, item, body, dry_run=True))
    return Comparison(which, item, live, after or (applied if refused or unmet(item, live) else live), refused)


def _answer(dry_run: Callable[[], Object]) -> tuple[Object | None, ApiError | None]:
    """What a dry run says: the object, or why not. Neither when an admission webhook cannot take part in one."""
    try:
        return dry_run(), None
    except ApiError as error:
        if "does not support dry run" in error.message or error.status == CONFLICT:
            return None, None
        if error.status not in {INVALID, FORBIDDEN} or RIGHT.search(error.message):
            raise
        return None, error


def send_patch(session: Session, item: Object, body: Object, *, dry_run: bool) -> Object:
    """Apply a patch with the merge rules of the object's kind."""
    return session.api.request(
        "PATCH",
        session.discovery.path(item, session.options.namespace),
        query={"fieldManager": "helm", **({"dryRun": "All"} if dry_run else {})},
        body=body,
        content_type=STRATEGIC if is_built_in(session, item) else MERGE,
    )


def is_built_in(session: Session, item: Object) -> bool:
    """Say if the API server itself defines the kind, and so merges its lists by their keys."""
    return session.discovery.get(item["apiVersion"], item["kind"]).built_in


def _refuse_foreign(session: Session, which: Key, live: Object, unrecorded: Object | None) -> None:
    """Raise when an object is not the release's. One that no record mentions may be of a chart of another time."""
    options = session.options
    owner = annotation(live, RELEASE_NAME)
    if is_owned(live, options.name, options.namespace):
        other = other_chart(live, unrecorded) if unrecorded else ""
        if not other:
            return
        whose = f"belongs to another chart ({other})"
    else:
        whose = f"belongs to the Helm release {owner!r}" if owner else "was not made by Helm"
    fix = f"Remove or rename it, or deploy under another name than {options.name!r}."
    if owner and owner != options.name:
        fix = "Deploy into another namespace: that release needs it."
        if which.kind == "ServiceAccount":
            fix += (
                " Two can share a namespace if this one needs no identity of a cloud: give it a service account of "
                "its own (serviceAccount.name in the values)."
            )
    raise ForeignObject(f"{which} in namespace {which.namespace} already exists and {whose}. Nothing was changed.", fix)
