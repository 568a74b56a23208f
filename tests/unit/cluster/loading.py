"""Imports the cluster's plugins and scripts, which Ansible loads by path and no package holds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

CLUSTER = Path(__file__).parents[3] / "molecule/cluster"


def load(path: str) -> Any:
    """Return the module that a file under molecule/cluster makes."""
    name = f"cluster_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, CLUSTER / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
