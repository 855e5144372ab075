import pytest

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("kind", [
    "multipart/form-data; boundary=x; charset=utf-7", "multipart/form-data", f"{FORM}; charset=no-such-charset",
    f"{FORM}; charset=utf-16",
    f"{FORM}; charset=idna", "text/plain", "x", "multipart/form-data; boundary=x; charset=raw_unicode_escape",
])  # fmt: skip
@pytest.mark.parametrize("page", ["/begin", "/results/login"])
def test_a_form_in_another_encoding_is_400(world, page: str, kind: str) -> None:
    here = world()
    body = b'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n\\ud800\r\n--x--\r\n'
    assert here.client.post(here.base + page, content=body, headers={"Content-Type": kind}).status_code == 400


@pytest.mark.parametrize("body", [b"csrf=%ff", b"csrf=\xff", b"a=1&" * 50, b"csrf=%ed%a0%80"])
def test_a_form_that_is_no_text_is_400(world, body: bytes) -> None:
    here = world()
    assert here.client.post(here.base + "/begin", content=body, headers={"Content-Type": FORM}).status_code == 400


@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=UTF-8", f"{FORM}; charset=utf8", None])
def test_our_forms_are_read_in_utf_8(world, kind: str | None) -> None:
    here = world()
    headers = {} if kind is None else {"Content-Type": kind}
    body = f"csrf={here.csrf().replace('=', '%3D')}&participant=&caf%C3%A9=%00"
    assert here.client.post(here.base + "/begin", content=body, headers=headers).status_code == 303
