"""The judges' pages: consent, trials, end."""

import asyncio
import json
import time
import unicodedata
from functools import partial
from typing import Any
from urllib.parse import quote

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from improved_gan.turing_test import beginning, judging
from improved_gan.turing_test.errors import OtherSessionError, StudyClosedError, TuringTestError
from improved_gan.turing_test.judging import read_answer
from improved_gan.turing_test.questions import color_plate, plate_number, read_answers
from improved_gan.turing_test.security import may_write, read_form, visitor_of
from improved_gan.turing_test.site import Site, root_of, set_cookie
from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.tables import PARTICIPANT_LENGTH, Study

__all__ = ["ROUTES", "check_participant", "participant_of"]

# how recruiters hand over the number: Prolific (PROLIFIC_PID), Mechanical Turk (workerId), anybody else
_NAMES = ("prolificpid", "workerid", "participant", "participantid")
_UNFILLED = ("{{", "}}", "${", "[%")  # what recruiters replace by the number


def participant_of(request: Request) -> str | None:
    """The number in the address, Unicode composed (NFC) and without space around it; None where the address has none.

    Upper or lower case and `_` in the parameter's name make no difference.

    Raises:
        TuringTestError: the address has two different numbers.
    """
    given = {
        unicodedata.normalize("NFC", value).strip()
        for name, value in request.query_params.multi_items()
        if name.lower().replace("_", "").replace("-", "") in _NAMES
    }
    if len(given) > 1:
        raise TuringTestError("it has two different participant numbers")
    return next(iter(given), None)


def check_participant(number: str) -> str:
    """The number, if it can be kept.

    Raises:
        TuringTestError: it is empty, too long, not printable, not UTF-8, or a placeholder that nobody filled in.

    Example:
        >>> check_participant("p.001 (M\u00fcller)")
        'p.001 (M\u00fcller)'
    """
    if not number:
        raise TuringTestError("its participant number is empty")
    if len(number) > PARTICIPANT_LENGTH:
        raise TuringTestError(
            f"its participant number has {len(number)} characters, and at most {PARTICIPANT_LENGTH} are kept"
        )
    if not number.isprintable() or "\ufffd" in number:
        raise TuringTestError("its participant number has characters that are not printable")
    if any(one in number for one in _UNFILLED):
        raise TuringTestError(f"its participant number is a placeholder that was not filled in: {number}")
    return number


COMMENT_LENGTH = 3000
DELIVERY_SECONDS = 0.02  # each picture takes this long, whether it was in memory or not
_SCRIPT_TEXTS = frozenset((
    "position", "practice_over", "practice_over_text", "break_heading", "break_text", "not_saved", "saving", "correct",
    "wrong",
))  # fmt: skip
_CLOSED = ("closed", "closed_text")  # names of texts
_PICTURE_HEADERS = {"Cache-Control": "private, max-age=3600, immutable"}


async def _open(request: Request) -> tuple[Site, OpenStudy | None, Any]:
    """The site, the study of the address, and the judge of this browser's cookie, if any."""
    site: Site = request.app.state.site
    study = await site.study(request.path_params["slug"])
    token = request.cookies.get(f"judge-{study.slug}", "") if study else ""
    judge = await site.read(lambda c: judging.find_judge(c, study, token)) if study and token else None
    return site, study, judge


def _wrong_link(site: Site, request: Request, study: OpenStudy, reason: TuringTestError) -> Response:
    return site.say(request, 400, study, "wrong_link", "wrong_link_text", reason=reason)


def _nothing(site: Site, request: Request) -> Response:
    return site.message(request, 404, "No such page", "Please check the link that you were given.")


