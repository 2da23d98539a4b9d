"""``config.yaml`` and the environment, read once into one frozen object.

The environment wins over the file, key by key (``DIGEST_DELIVERY__PROVIDER=smtp``). Secrets come from the environment
only. A mistake is a ``ConfigError`` that names file, line and key, and what would do.
"""

from digest.config.admin import Admin, LoginBudgets
from digest.config.api import Api
from digest.config.cadences import Cadence, Ordinal, Schedule, Weekday
from digest.config.delivery import Brake, DeliverySettings, OutboxSettings, SendGridSettings, SmtpSettings, SoftBounces, WarmUp
from digest.config.hooks import Hooks
from digest.config.login import Login, Oidc
from digest.config.pages import PAGE_LANGUAGES, Budgets, Pages, Theme
from digest.config.reading import SECRETS, examine, load, read_config
from digest.config.sources import FeedSource, Fetch, FolderSource, JsonSource, PageSource, Source, SourceBase, TextSource
from digest.config.values import time_zone
from digest.config.whole import Config, Newsletter, Retention, SelectionRules, Sender, Store

__all__ = [
    "Admin",
    "Api",
    "Brake",
    "Budgets",
    "Cadence",
    "Config",
    "DeliverySettings",
    "FeedSource",
    "Fetch",
    "FolderSource",
    "Hooks",
    "JsonSource",
    "Login",
    "LoginBudgets",
    "Newsletter",
    "Oidc",
    "Ordinal",
    "OutboxSettings",
    "PAGE_LANGUAGES",
    "PageSource",
    "Pages",
    "Retention",
    "SECRETS",
    "Schedule",
    "SelectionRules",
    "SendGridSettings",
    "Sender",
    "SmtpSettings",
    "SoftBounces",
    "Source",
    "SourceBase",
    "Store",
    "TextSource",
    "Theme",
    "WarmUp",
    "Weekday",
    "examine",
    "load",
    "read_config",
    "time_zone",
]
