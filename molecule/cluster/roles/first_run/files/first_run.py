"""What a data scientist types: import mlflow, and log. No address anywhere: the environment has it."""

import mlflow

mlflow.set_experiment("first-run")
with mlflow.start_run() as run:
    mlflow.log_param("greeting", "hello")
    for step in range(20):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_text("Logged from a pod of the cluster.\n", "note.txt")

back = mlflow.get_run(run.info.run_id)
note = mlflow.artifacts.load_text(f"{back.info.artifact_uri}/note.txt")
greeting, loss = back.data.params["greeting"], back.data.metrics["loss"]
print(f"run {back.info.run_id}: greeting={greeting}, loss={loss:.2f}, note.txt={note.strip()!r}")
