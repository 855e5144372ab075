"""Read what a form of ours sent: URL-encoded text, nothing else."""

from email.message import Message
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["read_form"]

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form by name, the last of each; empty where there is no form.

    Raises:
        HTTPException: 400, another encoding than our pages use (several parts, a charset that is not UTF-8, bytes that
            are not), or too many fields.
    """
    told = Message()
    told["Content-Type"] = request.headers.get("content-type", "") or _FORM
    if told.get_content_type() != _FORM or str(told.get_param("charset") or "utf-8").lower() not in ("utf-8", "utf8"):
        raise HTTPException(400, "forms are sent as application/x-www-form-urlencoded in UTF-8")
    try:
        body = (await request.body()).decode("ascii")
        fields = parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:  # what is not UTF-8 is one, too
        raise HTTPException(400, "this is no form of ours") from error
    return dict(fields)
