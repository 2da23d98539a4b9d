"""A new secret, and everything sealed anew with it, a page at a time, while others read and write."""

from __future__ import annotations

from sqlalchemy import LargeBinary, Table, select, update

from digest import audit
from digest.errors import ConfigError
from digest.model import Frozen
from digest.store import hooks
from digest.store import schema as t
from digest.vault import add_secret
from digest.workspace import Workspace

_SEALED: tuple[tuple[Table, str, str], ...] = (
    (t.subscriber, "address", "address"),
    (t.subscriber, "name", "name"),
    (t.consent, "detail", "consent"),
    (t.signup, "body", "signup"),
    (t.mail, "body", "mail"),
    (t.event_inbox, "body", "event"),
    (t.person, "totp", "totp"),
    *((t.hook, column, hooks.SEALED) for column in ("url", "secret", "old_secret")),
)
_LOOKED_UP = {"address_index"}  # hashes, not sealed: they stay with the first secret
_PAGE = 200


class Rotation(Frozen):
    """The number of the secret that seals now, and how many values were sealed anew."""

    number: int
    sealed: int


def sealed_columns() -> set[tuple[str, str]]:
    """Every column whose values open only with a secret."""
    return {(table.name, column) for table, column, _ in _SEALED}


def binary_columns() -> set[tuple[str, str]]:
    """Every column of the schema that could be sealed: a test holds that none is forgotten."""
    kept = {("content", "compiled"), ("approval", "snapshot")}  # nothing of a reader is in these
    return {
        (table.name, column.name)
        for table in t.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) and column.name not in _LOOKED_UP and (table.name, column.name) not in kept
    }


def rotate(workspace: Workspace) -> Rotation:
    """Add a secret where they lie in a file, and seal everything with the newest. Safe to repeat after a crash.

    Raises:
        ConfigError: the only secret comes from the environment, so nobody but the operator can add one.
    """
    vault = workspace.store.vault
    if workspace.config.secret_key is None:
        add_secret(workspace.path)
        vault.refresh()
    elif vault.newest == 1:
        raise ConfigError(
            "DIGEST_SECRET_KEY holds one secret; set it to 1:OLD,2:NEW for every process, restart them, and run this again. "
            'A new one is made by: python3 -c "import secrets, base64; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())"'
        )
    sealed = sum(_reseal(workspace, *one) for one in _SEALED)
    audit.note(workspace, "keys.rotate", "", number=vault.newest, sealed=sealed)
    return Rotation(number=vault.newest, sealed=sealed)


def _reseal(workspace: Workspace, table: Table, column: str, field: str) -> int:
    vault, last, done = workspace.store.vault, 0, 0
    value = table.c[column]
    while True:
        with workspace.store.write() as tx:
            rows = tx.execute(
                select(table.c.id, value).where(table.c.id > last, value.is_not(None)).order_by(table.c.id).limit(_PAGE)
            ).all()
            for id, sealed in rows:
                if vault.number_of(sealed) != vault.newest:
                    fresh = vault.seal(vault.open(sealed, field), field)
                    tx.execute(update(table).where(table.c.id == id).values({column: fresh}))
                    done += 1
        if len(rows) < _PAGE:
            return done
        last = rows[-1].id
