"""Chromium for the tests of pages. A window of it costs as much computing as a whole test: windows are kept."""

from typing import Any


class Browser:
    """Opens pages, in one context for all that have the same settings; `clean` takes away what a test left there.

    A context's window closes with its last page, so the first one stays open and empty.
    """

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium
        self._contexts: dict[str, Any] = {}

    def new_context(self, **settings: object) -> Any:
        """One of its own, for a test that changes the context itself; the caller closes it."""
        return self._chromium.new_context(**settings)

    def new_page(self, **settings: object) -> Any:
        key = repr(sorted(settings.items()))
        if key not in self._contexts:
            self._contexts[key] = self._chromium.new_context(**settings)
            self._contexts[key].new_page()
        return self._contexts[key].new_page()

    def clean(self) -> None:
        for context in self._contexts.values():
            for page in context.pages[1:]:
                page.evaluate("() => { try { localStorage.clear(); } catch { /* a page without */ } }")
                page.close()
            context.clear_cookies()
            context.set_offline(False)
