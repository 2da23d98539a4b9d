"""The tables. Their history is in ``migrations/``; a test holds both equal."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC, whatever the database makes of zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", Text, nullable=False))

# --- what was gathered ---------------------------------------------------------------------------------------------------

source = Table(
    "source",
    metadata,
    Column("name", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("settings_hash", String, nullable=False),
    Column("etag", Text, nullable=False, default=""),
    Column("last_modified", Text, nullable=False, default=""),
    Column("read_at", Instant),
    Column("read_well_at", Instant),
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("error", Text, nullable=False, default=""),
    Column("warning", Text, nullable=False, default=""),
    Column("taken", Integer, nullable=False, default=0),
    Column("salvaged", Integer, nullable=False, default=0),
)

refusal = Table(
    "refusal",
    metadata,
    Column("source", ForeignKey("source.name"), primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

summary = Table(
    "summary",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("listed_as", Text, nullable=False, unique=True),
    Column("source", String, nullable=False),  # whose text it is; others are "also at"
    Column("published_at", Instant, nullable=False, index=True),
    Column("seq", Integer, nullable=False, index=True),  # its newest revision
    Column("notice_at", Instant, index=True),
    Column("notice_hash", String),
    Column("same_as", Integer),  # the summary that this one turned out to be
)

revision = Table(
    "revision",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),  # the arrival number
    Column("summary_id", ForeignKey("summary.id"), nullable=False, index=True),
    Column("hash", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("notice_hash", String),
    Column("at", Instant, nullable=False),
    sqlite_autoincrement=True,
)

identifier = Table(
    "identifier",
    metadata,
    Column("key", Text, primary_key=True),
    Column("summary_id", ForeignKey("summary.id"), nullable=False, index=True),
)

also_at = Table(
    "also_at",
    metadata,
    Column("summary_id", ForeignKey("summary.id"), primary_key=True),
    Column("source", String, primary_key=True),
    Column("url", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

# --- people --------------------------------------------------------------------------------------------------------------

subscriber = Table(
    "subscriber",
    metadata,
    Column("id", Integer, primary_key=True),
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
    Index("ix_follows_interest", "interest"),
)

consent = Table(
    "consent",
    metadata,
    Column("id", Integer, primary_key=True),
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
    Column("id", Integer, primary_key=True),
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
    Column("id", Integer, primary_key=True),
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

# --- issues and the ledger (RELIABILITY section 1) -----------------------------------------------------------------------

issue = Table(
    "issue",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("cadence", String, nullable=False),
    Column("local_date", Date, nullable=False),
    Column("opens_after", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("state", String, nullable=False),
    Column("drafted_at", Instant, nullable=False),
    Column("known_seq", Integer, nullable=False),  # the highest arrival number when it was drafted
    Column("content_hash", String, nullable=False),
    Column("frozen", Text, nullable=False),  # interests and selection rules as they were, JSON
    Column("approved_hash", String),
    Column("approved_at", Instant),
    Column("uncertain", String, nullable=False, default="hold"),
    Column("send_not_after", Instant),
    Column("planned", Integer),
    Column("planned_at", Instant),
    Column("finished_at", Instant),
    Column("paused_at", Instant),
    Column("pause_reason", Text, nullable=False, server_default=""),
    UniqueConstraint("cadence", "local_date"),
)

# Every move of an issue from one state to another: append only.
issue_move = Table(
    "issue_move",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("old", String, nullable=False),
    Column("new", String, nullable=False),
    Column("detail", Text, nullable=False, default=""),
)

# What the editors were told of, each once.
editor_notice = Table(
    "editor_notice",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject", String, nullable=False),  # an issue's name, or what else it is about
    Column("kind", String, nullable=False),
    Column("editor", String, nullable=False),  # a keyed hash
    Column("body", Text, nullable=False),
    Column("told_at", Instant),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_at", Instant),
    Column("error", Text, nullable=False, default=""),
    UniqueConstraint("subject", "kind", "editor"),
)

content = Table(
    "content",
    metadata,
    Column("issue_id", ForeignKey("issue.id"), primary_key=True),
    Column("compiled", LargeBinary, nullable=False),
)

member = Table(
    "member",
    metadata,
    Column("issue_id", ForeignKey("issue.id"), primary_key=True),
    Column("summary_id", ForeignKey("summary.id"), primary_key=True),
    Column("cadence", String, nullable=False),
    Column("seq", ForeignKey("revision.seq"), nullable=False),
    UniqueConstraint("cadence", "summary_id"),
)

# Summaries that an issue has besides its members, for readers who would else miss them (see `carry`).
carried = Table(
    "carried",
    metadata,
    Column("issue_id", ForeignKey("issue.id"), primary_key=True),
    Column("summary_id", ForeignKey("summary.id"), primary_key=True),
    Column("seq", ForeignKey("revision.seq"), nullable=False),
)

participant = Table(
    "participant",
    metadata,
    Column("issue_id", ForeignKey("issue.id"), primary_key=True),
    Column("source", String, primary_key=True),
)

edition = Table(
    "edition",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False),
    Column("hash", String, nullable=False),
    Column("selection", Text, nullable=False),  # JSON
    Column("html_bytes", Integer, nullable=False, default=0),
    Column("problem", Text, nullable=False, default=""),
    UniqueConstraint("issue_id", "hash"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False),
    Column("subscriber_id", ForeignKey("subscriber.id"), nullable=False),
    Column("edition_id", ForeignKey("edition.id")),
    Column("did", String(32), nullable=False, unique=True),
    Column("state", String, nullable=False),
    Column("state_at", Instant, nullable=False),
    Column("reason", String, nullable=False, default=""),
    Column("interests", Text, nullable=False, default=""),  # as followed when planned, separated by ;
    Column("attempt_id", Integer),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", Instant),
    Column("date_header", String, nullable=False),
    Column("bytes", Integer),
    Column("sha256", String),
    Column("lease_owner", String),
    Column("lease_epoch", Integer, nullable=False, default=0),
    Column("lease_until", Instant),
    Column("evidence", String, nullable=False, server_default=""),  # what the state rests on: reply, event, sibling, …
    # Facts that came later, with their times; a delivered message may still bounce.
    Column("delivered_at", Instant),
    Column("bounced_at", Instant),
    Column("dropped_at", Instant),
    Column("complained_at", Instant),
    UniqueConstraint("issue_id", "subscriber_id"),
    Index("ix_delivery_attempt_id", "attempt_id"),
    # The order in which deliveries are claimed: what never waited first, each edition's together.
    Index("ix_delivery_issue_id_state_next_at_edition_id", "issue_id", "state", "next_at", "edition_id"),
)

# What an edition gives its readers: teasers, and notices about what they got earlier. Who has seen what follows from their
# deliveries' editions; a row for each reader and summary would be twelve million for a million readers.
edition_item = Table(
    "edition_item",
    metadata,
    Column("edition_id", ForeignKey("edition.id"), primary_key=True),
    Column("summary_id", ForeignKey("summary.id"), primary_key=True, index=True),
)

edition_notice = Table(
    "edition_notice",
    metadata,
    Column("edition_id", ForeignKey("edition.id"), primary_key=True),
    Column("summary_id", ForeignKey("summary.id"), primary_key=True, index=True),
    Column("notice_hash", String, primary_key=True),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("aid", String(32), nullable=False, unique=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False, index=True),
    Column("provider", String, nullable=False),
    Column("n", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", String, nullable=False, default=""),
    Column("code", String, nullable=False, default=""),
    Column("provider_ref", Text, nullable=False, default=""),
    Column("evidence", Text, nullable=False, default=""),
)

# Rates that hold over processes and machines; a domain stands here as a keyed hash.
throttle = Table(
    "throttle",
    metadata,
    Column("scope", String, primary_key=True),  # all | domain:HASH
    Column("at", Instant, nullable=False),  # all: up to when the rate is booked; a domain: when its minute began
    Column("taken", Integer, nullable=False),
)


# --- what providers tell later -------------------------------------------------------------------------------------------

event_inbox = Table(
    "event_inbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("provider", String, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("raw_sha256", String, nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
    Column("applied_at", Instant),
)

provider_event = Table(
    "provider_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("did", String(32), nullable=False),
    Column("aid", String(32), nullable=False),
    Column("kind", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("detail_hash", String, nullable=False),
    Column("detail", Text, nullable=False, default=""),  # the provider's words without addresses
    Column("joined", Boolean, nullable=False, default=False),  # False: no delivery of that did, or not looked at yet
    Column("recorded_at", Instant, nullable=False),
    UniqueConstraint("did", "aid", "kind", "at", "detail_hash"),
    Index("ix_provider_event_aid", "aid"),
    Index("ix_provider_event_joined", "joined"),
)

contradiction = Table(
    "contradiction",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issue_id", ForeignKey("issue.id")),
    Column("did", String(32), nullable=False),
    Column("what", String, nullable=False),
    Column("at", Instant, nullable=False),
    UniqueConstraint("did", "what"),
)

# A failure of an address, kept to count soft ones; never with the address itself.
bounce = Table(
    "bounce",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("address_index", LargeBinary, nullable=False, index=True),
    Column("did", String(32), nullable=False),
    Column("kind", String, nullable=False),  # hard | soft | blocked
    Column("code", String, nullable=False, default=""),
    Column("at", Instant, nullable=False),
    UniqueConstraint("did", "kind", "at"),
)

# What people decided: append only.
decision = Table(
    "decision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("what", String, nullable=False),
    Column("subject", String, nullable=False),  # an issue's name or a delivery's did
    Column("detail", Text, nullable=False, default=""),
)
