"""Who carries messages. A provider is one file, one line in ``make`` and the shared contract tests.

It takes a batch and answers for each delivery; it never retries, sleeps or touches the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from digest.compose import CompiledIssue, Edition, Envelope, Reader
from digest.config import Config
from digest.errors import ConfigError


@dataclass(frozen=True)
class Parcel:
    """One delivery to hand over: its opaque id, what it says, and to whom."""

    did: str
    edition: Edition
    reader: Reader
    envelope: Envelope


class Receipt(NamedTuple):
    """What became of one parcel.

    ``accepted``: the provider has it. ``rejected``: it never will, do not try again. ``deferred``: it has not, try later.
    ``uncertain``: it may have. ``code`` is the provider's own (``250 2.0.0``, ``400``), ``ref`` its name for the message;
    ``bytes`` and ``sha256`` are of the message as handed over. ``reason`` never holds an address.
    """

    did: str
    outcome: Literal["accepted", "rejected", "deferred", "uncertain"]
    reason: str = ""
    code: str = ""
    ref: str = ""
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Handover:
    """The receipts of a batch, one a parcel in any order.

    ``stop`` ends the run: no message's fault, fit to be shown. ``retry_after_s`` asks to wait so long before the next call.
    ``split``: the batch was refused whole because of some of its parcels; hand over its halves (the receipts do not count).
    ``trouble``: the provider could not be reached or is failing; several in a row open the breaker.
    """

    receipts: Sequence[Receipt]
    ref: str = ""
    code: str = ""
    stop: str = ""
    retry_after_s: float | None = None
    split: bool = False
    trouble: bool = False


class Provider(Protocol):
    """Carries batches of at most ``batch`` parcels, up to ``lanes`` of them at the same time (each call in a thread of its own).

    A call takes at most ``longest_s`` seconds. All parcels of a batch share one edition where ``one_edition``. ``sends``
    tells whether real people get mail, ``tells`` whether the provider reports by events what became of it.
    """

    name: str
    batch: int
    lanes: int
    longest_s: int
    one_edition: bool
    sends: bool
    tells: bool

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel]) -> Handover:
        """Hand a batch over. ``issue`` is the issue's name, ``aid`` the attempt's opaque id; only ids may leave with the mail."""
        ...

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        """What the provider knows for certain of parcels whose receipt was lost: taken or not. Unknown ones are left out."""
        ...

    def finish(self, issue: str, title: str) -> Path | None:
        """The issue is done: what a person can open to see it, if the provider makes such a thing."""
        ...

    def close(self) -> None:
        """End connections; nothing is handed over after this."""
        ...


@runtime_checkable
class Cancelling(Protocol):
    """What a provider must have besides for the policy ``cancel_resend``: a batch can be named before the call, and voided
    after it. Voided for certain is the only proof that something was not sent.
    """

    cancels: bool

    def create_batch(self) -> str:
        """A name for the next batch, kept with the attempt before the call."""
        ...

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Parcel], batch_id: str = "") -> Handover:
        """As above, under that name."""
        ...

    def void_ref(self, ref: str, started_at: datetime) -> bool:
        """Whether nothing of the attempt that is known by ``ref`` (a batch's name, or a receipt's) will ever be sent."""
        ...


class Hosted(NamedTuple):
    """What a provider keeps for an issue on its own side: under a name of ours that says nothing, and by its own id (empty while
    that is not known, for a name is kept before the provider is asked).
    """

    name: str
    id: str = ""


@runtime_checkable
class Hosting(Protocol):
    """What a provider has besides if it may keep the parts of an issue on its side, so that batches need only name them."""

    hosts: bool

    def host(self, compiled: CompiledIssue, hosted: Hosted, *, fresh: bool) -> Hosted:
        """See to it that the provider has the issue, once and whole; what is handed over from here on is of this issue. May be
        called again, also after a crash. ``fresh``: nothing was ever kept under that name.

        Raises:
            DigestError: it cannot be, or not now; nothing was handed over.
        """
        ...

    def together(self, edition: Edition) -> str:
        """The same for editions that may go in one call."""
        ...

    def unhost(self, hosted: Hosted) -> bool:
        """Remove all that is kept under the name; whether nothing is left."""
        ...


def cancelling_of(provider: Provider) -> Cancelling | None:
    """The provider as one that can void what it was handed, where that is how it was set up."""
    return provider if isinstance(provider, Cancelling) and provider.cancels else None


def hosting_of(provider: Provider) -> Hosting | None:
    """The provider as one that keeps an issue's parts on its side, where that is how it was set up."""
    return provider if isinstance(provider, Hosting) and provider.hosts else None


def make(config: Config, workspace: Path) -> Provider:
    """The provider that ``delivery.provider`` names.

    Raises:
        ConfigError: its settings do not go together, or a secret is missing.
    """
    delivery = config.delivery
    if delivery.uncertain == "cancel_resend" and delivery.provider != "sendgrid":
        raise ConfigError(f"config.yaml: delivery.uncertain: cancel_resend goes with sendgrid, not with {delivery.provider}; use hold")
    if delivery.uncertain == "cancel_resend" and delivery.sendgrid.mode == "template":
        # What leaves a quarter of an hour later might find its template gone.
        raise ConfigError("config.yaml: delivery.uncertain: cancel_resend goes with delivery.sendgrid.mode: grouped, not with template")
    if delivery.provider == "smtp":
        from digest.providers.smtp import Smtp

        return Smtp(delivery.smtp, config.smtp_password, config.sender.from_, workspace)
    if delivery.provider == "sendgrid":
        from digest.providers.sendgrid import SendGrid

        return SendGrid(delivery.sendgrid, config.sendgrid_api_key, cancel=delivery.uncertain == "cancel_resend")
    from digest.providers.outbox import Outbox

    return Outbox(workspace / delivery.outbox.path)
