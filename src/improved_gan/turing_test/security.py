"""Security of the web application: response headers, a strict content policy, and refusal of cross-site requests."""

from email.message import Message as EmailMessage
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.tokens import matches, new_token, sign

__all__ = ["HEADERS", "SecurityHeaders", "csrf_token", "is_cross_site", "may_write", "read_form", "visitor_of"]

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 40


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form by name, the last of each; empty where there is no form.

    Raises:
        HTTPException: 400, another encoding than our pages use (several parts, a charset that is not UTF-8, bytes that
            are not), or too many fields.
    """
    told = EmailMessage()
    told["Content-Type"] = request.headers.get("content-type", "") or _FORM
    if told.get_content_type() != _FORM or str(told.get_param("charset") or "utf-8").lower() not in ("utf-8", "utf8"):
        raise HTTPException(400, "forms are sent as application/x-www-form-urlencoded in UTF-8")
    try:
        body = (await request.body()).decode("ascii")
        fields = parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:  # what is not UTF-8 is one, too
        raise HTTPException(400, "this is no form of ours") from error
    return dict(fields)


HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
    "X-Robots-Tag": "noindex",
}


class SecurityHeaders:
    """Adds HEADERS to every answer; what is not told to be cached is not stored at all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def visitor_of(request: Request) -> str:
    """The random number of this browser, from its cookie; a new one where it has none."""
    given = request.cookies.get("visitor", "")
    return given if len(given) == 32 else new_token(24)


def csrf_token(study: OpenStudy, visitor: str) -> str:
    """What a form or script of ours sends along to show that it is ours."""
    return sign(study.secret, "csrf", visitor)


def is_cross_site(request: Request) -> bool:
    """Whether the browser says that another site made this request."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    return origin is not None and origin.split("://")[-1] != request.headers.get("host", "")


def may_write(request: Request, study: OpenStudy, token: str) -> bool:
    """Whether a request that changes something comes from a page of ours in this browser."""
    visitor = request.cookies.get("visitor", "")
    return bool(visitor) and not is_cross_site(request) and matches(token, csrf_token(study, visitor))
