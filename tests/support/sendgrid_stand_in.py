"""What the stand-in for SendGrid knows and took: on disk before anybody is told."""

from __future__ import annotations

import base64
import json
import os
import random
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import sendgrid_events as events
from tests.support.sendgrid_rules import Error, Rendered, refusals, render
from tests.support.sendgrid_templates import Templates

KEY = "SG.stand-in.key"
_CANCEL_S = 600


@dataclass
class StandIn:
    """What the server knows and how it behaves. ``script`` is used up first, then ``faults`` by probability, from ``seed``.

    ``keep`` holds every rendered message in memory, ``bad`` are addresses refused as malformed; without ``schema`` bodies are
    not held against the provider's OpenAPI, which takes most of the time.
    """

    journal: Path | None = None
    seed: int = 0
    faults: Mapping[str, float] = field(default_factory=dict)
    script: deque[str] = field(default_factory=deque)
    bad: frozenset[str] = frozenset()
    key: str = KEY
    keep: bool = True
    schema: bool = True
    stall_s: float = 3.0
    signer: events.Signer = field(default_factory=events.Signer)
    messages: list[Rendered] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    taken: list[events.Taken] = field(default_factory=list)
    batches: set[str] = field(default_factory=set)
    voided: dict[str, float] = field(default_factory=dict)
    templates: Templates = field(default_factory=Templates)
    template_script: deque[str] = field(default_factory=deque)  # faults of the next calls of the Templates API
    template_calls: list[str] = field(default_factory=list)
    requests: int = 0  # of any kind
    received: int = 0  # bytes of their bodies
    calls: int = 0
    at_once: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.random = random.Random(self.seed)
        self._journal = self.journal.open("ab") if self.journal else None

    def fault(self) -> str:
        """What goes wrong with the next call, or nothing."""
        with self.lock:
            self.calls += 1
            if self.script:
                return self.script.popleft()
            draw = self.random.random()
            for name, probability in self.faults.items():
                draw -= probability
                if draw < 0:
                    return name
            return ""

    def refusals(self, body: Any) -> list[Error]:
        """Everything that is wrong with a body."""
        versions = self.templates.active()
        return refusals(body, bad=self.bad, batches=frozenset(self.batches), schema=self.schema, versions=versions)

    def accept(self, body: dict[str, Any]) -> str:
        """Take a body for good: on disk before anybody is told. Returns the X-Message-Id."""
        sandbox = body.get("mail_settings", {}).get("sandbox_mode", {}).get("enable", False)
        rendered = list(render(body, self.templates.active())) if self.keep else []
        with self.lock:
            message_id = base64.urlsafe_b64encode(self.random.randbytes(16)).decode().rstrip("=")
            if sandbox:
                return message_id
            scheduled = {key: body[key] for key in ("batch_id", "send_at") if key in body}
            shared = body.get("custom_args", {})
            taken = [
                events.Taken(person["to"][0]["email"], ids.get("did", ""), ids.get("aid", ""), message_id, n, **scheduled)
                for n, person in enumerate(body["personalizations"])
                for ids in ({**shared, **person.get("custom_args", {})},)
            ]
            self._write([{"did": one.did, "aid": one.aid, "ref": message_id, **scheduled} for one in taken])
            self.taken += taken
            if self.keep:
                self.messages += rendered
                self.bodies.append(body)
        return message_id

    def _write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        if self._journal:
            self._journal.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
            self._journal.flush()
            os.fsync(self._journal.fileno())

    def new_batch(self) -> str:
        """A batch_id."""
        with self.lock:
            made = self.random.randbytes(24).hex()
            self.batches.add(made)
            return made

    def void(self, batch_id: str) -> None:
        """Cancel a batch, and say so in the journal."""
        with self.lock:
            self.voided[batch_id] = time.time()
            self._write([{"cancelled": batch_id, "at": self.voided[batch_id]}])

    def sent(self) -> list[events.Taken]:
        """What was taken and not cancelled in time."""
        return [one for one in self.taken if not self.voided.get(one.batch_id, one.send_at + 1) <= one.send_at - _CANCEL_S]

    def emit(self, url: str, plan: events.Plan, *, seed: int | None = None) -> list[int]:
        """POST the events of everything sent. Returns the statuses."""
        source = random.Random(self.seed if seed is None else seed)
        found = events.stream(self.sent(), plan, source)
        return [events.post(url, body, self.signer) for body in events.bodies(found, plan, source)]

    def close(self) -> None:
        """Close the journal."""
        if self._journal:
            self._journal.close()
