"""The database of a cell, as an object: ``@cell.read``, ``@cell.write``."""

from computed.db.routing import database

cell = database.Database('cell')
