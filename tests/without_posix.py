"""Take away what only POSIX systems have: `take_away()` comes before the library is imported.

Windows itself is not at hand in the suite; what ended every command there was the import of `fcntl`.
"""

import os
import sys
import warnings
from importlib.abc import MetaPathFinder


class _Missing(MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "fcntl":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def take_away() -> None:
    """For the rest of this process."""
    sys.modules.pop("fcntl", None)
    sys.meta_path.insert(0, _Missing())
    for name in ("O_DIRECTORY", "sched_getaffinity"):
        if name in vars(os):
            delattr(os, name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="only soft file lock is available")  # said where Windows has its own
        import filelock  # noqa: F401
