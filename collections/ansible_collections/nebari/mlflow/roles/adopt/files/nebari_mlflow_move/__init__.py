"""Move what another MLflow server or a file store holds into this deployment, and compare both sides."""
