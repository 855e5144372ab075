"""The web application: its routes and middleware."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from improved_gan.turing_test import judge_pages, researcher_pages
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.limits import BodyLimit, Limits
from improved_gan.turing_test.security import SecurityHeaders
from improved_gan.turing_test.site import Site, root_of
from improved_gan.turing_test.studies import list_studies

__all__ = ["HANDLERS", "create_app", "health"]

_LOG = logging.getLogger("improved_gan.turing_test")
_RETRY_SECONDS = "5"
_TEXT = "The server cannot reach its database at the moment. Your answers are kept: please try again in a minute."


async def health(request: Request) -> Response:
    """Whether the server can reach its database, for a monitoring service."""
    site: Site = request.app.state.site
    try:
        await site.read(lambda connection: connection.execute(text("SELECT 1")))
    except (DBAPIError, PoolTimeoutError) as error:
        _log(error)
        return JSONResponse({"status": "the database is not reachable"}, 503, {"Retry-After": _RETRY_SECONDS})
    return JSONResponse({"status": "ok"})


async def _unusable(request: Request, error: Exception) -> Response:
    """503 in the form that was asked for; an error in the SQL of this package is raised (500, with its traceback)."""
    if isinstance(error, IntegrityError | ProgrammingError) and not error.connection_invalidated:
        raise error
    _log(error)
    if "text/html" in request.headers.get("accept", ""):
        site: Site = request.app.state.site
        reply = site.message(request, 503, "Please try again in a minute", _TEXT)
    else:
        reply = JSONResponse({"error": "the database is not reachable"}, 503)
    reply.headers["Retry-After"] = _RETRY_SECONDS
    return reply


def _log(error: Exception) -> None:
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    _LOG.error("the database cannot be used: %s", (str(said).strip().splitlines() or [type(said).__name__])[0])


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # the client is gone


HANDLERS = {
    DatabaseError: _unusable,
    InterfaceError: _unusable,
    PoolTimeoutError: _unusable,
    ClientDisconnect: _gone,
}


_STATIC = Path(__file__).parent / "static"
_MOST_BYTES = 131_072  # settings.TEXT_LENGTH characters, up to 9 bytes each in a form, and the rest


class _Application(Starlette):
    """With the security headers around all of it, so that an answer to a failure (500) carries them too."""

    def build_middleware_stack(self) -> ASGIApp:
        return SecurityHeaders(super().build_middleware_stack())


class _AddressLimit:
    """Answers 429 to a network address that asks too often."""

    def __init__(self, app: ASGIApp, *, site: Site) -> None:
        self._app, self._site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._site.addresses.allows((scope.get("client") or ("",))[0]):
            answer = PlainTextResponse("too many requests", status_code=429, headers={"Retry-After": "1"})
            return await answer(scope, receive, send)
        return await self._app(scope, receive, send)


async def _start(request: Request) -> Response:
    """On to the only study there is; with several, judges need the link of theirs."""
    site: Site = request.app.state.site
    studies = list(await site.read(list_studies))
    if len(studies) == 1:
        return RedirectResponse(f"{root_of(request)}/s/{studies[0]['slug']}", 303)
    return site.message(request, 404, "Which study?", "Please use the link that you were given.")


async def _robots(_: Request) -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


async def _favicon(_: Request) -> Response:
    return FileResponse(_STATIC / "icon.svg", media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})


async def _not_found(request: Request, _: Exception) -> Response:
    site: Site = request.app.state.site
    return site.message(request, 404, "No such page", "Please check the link that you were given.")


async def _failed(_: Request, __: Exception) -> Response:
    return PlainTextResponse("something went wrong here; please try again", status_code=500)


class _RootPath:
    """Serves below a path: the one that was given, else what a proxy says (X-Forwarded-Prefix).

    Whoever sends that header without a proxy changes the links and cookies of the own reply only.
    """

    def __init__(self, app: ASGIApp, *, root_path: str) -> None:
        self._app, self._root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = self._root_path
            given = dict(scope["headers"]).get(b"x-forwarded-prefix", b"").decode("latin-1").rstrip("/")
            if not root and is_root_path(given):
                root = given
            path = scope["path"]
            if path == root:
                path = f"{root}/"
            elif not path.startswith(f"{root}/"):  # the proxy took it off: ASGI's path has it
                path = root + path
            scope = {**scope, "root_path": root, "path": path}
        await self._app(scope, receive, send)


def is_root_path(path: str) -> bool:
    """Whether it can stand before every address: /name, or several, of letters, digits and . _ ~ -.

    Example:
        >>> is_root_path("/lab/study"), is_root_path("//evil.example"), is_root_path("study")
        (True, False, False)
    """
    return re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", path) is not None and len(path) <= 200


def create_app(engine: Engine, limits: Limits | None = None, *, root_path: str = "") -> Starlette:
    """The application on a database that `database.open_database` has opened.

    Use: `create_app(open_database("study.db"))` under any ASGI server, one process for each SQLite file.

    Args:
        engine: of the database.
        limits: how often clients may ask.
        root_path: the path below which a proxy serves it, as "/study"; default: what X-Forwarded-Prefix says.

    Raises:
        TuringTestError: not such a path.
    """
    if root_path and not is_root_path(root_path):
        raise TuringTestError(f"--root-path must be a path such as /study, without a trailing slash; got {root_path!r}")
    site = Site(engine, limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        site.close()

    app = _Application(
        routes=[
            Route("/", _start),
            Route("/health", health),
            Route("/robots.txt", _robots),
            Route("/favicon.ico", _favicon),
            Mount("/static", StaticFiles(directory=_STATIC)),
            *judge_pages.ROUTES,
            *researcher_pages.ROUTES,
        ],
        middleware=[
            Middleware(_RootPath, root_path=root_path),
            Middleware(_AddressLimit, site=site),
            Middleware(BodyLimit, most=_MOST_BYTES),
        ],
        exception_handlers={404: _not_found, 500: _failed, **HANDLERS},
        lifespan=lifespan,
    )
    app.state.site = site
    return app
