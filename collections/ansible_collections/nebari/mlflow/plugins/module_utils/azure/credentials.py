# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whose credentials a module uses on Azure: options, the environment, a profile, or what azure-identity finds.

Options, profiles and the variables AZURE_* are those of the collection azure.azcollection, ARM_* are Nebari's. A
credential that is named is used or refused, never replaced by another.
https://docs.ansible.com/ansible/latest/scenario_guides/guide_azure.html#storing-in-a-file
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import env_fallback

from ..cloud.errors import CloudError

FILE = ".azure/credentials"
DEFAULT = "default"  # the profile that is read when none is named
SOURCES = ("auto", "cli", "env", "credential_file", "msi")
SOURCE = "ANSIBLE_AZURE_AUTH_SOURCE"
# What every module of this cloud takes, of azure.azcollection's options.
OF_CLOUD: dict[str, dict[str, Any]] = {
    "auth_source": {"type": "str", "choices": [*SOURCES], "default": "auto", "fallback": (env_fallback, [SOURCE])},
    "profile": {"type": "str"},
    "subscription_id": {"type": "str"},
    "client_id": {"type": "str"},
    "secret": {"type": "str", "no_log": True},
    "tenant": {"type": "str"},
    "cloud_environment": {"type": "str"},
    "x509_certificate_path": {"type": "path"},
}
# Each value with its variables: Nebari's first, then those of Azure's SDKs, then those of azure.azcollection.
VARIABLES: dict[str, tuple[str, ...]] = {
    "tenant": ("ARM_TENANT_ID", "AZURE_TENANT_ID", "AZURE_TENANT"),
    "client_id": ("ARM_CLIENT_ID", "AZURE_CLIENT_ID"),
    "secret": ("ARM_CLIENT_SECRET", "AZURE_CLIENT_SECRET", "AZURE_SECRET"),
    "subscription_id": ("ARM_SUBSCRIPTION_ID", "AZURE_SUBSCRIPTION_ID"),
    "cloud_environment": ("ARM_ENVIRONMENT", "AZURE_CLOUD_ENVIRONMENT"),
    "x509_certificate_path": (
        "ARM_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_X509_CERTIFICATE_PATH"
    ),
    "certificate_password": ("ARM_CLIENT_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PASSWORD"),
    "token_file": ("ARM_OIDC_TOKEN_FILE_PATH", "AZURE_FEDERATED_TOKEN_FILE"),
}  # fmt: skip
# Who logs in, beside the subscription and the cloud. These are never put together from two sources.
PRINCIPAL = ("client_id", "secret", "tenant", "x509_certificate_path", "token_file")
PROOFS = ("secret", "x509_certificate_path", "token_file")
PASSWORDS = ("AZURE_AD_USER", "AZURE_USERNAME")  # a person's, which cannot answer a second factor
HOW_TO_LOG_IN = "Set ARM_CLIENT_ID, ARM_CLIENT_SECRET and ARM_TENANT_ID (or the same with AZURE_), or run: az login"


@dataclass(frozen=True)
class Chosen:
    """How to log in: by `secret`, `certificate`, `token`, `cli`, `identity` of the machine, or `any` that is found.

    `values` have the names of VARIABLES. `subscription` and `cloud` are "" if nobody names them.
    """

    kind: str
    values: dict[str, str] = field(default_factory=dict)
    subscription: str = ""
    cloud: str = ""


def chosen(params: Mapping[str, Any], environ: Mapping[str, str], home: Path) -> Chosen:
    """Return what the options name; otherwise the profile, the environment, the default profile or the CLI."""
    source = params.get("auth_source") or "auto"
    options = {name: str(params[name]) for name in VARIABLES if params.get(name)}
    variables = {name: value for name in VARIABLES if (value := _first(environ, VARIABLES[name]))}
    found = _of_source(source, params, options, variables, environ, home)
    kind = _kind(source, found, environ)
    # With another source than the environment its subscription still counts, where the source names none.
    subscription, cloud = (
        options.get(name) or found.get(name) or variables.get(name, "")
        for name in ("subscription_id", "cloud_environment")
    )
    login = _login_of_cli(environ, home) if kind in ("cli", "any") else {}
    if kind == "any" and login and not subscription:
        kind = "cli"  # nobody else has this subscription for sure
    if kind == "cli":
        subscription, cloud = subscription or login.get("id", ""), cloud or login.get("environmentName", "")
    return Chosen(kind, found, subscription, cloud)


