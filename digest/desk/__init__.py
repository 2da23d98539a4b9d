"""The editor's desk without its page: what an editor looks at, changes, asks, compares, approves and shares of a draft."""
