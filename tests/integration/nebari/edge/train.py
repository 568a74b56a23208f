"""Logs a run that looks like a training's, from a notebook's pod: train.py TEXT, which becomes the run's artifact."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable

import mlflow
from mlflow.entities import Metric, Param

os.environ["LOGNAME"] = "ada"
CURVES: dict[str, Callable[[int], float]] = {
    "loss": lambda step: 0.12 + 0.6 * math.exp(-0.05 * step) + 0.01 * math.sin(step * 2.1),
    "accuracy": lambda step: 0.93 - 0.4 * math.exp(-0.05 * step) + 0.008 * math.cos(step * 1.7),
    "recall": lambda step: 0.88 - 0.6 * math.exp(-0.07 * step) + 0.01 * math.sin(step * 1.3),
}

experiment = mlflow.set_experiment("churn").experiment_id
with mlflow.start_run(run_name="gradient-boosting", tags={"stage": "candidate"}) as run:
    now = int(time.time() * 1000)
    metrics = [Metric(key, curve(step), now + step, step) for key, curve in CURVES.items() for step in range(60)]
    params = [Param("learning_rate", "0.05"), Param("depth", "6")]
    mlflow.MlflowClient().log_batch(run.info.run_id, metrics=metrics, params=params)
    mlflow.log_text(sys.argv[1], "notes.txt")
print("logged", experiment, run.info.run_id)