def _of_source(
    source: str, params: Mapping[str, Any], options: dict[str, str], variables: dict[str, str],
    environ: Mapping[str, str], home: Path
) -> dict[str, str]:  # fmt: skip
    """Return the values of the one source that counts."""
    profile = params.get("profile") or environ.get("AZURE_PROFILE", "")
    by_option = any(name in options for name in PRINCIPAL)
    if source == "cli":
        return {}
    if source == "msi":
        client = options.get("client_id") or variables.get("client_id", "")
        return {"client_id": client} if client else {}
    if source == "credential_file":
        return of_profile(profile or DEFAULT, home, named=True)
    if source == "auto" and params.get("profile"):
        if by_option:
            raise CloudError("profile is given together with a principal's options.", "Give one of them.")
        return of_profile(profile, home, named=True)
    if source == "auto" and by_option:
        return options
    if profile:
        return of_profile(profile, home, named=True)
    if source == "env" or any(name in variables for name in ("client_id", *PROOFS)):
        return variables
    # Nobody named this profile, so a subscription or a cloud that the environment names wins.
    of_play = {name: value for name, value in variables.items() if name in ("subscription_id", "cloud_environment")}
    return {**of_profile(DEFAULT, home, named=False), **of_play}


def _kind(source: str, found: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Return how to log in with these values; refuse a principal that lacks a part."""
    if source in ("cli", "msi"):
        return "cli" if source == "cli" else "identity"
    proof = next((name for name in PROOFS if found.get(name)), "")
    if proof == "token_file" and not found.get("client_id"):
        proof = ""  # AKS gives pods a token file whether they are an identity or not
    if proof:
        missing = [name for name in ("client_id", "tenant") if not found.get(name)]
        if missing:
            raise CloudError(
                f"No complete Azure credentials were found: {_names(proof)} is set, and "
                f"{' and '.join(map(_names, missing))} {'are' if missing[1:] else 'is'} not.",
                HOW_TO_LOG_IN,
            )
        return {"secret": "secret", "x509_certificate_path": "certificate", "token_file": "token"}[proof]
    if found.get("client_id"):
        return "identity"  # one that the machine or the pod has
    user = next((name for name in PASSWORDS if environ.get(name)), "")
    if user and source in ("auto", "env"):
        raise CloudError(
            f"{user} is set. These modules do not log in as a person with a password.",
            f"Unset it. {HOW_TO_LOG_IN}",
        )
    if source in ("env", "credential_file"):
        raise CloudError(f"No usable Azure credentials were found: auth_source is {source!r}, which names none.",
                         HOW_TO_LOG_IN)  # fmt: skip
    return "any"


def _names(value: str) -> str:
    return f"{value} ({' or '.join(VARIABLES[value])})"


def _login_of_cli(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the default subscription of `az login`, with its id and its cloud; {} without one.

    https://learn.microsoft.com/cli/azure/azure-cli-configuration
    """
    folder = Path(environ.get("AZURE_CONFIG_DIR") or home / ".azure")
    try:
        listed = json.loads((folder / "azureProfile.json").read_text(encoding="utf-8-sig"))["subscriptions"]
        return next((each for each in listed if each.get("isDefault")), {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def of_profile(name: str, home: Path, named: bool) -> dict[str, str]:
    """Return a section of the file of profiles; {} without one, which is an error for a profile that is named.

    Raises CloudError.
    """
    profiles = configparser.ConfigParser(interpolation=None, default_section="")
    file = home / FILE
    try:
        profiles.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeError) as error:
        if not named:
            return {}
        # Not the parser's words: they may quote the line with the secret.
        raise CloudError(
            f"The profile is {name!r}, and {file} cannot be read ({type(error).__name__}).",
            "Write it as an INI file with subscription_id, client_id, secret and tenant in each section.",
        ) from None
    if not profiles.has_section(name):
        if not named:
            return {}
        raise CloudError(
            f"The profile is {name!r}, which is no section of {file}.",
            f"Set AZURE_PROFILE to one of: {', '.join(profiles.sections()) or 'there is none'}. Or unset it.",
        )
    return {key: value for key, value in profiles[name].items() if key in VARIABLES and value}


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Return the value of the first of these variables that has one."""
    return next((environ[name] for name in names if environ.get(name)), "")
