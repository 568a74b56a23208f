# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whose credentials a module uses on AWS, and in which region, by the names of the collection amazon.aws.

A credential that is named is used or refused, never replaced by another. What nobody names, boto3 finds. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import env_fallback

from ..cloud.errors import CloudError

REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
# The options of amazon.aws's modules, but for the one that logs every request.
OPTIONS: dict[str, dict[str, Any]] = {
    "access_key": {"type": "str", "aliases": ["aws_access_key_id", "aws_access_key"], "no_log": False},
    "secret_key": {"type": "str", "aliases": ["aws_secret_access_key", "aws_secret_key"], "no_log": True},
    "session_token": {"type": "str", "aliases": ["aws_session_token"], "no_log": True},
    "profile": {"type": "str", "aliases": ["aws_profile"]},
    "endpoint_url": {"type": "str", "aliases": ["aws_endpoint_url"], "fallback": (env_fallback, ["AWS_URL"])},
    "aws_ca_bundle": {"type": "path", "fallback": (env_fallback, ["AWS_CA_BUNDLE"])},
    "validate_certs": {"type": "bool", "default": True},
    "aws_config": {"type": "dict"},
}
# What every module of this cloud takes.
OF_CLOUD: dict[str, dict[str, Any]] = {"region": {"type": "str", "aliases": ["aws_region"]}, **OPTIONS}
# Each key with its variables. boto3 knows the first of them only.
KEYS = {
    "access_key": ("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"),
    "secret_key": ("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"),
    "session_token": ("AWS_SESSION_TOKEN",),
}
ONE = "Give one of them: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."


@dataclass(frozen=True)
class Chosen:
    """A profile, keys, or neither, which leaves it to boto3."""

    profile: str | None = None
    keys: dict[str, str] = field(default_factory=dict)


def chosen(params: Mapping[str, Any], environ: Mapping[str, str]) -> Chosen:
    """Return what the options name, else what the environment names."""
    by_option = {name: str(params[name]) for name in KEYS if params.get(name)}
    if by_option or params.get("profile"):
        return _one_of(params.get("profile"), by_option, {name: name for name in by_option}, "profile")
    named = {name: _first(environ, names) for name, names in KEYS.items()}
    found = {name: environ[variable] for name, variable in named.items() if variable}
    profile = _first(environ, PROFILES)
    return _one_of(environ.get(profile), found, named, profile)


def region(params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return the region that is named, "" to leave it to the profile."""
    return str(params.get("region") or "") or environ.get(_first(environ, REGIONS), "")


def _one_of(profile: str | None, keys: dict[str, str], names: Mapping[str, str], of_profile: str) -> Chosen:
    if profile and keys:
        raise CloudError(
            f"Two AWS credentials are named: the profile {profile!r} ({of_profile}) and keys "
            f"({', '.join(names[each] for each in keys)}).",
            ONE,
        )
    if keys and not {"access_key", "secret_key"} <= keys.keys():
        missing = [KEYS[each][0] for each in ("access_key", "secret_key") if each not in keys]
        raise CloudError(
            f"No complete AWS credentials were found: {', '.join(names[each] for each in keys)} is set, and "
            f"{', '.join(missing)} is not.",
            ONE,
        )
    return Chosen(profile or None, keys)


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Return the first of these variables that has a value, "" for none."""
    return next((name for name in names if environ.get(name)), "")
