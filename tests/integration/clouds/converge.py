"""Run the tasks of one cloud's role in a process of its own: converge.py PROVIDER PARAMETERS."""

from __future__ import annotations

import json
import sys

from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress

from tests.integration.clouds import role

provider, parameters = sys.argv[1:]
role.converge(provider, json.loads(parameters), False, Progress(None, ""))
