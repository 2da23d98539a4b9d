"""Templates and summaries to emails: compiled once per issue, joined per selection, filled per reader (DESIGN section 5)."""

from digest.compose.check import check_templates
from digest.compose.compiled import CompiledIssue, compile_issue
from digest.compose.edition import Edition, make_edition
from digest.compose.editorial import Editorial
from digest.compose.look import Look, look_of
from digest.compose.message import Envelope, Reader, html_of, make_message, slots_of, text_of, verify

__all__ = [
    "CompiledIssue",
    "Edition",
    "Editorial",
    "Envelope",
    "Look",
    "Reader",
    "check_templates",
    "compile_issue",
    "html_of",
    "look_of",
    "make_edition",
    "make_message",
    "slots_of",
    "text_of",
    "verify",
]
