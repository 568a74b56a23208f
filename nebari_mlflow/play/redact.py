"""Take secrets out of text that leaves this process. The last line of defence, not the first."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from ansible_collections.nebari.mlflow.plugins.filter.secrets import HARMLESS, SECRET, SECRET_OR_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HIDDEN = "[hidden]"
SHORTEST = 6  # a shorter value would hide ordinary words


class Redactor:
    """Replace every known secret, as it is, as base64 and as part of a URL."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values if len(value) >= SHORTEST for form in _forms(value)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Redactor:
        """Know the value of each variable whose name says that it is a secret."""
        return cls(value for name, value in environ.items() if is_secret(name))

    def __call__(self, text: str) -> str:
        """Return the text with the values hidden."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def is_secret(name: str) -> bool:
    """Say if a variable of this name holds a secret."""
    likely = SECRET_OR_PATH.search(name) and not HARMLESS.search(name)
    return bool(SECRET.search(name) or likely) or name.endswith("CONTENTS")


def _forms(value: str) -> Iterable[str]:
    yield value
    yield quote(value, safe="")
    raw = value.encode()
    for lead in range(3):  # base64 of a longer text that holds the value depends on where it begins
        encoded = base64.b64encode(b"\0" * lead + raw).decode()
        start = (0, 2, 3)[lead]
        yield encoded[start : len(encoded) - 4 if encoded.endswith("=") else None]
