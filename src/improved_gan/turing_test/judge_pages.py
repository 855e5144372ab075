"""The judge's side: consent, the trials, thanks."""

import asyncio
import json
import time
import unicodedata
from typing import Any

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from improved_gan.turing_test import beginning, judging
from improved_gan.turing_test.errors import OtherSessionError, StudyClosedError, TuringTestError
from improved_gan.turing_test.judging import read_answer
from improved_gan.turing_test.security import may_write, read_form, visitor_of
from improved_gan.turing_test.site import Site, set_cookie
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
        raise TuringTestError("its participant number has characters that are no printable text")
    if any(one in number for one in _UNFILLED):
        raise TuringTestError(f"its participant number is a placeholder that was not filled in: {number}")
    return number


DELIVERY_SECONDS = 0.02  # each picture takes this long, whether it was in memory or not
_CLOSED = ("This study is closed", "It takes no more answers. Thank you for your interest.")
_PICTURE_HEADERS = {"Cache-Control": "private, max-age=3600, immutable"}


async def _open(request: Request) -> tuple[Site, OpenStudy | None, Any]:
    """The site, the study of the address, and the judge of this browser's cookie, if any."""
    site: Site = request.app.state.site
    study = await site.study(request.path_params["slug"])
    token = request.cookies.get(f"judge-{study.slug}", "") if study else ""
    judge = await site.read(lambda c: judging.find_judge(c, study, token)) if study and token else None
    return site, study, judge


def _wrong_link(site: Site, request: Request, reason: TuringTestError) -> Response:
    text = f"The link that you were given cannot be used: {reason}. Please tell whoever gave it to you."
    return site.message(request, 400, "This link is wrong", text)


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
        return _wrong_link(site, request, error)
    if judge is not None and participant is None:
        return RedirectResponse(f"/s/{study.slug}/judge", 303)
    is_closed = await site.read(lambda c: c.scalar(select(Study.is_closed).where(Study.id == study.id)))
    most = study.settings.max_judges
    full = most is not None and await site.read(lambda c: beginning.places_taken(c, study)) >= most
    if is_closed or (full and judge is None and participant is None):
        return site.message(request, 410, *_CLOSED)
    no_number = bool(request.query_params) and participant is None and not preview
    number = participant or ""
    return site.page(request, "consent.html", study, participant=number, preview=preview, no_number=no_number)


async def begin(request: Request) -> Response:
    """Consent was given: a new judge, or a known participant again."""
    site: Site = request.app.state.site
    study = await site.study(request.path_params["slug"])
    if study is None:
        return _nothing(site, request)
    form = await read_form(request)
    if not may_write(request, study, form.get("csrf", "")):
        text = "Your browser did not send what shows that the form is ours. Please allow cookies and try again."
        return site.message(request, 403, "Please go back and try again", text)
    if not site.begins.allows(request.client.host if request.client else ""):
        return site.message(request, 429, "Many people are starting just now", "Please try again in a minute.")
    given = form.get("participant", "")
    visitor = visitor_of(request)
    try:
        participant = check_participant(given) if given else None
    except TuringTestError as error:
        return _wrong_link(site, request, error)
    try:
        token = await site.write(lambda connection: beginning.begin(connection, study, participant, visitor))
    except StudyClosedError:
        return site.message(request, 410, *_CLOSED)
    response = RedirectResponse(f"/s/{study.slug}/judge", 303)
    set_cookie(request, response, f"judge-{study.slug}", token)
    return response


async def judge_page(request: Request) -> Response:
    """The page that shows the trials."""
    site, study, judge = await _open(request)
    if study is None:
        return _nothing(site, request)
    if judge is None:
        return RedirectResponse(f"/s/{study.slug}", 303)
    if judge.position >= study.settings.length:
        return RedirectResponse(f"/s/{study.slug}/thanks", 303)
    if judge.is_closed:
        return site.message(request, 410, *_CLOSED)
    return site.page(request, "judge.html", study)


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
        return JSONResponse(await site.write(lambda c: judging.answer(c, study, token, checked)))
    except StudyClosedError:
        return JSONResponse({"error": "closed"}, 410)
    except OtherSessionError as error:
        return JSONResponse({"error": str(error)}, 409)
    except (TuringTestError, ValueError, RecursionError) as error:
        return JSONResponse({"error": str(error) if isinstance(error, TuringTestError) else "no JSON"}, 400)


async def picture(request: Request) -> Response:
    """A picture that this judge is to see now or next; always after the same time."""
    due = time.monotonic() + DELIVERY_SECONDS
    site, study, judge = await _open(request)
    png = None
    if study is not None and judge is not None and not judge.is_closed and site.judges.allows(f"picture {judge.id}"):
        token = request.path_params["token"]
        number = await site.read(lambda c: judging.picture_of_token(c, study, judge, token))
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
        return RedirectResponse(f"/s/{study.slug}/judge", 303)
    return site.page(request, "thanks.html", study, code=judge.completion_code)


ROUTES = [
    Route("/s/{slug}", consent),
    Route("/s/{slug}/begin", begin, methods=["POST"]),
    Route("/s/{slug}/judge", judge_page),
    Route("/s/{slug}/state", state),
    Route("/s/{slug}/answer", answer, methods=["POST"]),
    Route("/s/{slug}/picture/{token}.png", picture),
    Route("/s/{slug}/thanks", thanks),
]
