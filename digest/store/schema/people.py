"""People: who they are, what they follow, what they agreed to, what they asked for."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, false, text

from digest.store.schema.base import Instant, RowId, metadata

subscriber = Table(
    "subscriber",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("sid", String(32), nullable=False, unique=True),
    Column("address_index", LargeBinary, nullable=False, unique=True),
    Column("address", LargeBinary, nullable=False),  # sealed
    Column("name", LargeBinary, nullable=False),  # sealed
    Column("cadence", String, nullable=False),
    Column("language", String, nullable=False, default=""),
    Column("audience", String, nullable=False, default=""),  # separated by ;
    Column("status", String, nullable=False),
    Column("status_at", Instant, nullable=False),
    Column("consent_at", Instant),
    Column("consent_source", Text, nullable=False, default=""),
    Column("created_at", Instant, nullable=False),
    Column("zone", String),  # IANA; the newsletter's where there is none
    Column("cadence_at", Instant),  # when another cadence was chosen; empty for nearly all
    # How the reader wants the email, as chosen on the preference page.
    Column("plain_text", Boolean, nullable=False, server_default=false()),
    Column("large_print", Boolean, nullable=False, server_default=false()),
    Column("max_teasers", Integer),
    Column("paused_until", Date),  # the first day on which they want to be written to again
    Column("paused_at", Instant),
    Column("catch_up", Boolean, nullable=False, server_default=false()),
    Index("ix_subscriber_cadence_status_id", "cadence", "status", "id"),
    # Pages of readers go by the row, whatever is asked for: so each index ends with it.
    Index("ix_subscriber_status_id", "status", "id"),
    Index("ix_subscriber_cadence_id", "cadence", "id"),
    Index("ix_subscriber_consent_source_id", "consent_source", "id"),
    Index("ix_subscriber_consent_at_id", "consent_at", "id"),
    Index(
        "ix_subscriber_cadence_at",
        "cadence_at",
        sqlite_where=text("cadence_at IS NOT NULL"),
        postgresql_where=text("cadence_at IS NOT NULL"),
    ),
)

follows = Table(
    "follows",
    metadata,
    Column("subscriber_id", ForeignKey("subscriber.id"), primary_key=True),
    Column("interest", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("fewer", Boolean, nullable=False, server_default=false()),  # one teaser at most
    Column("move_id", Integer),  # the change of the interest lists that gave it; empty where the reader chose it
    Index("ix_follows_interest_subscriber_id", "interest", "subscriber_id"),
)

consent = Table(
    "consent",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("subscriber_id", ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("kind", String, nullable=False),  # given | withdrawn | status
    Column("at", Instant, nullable=False),
    Column("source", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("text_hash", String, nullable=False, server_default=""),  # of the words that were agreed to, in consent_text
    Column("detail", LargeBinary),  # sealed: the choices and from where, as JSON
)

consent_text = Table(
    "consent_text",
    metadata,
    Column("hash", String, primary_key=True),
    Column("text", Text, nullable=False),
    Column("first_at", Instant, nullable=False),
)

# Requests that anybody can make with an address: taken in without looking at who it is, worked on afterwards.
signup = Table(
    "signup",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("sid", String(32), nullable=False, unique=True),  # what its links are about
    Column("kind", String, nullable=False),  # join | links
    Column("body", LargeBinary, nullable=False),  # sealed: address, choices, language, from where, as JSON
    Column("state", String, nullable=False),  # new | waiting (for the confirmation) | done
    Column("received_at", Instant, nullable=False),
    Index("ix_signup_state", "state"),
)

# Short emails about a subscription itself, each to one person: intent before, outcome after, as in the ledger.
mail = Table(
    "mail",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("did", String(32), nullable=False, unique=True),
    Column("kind", String, nullable=False),  # confirm | links | known | back
    Column("address_index", LargeBinary, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),  # sealed JSON; emptied once it is settled
    Column("state", String, nullable=False),  # waiting | inflight | accepted | failed | uncertain | skipped | expired
    Column("state_at", Instant, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("lease_until", Instant),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False, server_default=""),
    Index("ix_mail_state_next_at", "state", "next_at"),
)

suppression = Table(
    "suppression",
    metadata,
    Column("address_index", LargeBinary, primary_key=True),
    Column("reason", String, nullable=False),
    Column("source", Text, nullable=False),
    Column("at", Instant, nullable=False),
)
