"""How often Python looks for garbage that its counting of references leaves over."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Look after 50,000 new objects in place of 700; at the older ones after as many such looks as usual.

    Planning and handing over make and drop tens of objects for each reader, in no circles: looking took a fifth of the processor's
    time (100,000 readers). It costs some megabytes that are given back later.
    """
    gc.set_threshold(50_000, 10, 10)
