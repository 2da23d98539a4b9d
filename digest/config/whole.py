"""The whole of ``config.yaml``: the newsletter, its sender, and every section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from digest.config.admin import Admin
from digest.config.api import Api
from digest.config.cadences import Cadence, Schedule
from digest.config.delivery import DeliverySettings
from digest.config.hooks import Hooks
from digest.config.login import Login
from digest.config.pages import Pages
from digest.config.sources import Fetch, Source
from digest.config.values import HttpsUrl, Language, Mailbox, Zone
from digest.model import Frozen, Slug


class Newsletter(Frozen):
    """What the newsletter is called, and what the law wants in every email."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    url: HttpsUrl
    timezone: Zone = "UTC"
    language: Language = "en"
    postal_address: Annotated[str, Field(min_length=10)]
    tagline: str = ""
    notice: str = ""  # stands above the footer of every email, e.g. that this is no medical advice


class Sender(Frozen):
    """Who the emails come from. The domain of ``from`` is the one in Message-ID and List-Id."""

    model_config = {"frozen": True, "extra": "forbid", "populate_by_name": True}

    from_: Annotated[Mailbox, Field(alias="from")]
    reply_to: Mailbox
    unsubscribe_mailbox: Mailbox | None = None


class SelectionRules(Frozen):
    """How much one email holds, and what becomes of an empty one."""

    max_teasers: Annotated[int, Field(ge=1, le=60)] = 12
    max_per_interest: Annotated[int, Field(ge=1, le=60)] = 5
    max_html_kb: Annotated[int, Field(ge=30, le=100)] = 80
    when_empty: Literal["skip", "highlights"] = "skip"
    corrections: Literal["mail", "pages"] = "mail"
    by_audience: bool = False


class Store(Frozen):
    """Where the database is; a relative SQLite path counts from the workspace."""

    url: str = "sqlite:///var/digest.db"


class Retention(Frozen):
    """For how many days what is only needed for a while is kept: the provider's events, the record of each attempt, sign-ups
    that nobody confirmed, the note of a mail that left, what webhooks were told, what readers had chosen before a change of the
    lists, and those who left; None keeps them.
    """

    events_days: Annotated[int, Field(ge=7)] = 30
    attempts_days: Annotated[int, Field(ge=30)] = 400
    unconfirmed_days: Annotated[int, Field(ge=1, le=60)] = 7
    mail_days: Annotated[int, Field(ge=30, le=3650)] = 30
    hooks_days: Annotated[int, Field(ge=7, le=3650)] = 30
    choices_days: Annotated[int, Field(ge=30)] = 180
    left_days: Annotated[int, Field(ge=1)] | None = 365


class Config(BaseSettings):
    """The whole of ``config.yaml``."""

    model_config = SettingsConfigDict(
        env_prefix="DIGEST_", env_nested_delimiter="__", frozen=True, extra="forbid", nested_model_default_partial_update=True
    )

    newsletter: Newsletter
    sender: Sender
    sources: tuple[Source, ...] = ()
    cadences: Annotated[dict[Slug, Cadence], Field(min_length=1)]
    selection: SelectionRules = SelectionRules()
    store: Store = Store()
    queue: Literal["inline", "procrastinate"] = "inline"
    delivery: DeliverySettings = DeliverySettings()
    schedule: Schedule = Schedule()
    editors: tuple[Mailbox, ...] = ()
    fetch: Fetch = Fetch()
    pages: Pages = Pages()
    admin: Admin = Admin()
    hooks: Hooks = Hooks()
    login: Login = Login()
    api: Api = Api()
    retention: Retention = Retention()
    secret_key: Annotated[SecretStr | None, Field(json_schema_extra={"secret": True})] = None
    oidc_secret: Annotated[SecretStr | None, Field(json_schema_extra={"secret": True})] = None
    smtp_password: Annotated[SecretStr | None, Field(json_schema_extra={"secret": True})] = None
    sendgrid_api_key: Annotated[SecretStr | None, Field(validation_alias="SENDGRID_API_KEY", json_schema_extra={"secret": True})] = None

    @model_validator(mode="after")
    def _names_once(self) -> Config:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources are named {', '.join(twice)}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings
