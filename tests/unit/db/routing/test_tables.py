"""What routing takes for granted of a schema is true of each schema."""

import pytest

from computed.db.cell import models
from computed.db.routing import tables


@pytest.mark.parametrize('table', tables.ALL, ids=lambda table: table.name)
def test_a_cell_has_the_tables_of_routing(table):
    model = models.Base.metadata.tables[table.name]
    for column in table.columns:
        there = model.columns[column.name]
        assert isinstance(there.type, type(column.type)), column.name
