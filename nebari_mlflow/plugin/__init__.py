"""The Nebari plugin: from the `mlflow:` block to the variables of the playbooks."""
