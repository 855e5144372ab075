"""The researcher's pages, protected by a token: live counts, report, plots and pictures, export, open and close."""

import asyncio
import json
import re
import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.exclusions import Rules
from improved_gan.turing_test.export_tables import TABLE_NAMES, export_table
from improved_gan.turing_test.preferences import Preferences
from improved_gan.turing_test.ranking import Ranking, rank_models
from improved_gan.turing_test.records import export_study, read_preferences_of, read_study_votes
from improved_gan.turing_test.report import Report, make_report
from improved_gan.turing_test.report_formats import PLOTS, draw
from improved_gan.turing_test.security import may_write, read_form, visitor_of
from improved_gan.turing_test.settings import PREFERENCE
from improved_gan.turing_test.site import Site, root_of, set_cookie
from improved_gan.turing_test.studies import OpenStudy, set_closed
from improved_gan.turing_test.tables import Judge, Picture, Study, Trial
from improved_gan.turing_test.tokens import hash_token, matches, sign

__all__ = ["ROUTES", "in_utc"]

_FRESH_SECONDS = 5.0
_SHOWN = 24


async def _allowed(request: Request) -> tuple[Site, OpenStudy | None, bool]:
    """The site, the study, and whether this browser has shown the researcher's token."""
    site: Site = request.app.state.site
    site.forget(request.path_params["slug"])  # the token may have been replaced on the command line
    study = await site.study(request.path_params["slug"])
    if study is None:
        return site, None, False
    given = request.cookies.get(f"researcher-{study.slug}", "")
    return site, study, matches(given, sign(study.secret, "researcher", study.researcher_hash, visitor_of(request)))


async def login(request: Request) -> Response:
    """Take the researcher's token; the comparison's time says nothing about it."""
    site: Site = request.app.state.site
    slug = request.path_params["slug"]
    site.forget(slug)  # the token may have been replaced on the command line
    study = await site.study(slug)
    if study is None:
        return site.message(request, 404, "No such study", "Please check the address.")
    if not site.logins.allows(request.client.host if request.client else ""):
        return site.page(request, "login.html", study, 429, error="Too many tries: wait a minute.")
    form = await read_form(request)
    if not may_write(request, study, form.get("csrf", "")):
        return site.page(request, "login.html", study, 403, error="Please allow cookies and try again.")
    if not matches(hash_token(form.get("token", "")), study.researcher_hash):
        return site.page(request, "login.html", study, 403, error="That is not this study's token.")
    response = RedirectResponse(f"{root_of(request)}/s/{study.slug}/results", 303)
    token = sign(study.secret, "researcher", study.researcher_hash, visitor_of(request))
    set_cookie(request, response, f"researcher-{study.slug}", token, days=7)
    return response


def rules_of(request: Request) -> Rules:
    """The exclusion rules of the address; what is absent or makes no sense is as by default."""

    def number(name: str, default: float) -> float:
        try:
            return float(request.query_params[name])
        except (KeyError, ValueError):
            return default

    plain = Rules()
    try:
        checks = number("checks", plain.max_failed_checks or 0)
        return Rules(int(checks) if checks >= 0 else None, number("median", plain.min_median_ms),
                     number("answer", plain.min_answer_ms), int(number("trials", plain.min_trials)))  # fmt: skip
    except (TuringTestError, ValueError, OverflowError):
        return plain


async def _report(site: Site, study: OpenStudy, rules: Rules) -> Report:
    """The report, at most a few seconds old, computed away from the judges' requests and once for all who wait."""
    key = (study.id, rules)
    async with site.report_lock:
        at, report = site.reports.get(key, (-_FRESH_SECONDS, None))
        if report is None or time.monotonic() - at > _FRESH_SECONDS:
            votes = await site.read(lambda connection: read_study_votes(connection, study))
            report = await run_in_threadpool(make_report, votes, rules)
            if len(site.reports) > 32:
                site.reports.clear()
            site.reports[key] = (time.monotonic(), report)
    return report


async def _rankings(site: Site, study: OpenStudy, rules: Rules) -> list[Ranking]:
    """The ranking by each question, kept as a report is."""

    def rank(table: Preferences) -> list[Ranking]:
        adaptive = study.settings.schedule == "adaptive"
        return [rank_models(table, name, rules, adaptive=adaptive) for name in study.settings.asked]

    async with site.report_lock:
        at, found = site.rankings.get((study.id, rules), (-_FRESH_SECONDS, None))
        if found is None or time.monotonic() - at > _FRESH_SECONDS:
            table = await site.read(lambda connection: read_preferences_of(connection, study))
            found = await run_in_threadpool(rank, table)
            if len(site.rankings) > 32:
                site.rankings.clear()
            site.rankings[study.id, rules] = (time.monotonic(), found)
    return found


def in_utc(time: datetime | None) -> str:
    """A stored time in words; PostgreSQL gives it in the session's zone, SQLite in UTC without saying so."""
    if time is None:
        return "none yet"
    return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


