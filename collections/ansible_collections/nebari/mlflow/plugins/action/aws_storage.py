# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Run the module `aws_storage` and show its progress while it runs."""

from ansible_collections.nebari.mlflow.plugins.action.release import ActionModule as ActionModule
