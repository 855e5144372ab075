"""Checks of the built site, after `make docs`: every link of every page leads somewhere, and axe-core has no complaint.

    python docs/check_site.py              links of all pages; axe-core on one page of each kind
    python docs/check_site.py --all        axe-core on all pages (several minutes)

axe-core runs at two widths, light and dark. Addresses outside the site are checked for their form only, so no internet
is needed.
"""

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

SITE = Path(__file__).parent / "_build" / "html"
KINDS = ("index", "results", "gallery/techniques/index", "gallery/paper/section_3_1_feature_matching",
         "reference/api/theory")  # fmt: skip
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")


class Page(HTMLParser):
    """Addresses and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what an element refers to, and what can be referred to."""
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.addresses.append(value)
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")


def broken_links(site: Path) -> list[str]:
    """Every address that leads nowhere, as "page: address"."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for address in dict.fromkeys(page.addresses):
            if not _leads_somewhere(address, path, pages):
                found.append(f"{path.relative_to(site)}: {address}")
    return found


def _leads_somewhere(address: str, path: Path, pages: dict[Path, Page]) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if parts.scheme in ("http", "https"):
        return "." in parts.netloc and not any(one.isspace() for one in address)
    if parts.scheme:
        return parts.scheme in ("mailto", "data")
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return False
    fragment = unquote(parts.fragment)
    return not fragment or target not in pages or fragment in pages[target].anchors


def violations(
    site: Path, names: list[str], widths: tuple[int, ...], schemes: tuple[str, ...], chromium: str
) -> list[str]:
    """What axe-core finds on these pages, and pages that scroll sideways."""
    import axe_playwright_python
    from playwright.sync_api import sync_playwright

    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    found = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for scheme in schemes:
            context: Any = browser.new_context(color_scheme=scheme, reduced_motion="reduce")
            page = context.new_page()
            for name in names:
                page.goto((site / f"{name}.html").resolve().as_uri())
                page.evaluate(axe)
                for width in widths:
                    page.set_viewport_size({"width": width, "height": 900})
                    where = f"{name} ({scheme}, {width} pixels)"
                    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                        found.append(f"{where}: scrolls sideways")
                    result = page.evaluate("(tags) => axe.run({ runOnly: { type: 'tag', values: tags } })", RULES)
                    found += [
                        f"{where}: {one['id']}: {node['html'][:150]}"
                        for one in result["violations"]
                        for node in one["nodes"]
                    ]
        browser.close()
    return found


def main() -> None:
    """Check the site that `make docs` built."""
    import shutil

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, default=SITE)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    found = broken_links(options.site)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is not installed: axe-core was not run")
    elif options.all:
        names = sorted(str(path.relative_to(options.site).with_suffix("")) for path in options.site.rglob("*.html"))
        found += violations(options.site, names, WIDTHS, SCHEMES, chromium)
    else:
        found += violations(options.site, list(KINDS), WIDTHS, SCHEMES, chromium)
    print("\n".join(found) or "the site has no broken link and no violation")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
