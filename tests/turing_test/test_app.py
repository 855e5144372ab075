from improved_gan.turing_test.limits import RateLimiter


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
