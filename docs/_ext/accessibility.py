"""What the pages of the theme lack: levels of headings, the keyboard where blocks scroll, figures in one line."""

from typing import Any

from sphinx.application import Sphinx

REPLACEMENTS = {
    'role="heading">': 'role="heading" aria-level="2">',
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" role="group" aria-label="table" class="table-wrapper',
    " ± ": "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}",
}


def mend(app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Rewrite the parts of a page after the theme made them."""
    for part in ("furo_navigation_tree", "body"):
        if isinstance(context.get(part), str):
            for old, new in REPLACEMENTS.items():
                context[part] = context[part].replace(old, new)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the change, after the theme's own."""
    app.connect("html-page-context", mend, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
