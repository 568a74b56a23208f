# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where credentials for Azure come from: the environment, and the file that azure.azcollection reads.

https://docs.ansible.com/ansible/latest/scenario_guides/guide_azure.html#storing-in-a-file
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

from ..cloud.errors import CloudError

FILE = ".azure/credentials"
DEFAULT = "default"  # the profile that is read when none is named
# The keys of a profile, and the variables that say the same.
OF_PROFILE = {
    "tenant": "AZURE_TENANT",
    "client_id": "AZURE_CLIENT_ID",
    "secret": "AZURE_SECRET",
    "subscription_id": "AZURE_SUBSCRIPTION_ID",
    "cloud_environment": "AZURE_CLOUD_ENVIRONMENT",
}
# Nebari's names first, then those of Azure's SDKs, then those of azure.azcollection.
TENANT = ("ARM_TENANT_ID", "AZURE_TENANT_ID", "AZURE_TENANT")
CLIENT = ("ARM_CLIENT_ID", "AZURE_CLIENT_ID")
SECRET = ("ARM_CLIENT_SECRET", "AZURE_CLIENT_SECRET", "AZURE_SECRET")
SUBSCRIPTION = ("ARM_SUBSCRIPTION_ID", "AZURE_SUBSCRIPTION_ID")


def first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Return the value of the first of these variables that has one."""
    return next((environ[name] for name in names if environ.get(name)), "")


def with_profile(environ: Mapping[str, str], home: Path) -> Mapping[str, str]:
    """Return the environment with the profile's values in it.

    The profile that AZURE_PROFILE names wins over everything else; the default one stands behind the environment.
    """
    named = environ.get("AZURE_PROFILE", "")
    profiles = configparser.ConfigParser(interpolation=None, default_section="")
    file = home / FILE
    try:
        profiles.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeError) as error:
        if named:
            # Not the parser's words: they may quote the line with the secret.
            raise CloudError(
                f"AZURE_PROFILE is {named!r}, and {file} cannot be read ({type(error).__name__}).",
                "Write it as an INI file with subscription_id, client_id, secret and tenant in each section.",
            ) from None
        return environ
    if not profiles.has_section(named or DEFAULT):
        if named:
            raise CloudError(
                f"AZURE_PROFILE is {named!r}, which is no section of {file}.",
                f"Set it to one of: {', '.join(profiles.sections()) or 'there is none'}. Or unset it.",
            )
        return environ
    found = {OF_PROFILE[key]: value for key, value in profiles[named or DEFAULT].items() if key in OF_PROFILE}
    if not named:
        return environ if first(environ, CLIENT) else {**found, **environ}
    hidden = {*TENANT, *CLIENT, *SECRET, *SUBSCRIPTION, "ARM_ENVIRONMENT"}
    return {**{name: value for name, value in environ.items() if name not in hidden}, **found}
