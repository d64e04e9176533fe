"""Where downloads lie unless the user names another place."""

import os
from pathlib import Path


def keras_home() -> Path:
    """The folder of Keras' cache: KERAS_HOME, by default ~/.keras. It need not exist."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def datasets(data_dir: str | None) -> Path:
    """The folder of named sets: `data_dir`, by default `datasets` in Keras' cache."""
    return Path(data_dir or keras_home() / "datasets").expanduser()
