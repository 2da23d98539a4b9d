"""Who of the people who log in is whom at another service (OpenID Connect)."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table

from digest.store.schema.base import Instant, metadata

# One row a person: first the address that may be linked, once, then who they are over there. Both as keyed hashes.
identity = Table(
    "identity",
    metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True, autoincrement=False),
    Column("address_index", LargeBinary, unique=True),  # empty once it was linked
    Column("issuer", String),
    Column("subject_hash", String(64), unique=True),  # of issuer and subject
    Column("at", Instant, nullable=False),  # when the address was given, then when it was linked
)
