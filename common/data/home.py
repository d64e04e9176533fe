"""Where downloads lie unless the user names another place."""

import os
from pathlib import Path


def keras_home() -> Path:
    """The folder of Keras' cache: KERAS_HOME, by default ~/.keras. It need not exist."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
