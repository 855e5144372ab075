"""Limits for clients: token buckets in memory, and bounds on the size and duration of requests."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimit", "Limits", "RateLimiter"]


_MOST_DIGITS = 20  # of a number that a client sends; Python itself refuses to read one of 4,300


@dataclass(frozen=True)
class Limits:
    """Requests a second and at once: for one network address, one judge, and tries of a researcher's token.

    Raise `per_address` for a classroom that shares one address.
    """

    per_address: float = 100.0
    begins: float = 2.0
    per_judge: float = 20.0
    logins: float = 0.1


class RateLimiter:
    """A bucket for each key, filled with `rate` a second up to `burst`; the least recently used are forgotten.

    Example:
        >>> limiter = RateLimiter(rate=1, burst=2, clock=lambda: 0.0)
        >>> [limiter.allows("someone") for _ in range(3)]
        [True, True, False]
    """

    def __init__(
        self, *, rate: float, burst: float, most_keys: int = 50_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._most_keys, self._clock = rate, burst, most_keys, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, key: str) -> bool:
        """Take one from the key's bucket, if there is one in it."""
        now = self._clock()
        level, then = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        self._buckets[key] = (level - 1 if level >= 1 else level, now)
        if len(self._buckets) > self._most_keys:
            self._buckets.popitem(last=False)
        return level >= 1


class BodyTooLargeError(Exception):
    """More was sent than is allowed."""


class BodyTooSlowError(Exception):
    """The body did not come in time."""


class BodyLimit:
    """Answers 413 to a body of more than `most` bytes, told beforehand or counted while it comes; 408 after `seconds`.

    The seconds count the waiting for the body, all of its parts together.
    """

    def __init__(self, app: ASGIApp, *, most: int, seconds: float = 15.0) -> None:
        self._app, self._most, self._seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        told = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            if not told.isdigit() or len(told) > _MOST_DIGITS or int(told) > self._most:
                raise BodyTooLargeError
            await self._app(scope, self._counted(receive), watched)
        except (BodyTooLargeError, BodyTooSlowError) as error:
            if began:
                raise
            status, words = (413, "too large") if isinstance(error, BodyTooLargeError) else (408, "too slow")
            answer = PlainTextResponse(words, status_code=status, headers={"Connection": "close"})
            await answer(scope, receive, send)
        return None

    def _counted(self, receive: Receive) -> Receive:
        received, until, is_complete = 0, time.monotonic() + self._seconds, False

        async def counted() -> Message:
            nonlocal received, is_complete
            if is_complete:  # what comes now is that the client has gone, and that may take as long as the reply takes
                return await receive()
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlowError from None
            received += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if received > self._most:
                raise BodyTooLargeError
            return message

        return counted
