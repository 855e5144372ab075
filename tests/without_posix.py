"""Take away what only POSIX systems have, before the library is imported: `import tests.without_posix` comes first.

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


sys.modules.pop("fcntl", None)
sys.meta_path.insert(0, _Missing())
for _name in ("O_DIRECTORY", "sched_getaffinity"):
    if _name in vars(os):
        delattr(os, _name)
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="only soft file lock is available")  # said where Windows has its own
    import filelock  # noqa: F401
