"""Templates that are wrong or hostile: each mistake is named with file and line, and nothing else suffers."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from digest.compose import check_templates, sample
from digest.compose.compiled import compile_sources
from digest.compose.render import Limits, read_templates, render
from digest.errors import RenderError
from tests.support.compose import TEMPLATES

TEASER = "parts/teaser.mjml.j2"


@pytest.fixture
def sources() -> dict[str, str]:
    return read_templates(TEMPLATES)


def error(sources: dict[str, str]) -> str:
    with pytest.raises(RenderError) as caught:
        compile_sources(sources, sample.LOOK, sample.SLOT, sample.summaries(), sample.INTERESTS)
    return str(caught.value)


def line_of(text: str, needle: str) -> int:
    return next(n for n, line in enumerate(text.split("\n"), start=1) if needle in line)


def change(sources: dict[str, str], name: str, old: str, new: str) -> int:
    """Replace ``old`` in a template by ``new``; returns the line it stands in."""
    assert old in sources[name]
    line = line_of(sources[name], old.split("\n")[0])
    sources[name] = sources[name].replace(old, new, 1)
    return line


def test_the_repository_s_own_are_right():
    assert check_templates(TEMPLATES) == []


def test_unknown_names_are_all_listed_with_their_lines(sources):
    first = change(sources, TEASER, "{{ teaser.takeaway }}", "{{ teaser.takaway }}")
    second = change(sources, "digest.mjml.j2", "{{ edition.preheader }}", "{{ editon.preheader }}")
    third = change(sources, "digest.txt.j2", "{{ edition.intro }}", "{{ edition.intro }}{{ nobody }}")
    text = error(sources)
    assert f"templates/{TEASER}:{first}: 'takaway' is undefined; did you mean takeaway?" in text
    assert f"templates/digest.mjml.j2:{second}: 'editon' is undefined" in text
    assert f"templates/digest.txt.j2:{third}: 'nobody' is undefined" in text


@pytest.mark.parametrize(
    "use",
    [
        "{% if teaser.nope %}x{% endif %}",
        "{% for x in nope %}{% endfor %}",
        "{{ nope.a.b }}",
        "{{ nope + 1 }}",
        "{{ nope|length }}",
        "{{ nope() }}",
    ],
)
def test_every_use_of_an_unknown_name_counts(sources, use):
    change(sources, TEASER, "{{ teaser.takeaway }}", use)
    assert f"templates/{TEASER}:" in error(sources) and "'nope' is undefined" in error(sources)


def test_asking_whether_a_name_is_there_is_allowed(sources):
    change(sources, TEASER, "{{ teaser.takeaway }}", "{{ nope|default('') }}{{ teaser.takeaway if nope is not defined }}")
    compiled = compile_sources(sources, sample.LOOK, sample.SLOT, sample.summaries(), sample.INTERESTS)
    assert sample.summaries()[0].takeaway in "".join(compiled.html.parts["teaser:0"].pieces)


def test_a_syntax_error_has_its_line(sources):
    line = change(sources, TEASER, "{{ teaser.takeaway }}", "{{ teaser.takeaway }")
    assert error(sources).startswith(f"templates/{TEASER}:{line}: ")


def test_all_files_with_syntax_errors_are_listed(tmp_path, sources):
    change(sources, TEASER, "{{ teaser.takeaway }}", "{% if %}")
    change(sources, "digest.txt.j2", "{{ edition.intro }}", "{{ }}")
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert {problem.file for problem in check_templates(tmp_path)} == {f"templates/{TEASER}", "templates/digest.txt.j2"}
    assert all(problem.line for problem in check_templates(tmp_path))


def test_an_mjml_mistake_has_a_line_near_it(sources):
    line = change(sources, TEASER, 'class="why">{{ teaser.why }}</p>', 'class="why">{{ teaser.why }}')
    text = error(sources)
    assert "not valid MJML" in text and "teaser part" in text
    found = int(text.split(f"templates/{TEASER}:")[1].split(":")[0])
    assert abs(found - line) <= 2


@pytest.mark.parametrize(("old", "new"), [("</mj-column>", "</mj-colum>"), ("<mj-text>", "<mj-text align=left>"), ("</mj-section>", "")])
def test_other_mjml_mistakes_name_the_file(sources, old, new):
    line = change(sources, "parts/intro.mjml.j2", old, new)
    text = error(sources)
    assert "not valid MJML" in text and "templates/parts/intro.mjml.j2:" in text
    assert abs(int(text.split(":")[1]) - line) <= 9


def test_an_element_that_mjml_does_not_know_is_refused(sources):
    line = change(sources, "parts/intro.mjml.j2", "<mj-text>", "<mj-txt>")
    sources["parts/intro.mjml.j2"] = sources["parts/intro.mjml.j2"].replace("</mj-text>", "</mj-txt>")
    assert f"templates/parts/intro.mjml.j2:{line}: an element that MJML does not know" in error(sources)


def test_an_unknown_element_without_attributes_or_spaces_has_its_line_too(sources):
    line = change(sources, "parts/intro.mjml.j2", "</mj-column>", "<mj-bogus>x</mj-bogus></mj-column>")
    assert f"templates/parts/intro.mjml.j2:{line}: an element that MJML does not know" in error(sources)


def test_includes_of_mjml_and_of_missing_files_are_refused(sources):
    line = change(sources, "digest.mjml.j2", "<mj-head>", '<mj-head><mj-include path="/etc/passwd" />')
    assert f"templates/digest.mjml.j2:{line}: mj-include is not allowed" in error(sources)
    sources = read_templates(TEMPLATES)
    line = change(sources, "digest.mjml.j2", '{% include "parts/header.mjml.j2" %}', '{% include "../config.yaml" %}')
    assert f"templates/digest.mjml.j2:{line}: templates/../config.yaml is not there" in error(sources)


@pytest.mark.parametrize("name", ["digest.mjml.j2", "digest.txt.j2"])
@pytest.mark.parametrize("part", ["teaser", "section", "overflow", "highlights", "notice"])
@pytest.mark.parametrize("field", ["edition.preheader", "edition.intro"])
def test_a_line_of_the_whole_email_in_a_part_is_refused(sources, name, part, field):
    line = f"<mj-text>{{{{ {field} }}}}</mj-text>" if "mjml" in name else f"{{{{ {field} }}}}\n"
    change(sources, name, f"{{% part {part} %}}", f"{{% part {part} %}}{line}")
    assert f"templates/{name}: {{{{ {field} }}}} stands in the {part} part" in error(sources)
    assert error(sources).endswith("it belongs outside of all parts")


@pytest.mark.parametrize("field", ["sections[-1].teasers[0].why", "overflow.text if overflow else ''"])
def test_a_line_of_a_part_outside_of_it_is_refused(sources, field):
    change(sources, "digest.txt.j2", "{{ edition.intro }}", f"{{{{ edition.intro }}}} {{{{ {field} }}}}")
    assert "stands outside of all parts, where it would not be filled in; it belongs in the " in error(sources)


@pytest.mark.parametrize("macro", ["subject", "greeting", "overflow", "preheader_end"])
def test_a_missing_phrase_is_named(sources, macro):
    sources["phrases.txt.j2"] = sources["phrases.txt.j2"].replace(f"macro {macro}(", f"macro x{macro}(")
    assert f"has no {{% macro {macro}(…) %}}" in error(sources)


@pytest.mark.parametrize("part", ["teaser", "section", "overflow", "highlights", "notice"])
def test_a_missing_part_is_named(sources, part):
    text = sources["digest.mjml.j2"]
    start = text.index(f"{{% part {part} %}}")
    end = text.index("{% endpart %}", start)
    sources["digest.mjml.j2"] = text[:start] + text[start:end].replace(f"{{% part {part} %}}", "") + text[end + len("{% endpart %}") :]
    assert f"templates/digest.mjml.j2: the {part} part is missing" in error(sources) or "stands between two parts" in error(sources)


@pytest.mark.parametrize("field", ["reader.unsubscribe_url", "reader.preferences_url", "reader.web_url"])
def test_a_missing_link_is_named(sources, field):
    change(sources, "parts/footer.txt.j2", f"{{{{ {field} }}}}", "")
    assert f"{{{{ {field} }}}} is missing" in error(sources)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (
            "digest.mjml.j2",
            '{% include "parts/teaser.mjml.j2" %}',
            '{% if loop.first %}<mj-section></mj-section>{% endif %}{% include "parts/teaser.mjml.j2" %}',
        ),
        (
            "digest.mjml.j2",
            "{% for notice in notices %}",
            "{% if notices %}<mj-section></mj-section>{% endif %}{% for notice in notices %}",
        ),
        (TEASER, "{{ teaser.why }}", '<span title="{{ teaser.why }}">x</span>'),
        (TEASER, "{{ teaser.why }}", "{{ teaser.why|upper }}"),
        ("parts/teaser.txt.j2", "{{ teaser.why }}", "{{ teaser.why|length }}"),
    ],
)
def test_parts_that_depend_on_their_place_are_refused(sources, name, old, new):
    change(sources, name, old, new)
    text = error(sources)
    assert "depend on what stands beside them" in text or "is not a slot" in text


def test_a_teaser_must_not_show_its_section(sources):
    change(sources, TEASER, "{{ teaser.why }}", "{{ section.label if section is defined }} {{ teaser.why }}")
    assert "must not use fields of its section" in error(sources)


HOSTILE = {
    "memory": "{{ 'A' * 900000000 }}",
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "range": "{{ range(999999999)|list }}",
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "attribute": "{{ ''|attr('__class__') }}",
    "globals": "{{ cycler.__init__.__globals__.os.environ }}",
    "format": "{{ '{0.__class__}'.format(1) }}",
    "mutation": "{% set x = teaser.update({'a': 1}) %}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "self include": "{% include 'parts/intro.mjml.j2' %}",
    "division": "{{ 1 / 0 }}",
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_templates_end_in_an_error_and_this_process_is_untouched(sources, attack):
    sources["parts/intro.mjml.j2"] = sources["parts/intro.mjml.j2"].replace("{{ edition.intro }}", HOSTILE[attack])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = error(sources)
    assert "templates" in text and "environ(" not in text and "PATH" not in text
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def one(template: str, limits: Limits | None = None, **data: object) -> str:
    given = limits or Limits(5, 30, 512 * 1024 * 1024, 1024 * 1024)
    with pytest.raises(RenderError) as caught:
        rendered = render({"a.mjml.j2": template}, {}, [("a.mjml.j2", data)], [], given)
        assert not rendered.problems, rendered.problems
    return str(caught.value)


def test_a_crash_of_the_compiler_is_told():
    deep = "<mjml><mj-body><mj-text>{{ '<b>'|safe * 60000 }}x{{ '</b>'|safe * 60000 }}</mj-text></mj-body></mjml>"
    assert "crashed" in one(deep, Limits(20, 60, 2**31, 2**22))


def test_too_much_output_is_told():
    assert "larger than 64 KiB" in one(
        "<mjml><mj-body><mj-text>{{ 'A' * 200000 }}</mj-text></mj-body></mjml>", Limits(5, 30, 2**29, 64 * 1024)
    )


def test_time_is_told_with_its_line():
    loops = "<mjml>\n{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}</mjml>"
    rendered = render({"a.mjml.j2": loops}, {}, [("a.mjml.j2", {})], [], Limits(1, 30, 2**29, 2**20))
    assert [(problem.file, problem.line) for problem in rendered.problems] == [("templates/a.mjml.j2", 2)]
    assert "takes too long" in rendered.problems[0].text


def test_nothing_can_be_opened_once_templates_run(sources, monkeypatch):
    """Descriptors are used up: even code that broke out of the sandbox would reach no file and no socket."""
    from digest.compose import render as parent

    probe = parent._BOOT.replace(
        "main({door})\n",
        "import digest.compose.child as c\n"
        "def probe(job):\n"
        "    import socket\n"
        "    found = []\n"
        "    for act in (lambda: open('/etc/passwd'), socket.socket, lambda: open('x', 'w')):\n"
        "        try:\n"
        "            act(); found.append('done')\n"
        "        except OSError as error:\n"
        "            found.append(str(error.errno))\n"
        "    return dict(documents=found, phrases=[__import__('os').environ.get('PATH', 'none')], notes=[])\n"
        "real = c.answer\n"
        "c.answer = lambda job: probe(job) if 'real' in job['common'] else real(job)\n"
        "main({door})\n",
    )
    monkeypatch.setattr(parent, "_kept", parent._Kept())
    monkeypatch.setattr(parent, "_BOOT", probe)
    rendered = render({}, {"real": 1}, [], [], Limits(5, 30, 2**29, 2**20))
    assert rendered.documents == ("24", "24", "24") and rendered.phrases == ("none",)


def test_a_folder_without_templates_is_told(tmp_path: Path):
    assert "digest.mjml.j2" in check_templates(tmp_path)[0].file
    assert "not a folder" in check_templates(tmp_path / "nowhere")[0].text
    (tmp_path / "digest.mjml.j2").write_bytes(b"\xff\xfe")
    assert "cannot be read" in check_templates(tmp_path)[0].text
