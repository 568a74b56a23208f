"""What stands between a browser and MLflow on Nebari: Traefik, the login, and a browser to look at it with."""
