"""A workspace to cut runs of ``digest send`` in, and to judge what they left."""

import json
import shutil
from collections import Counter
from contextlib import ExitStack
from datetime import date

from sqlalchemy import select, update

from digest import dispatch, feedback, gather, interests, issue, operate, plan, readiness
from digest.errors import IssueError
from digest.model import DeliveryState as S
from digest.store import schema
from digest.store.mark import Guard
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.crash import Cut, Knife
from tests.support.make import CONFIG, make_workspace, write_summary

ISSUE, ON, READERS = "monthly-2026-05-01", date(2026, 5, 1), 3
FAST = CONFIG + "delivery: {max_per_minute: 1000000, resend_after_h: 0}\n"


def prepare(folder):
    """A workspace with a draft in ``drafted`` and the same issue planned in ``planned``."""
    people = "email,interests\n" + "".join(f"r{n}@example.org,{('gut', 'vision')[n % 2]}\n" for n in range(READERS))
    made = make_workspace(folder, subscribers=people)
    write_summary(made, "bacteria", tags="gut")
    write_summary(made, "eyes", tags="vision")
    with open_workspace(made, ON) as opened:
        import_file(opened, made / "subscribers" / "people.csv", interests.load(made))
        gather.gather(opened)
        issue.draft(opened, "monthly")
    shutil.copytree(made / "var", made / "drafted")
    with open_workspace(made, ON) as opened:
        plan.plan(opened, readiness.make_ready(opened, ISSUE))
    shutil.copytree(made / "var", made / "planned")
    return made


class Bench:
    """Runs of ``send`` in one workspace, its provider outside of it. A run is a process: it shares files with others, no memory."""

    def __init__(self, letter, patch, make, *, policy="hold", tells=False, config=FAST):
        self.letter, self.patch, self.make, self.policy, self.tells = letter, patch, make, policy, tells
        self.carrier = make()
        self.alarms = 0
        (letter / "config.yaml").write_text(config, encoding="utf-8")

    def __enter__(self):
        self._stack = ExitStack()
        self.opened = self._stack.enter_context(open_workspace(self.letter, ON))
        return self

    def __exit__(self, *raised):
        self._stack.close()

    def start(self, state, memory=None):
        """Put the disk and the provider's memory in a state."""
        self._forget()
        shutil.rmtree(self.letter / "var", ignore_errors=True)
        shutil.copytree(self.letter / state, self.letter / "var")
        self.carrier, self.alarms = self.make(), 0
        if memory is not None:
            self.carrier.recall(memory)
        if self.policy != "hold" and state in ("drafted", "planned"):
            with self.opened.store.write() as tx:
                tx.execute(update(schema.issue).values(uncertain=self.policy))

    def _forget(self):
        """What a process that ends takes with it. The engine stays for the statements that it has compiled, without connections."""
        self.opened.store.close()
        self.opened.store.guard = Guard(self.letter / "var" / "digest.lock")

    def keep(self, name):
        """Keep the disk as it is under a name."""
        self._forget()
        shutil.rmtree(self.letter / name, ignore_errors=True)
        shutil.copytree(self.letter / "var", self.letter / name)

    def run(self, knife):
        """One run of ``digest send``, cut where the knife says. Whether it came to its end."""
        self._forget()
        self.carrier.knife = knife
        with self.patch.context() as patch:
            patch.setattr(dispatch, "make", lambda *_: self.carrier)
            try:
                with knife.over(patch), self.opened.store.alone():
                    if self.tells:
                        self.tell(self.opened)
                    dispatch.send(self.opened, ISSUE)
            except Cut:
                return False
            except IssueError as error:
                if "restored" not in str(error):
                    raise
                self.alarms += 1
                operate.resume(self.opened, ISSUE)
                return False
            return True

    def tell(self, opened):
        """The events of all that was taken so far, the newest first."""
        facts = {"event": "processed", "email": "x@example.org", "timestamp": 1777622400}
        told = [{**facts, "did": did, "aid": aid, "sg_event_id": did[:8] + aid[:8]} for did, aid in reversed(self.carrier.taken)]
        feedback.take_webhook(opened.store, "sendgrid", json.dumps(told).encode())

    def to_the_end(self, between=lambda: None):
        """Let it go on, as often as it takes, and judge."""
        for _ in range(8):
            if self.run(Knife()) and dispatch.status(self.opened, ISSUE).state == "finished":
                return self.judge(self.opened)
            between()
        return ["it does not come to an end"]

    def judge(self, opened):
        """What is wrong."""
        if self.tells:
            self.tell(opened)
            feedback.apply(opened)
        stands = dispatch.status(opened, ISSUE)  # raises where the sum is wrong
        with opened.store.read() as tx:
            d = schema.delivery.c
            states = {r.did: S(r.state) for r in tx.execute(select(d.did, d.state))}
            asked = (schema.decision.c.what == "send again") & (schema.decision.c.who != "policy cancel_resend")  # that one is certain
            pressed = Counter(tx.execute(select(schema.decision.c.subject).where(asked)).scalars())
        listed = {row.did: row for row in operate.held(opened, ISSUE)}
        took = Counter(did for did, _ in self.carrier.taken)
        wrong = []
        if len(states) != READERS or stands.planned != READERS:
            wrong.append("somebody was not planned")
        for did, state in states.items():
            if took[did] > 1 + pressed[did]:
                wrong.append("accepted twice")
            if state is S.ACCEPTED and not took[did]:
                wrong.append("missed: called accepted and never taken")
            if state is S.HELD and (did not in listed or not (self.alarms or (listed[did].attempt and listed[did].started_at))):
                wrong.append("held and not listed")
            told = self.carrier.knows or (self.carrier.cancels and self.carrier.voids and self.policy == "cancel_resend")
            if state is S.HELD and ((told and not self.alarms) or (self.tells and took[did])):
                wrong.append("held though the provider knows")
            if state not in (S.ACCEPTED, S.HELD, S.FAILED):
                wrong.append(f"missed: {state.value}")
            if took[did] and state is S.FAILED:
                wrong.append("taken and called failed")
        if set(took) - set(states):
            wrong.append("an unknown delivery left")
        return wrong
