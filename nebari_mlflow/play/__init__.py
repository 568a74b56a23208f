"""One run of a playbook: private directory, environment, events, orderly end. Knows no Nebari and no MLflow."""
