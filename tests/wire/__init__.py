"""What each release has put on the wire, kept for all that come after it.

``VERSION.json`` has contexts, every object, and a request and the reply of
each remotable call and of each call to a host. While a release is in the
making, its file is recorded again when it no longer covers the code::

    .venv/bin/python -m tests.wire.record

The file of a release that is out is never changed.
"""
