"""Backup, restore and drill of one deployment. Runs in a pod of MLflow's image, beside a container of PostgreSQL's."""
