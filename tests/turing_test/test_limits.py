from improved_gan.turing_test.limits import Limits, RateLimiter


def test_a_bucket_fills_again_and_keys_do_not_share() -> None:
    now = [0.0]
    limiter = RateLimiter(rate=2, burst=3, clock=lambda: now[0])
    assert [limiter.allows("a") for _ in range(4)] == [True] * 3 + [False]
    assert limiter.allows("b")
    now[0] = 0.5
    assert [limiter.allows("a") for _ in range(2)] == [True, False]


def test_memory_is_bounded() -> None:
    limiter = RateLimiter(rate=1, burst=1, most_keys=10)
    for k in range(1000):
        limiter.allows(str(k))
    assert len(limiter._buckets) == 10


def test_a_body_that_is_too_large_is_413_told_or_not(world) -> None:
    here = world()
    here.begin()
    assert here.client.post(here.base + "/answer", content=b"x" * 140_000).status_code == 413
    chunks = (b"x" * 1000 for _ in range(140))
    headers = {"X-CSRF-Token": here.csrf_token}
    assert here.client.post(here.base + "/answer", content=chunks, headers=headers).status_code == 413
    assert Limits().logins < 1
