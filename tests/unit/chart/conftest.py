"""The chart's scripts run in MLflow's image; here they are imported from the chart."""

from __future__ import annotations

import sys

from tests.unit.chart.rendering import CHART

sys.path.insert(0, str(CHART / "files"))
sys.path.insert(0, str(CHART.parents[2] / "adopt/files"))
