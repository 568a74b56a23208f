"""A filter that finds secrets among inputs, which git, Helm's record and the pods' specifications would show.

It runs inside the playbook's own process, so a check costs no module run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

DOCUMENTATION = """
name: plain_secrets
author: nebari-mlflow maintainers
version_added: 0.1.0
short_description: Sentences about secrets that are given as text
description:
  - Returns one sentence for each secret in the values, which names its key and never its value.
  - A variable is a secret by its name (C(*_PASSWORD), C(*_TOKEN), C(*_KEY) and the like), and any text is one by
    the password of a URL or a private key in it. A reference such as C($(NAME)) is no secret.
options:
  _input:
    description: The values to look through.
    type: raw
    required: true
  where:
    description: Name of the values, for the sentences.
    type: str
    default: ""
"""

EXAMPLES = """
- name: Look for secrets
  ansible.builtin.debug:
    msg: "{{ {'env': {'DB_URL': 'postgresql://user:password@host/db'}} | nebari.mlflow.plain_secrets('storage') }}"
"""

RETURN = """
_value:
  description: One sentence for each secret.
  type: list
  elements: str
"""

# Names of variables whose value is a secret.
SECRET = re.compile(
    r"(SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|ACCESS_KEY|ACCOUNT_KEY|PRIVATE_KEY|API_?KEY|CONNECTION_STRING"
    r"|_PASS|_PWD|_DSN)$",
    re.IGNORECASE,
)
# The same, unless the value is the path of a file.
SECRET_OR_PATH = re.compile(r"(_KEY|CREDENTIALS?)$", re.IGNORECASE)
HARMLESS = re.compile(r"(PUBLIC|PRIMARY|PARTITION|FOREIGN|SORT|GROUP|CACHE|KMS)_KEY$", re.IGNORECASE)
PATH = re.compile(r"[~.]?/[^\s{}]*")
REFERENCE = re.compile(r"(\$\([A-Za-z_][A-Za-z0-9_.-]*\))+")  # Kubernetes puts another variable's value there
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
# A password that is not percent-encoded may have a slash; what stands before a path may be a port.
IN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s@:]*:(?![0-9]+/)(?P<password>[^\s@]+)@")
IN_TEXT = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(AccountKey|SharedAccessKey|SharedAccessSignature)=(?!\$\()\S"
)
FIX = "Put it into a Secret of the namespace and use valueFrom.secretKeyRef"


def is_secret(name: str, value: object) -> bool:
    """Say if a variable of this name with this value would make a secret visible."""
    if isinstance(value, (bool, type(None), dict, list)):
        return False
    text = str(value)
    if not text or REFERENCE.fullmatch(text):
        return False
    if SECRET.search(name):
        return True
    by_name = bool(SECRET_OR_PATH.search(name)) and not HARMLESS.search(name) and not PATH.fullmatch(text)
    return by_name or holds_secret(text)


def holds_secret(text: str) -> bool:
    """Say if a text is or has a secret, whatever its name."""
    found = (match["password"] for match in IN_URL.finditer(text))
    return any(not REFERENCE.fullmatch(password) for password in found) or bool(IN_TEXT.search(text))


def plain_secrets(values: Any, where: str = "") -> list[str]:
    """Return a sentence for each secret in the values. Lists of `{name, value}` are variables, as in a pod."""
    return list(_find(values, where))


def _find(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        name = value.get("name")
        if isinstance(name, str) and is_secret(name, value.get("value")):
            yield f"{where} gives {name} as text. {FIX}."
            value = {key: item for key, item in value.items() if key != "value"}
        for key, item in value.items():
            path = f"{where}.{key}" if where else str(key)
            if VARIABLE.fullmatch(str(key)) and is_secret(str(key), item):
                yield f"{path} looks like a secret. {FIX}, or name the Secret as storage.secret."
            else:
                yield from _find(item, path)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _find(item, f"{where}[{number}]")
    elif isinstance(value, str) and holds_secret(value):
        yield f"{where} holds a secret, such as a URL's password. {FIX}."


class FilterModule:
    """What Ansible looks for in a filter plugin's file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"plain_secrets": plain_secrets}
