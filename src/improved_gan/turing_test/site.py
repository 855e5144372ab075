"""Objects that the pages share: database, writer, pictures in memory, templates, limits, cookies."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.judging import pictures_of
from improved_gan.turing_test.limits import Limits, RateLimiter
from improved_gan.turing_test.ranking import Ranking
from improved_gan.turing_test.report import Report
from improved_gan.turing_test.security import csrf_token, visitor_of
from improved_gan.turing_test.studies import OpenStudy, find_study
from improved_gan.turing_test.tables import Picture
from improved_gan.turing_test.texts import Texts
from improved_gan.turing_test.writer import Writer

__all__ = ["Site", "root_of", "set_cookie"]

Result = TypeVar("Result")
_HERE = Path(__file__).parent
_CACHE_BYTES = 256 * 2**20
_MOST_JUDGES = 10_000  # whose pictures are known without a look


class Site:
    """One running server's shared parts; `close` finishes what waits to be written."""

    def __init__(self, engine: Engine, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self.engine, self.writer = engine, Writer(engine)
        self.templates = Jinja2Templates(_HERE / "templates")
        self.addresses = RateLimiter(rate=limits.per_address, burst=4 * limits.per_address)
        self.begins = RateLimiter(rate=limits.begins, burst=30 * limits.begins)
        self.judges = RateLimiter(rate=limits.per_judge, burst=3 * limits.per_judge)
        self.logins = RateLimiter(rate=limits.logins, burst=5)
        self.reports: dict[Any, tuple[float, Report]] = {}
        self.rankings: dict[Any, tuple[float, list[Ranking]]] = {}
        self.report_lock = asyncio.Lock()
        self._studies: dict[str, OpenStudy] = {}
        self._pictures: OrderedDict[int, bytes] = OrderedDict()
        self._picture_bytes = 0
        self._told: OrderedDict[tuple[str, str], tuple[list[str], dict[str, int]]] = OrderedDict()

    def close(self) -> None:
        """Write what waits, and let go of the database."""
        self.writer.close()
        self.engine.dispose()

    async def read(self, job: Callable[[Connection], Result]) -> Result:
        """Run a reading job in a thread of its own."""

        def run() -> Result:
            with self.engine.connect() as connection:
                return job(connection)

        return await run_in_threadpool(run)

    async def write(self, job: Callable[[Connection], Result]) -> Result:
        """Run a writing job; returns after the commit."""
        return await asyncio.wrap_future(self.writer.submit(job))

    async def study(self, slug: str) -> OpenStudy | None:
        """The study of that name, kept after the first look; what can be no name does not reach the database."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", slug):
            return None
        if slug not in self._studies:
            try:
                self._studies[slug] = await self.read(lambda connection: find_study(connection, slug))
            except TuringTestError:
                return None
        return self._studies[slug]

    def forget(self, slug: str) -> None:
        """Look at the study in the database again the next time."""
        self._studies.pop(slug, None)
        self._told.clear()

    def remember(self, study: OpenStudy, judge: str, told: list[str], ids: dict[str, int] | None = None) -> None:
        """Keep which pictures a judge (by the browser's token) may ask for now, of the judges who answered last.

        So most pictures are sent without a look into the database, which is half of the work for an answer.

        Args:
            study: of the judge.
            judge: the browser's token.
            told: tokens of the pictures to be seen now or next.
            ids: of pictures by token; default: those that are known already.
        """
        known = self._told.pop((study.slug, judge), ([], {}))[1]
        self._told[study.slug, judge] = (told, known if ids is None else ids)
        if len(self._told) > _MOST_JUDGES:
            self._told.popitem(last=False)

    async def picture_id(self, study: OpenStudy, judge: str, token: str) -> int | None:
        """The picture behind a token, if this judge is to see it now or next; else None."""
        told, ids = self._told.get((study.slug, judge), ([], {}))
        if token not in told or token not in ids:
            told, ids = await self.read(lambda connection: pictures_of(connection, study, judge))
            if told:
                self.remember(study, judge, told, ids)
        return ids[token] if token in told else None

    async def png(self, picture_id: int) -> bytes:
        """A picture's bytes, from memory where they are; the least recently used give way at 256 MiB."""
        if picture_id in self._pictures:
            self._pictures.move_to_end(picture_id)
            return self._pictures[picture_id]
        png = await self.read(lambda connection: connection.scalar(select(Picture.png).where(Picture.id == picture_id)))
        assert png is not None
        if picture_id not in self._pictures:
            self._pictures[picture_id] = png
            self._picture_bytes += len(png)
        while self._picture_bytes > _CACHE_BYTES and len(self._pictures) > 1:
            self._picture_bytes -= len(self._pictures.popitem(last=False)[1])
        return png

    def page(
        self, request: Request, name: str, study: OpenStudy | None = None, status_code: int = 200, **words: Any
    ) -> Response:
        """An HTML page; one of a study carries the token that lets its forms write."""
        root = root_of(request)
        texts = Texts.of("en", {}) if study is None else study.settings.wording
        context: dict[str, Any] = {"study": study, "title": "Real or generated?", "root": root, "t": texts, **words}
        visitor = visitor_of(request)
        if study is not None:
            base = f"{root}/s/{study.slug}"
            context |= {"title": study.settings.title, "base": base, "csrf": csrf_token(study, visitor)}
        response = self.templates.TemplateResponse(request, name, context, status_code=status_code)
        if study is not None and request.cookies.get("visitor") != visitor:
            set_cookie(request, response, "visitor", visitor)
        return response

    def message(
        self, request: Request, status_code: int, heading: str, text: str, study: OpenStudy | None = None
    ) -> Response:
        """A page that only says something, in the language of the study."""
        return self.page(request, "message.html", study, status_code, heading=heading, text=text)

    def say(
        self, request: Request, status_code: int, study: OpenStudy, name: str, text: str, **values: Any
    ) -> Response:
        """A message of two of the study's texts: the heading and the text, by name."""
        words = study.settings.wording
        return self.message(request, status_code, words(name), words(text, **values), study)


def root_of(request: Request) -> str:
    """The path below which a proxy serves the study, empty or as "/study"."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def set_cookie(request: Request, response: Response, name: str, value: str, *, days: int = 30) -> None:
    """A cookie that scripts cannot read and other sites cannot send along."""
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, max_age=days * 86400, httponly=True, samesite="lax", secure=secure,
                        path=root_of(request) or "/")  # fmt: skip
