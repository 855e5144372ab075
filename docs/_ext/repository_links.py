"""Links to files outside docs/ become links into the repository; links to README and CONTRIBUTING to their pages."""

import os
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent.parent


def point_to_repository(app: Sphinx, document: nodes.document) -> None:
    """Rewrite relative links that leave the documentation's folder.

    Raises:
        ValueError: a link to a file that does not exist.
    """
    folder = Path(app.env.doc2path(app.env.docname)).parent
    for node in list(document.findall(is_link)):
        target = node.get("refuri") or node.get("reftarget") or ""
        if not target.startswith("../"):
            continue
        path, _, anchor = target.partition("#")
        file = Path(os.path.normpath(folder / path))
        if not file.is_relative_to(ROOT) or file.is_relative_to(ROOT / "docs"):
            continue
        if not file.exists():
            raise ValueError(f"{app.env.docname}: {target} leads to no file")
        kind = "tree" if file.is_dir() else "blob"
        address = f"{app.config.repository}/{kind}/main/{file.relative_to(ROOT)}" + (f"#{anchor}" if anchor else "")
        link = nodes.reference("", "", *node.children, refuri=address)
        node.replace_self(link)


def is_link(node: nodes.Node) -> bool:
    """Whether a node is a link, or becomes one later."""
    return node.tagname in ("reference", "pending_xref", "download_reference")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_config_value("repository", "", "env")
    app.connect("doctree-read", point_to_repository)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
