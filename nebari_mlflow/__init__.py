"""MLflow on any Kubernetes, as a Nebari plugin and as an Ansible collection.

This package is the plugin that Nebari loads (`nebari plugin list` asks pip for the version of exactly this name), and
the command line's too, which has no use for pluggy: so the hooks come when they are asked for.
"""

from __future__ import annotations

from typing import Any

HOOKS = ("nebari_stage", "nebari_subcommand")


def __getattr__(name: str) -> Any:
    if name in HOOKS:
        from . import hooks

        return getattr(hooks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *HOOKS})
