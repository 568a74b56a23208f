# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Render the chart, and say what is wrong with the values in the words of its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .manifest import parse

if TYPE_CHECKING:
    from .manifest import Object
    from .session import Session


def render(session: Session) -> list[Object]:
    return parse(session.helm.template())
