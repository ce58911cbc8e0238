"""Everything that knows SQL.

``engine`` connects to servers, ``routing`` chooses a server for each read and
write, ``cell`` has the tables and queries of a cell's database. ``witness``
knows no SQL: hosts use it too.
"""