async def consent(request: Request) -> Response:
    """What the study is about; or on to where the judge stopped."""
    site, study, judge = await _open(request)
    if study is None:
        return _nothing(site, request)
    preview = request.query_params.get("assignmentId") == "ASSIGNMENT_ID_NOT_AVAILABLE"
    try:
        participant = None if preview else participant_of(request)
        if participant is not None:
            check_participant(participant)
    except TuringTestError as error:
        return _wrong_link(site, request, study, error)
    if judge is not None and participant is None:
        return RedirectResponse(f"{root_of(request)}/s/{study.slug}/judge", 303)
    is_closed = await site.read(lambda c: c.scalar(select(Study.is_closed).where(Study.id == study.id)))
    most = study.settings.max_judges
    full = most is not None and await site.read(lambda c: beginning.places_taken(c, study)) >= most
    if is_closed or (full and judge is None and participant is None):
        return site.say(request, 410, study, *_CLOSED)
    no_number = bool(request.query_params) and participant is None and not preview
    if request.cookies.get(f"excluded-{study.slug}") and judge is None:
        return site.say(request, 200, study, "excluded", "excluded_text")
    about: Any = {"participant": participant or "", "preview": preview, "no_number": no_number, "form": {}, "error": ""}
    return site.page(request, "consent.html", study, **about)


async def begin(request: Request) -> Response:
    """Consent was given: a new judge, or a known participant again."""
    site: Site = request.app.state.site
    study = await site.study(request.path_params["slug"])
    if study is None:
        return _nothing(site, request)
    form = await read_form(request)
    if not may_write(request, study, form.get("csrf", "")):
        return site.say(request, 403, study, "back", "cookies")
    if not site.begins.allows(request.client.host if request.client else ""):
        return site.say(request, 429, study, "many", "many_text")
    given = form.get("participant", "")
    visitor = visitor_of(request)
    try:
        participant = check_participant(given) if given else None
    except TuringTestError as error:
        return _wrong_link(site, request, study, error)
    try:
        plates = {one.name: plate_number(study.secret, visitor, one.name) for one in study.settings.before}
        answers, excluded = read_answers(study.settings.before, form, plates=plates)
    except TuringTestError as error:
        about: Any = {"participant": participant or "", "preview": False, "no_number": False, "form": form}
        return site.page(request, "consent.html", study, 400, error=str(error), **about)
    if excluded or request.cookies.get(f"excluded-{study.slug}"):
        response = site.say(request, 200, study, "excluded", "excluded_text")
        set_cookie(request, response, f"excluded-{study.slug}", "1")
        return response
    try:
        job = partial(beginning.begin, study=study, participant=participant, visitor=visitor, answers=answers or None)
        token = await site.write(job)
    except StudyClosedError:
        return site.say(request, 410, study, *_CLOSED)
    response = RedirectResponse(f"{root_of(request)}/s/{study.slug}/judge", 303)
    set_cookie(request, response, f"judge-{study.slug}", token)
    return response


async def judge_page(request: Request) -> Response:
    """The page that shows the trials."""
    site, study, judge = await _open(request)
    if study is None:
        return _nothing(site, request)
    if judge is None:
        return RedirectResponse(f"{root_of(request)}/s/{study.slug}", 303)
    if judge.position >= study.settings.length:
        return RedirectResponse(f"{root_of(request)}/s/{study.slug}/thanks", 303)
    if judge.is_closed:
        return site.say(request, 410, study, *_CLOSED)
    words = study.settings.wording.words
    texts = {name: words[name] for name in words if name in _SCRIPT_TEXTS or name.startswith("truth_")}
    return site.page(request, "judge.html", study, texts=texts)


async def state(request: Request) -> Response:
    """Where the judge stands, as JSON."""
    site, study, judge = await _open(request)
    if study is None or judge is None:
        return JSONResponse({"error": "no such judge"}, 404)
    if judge.is_closed and judge.position < study.settings.length:
        return JSONResponse({"error": "closed"}, 410)
    return JSONResponse(await site.read(lambda connection: judging.state(connection, study, judge)))


