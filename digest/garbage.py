"""How often Python looks for garbage that its counting of references leaves over."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Look after 50,000 new objects that are still there in place of 700, and at the old ones a hundredth as often.

    Planning and handing over make and drop tens of objects for each reader, in no circles: looking took a fifth of the processor's
    time (100,000 readers). What it costs is some megabytes that are given back later.
    """
    gc.set_threshold(50_000, 20, 100)
