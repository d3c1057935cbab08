"""Who may ask a page, how wrong passwords are slowed, and which language the page has."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from urllib.parse import urlencode

import pytest

from frtune.web.launch import Server, load_gradio, start
from frtune.web.middleware import HostMiddleware, LanguageMiddleware, SignInMiddleware
from frtune.web.translations import PageLanguage


def _page():
    gradio = load_gradio()
    with gradio.Blocks(analytics_enabled=False) as page:
        gradio.Textbox(value="secret text")
    return page


@pytest.fixture
def address():
    page = _page()
    server = Server(allowed_hosts=["demo.example", "*.lab.example"])
    yield start(page, server, PageLanguage({}, None))[0]
    page.close()


def _get(address, **headers):
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("path", ["", "config", "gradio_api/info", "gradio_api/queue/status"])
def test_another_sites_name_for_this_machine_is_refused(address, path):
    for host in ("evil.example", "evil.example:7860", "localhost.evil.example", "lab.example", ""):
        with pytest.raises(urllib.error.HTTPError) as error:
            _get(address + path, Host=host or " ")
        assert error.value.code == 400
    for host in ("localhost:1", "127.0.0.1", "[::1]:80", "192.168.1.7:7860", "demo.example",
                 "a.lab.example:80"):  # fmt: skip
        assert _get(address + path, Host=host)


def test_a_page_for_the_network_knows_its_own_name(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "box")
    monkeypatch.setattr("socket.getfqdn", lambda: "box.lan")
    known = HostMiddleware(lambda *_: None, hosts=Server(host="0.0.0.0").names)
    assert known.knows("box:7860") and known.knows("BOX.lan") and not known.knows("other")
    shared = HostMiddleware(lambda *_: None, hosts=Server(share=True).names)
    assert shared.knows("abc.gradio.live") and not shared.knows("box")


class SignIn:
    """A sign-in with a right password, and what its senders waited."""

    def __init__(self):
        self.waits, self.at_once, self.most = [], 0, 0
        self.page = SignInMiddleware(self.app, sleep=self.sleep)

    async def sleep(self, seconds):
        self.waits.append(seconds)

    async def app(self, scope, receive, send):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        status = 200 if scope["password"] == "right" else 400
        await send({"type": "http.response.start", "status": status, "headers": []})
        self.at_once -= 1

    async def attempt(self, password, sender="1.2.3.4", path="/login"):
        async def send(message):
            pass

        scope = {"type": "http", "method": "POST", "path": path, "client": (sender, 1)}
        await self.page({**scope, "password": password}, None, send)


def test_each_wrong_password_costs_twice_as_much_as_the_one_before():
    async def attempts():
        for _ in range(11):
            await found.attempt("wrong")
        await found.attempt("wrong", sender="5.6.7.8")
        await found.attempt("wrong", path="/elsewhere")
        await found.attempt("right")
        await found.attempt("wrong")

    found = SignIn()
    asyncio.run(attempts())
    assert found.waits == [1, 2, 4, 8, 16, 30, 30, 30, 30], "the third is free, the right one not"


def test_attempts_at_once_take_their_turn():
    async def attempts():
        await asyncio.gather(*(found.attempt("wrong") for _ in range(20)))

    found = SignIn()
    asyncio.run(attempts())
    assert found.most == 1 and len(found.waits) == 17
    assert not found.page.turns, "nothing is kept of those who are done"


def test_a_page_slows_wrong_passwords(monkeypatch):
    waits = []

    class Told(SignInMiddleware):
        def __init__(self, app):
            async def sleep(seconds):
                waits.append(seconds)

            super().__init__(app, sleep=sleep)

    monkeypatch.setattr("frtune.web.launch.SignInMiddleware", Told)
    page = _page()
    local, _ = start(page, Server(auth=[("ada", "right")]), PageLanguage({}, "en"))
    try:
        wrong = urlencode({"username": "ada", "password": "wrong"}).encode()
        for _ in range(5):
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(f"{local}login", wrong)
            assert error.value.code == 400
        assert waits == [1, 2]
    finally:
        page.close()


@pytest.mark.parametrize(
    ("accepted", "chosen", "found"),
    [("fr-FR,fr", None, "fr"), ("de-DE", None, "en"), ("fr-FR", "ko", "ko"), ("", None, "en")],
)
def test_the_page_has_one_language(accepted, chosen, found):
    page = _page()
    local, _ = start(page, Server(), PageLanguage({}, chosen))
    try:
        text = _get(local, **{"Accept-Language": accepted})
        assert f'lang="{found}"' in text
        assert f'window.frtuneLanguage = "{found}"' in text.split("<script>")[1]
    finally:
        page.close()


def test_what_is_no_page_is_left_alone():
    sent = []

    async def app(scope, receive, send):
        kind = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        await send({"type": "http.response.body", "body": b'<head> lang="en"'})

    async def send(message):
        sent.append(message)

    page = LanguageMiddleware(app, language=PageLanguage({}, "fr"))
    asyncio.run(page({"type": "http", "method": "GET", "headers": []}, None, send))
    assert sent[1]["body"] == b'<head> lang="en"'