async def answer(request: Request) -> Response:
    """Store an answer; replies after it is on the disk."""
    site: Site = request.app.state.site
    study = await site.study(request.path_params["slug"])
    token = request.cookies.get(f"judge-{study.slug}", "") if study else ""
    if study is None or not token:
        return JSONResponse({"error": "no such judge"}, 404)
    if not may_write(request, study, request.headers.get("x-csrf-token", "")):
        return JSONResponse({"error": "not from our page"}, 403)
    if not site.judges.allows(token):
        return JSONResponse({"error": "too fast"}, 429, headers={"Retry-After": "1"})
    try:
        given = json.loads(await request.body())
        checked = read_answer(study, given if isinstance(given, dict) else {})
        reply = await site.write(lambda c: judging.answer(c, study, token, checked))
        site.remember(study, token, [*reply["pictures"], *reply["next"]])
        return JSONResponse(reply)
    except StudyClosedError:
        return JSONResponse({"error": "closed"}, 410)
    except OtherSessionError as error:
        return JSONResponse({"error": str(error)}, 409)
    except (TuringTestError, ValueError, RecursionError) as error:
        return JSONResponse({"error": str(error) if isinstance(error, TuringTestError) else "no JSON"}, 400)


async def picture(request: Request) -> Response:
    """A picture that this judge is to see now or next; always after the same time."""
    due = time.monotonic() + DELIVERY_SECONDS
    site: Site = request.app.state.site
    study = await site.study(request.path_params["slug"])
    cookie = request.cookies.get(f"judge-{study.slug}", "") if study else ""
    png = None
    if study is not None and cookie and site.judges.allows(f"picture {cookie}"):
        number = await site.picture_id(study, cookie, request.path_params["token"])
        png = None if number is None else await site.png(number)
    await asyncio.sleep(max(0.0, due - time.monotonic()))
    if png is None:
        return Response(status_code=404)
    return Response(png, media_type="image/png", headers=_PICTURE_HEADERS)


async def thanks(request: Request) -> Response:
    """The end, with the completion code."""
    site, study, judge = await _open(request)
    if study is None:
        return _nothing(site, request)
    if judge is None or judge.position < study.settings.length:
        return RedirectResponse(f"{root_of(request)}/s/{study.slug}/judge", 303)
    code = await site.read(lambda connection: judging.completion_code(connection, study, judge))
    told = "comment" in request.query_params
    return_url = (study.settings.return_url or "").replace("{code}", quote(code))
    return site.page(request, "thanks.html", study, code=code, commented=told, return_url=return_url)


async def comment(request: Request) -> Response:
    """Store the text of the last page's box."""
    site, study, judge = await _open(request)
    if study is None or judge is None or not study.settings.comment or judge.position < study.settings.length:
        return _nothing(site, request)
    form = await read_form(request)
    if not may_write(request, study, form.get("csrf", "")):
        return site.say(request, 403, study, "back", "cookies")
    words = form.get("comment", "").replace("\0", "")[:COMMENT_LENGTH].strip()
    await site.write(lambda connection: judging.store_comment(connection, judge.id, words))
    return RedirectResponse(f"{root_of(request)}/s/{study.slug}/thanks?comment", 303)


async def plate(request: Request) -> Response:
    """The colored plate of one of the questions, with this browser's number in it."""
    site: Site = request.app.state.site
    study = await site.study(request.path_params["slug"])
    names = [one.name for one in study.settings.before if one.kind == "plate"] if study else []
    name = request.path_params["name"]
    if study is None or name not in names:
        return Response(status_code=404)
    number = plate_number(study.secret, visitor_of(request), name)
    png = await run_in_threadpool(color_plate, number, seed=study.seed)
    return Response(png, media_type="image/png")


ROUTES = [
    Route("/s/{slug}", consent),
    Route("/s/{slug}/begin", begin, methods=["POST"]),
    Route("/s/{slug}/judge", judge_page),
    Route("/s/{slug}/state", state),
    Route("/s/{slug}/answer", answer, methods=["POST"]),
    Route("/s/{slug}/picture/{token}.png", picture),
    Route("/s/{slug}/thanks", thanks),
    Route("/s/{slug}/comment", comment, methods=["POST"]),
    Route("/s/{slug}/plate/{name}.png", plate),
]
