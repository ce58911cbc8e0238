"""What a page of a long list costs, wherever it begins.

Not part of the suite: ``.venv/bin/pytest -s tests/benchmarks/test_pages.py``
"""

import pathlib
import statistics
import tempfile
import time

import pytest

from computed import context
from computed.db.cell import instance
from tests import servers
from tests.benchmarks import databases
from tests.support import many

COUNT = 100000
LENGTH = 100
AROUND = 15         # pages looked at on each side


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix='computed-') as found:
        yield pathlib.Path(found)


@pytest.fixture
def sqlite(folder):
    return f'sqlite:///{folder}/x.sqlite'


@pytest.fixture
def mariadb(folder):
    with databases.mariadb(folder) as found:
        yield found.url


@pytest.fixture
def postgresql(folder):
    folder.chmod(0o711)     # its server does not run as root
    cluster = servers.postgresql_cluster(folder)
    try:
        cluster.primary.start()
        cluster.primary.add_accounts()
        cluster.primary.create_database('computed')
        yield cluster.primary.url()
    finally:
        cluster.primary.stop()


@pytest.mark.parametrize('engine', ['sqlite', 'mariadb', 'postgresql'])
def test_page_1000_costs_what_page_2_costs(engine, request):
    url = request.getfixturevalue(engine)
    many.fill(url, COUNT)
    router = many.route(url)
    markers = [None]
    while (marker := get(markers[-1]).next_marker) is not None:
        markers.append(marker)
    assert len(markers) == COUNT // LENGTH
    # Turn about, so that what else the machine does meets both alike.
    times = {False: [], True: []}
    for _ in range(5):
        for late in times:
            for marker in (markers[-AROUND:] if late
                           else markers[1:1 + AROUND]):
                began = time.perf_counter()
                get(marker)
                times[late].append(time.perf_counter() - began)
    early, late = (statistics.median(found) * 1000
                   for found in times.values())
    print(f'\n{engine}: {COUNT} instances, {LENGTH} a page: page 2 '
          f'{early:.2f} ms, page {len(markers)} {late:.2f} ms, '
          f'ratio {late / early:.2f}')
    router.primary.dispose()
    assert late / early < 1.5


def get(marker):
    return instance.get_page(context.new(), LENGTH, marker)
