"""Run one cloud's module logic in a process of its own: converge.py PROVIDER PARAMETERS."""

from __future__ import annotations

import importlib
import json
import sys

from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import entry
from ansible_collections.nebari.mlflow.plugins.module_utils.progress import Progress

provider, parameters = sys.argv[1:]
storage = importlib.import_module(f"ansible_collections.nebari.mlflow.plugins.module_utils.{provider}.storage")
entry.run(storage.converge, json.loads(parameters), False, Progress(None, ""))