async def _live(site: Site, study: OpenStudy) -> dict[str, Any]:
    def count(connection: Any) -> dict[str, Any]:
        of_study = select(func.count(Judge.id)).where(Judge.study_id == study.id)
        answered = select(func.count(Trial.id), func.max(Trial.answered_at)).join(Judge)
        answers, last = connection.execute(
            answered.where(Judge.study_id == study.id, Trial.answered_at.is_not(None))
        ).one()
        return {
            "begun": connection.scalar(of_study),
            "finished": connection.scalar(of_study.where(Judge.finished_at.is_not(None))),
            "answers": answers,
            "last": in_utc(last),
            "closed": connection.scalar(select(Study.is_closed).where(Study.id == study.id)),
        }

    return await site.read(count)


async def results(request: Request) -> Response:
    """The report as a page; the form for the token where it was not shown yet."""
    site, study, allowed = await _allowed(request)
    if study is None:
        return site.message(request, 404, "No such study", "Please check the address.")
    if not allowed:
        return site.page(request, "login.html", study, error="")
    rules = rules_of(request)
    if study.settings.design == PREFERENCE:
        rankings, live = await asyncio.gather(_rankings(site, study, rules), _live(site, study))
        return site.page(
            request, "ranking.html", study, rankings=rankings, live=live, rules=rules, query=request.url.query
        )
    report, live = await asyncio.gather(_report(site, study, rules), _live(site, study))
    generated = [one for one in report.pictures if one.model != "real"]
    real = [one for one in report.pictures if one.model == "real"]
    return site.page(
        request,
        "results.html",
        study,
        report=report,
        live=live,
        rules=rules,
        plots=[name for name, plot in PLOTS.items() if plot.applies(report)],
        query=request.url.query,
        fooling=generated[:_SHOWN],
        caught=generated[::-1][:_SHOWN] if len(generated) > _SHOWN else [],
        doubted=real[:_SHOWN],
        plot_titles={name: plot.title for name, plot in PLOTS.items()},
    )


async def live(request: Request) -> Response:
    """The counts, as JSON."""
    site, study, allowed = await _allowed(request)
    if study is None or not allowed:
        return JSONResponse({"error": "not allowed"}, 403)
    return JSONResponse(await _live(site, study))


async def plot(request: Request) -> Response:
    """One of the plots as SVG."""
    site, study, allowed = await _allowed(request)
    name = request.path_params["name"]
    if study is None or not allowed or name not in PLOTS:
        return Response(status_code=403 if study is not None and not allowed else 404)
    report = await _report(site, study, rules_of(request))
    return Response(await run_in_threadpool(draw, name, report), media_type="image/svg+xml")


async def picture(request: Request) -> Response:
    """Any picture of the study, by its number."""
    site, study, allowed = await _allowed(request)
    if study is None or not allowed:
        return Response(status_code=403)
    given = request.path_params["number"]  # as text: Python refuses to read a number of thousands of digits
    picture_id = None
    if re.fullmatch(r"[0-9]{1,9}", given):
        query = select(Picture.id).where(Picture.study_id == study.id, Picture.number == int(given))
        picture_id = await site.read(lambda connection: connection.scalar(query))
    if picture_id is None:
        return Response(status_code=404)
    return Response(
        await site.png(picture_id), media_type="image/png", headers={"Cache-Control": "private, max-age=3600"}
    )


async def export(request: Request) -> Response:
    """The data: the tables of `export_tables`, study.json (complete, with pictures), report.json."""
    site, study, allowed = await _allowed(request)
    if study is None or not allowed:
        return Response(status_code=403)
    name = request.path_params["name"]
    kind = "text/csv" if name.endswith(".csv") else "application/json"
    if name in TABLE_NAMES:
        found = await site.read(lambda c: export_table(c, study, name, participants=True))
    elif name == "study.json":
        data = await site.read(lambda c: export_study(c, study, pictures=True, participants=True))
        found = await run_in_threadpool(json.dumps, data)
    elif name == "report.json":
        rules = rules_of(request)
        report: Any = (
            [one.to_dict() for one in await _rankings(site, study, rules)]
            if study.settings.design == PREFERENCE
            else (await _report(site, study, rules)).to_dict()
        )
        found = json.dumps(report)
    else:
        found = None
    if found is None:
        return Response(status_code=404)
    text = found
    return Response(
        text, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{study.slug}-{name}"'}
    )


async def switch(request: Request) -> Response:
    """Close the study, or open it again."""
    site, study, allowed = await _allowed(request)
    form = await read_form(request)
    if study is None or not allowed or not may_write(request, study, form.get("csrf", "")):
        return Response(status_code=403)
    await site.write(lambda connection: set_closed(connection, study.id, closed=form.get("to") == "closed"))
    return RedirectResponse(f"{root_of(request)}/s/{study.slug}/results", 303)


ROUTES = [
    Route("/s/{slug}/results", results),
    Route("/s/{slug}/results/login", login, methods=["POST"]),
    Route("/s/{slug}/results/live", live),
    Route("/s/{slug}/results/switch", switch, methods=["POST"]),
    Route("/s/{slug}/results/plot/{name}.svg", plot),
    Route("/s/{slug}/results/picture/{number}.png", picture),
    Route("/s/{slug}/results/export/{name}", export),
]
