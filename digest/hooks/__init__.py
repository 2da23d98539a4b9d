"""Outgoing webhooks: other programs are told what becomes of issues and readers, signed, at least once (docs/webhooks.md).

``kinds`` and ``attempt`` decide, ``signature`` signs, ``post`` goes out, ``telling`` hands over what waits, ``keeping`` looks
after the hooks. Events are written by `store.hooks`, in the transaction that does what they tell.
"""
