from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from frtune.cli.arguments import Parser
from frtune.cli.page import add_page_options, server_of
from frtune.errors import InputError
from frtune.web.launch import Server, load_gradio, private_folder, start
from frtune.web.translations import PageLanguage


def _options(*flags):
    parser = Parser()
    add_page_options(parser)
    return server_of(parser.parse(flags))


def test_a_page_is_for_this_machine_alone_unless_told_otherwise(monkeypatch):
    assert (_options().host, _options().share, _options().auth) == ("127.0.0.1", False, None)
    assert not _options().is_open
    assert _options("--host", "0.0.0.0").is_open
    assert _options("--share").is_open
    assert not _options("--share", "--auth", "ada:x").is_open
    with pytest.raises(InputError, match="at least 1 and at most 65,535"):
        _options("--port", "0")


def _page():
    gradio = load_gradio()
    with gradio.Blocks(analytics_enabled=False) as page:
        gradio.Textbox(value="secret text")
    return page


def test_without_the_password_nothing_is_shown(monkeypatch):
    monkeypatch.setenv("GRADIO_SHARE", "True")  # asked for by nobody
    page = _page()
    local, public = start(page, Server(auth=[("ada", "right")]), PageLanguage({}, "en"))
    try:
        assert public is None and local.startswith("http://127.0.0.1:")
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{local}config")
        assert error.value.code == 401
        shown = urllib.request.urlopen(local).read().decode()
        assert "secret text" not in shown
        wrong = urllib.parse.urlencode({"username": "ada", "password": "wrong"}).encode()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{local}login", wrong)
        right = urllib.parse.urlencode({"username": "ada", "password": "right"}).encode()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        assert json.load(browser.open(f"{local}login", right)) == {"success": True}
        assert "secret text" in browser.open(f"{local}config").read().decode()
    finally:
        page.close()


def test_a_port_that_is_taken_is_told_in_one_line():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"--port {port}: cannot be listened on"):
            start(_page(), Server(port=port), PageLanguage({}, "en"))


def test_what_visitors_leave_goes_with_the_page(monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "before")
    with private_folder():
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        (folder / "upload").write_text("private")
    assert not folder.exists()
    assert os.environ["GRADIO_TEMP_DIR"] == "before"
