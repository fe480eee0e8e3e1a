"""The trackers, without the time that their packages take to import."""

TRACKERS = {  # by name: where it writes unless told otherwise
    "tensorboard": "tensorboard",
    "mlflow": "sqlite:///mlflow.db",
    "wandb": "wandb-offline",
    "trackio": "trackio",
}
