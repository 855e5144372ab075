"""Runs for tests: one without files, and the settings that a run folder needs."""

import json
from pathlib import Path
from typing import Any

from improved_gan.recipes import digits
from improved_gan.runs import Run
from improved_gan.runs.log import Log


def settings_of(**changes: Any) -> dict[str, Any]:
    """The settings of a run of the digits."""
    values = json.loads(json.dumps(digits().as_dict()))
    del values["epochs"]
    return {
        "recipe": "digits",
        "seed": 1,
        "epochs": 10,
        "label_split": {"seed": 1, "num_labels": 50, "num_images": 1297},
        "class_names": list("0123456789"),
        "image_shape": [1, 8, 8],
        "values": values,
        "improved_gan": "0.1.0",
        **changes,
    }


def run_of(*reports: dict[str, Any], name: str = "run", **settings: Any) -> Run:
    """A run as if it had been read from a folder."""
    run = Run(Path(name))
    run.settings = settings_of(**settings)
    run.log = Log(tuple({"step": 1, **report} for report in reports))
    return run
