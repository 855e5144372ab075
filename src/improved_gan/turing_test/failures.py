"""Responses while the database cannot be used, and to clients that disconnect: one line in the log, no traceback.

The server need not be restarted: each request tries again, and pages send an answer until it is confirmed.
"""

import logging

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from improved_gan.turing_test.site import Site

__all__ = ["HANDLERS", "health"]

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
