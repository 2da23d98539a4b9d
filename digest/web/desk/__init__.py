"""The editor's desk: what will leave, seen before it leaves. `digest preview` opens it; `digest serve` may put a login before it."""
