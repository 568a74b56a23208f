# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whose credentials a module uses on Google Cloud, by the option and variable names of the collection google.cloud.

A credential that is named is used or refused, never replaced by another. Pure, but for reading the named files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import env_fallback

# The options of google.cloud's modules. Its base class takes its variables for defaults; here options win over all of
# them at once, so that an account is never put together from both.
OPTIONS: dict[str, dict[str, Any]] = {
    "auth_kind": {"type": "str", "choices": ["machineaccount", "serviceaccount", "accesstoken", "application"]},
    "service_account_email": {"type": "str"},
    "service_account_file": {"type": "path"},
    "service_account_contents": {"type": "jsonarg", "no_log": True},
    "access_token": {"type": "str", "no_log": True},
    "scopes": {"type": "list", "elements": "str"},
    "env_type": {"type": "str"},
}
# What every module of this cloud takes.
PROJECT: dict[str, Any] = {"type": "str", "required": True, "fallback": (env_fallback, ["GCP_PROJECT"])}
OF_CLOUD: dict[str, dict[str, Any]] = {"cloud_project": PROJECT, **OPTIONS}
# The modules for one object also take the project by google.cloud's name. Where they look, `project` is MLflow's.
OF_OBJECT: dict[str, dict[str, Any]] = {**OF_CLOUD, "cloud_project": {**PROJECT, "aliases": ["project"]}}
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# Nebari's name, and those of google.cloud; each is a key or the path of its file.
KEYS = ("GOOGLE_CREDENTIALS", "GCP_SERVICE_ACCOUNT_CONTENTS", "GCP_SERVICE_ACCOUNT_FILE")
TOKENS = ("GCP_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN")
EMAILS = ("GCP_SERVICE_ACCOUNT_EMAIL",)
UNIVERSE = "GOOGLE_CLOUD_UNIVERSE_DOMAIN"
# For each kind, what names it: options, then variables.
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "accesstoken": (("access_token",), TOKENS),
    "serviceaccount": (("service_account_contents", "service_account_file"), KEYS),
    "machineaccount": (("service_account_email",), EMAILS),
    "application": ((), ()),
}


@dataclass(frozen=True)
class Chosen:
    """One kind of credentials, with the token, the parsed key or the address that goes with it."""

    kind: str
    value: Any = None
    scopes: tuple[str, ...] = SCOPES


def chosen(params: Mapping[str, Any], environ: Mapping[str, str]) -> Chosen:
    """Return what the options name, else what the environment names; raise ValueError for what cannot be used."""
    scopes = params.get("scopes") or [each.strip() for each in environ.get("GCP_SCOPES", "").split(",") if each.strip()]
    by_option = {name: params[name] for options, _ in KINDS.values() for name in options if params.get(name)}
    by_variable = {name: environ[name] for _, names in KINDS.values() for name in names if environ.get(name)}
    named = by_option or by_variable
    kind = params.get("auth_kind") or ("" if by_option else environ.get("GCP_AUTH_KIND", "")) or _only_kind(named)
    if kind not in KINDS:
        raise ValueError(f"GCP_AUTH_KIND is {kind!r}, which is none of {', '.join(KINDS)}")
    given = {name: value for name, value in named.items() if name in {*KINDS[kind][0], *KINDS[kind][1]}}
    others = [name for name in by_option if name not in given]
    if others:
        raise ValueError(f"{others[0]} is given, and auth_kind is {kind!r}, which does not use it")
    if kind in ("accesstoken", "serviceaccount") and not given:
        options, variables = KINDS[kind]
        how = "auth_kind" if params.get("auth_kind") else "GCP_AUTH_KIND"
        raise ValueError(f"{how} is {kind!r}, and none of {', '.join([*options, *variables])} is set")
    values = {name: _key(name, value) if kind == "serviceaccount" else value for name, value in given.items()}
    first, *rest = values or [""]
    different = [name for name in rest if values[name] != values[first]]
    if different:
        raise ValueError(f"{first} and {different[0]} name two different accounts; unset one of them")
    return Chosen(kind, values.get(first), tuple(scopes or SCOPES))


def universe(environ: Mapping[str, str], of_credentials: str) -> str:
    """Return the domain of Google's addresses, which is another one in a cloud for one country or one customer.

    https://cloud.google.com/python/docs/reference/google-cloud-core/latest/client
    Raises ValueError if the key and the environment differ.
    """
    named = environ.get(UNIVERSE, "")
    default = "googleapis.com"
    if named and of_credentials not in ("", default, named):
        raise ValueError(f"{UNIVERSE} is {named!r}, and the credentials are of {of_credentials!r}")
    return named or of_credentials or default


def _only_kind(named: Mapping[str, Any]) -> str:
    kinds = [kind for kind, (options, names) in KINDS.items() if {*options, *names} & named.keys()]
    if len(kinds) > 1:
        raise ValueError(
            f"{' and '.join(named)} are set, and only one of them can be used; choose it by auth_kind or GCP_AUTH_KIND"
        )
    return kinds[0] if kinds else "application"


def _key(name: str, given: Any) -> Any:
    """Return a service account's key from its text or its file. An error never repeats what was given."""
    if isinstance(given, dict):
        return given
    text = str(given)
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or type(error).__name__
            raise ValueError(
                f"{name} is neither a key in JSON nor the path of a file that can be read ({said})"
            ) from None
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"{name} is not a service account's key in JSON") from None
