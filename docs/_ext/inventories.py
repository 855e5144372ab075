"""Inventories for cross references to other projects, written from docs/_ext/inventories.txt: no internet is needed."""

import zlib
from collections import defaultdict
from pathlib import Path

LIST = Path(__file__).with_suffix(".txt")
SITES = {
    "python": "https://docs.python.org/3/",
    "torch": "https://docs.pytorch.org/docs/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "sklearn": "https://scikit-learn.org/stable/",
}


def write_inventories(folder: Path) -> dict[str, tuple[str, str]]:
    """Write one inventory a project and return what `intersphinx_mapping` takes.

    Args:
        folder: where the inventories go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = defaultdict(list)
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            project, role, name, address = line.split()
            lines[project].append(f"{name} {role} 1 {address} -")
    for project, rows in lines.items():
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        head += "# The remainder of this file is compressed using zlib.\n"
        text = "\n".join(rows) + "\n"
        (folder / f"{project}.inv").write_bytes(head.encode() + zlib.compress(text.encode()))
    return {project: (SITES[project], str(folder / f"{project}.inv")) for project in lines}
