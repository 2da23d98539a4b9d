"""`digest doctor`: whether this machine and this configuration can keep what the ledger promises; what to do where not.

It looks, and changes nothing; a provider is asked whether it would let us in, and handed nothing.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import make_url

from digest import __version__
from digest.config import Config, examine
from digest.errors import DigestError
from digest.findings import Finding, error, ok, warning
from digest.reach import CLOCK_S, log_in, provider

_LEAST_BYTES, _FEW_BYTES = 100 * 1024**2, 1024**3
_NETWORK_DISKS = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "ceph", "glusterfs", "afs")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def examine_all(path: Path) -> tuple[Finding, ...]:
    """Everything that can be looked at in this workspace."""
    findings = [sqlite_version(sqlite3.sqlite_version_info), _python()]
    config, problems = examine(path)
    if config is None:
        return (*findings, *(error("configuration", str(one), "mend it; `digest check` lists everything") for one in problems))
    url = make_url(config.store.url)
    file = path / url.database if url.get_backend_name() == "sqlite" and url.database else None
    looks: list[Callable[[], Iterator[Finding]]] = [lambda: _keys(config, path)]
    if file is not None:
        looks += [lambda: _disk(file), lambda: _rights(path, file), lambda: _database(config, path, file)]
    looks += [
        lambda: _webhooks(config, path, file),
        lambda: _settings(config),
        lambda: provider(config, path),
        lambda: log_in(config, path),
    ]
    for look in looks:
        try:
            findings.extend(look())
        except (DigestError, OSError) as trouble:
            said = str(trouble) if isinstance(trouble, DigestError) else f"{type(trouble).__name__}: {trouble.strerror}"
            findings.append(error("workspace", said, "mend that first; other findings may be missing"))
    return tuple(findings)


# --- programs ------------------------------------------------------------------------------------------------------------


def sqlite_version(version: tuple[int, ...]) -> Finding:
    """Whether this SQLite has the fault by which two writers at once may damage a WAL database (RELIABILITY F3)."""
    name = ".".join(map(str, version[:3]))
    mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    if mended or version < (3, 7, 0):
        return ok("sqlite", f"version {name}")
    return warning(
        "sqlite",
        f"version {name} can, very rarely, damage a database that two programs write to in the same instant",
        "writers of one workspace wait for each other here, which avoids it; 3.51.3, 3.50.7 and 3.44.6 are mended: use a newer Python",
    )


def _python() -> Finding:
    return ok("digest", f"{__version__} on Python {sys.version.split()[0]}")


# --- files ---------------------------------------------------------------------------------------------------------------


def _keys(config: Config, path: Path) -> Iterator[Finding]:
    from digest.vault import open_vault

    file = path / "var" / "secret.key"
    if config.secret_key is not None:
        vault = open_vault(path, config.secret_key.get_secret_value())
        yield ok("key", f"from DIGEST_SECRET_KEY, fingerprint {vault.fingerprint}")
        if file.exists():
            yield warning("key", "var/secret.key is there too, and not used", "keep it safe if a backup was made with it, else remove it")
        return
    if not file.exists():
        yield ok("key", "none yet; the first command that needs one makes var/secret.key")
        return
    vault = open_vault(path, None)
    yield ok("key", f"in var/secret.key, fingerprint {vault.fingerprint}; keep a copy of it apart from the database")
    if mode := _open_to_others(file):
        yield error(
            "key", f"var/secret.key can be read by others ({mode:o}): whoever copies the database too reads all names", _chmod(file)
        )


def _open_to_others(file: Path) -> int:
    mode = stat.S_IMODE(file.stat().st_mode)
    return mode if mode & 0o077 else 0


def _chmod(file: Path) -> str:
    return f"chmod {'700' if file.is_dir() else '600'} var/{file.name}" if file.name != "var" else "chmod 700 var"


def _disk(file: Path) -> Iterator[Finding]:
    folder = next(place for place in file.absolute().parents if place.exists())
    free = shutil.disk_usage(folder).free
    said = f"{free / 1024**3:.1f} GB free where the database lies"
    if free < _LEAST_BYTES:
        yield error("disk", said, "make room: a full disk stops a run (nothing is lost by it)")
    elif free < _FEW_BYTES:
        yield warning("disk", said, "an issue to 100,000 readers needs about 150 MB, and its outbox 5 GB")
    else:
        yield ok("disk", said)
    kind = _kind_of_disk(folder)
    if kind.startswith(_NETWORK_DISKS):
        yield error("disk", f"the database lies on a network share ({kind}), which loses commits", "move var/ to a local disk")


def _kind_of_disk(folder: Path) -> str:
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    under = [(len(place), kind) for _, place, kind, *_ in mounts if folder == Path(place) or Path(place) in folder.parents]
    return max(under, default=(0, ""))[1]


def _rights(path: Path, file: Path) -> Iterator[Finding]:
    loose = [one for one in (path / "var", file) if one.exists() and _open_to_others(one)]
    for one in loose:
        yield warning("rights", f"{one.relative_to(path)} can be read by others: what readers follow is health data", _chmod(one))
    if file.exists() and not loose:
        yield ok("rights", "the database is its owner's alone")
    if file.exists() and not os.access(file, os.W_OK):
        yield error("rights", "the database cannot be written by this account", f"run as its owner, uid {file.stat().st_uid}")


# --- the database --------------------------------------------------------------------------------------------------------


def _database(config: Config, path: Path, file: Path) -> Iterator[Finding]:
    if not file.exists():
        yield ok("database", "none yet; the first command that needs one makes it")
        return
    from digest.store import database, standing

    secret = config.secret_key.get_secret_value() if config.secret_key else None
    store = database.open_empty(path, config.store.url, secret)
    try:
        with store.read() as tx:
            schema = database.version(tx)
    finally:
        store.close()
    if schema != database.HEAD:
        yield warning(
            "database", f"it has schema {schema or 'none'}, this program {database.HEAD}", "the next command brings it up to date"
        )
        return
    store = database.open_store(path, config.store.url, secret)  # refuses one that does not keep what it commits, or of another key
    try:
        with store.read() as tx:
            found, older = standing.of(tx), store.guard.is_older_copy(tx)
    finally:
        store.close()
    if found.damage:
        yield error("database", f"it is damaged: {found.damage}", "stop, and restore a backup; the restore guard holds what may have left")
    else:
        yield ok("database", f"schema {found.version}, keeps what it commits (WAL, synchronous=FULL)")
    if older:
        yield error(
            "database",
            "it is an older copy of itself, or var/*.mark is gone: mail may have gone out that it does not know of",
            "`digest send` will pause and hold what is open; look at `digest held`",
        )
    now = datetime.now(UTC)
    if found.newest_at and found.newest_at > now + timedelta(seconds=CLOCK_S):
        yield error(
            "clock", f"the ledger was last written at {found.newest_at:%Y-%m-%d %H:%M} UTC, which is in the future", "set the clock"
        )
    else:
        yield ok("clock", f"{now:%Y-%m-%d %H:%M} UTC, after whatever the ledger holds")
    if found.waiting_since and now - found.waiting_since > timedelta(hours=1):
        yield warning(
            "events",
            f"what providers told since {found.waiting_since:%Y-%m-%d %H:%M} UTC waits to be applied",
            "`digest reconcile`, or keep `digest serve` up",
        )
    for name, reason in found.paused:
        yield warning("issues", f"{name} is paused: {reason}", f"`digest resume {name}` lets it go on")
    if found.unsure:
        yield warning("issues", f"of {found.unsure} hand-overs the outcome is not known", "`digest reconcile`, then `digest held`")


def _webhooks(config: Config, path: Path, file: Path | None) -> Iterator[Finding]:
    """Whether other programs that want to be told are."""
    if file is not None and not file.exists():
        return
    from digest.store import database, hooks

    secret = config.secret_key.get_secret_value() if config.secret_key else None
    store = database.open_empty(path, config.store.url, secret)
    try:
        with store.read() as tx:
            found = hooks.troubled(tx) if database.version(tx) == database.HEAD else []
    finally:
        store.close()
    for one in found:
        if one.disabled_at is not None:
            said = f"{one.hid} is disabled since {one.disabled_at:%Y-%m-%d %H:%M} UTC: {one.why}"
            yield warning("webhooks", said, f"`digest hooks test {one.hid}`, then `digest hooks enable {one.hid}`, or remove it")
        else:
            said = f"{one.hid} does nothing but fail since {one.failing_since:%Y-%m-%d %H:%M} UTC"
            yield warning("webhooks", said, f"look at its receiver; `digest hooks deliveries {one.hid} --failed` tells what it answers")


# --- settings ------------------------------------------------------------------------------------------------------------


def _settings(config: Config) -> Iterator[Finding]:
    delivery, smtp = config.delivery, config.delivery.smtp
    if delivery.provider == "outbox":
        yield ok("delivery", "the outbox writes files and sends nothing")
        return
    if delivery.allow == ("*@example.org",):
        yield warning("delivery", "delivery.allow names only example.org: no real reader gets anything", 'set it to ["*"] to go live')
    if config.newsletter.url.endswith((".example", ".example.org", ".example.com", ".invalid")):
        yield error(
            "delivery", "newsletter.url is an example: every link to leave would be dead", "set it to where the pages are reachable"
        )
    if delivery.provider == "smtp" and smtp.security == "none" and smtp.host not in _LOOPBACK:
        word = "the password and " if smtp.username else ""
        yield error(
            "delivery", f"{word}who your readers are would cross the network unencrypted", "set delivery.smtp.security to starttls or tls"
        )
    if delivery.provider == "smtp" and smtp.envelope_sender is None:
        yield warning(
            "bounces", "bounces go to sender.from, where no program reads them", "set delivery.smtp.envelope_sender (docs/events.md)"
        )
    if delivery.provider == "smtp" and smtp.verp and smtp.host in _LOOPBACK:
        yield from _postfix()
    if delivery.provider == "sendgrid" and not delivery.sendgrid.webhook_keys:
        yield warning(
            "events",
            "no delivery.sendgrid.webhook_keys: bounces are not learnt, and what is uncertain is never resolved",
            "set the webhook up (docs/events.md)",
        )
    elif delivery.provider == "sendgrid":
        from digest.web.webhooks import load_keys

        yield ok("events", f"{len(load_keys(delivery.sendgrid.webhook_keys))} webhook keys")


def _postfix() -> Iterator[Finding]:
    """Whether a Postfix on this machine takes the bounce addresses that verp makes."""
    postconf = shutil.which("postconf", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if postconf is None:
        return
    done = subprocess.run([postconf, "-h", "recipient_delimiter"], capture_output=True, text=True, timeout=10)
    if done.returncode == 0 and "+" not in done.stdout:
        yield warning(
            "bounces", "verp is on, but this machine's Postfix does not split addresses at +", "postconf -e recipient_delimiter=+"
        )
