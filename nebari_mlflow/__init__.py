"""MLflow on any Kubernetes, as a Nebari plugin and as an Ansible collection."""
