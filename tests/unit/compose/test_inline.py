"""premailer, with its edges off: important stays, dark rules stay, nothing is fetched."""

import socket

from digest.compose.inline import inline

PAGE = """<!doctype html><html><head><style>@import url("http://127.0.0.1:1/x.css"); .a { color: #123456; }
@media (prefers-color-scheme: dark) { .a { color: #ffffff !important; } }</style>
<style data-premailer="ignore">[data-ogsc] .a { color: #eeeeee !important; }</style></head>
<body><!--[if mso]><table><![endif]--><p class="a">x</p>
<img width="10" style="width:100%" src="https://x/y.png"><!--[if mso]></table><![endif]--></body></html>"""


def test_styles_are_inlined_and_the_rest_survives(monkeypatch):
    def refuse(*_args, **_more):
        raise AssertionError("something was fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    html = inline(PAGE)
    assert html.startswith("<!DOCTYPE html>")
    assert '<p class="a" style="color:#123456">' in html
    assert "color: #fff !important" in html or "color: #ffffff !important" in html
    assert "[data-ogsc] .a { color: #eeeeee !important; }" in html
    assert 'width="10"' in html
    assert html.count("<!--[if mso]>") == 2
