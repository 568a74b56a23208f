# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the API server keeps, as the JSON that it gives."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
"""One object, such as a Pod, by the names of its API version."""
