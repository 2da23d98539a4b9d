"""Five hundred ways in which text of a feed might try to run something; written for these tests, from how HTML is parsed.

Each calls ``ran(N)``, which a test gives to every frame: what calls it has run.
"""

from __future__ import annotations

_TAGS = ("img src=x", "svg", "body", "video src=x", "audio src=x", "input autofocus", "details open", "iframe", "object data=x", "marquee")
_HANDLERS = ("onerror", "onload", "onfocus", "ontoggle", "onstart", "onpointerenter", "onanimationstart", "onscroll")
_OUTS = ("", '">', "'>", "-->", "</title>", "</style>", "</td></tr></table>", "</mj-text>")
_WHOLE = (
    "<script>{js}</script>",
    "<ScRiPt>{js}</sCrIpT>",
    "<script\n>{js}</script\t>",
    "<script/x>{js}</script>",
    "<<script>{js}//<</script>",
    "<svg><script>{js}</script></svg>",
    "<math><mtext></p><script>{js}</script>",
    "<noscript><p title='</noscript><img src=x onerror={js}>'>",
    "<iframe srcdoc='<script>parent.{js}</script>'></iframe>",
    "<iframe src=javascript:parent.{js}></iframe>",
    "<object data=javascript:{js}></object>",
    "<embed src=javascript:{js}>",
    "<meta http-equiv=refresh content='0;url=javascript:{js}'>",
    "<base href=javascript:{js}//>",
    "<link rel=import href=data:text/html,<script>{js}</script>>",
    "<a href=javascript:{js}>click</a>",
    "<form action=javascript:{js}><button autofocus>x</form>",
    "<svg><a xlink:href=javascript:{js}><text y=9>x</text></a></svg>",
    "<svg><animate onbegin={js} attributeName=x dur=1s>",
    "<style>@import 'javascript:{js}';</style>",
    "<p style=\"background:url('javascript:{js}')\">",
    "<p style=width:expression({js})>",
    "<!--[if gte mso 9]><script>{js}</script><![endif]-->",
    "<!--[if !mso]><!--><script>{js}</script><!--<![endif]-->",
    "<mj-raw><script>{js}</script></mj-raw>",
    "<mj-html-attributes><mj-selector path='p' onload={js}/>",
    "</mj-text><mj-raw><script>{js}</script>",
    "{{{{ '<script>{js}</script>' | safe }}}}",
    "{{% raw %}}<script>{js}</script>{{% endraw %}}",
    "{{{{ ''.__class__ }}}}<script>{js}</script>",
    "@@WEB@@<script>{js}</script>",
    "&lt;script&gt;{js}&lt;/script&gt;",
    "&#60;script&#62;{js}&#60;/script&#62;",
    "\\u003cscript\\u003e{js}\\u003c/script\\u003e",
    "%3Cscript%3E{js}%3C/script%3E",
    "\u202e<script>{js}</script>",
    "\u00a0<script>{js}</script>\u00a0",
    "＜script＞{js}＜/script＞",
    "<scr\u200bipt>{js}</scr\u200bipt>",
    "<scr<script>ipt>{js}</scr</script>ipt>",
    "=cmd|'{js}'!A1",
    "]]><script>{js}</script><![CDATA[",
    "<?xml version='1.0'?><script>{js}</script>",
    "<template><script>{js}</script></template>",
    "<dialog open onclose={js}><form method=dialog>",
    "<select autofocus onfocus={js}><option>",
    "<textarea autofocus onfocus={js}>",
    "<keygen autofocus onfocus={js}>",
    "<isindex action=javascript:{js} type=image>",
    "<bgsound src=javascript:{js}>",
    "[x](javascript:{js})",
    "![x](javascript:{js})",
    "<x id=x tabindex=1 onfocus={js}></x><a href=#x>",
    "<details open ontoggle={js}><summary>x</summary>",
    "`{js}`${{{js}}}",
    "';{js};//",
    '";{js};//',
    "\\';{js};//",
    "hx-on:load={js} <b hx-on:load={js} hx-get=/>",
    "<p data-hx-get='/' data-hx-trigger=load hx-vals='js:{{a:{js}}}'>",
)


def payloads() -> list[str]:
    """All of them, each with its own number."""
    shapes = list(_WHOLE)
    shapes += [f"{out}<{tag} {handler}={{js}}>" for out in _OUTS for tag in _TAGS for handler in _HANDLERS]
    return [shape.format(js=f"ran({n})") for n, shape in enumerate(shapes[:500])]
