"""A list of readers brought in: the file, which of its columns are which of ours, what would happen, then the same for good."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from digest import interests as listed
from digest import subscribe
from digest.errors import ConfigError
from digest.subscribe import COLUMNS, Import
from digest.web.admin import guard, uploads
from digest.web.admin.guard import Filled, guarded
from digest.web.admin.look import page
from digest.web.admin.telling import told
from digest.web.look import Form
from digest.workspace import Workspace

router = APIRouter()

_PROBLEMS = 100
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_ENCODINGS = ("utf-8", "cp1252", "iso-8859-1", "utf-16")
_ALIKE = {
    "email": ("e-mail", "mail", "email address", "e-mail address", "address", "emailaddress"),
    "name": ("full name", "first name", "firstname", "vorname", "nombre", "nom"),
    "interests": ("topics", "tags", "groups", "subjects"),
    "cadence": ("frequency",),
    "language": ("lang", "locale", "sprache"),
    "status": ("state",),
    "consent_at": ("consent", "opt-in date", "optin_time", "subscribed at", "confirm_time", "signup date"),
    "consent_source": ("source", "signup source"),
    "zone": ("timezone", "time zone"),
}
Token = Annotated[str, Path(max_length=32)]


class Shape(NamedTuple):
    """How the file is read, as the form says it."""

    delimiter: str
    encoding: str
    header: tuple[str, ...]


@guarded(router, "GET", "/admin/readers/import", "readers.change")
def ask(request: Request) -> Response:
    """Where a file is put in."""
    return page(request, "import.html.j2", error="", most_mb=uploads.MOST_MB)


@guarded(router, "POST", "/admin/readers/import", "readers.change", uploads.form_with_file)
def take(request: Request) -> Response:
    """Keep it for the next step; nothing is brought in yet."""
    upload: uploads.Upload | None = request.state.upload
    if upload is None or not upload.content:
        return page(request, "import.html.j2", status=422, error="choose a file that is not empty", most_mb=uploads.MOST_MB)
    token = uploads.keep(guard.acting(request), guard.who(request).id, upload.content)
    return RedirectResponse(f"/admin/readers/import/{token}", status_code=303)


@guarded(router, "GET", "/admin/readers/import/{token}", "readers.change")
def columns(request: Request, token: Token) -> Response:
    """Which column is which."""
    content = uploads.kept(guard.acting(request), guard.who(request).id, token)
    shape = shape_of(content, "", "")
    return _show(request, token, shape, guess(shape.header))


@guarded(router, "POST", "/admin/readers/import/{token}", "readers.change")
def bring(request: Request, token: Token, form: Filled) -> Response:
    """What would happen; with ``go`` the same for good."""
    workspace = guard.acting(request)
    content = uploads.kept(workspace, guard.who(request).id, token)
    shape = shape_of(content, form.one("delimiter"), form.one("encoding"))
    if not form.has("c-email"):  # the file is to be read in another way
        return _show(request, token, shape, guess(shape.header))
    mapping = mapping_of(form)
    try:
        report = _import(workspace, content, shape, mapping, dry_run=not form.has("go"))
    except ConfigError as error:
        return _show(request, token, shape, mapping, error=_without_name(str(error)))
    if report.dry_run:
        return _show(request, token, shape, mapping, report)
    uploads.drop(workspace, token)
    return page(request, "imported.html.j2", report=report, problems=report.problems[:_PROBLEMS])


@guarded(router, "POST", "/admin/readers/import/{token}/report", "readers.change")
def download(request: Request, token: Token, form: Filled) -> Response:
    """Each line that is not taken, or not as it stands, and why; as a file."""
    workspace = guard.acting(request)
    content = uploads.kept(workspace, guard.who(request).id, token)
    shape = shape_of(content, form.one("delimiter"), form.one("encoding"))
    with told():
        report = _import(workspace, content, shape, mapping_of(form), dry_run=True)
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(subscribe.problem_rows(report))
    headers = {"Content-Disposition": 'attachment; filename="not-taken.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def shape_of(content: bytes, delimiter: str, encoding: str) -> Shape:
    """Pure: how a file is to be read, as far as it was not said: by its mark, else UTF-8; by what its first line has most of."""
    if encoding not in _ENCODINGS:
        utf_16 = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        encoding = "utf-16" if utf_16 else "utf-8" if _reads(content, "utf-8") else "cp1252"
    text = content.decode(encoding, "replace").removeprefix("\ufeff")
    first = text.partition("\n")[0]
    if delimiter not in _DELIMITERS:
        delimiter = max(_DELIMITERS, key=lambda name: first.count(_DELIMITERS[name]))
    try:
        header = next(csv.reader(io.StringIO(text), delimiter=_DELIMITERS[delimiter]), [])
    except csv.Error:
        header = []
    return Shape(delimiter, encoding, tuple(cell.strip() for cell in header if cell.strip())[:200])


def _reads(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def guess(header: Sequence[str]) -> dict[str, str]:
    """Pure: for each column of ours the heading that is probably it, or none."""
    found: dict[str, str] = {}
    for column in COLUMNS:
        names = (column, column.replace("_", " "), *_ALIKE.get(column, ()))
        found[column] = next((cell for name in names for cell in header if cell.lower() == name and cell not in found.values()), "")
    return found


def mapping_of(form: Form) -> dict[str, str]:
    """Which heading is which column of ours, as the form says."""
    return {column: form.one(f"c-{column}", 200) for column in COLUMNS}


def _import(workspace: Workspace, content: bytes, shape: Shape, mapping: Mapping[str, str], *, dry_run: bool) -> Import:
    encoding = "utf-8-sig" if shape.encoding == "utf-8" else shape.encoding
    with uploads.opened(workspace, content) as file:
        return subscribe.import_file(
            workspace,
            file,
            listed.load(workspace.path),
            encoding=encoding,
            delimiter=_DELIMITERS[shape.delimiter],
            columns=mapping,
            dry_run=dry_run,
        )


def _without_name(text: str) -> str:
    """What is wrong, without the name that the file has between the steps."""
    _, _, rest = text.partition(": ")
    return rest or text


def _show(
    request: Request, token: str, shape: Shape, mapping: Mapping[str, str], report: Import | None = None, *, error: str = ""
) -> Response:
    return page(
        request,
        "import_columns.html.j2",
        status=422 if error else 200,
        kept_as=token,
        shape=shape,
        mapping=mapping,
        columns=COLUMNS,
        delimiters=list(_DELIMITERS),
        encodings=_ENCODINGS,
        report=report,
        problems=report.problems[:_PROBLEMS] if report else (),
        error=error,
    )
