import json
import logging
import random
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError
from starlette.testclient import TestClient

from improved_gan.turing_test.limits import RateLimiter
from improved_gan.turing_test.security import HEADERS


def test_start_page_health_robots_and_what_is_not_there(world) -> None:
    here = world()
    assert here.client.get("/").headers["location"] == here.base
    assert here.client.get("/health").json() == {"status": "ok"}
    assert "Disallow: /" in here.client.get("/robots.txt").text
    assert here.client.get("/favicon.ico").headers["content-type"].startswith("image/svg")
    for path in ("/s/nothing", "/nothing", "/static/../app.py", "/static/%2e%2e/app.py", "/s/nothing/results"):
        assert here.client.get(path).status_code == 404, path
    world(trials=7)
    assert here.client.get("/").status_code == 404


def test_an_address_that_asks_too_often_is_429(world) -> None:
    here = world()
    here.app.state.site.addresses = RateLimiter(rate=0.1, burst=5)
    assert [here.client.get("/health").status_code for _ in range(7)] == [200] * 5 + [429] * 2


def test_a_failure_of_ours_carries_the_security_headers_too(world, monkeypatch) -> None:
    here = world()

    async def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(here.app.state.site, "study", fail)
    reply = TestClient(here.app, raise_server_exceptions=False).get(here.base)
    assert reply.status_code == 500
    assert "broken" not in reply.text
    assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
    assert reply.headers["cache-control"] == "no-store"


ODD = [
    "\0",
    "a\0b",
    "\ud800",
    "9" * 5000,
    str(2**63),
    str(-(2**63)),
    "-1",
    "1e400",
    "nan",
    "inf",
    "𝟙",
    "'",
    "../x",
    " ",
    "x" * 3000,
]


def away(*_: object, **__: object) -> None:
    raise OperationalError("SELECT secret", {}, sqlite3.OperationalError("server closed the connection\nmore lines"))


@pytest.fixture
def broken(world, monkeypatch: pytest.MonkeyPatch):
    here = world()
    here.begin()
    monkeypatch.setattr(here.engine, "connect", away)
    monkeypatch.setattr(here.app.state.site.writer, "_commit", away)
    return here


def test_while_the_database_is_away_pages_are_503_and_the_log_has_a_line_without_traceback(broken, caplog) -> None:
    pages = ("", "/judge", "/state", "/results", "/thanks")
    page = broken.client.get(broken.base, headers={"Accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert "try again" in page.text
    replies = [page, broken.answer(0, "real"), *(broken.client.get(broken.base + one) for one in pages)]
    assert [reply.status_code for reply in replies] == [503] * len(replies)
    assert all(reply.headers["retry-after"] == "5" for reply in replies)
    health = broken.client.get("/health")
    assert (health.status_code, health.json()) == (503, {"status": "the database is not reachable"})
    lines = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert {one.getMessage() for one in lines} == {"the database cannot be used: server closed the connection"}
    assert not any(one.exc_info for one in lines)
    assert len({one.msg for one in lines}) == 1  # one kind: `log_lines` writes it once in a while


def test_it_recovers_by_itself(broken, monkeypatch: pytest.MonkeyPatch) -> None:
    assert broken.answer(0, "real").status_code == 503
    monkeypatch.undo()
    assert broken.client.get("/health").json() == {"status": "ok"}
    assert broken.answer(0, "real").json()["position"] == 1


def test_a_wrong_statement_of_ours_stays_an_error(world, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world()

    def wrong(*_: object) -> None:
        raise ProgrammingError("SELEC", {}, sqlite3.ProgrammingError("syntax"))

    monkeypatch.setattr(here.engine, "connect", wrong)
    assert TestClient(here.app, raise_server_exceptions=False).get(here.base).status_code == 500


def test_no_value_that_a_client_sends_is_an_error_of_ours(database: str, world) -> None:
    """NUL, half characters, huge numbers in paths, queries, forms, JSON, cookies and headers: refused, never 500."""
    here = world(database)
    here.begin()
    here.login()
    quoted = [odd.encode(errors="surrogatepass") for odd in ODD]
    draw = random.Random(0)
    for odd, raw in zip(ODD, quoted, strict=True):
        path = "".join(f"%{byte:02X}" for byte in raw)
        for url in (f"/s/{path}", f"/s/{path}/results", f"/s/{path}/state", f"{here.base}/picture/{path}.png",
                    f"{here.base}/results/picture/{path}.png", f"{here.base}/results/plot/{path}.svg",
                    f"{here.base}/results/export/{path}", f"{here.base}?participant={path}", f"/{path}",
                    f"{here.base}/results?checks={path}&trials={path}&median={path}&answer={path}"):  # fmt: skip
            assert here.client.get(url).status_code < 500, url
        for page, field in (
            ("/begin", "participant"),
            ("/begin", "csrf"),
            ("/results/login", "token"),
            ("/results/switch", "to"),
        ):
            body = f"csrf={here.csrf_token.replace('=', '%3D')}&{field}={path}"
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            assert here.client.post(here.base + page, content=body, headers=headers).status_code < 500, (page, field)
        number = int(odd) if odd.lstrip("-").isascii() and odd.lstrip("-").isdigit() and len(odd) < 100 else odd
        for field in ("number", "choice", "response_ms", "shown_ms", "session"):
            place = draw.choice([0, 1])
            given = {"number": place, "choice": "real", "response_ms": 700, field: number}
            headers = {"X-CSRF-Token": here.csrf_token}
            reply = here.client.post(here.base + "/answer", content=json.dumps(given), headers=headers)
            assert reply.status_code < 500, (field, odd)
        body = b'{"number": ' + raw[:4500] + b"}"
        headers = {"X-CSRF-Token": here.csrf_token}
        assert here.client.post(here.base + "/answer", content=body, headers=headers).status_code < 500
        cookie = f"visitor={'v' * 32}; judge-{here.study.slug}=".encode() + raw.replace(b"\0", b"")[:3000]
        other = TestClient(here.app)
        assert other.get(here.base + "/state", headers={b"Cookie": cookie}).status_code < 500
        headers = {b"Cookie": cookie, b"X-CSRF-Token": raw[:3000], b"Content-Length": raw[:3000]}
        assert other.post(here.base + "/answer", headers=headers).status_code < 500
