"""The errors raised on purpose, arranged by what the caller does next.

Their texts are shown to operators as they are: a sentence that says what is wrong and what to do.
They carry ids, never an address, an interest of a person, or a secret.
"""


class DigestError(Exception):
    """Raised on purpose; the text is fit to be shown."""


class ConfigError(DigestError):
    """Something a person edits is wrong: names the place, the value and what would do."""


class SourceError(DigestError):
    """One source could not be read; the others go on."""


class LaidOutOtherwise(SourceError):
    """The document came, but nothing stands where the source's settings say: its makers may have changed it."""


class RenderError(DigestError):
    """A template is wrong: names the template and, where known, the line."""


class StoreError(DigestError):
    """The database cannot be reached, is busy, or has another schema."""


class StoreAway(StoreError):
    """The database server is away for a moment, or others were in the way: trying the same again is right."""


class BusyError(StoreError):
    """Another run holds this workspace."""


class IssueError(DigestError):
    """The issue is not in a state that allows what was asked."""


class IssueWaits(IssueError):
    """Nothing is wrong: the issue waits for its hour, an approval, a reader or a word from the operator."""


class LinkError(DigestError):
    """A signed link is mangled or not ours."""


class ProviderUnusable(DigestError):
    """No message's fault: stop, everything stays as it is."""


class DeliveryError(DigestError):
    """About one delivery."""


class DeliveryRejected(DeliveryError):
    """Never: the same message will not be taken."""


class DeliveryDeferred(DeliveryError):
    """Later: nothing was handed over, try again."""


class DeliveryUncertain(DeliveryError):
    """Perhaps handed over: a machine must not send it twice."""


class AccountError(DigestError):
    """What was asked of somebody's account cannot be done: no such person, a weak password, the last admin."""


class HookError(DigestError):
    """What was asked of an outgoing webhook cannot be done: no such hook, no such event, an address that may not be told."""
