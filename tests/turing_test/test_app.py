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
