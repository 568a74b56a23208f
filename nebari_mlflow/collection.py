"""Where this installation's Ansible collection is, from a wheel and from an editable install alike."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from .errors import SetupError


def _root() -> Path:
    try:
        spec = find_spec("ansible_collections.nebari.mlflow")
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(
            "NML301",
            "The Ansible collection nebari.mlflow is not installed beside the Python package.",
            "Install the whole package again: pip install --force-reinstall nebari-mlflow.",
        )
    return Path(next(iter(spec.submodule_search_locations)))


ROOT = _root()
SEARCH_PATH = ROOT.parents[2]
CHART = ROOT / "roles/server/files/mlflow"
