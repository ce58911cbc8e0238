"""What it costs to measure replicas, as the guide says it does."""

import re

import pytest

from tests.support import documents
from tests.support import routed
from tests.support import schemas
from tests.support import waiting

OPTIONS = (documents.SOURCE / 'replicas/options.rst').read_text()
ENGINES = ['mariadb', 'postgresql']


def promised(event, engine):
    """Statements on the primary and on a replica, of a row of the guide."""
    [row] = re.findall(rf'\* - {event},.*\n((?: +- [\d /]+\n)+)', OPTIONS)
    cells = [[int(number) for number in cell.split('/')]
             for cell in re.findall(r'- (.*)', row)]
    return [cell[ENGINES.index(engine) % len(cell)] for cell in cells]


@pytest.fixture
def measuring(database):
    """Heartbeats and looks, and nothing else."""
    schemas.fill(database.url)
    database.caught_up()
    with routed.measuring(
            database.url, database.replica_urls,
            replica_heartbeat_interval=0.1,
            replica_probe_interval=0.1) as router:
        yield router


def between(server, user, begins):
    """How many statements there are from one that begins so to the next.

    Of the third: a new session has more to say.
    """
    server.clear_log()

    def found():
        said = [text for _, kind, text in server.statements(user)
                if kind in ('Query', 'Execute')]
        places = [place for place, text in enumerate(said)
                  if str(text).startswith(begins)]
        return places if len(places) > 3 else None
    places = waiting.wait_for(found)
    return places[3] - places[2]


@pytest.mark.parametrize('engine', ENGINES)
def test_measuring_costs_what_the_guide_says(measuring, database, engine):
    cluster = database.cluster
    assert [between(cluster.primary, 'computed', 'UPDATE replica_heartbeats'),
            0] == promised("A conductor's heartbeat", engine)
    assert [0, between(cluster.replicas[0], 'computed_ro',
                       'SELECT (SELECT replica_heartbeats')] == promised(
        "A conductor's look", engine)
