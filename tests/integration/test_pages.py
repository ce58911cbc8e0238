"""A page costs the same wherever it begins, on each engine."""

import uuid

import pytest

from computed import context
from computed.db.cell import host
from computed.db.cell import instance
from computed.db.cell.claims import held
from tests.support import many

COUNT = 20000
LENGTH = 100

FILTERS = [
    {}, {'host': 'h3'}, {'vm_state': 'error'}, {'vm_state': 'active'},
    {'name': 'web'}, {'host': 'h3', 'vm_state': 'active'},
    {'host': 'h0', 'name': 'web'}]


@pytest.fixture(scope='module')
def sqlite(tmp_path_factory):
    url = f'sqlite:///{tmp_path_factory.mktemp("many")}/x.sqlite'
    many.fill(url, COUNT)
    return url


def filled(cluster):
    """The URL of a database of its own: filling it takes some seconds."""
    primary = cluster.primary
    primary.create_database('computed_many')
    url = primary.url(database='computed_many')
    many.fill(url, COUNT)
    cluster.caught_up()
    yield url
    primary.drop_database('computed_many')


@pytest.fixture(scope='module')
def mariadb(mariadb_cluster):
    yield from filled(mariadb_cluster)


@pytest.fixture(scope='module')
def postgresql(postgresql_cluster):
    yield from filled(postgresql_cluster)


@pytest.fixture(params=['sqlite', 'mariadb', 'postgresql'])
def url(request):
    found = request.getfixturevalue(request.param)
    router = many.route(found)
    yield found
    router.primary.dispose()
    router.primary.heartbeats.dispose()


def all_pages(**filters):
    """``[(rows, statement)]`` of each page, from the first to the last."""
    marker, found = None, []
    while marker is not None or not found:
        with many.statements() as seen:
            page = instance.get_page(
                context.new(), LENGTH, marker, **filters)
        [statement] = seen
        found.append((page.rows, statement))
        marker = page.next_marker
    return found


@pytest.mark.parametrize('filters', FILTERS, ids=str)
def test_pages_are_the_whole_list_and_cost_the_same(url, filters):
    found = all_pages(**filters)
    keys = [(row.name, row.uuid) for rows, _ in found for row in rows]
    assert keys == sorted(set(keys))
    assert len(keys) == expected(**filters)
    for number in {1, len(found) // 2, len(found) - 2} & set(
            range(1, len(found))):
        plan = many.plan(url, found[number][1])
        assert 'page_idx' in plan
        if url.startswith('postgresql'):
            # The place is found, not walked to, as by a Filter. Of the few
            # that are wanted by host and name it may sort the rest.
            [condition] = [line for line in plan.splitlines()
                           if 'Index Cond' in line]
            assert '> ROW(' in condition or '(uuid)::text >' in condition
            continue
        assert plan.count('\n') == 0
        assert 'filesort' not in plan and 'TEMP B-TREE' not in plan
        if url.startswith('sqlite'):
            # The place is found, not walked to.
            assert 'uuid>?' in plan or '(name,uuid)>(?,?)' in plan
        else:
            # Each entry is met in the index, and judged there: two looks.
            assert 2 * LENGTH <= many.rows_read(url, found[number][1]) <= (
                2 * LENGTH + 4)


def test_parts_of_a_host_are_the_whole_list(url, monkeypatch):
    monkeypatch.setattr(instance, 'PART', 300)
    whole = [row.uuid for row in
             instance.get_all_by_host(context.new(), 'h3')]
    found, marker, parts = [], '', 0
    while marker is not None:
        ctxt = context.new()
        part = instance.get_part_by_host(ctxt, 'h3', marker)
        found += [row.uuid for row in part.rows]
        marker, parts = part.next_marker, parts + 1
        assert ctxt.db_scope.revisions == {'h3': 1}
    assert found == whole == sorted(set(whole))
    assert (len(whole), parts) == (COUNT // 20, 4)
    with many.statements() as seen:
        assert instance.get_part_by_host(
            context.new(), 'h3', whole[-1]).rows == []
    assert len(seen) == 1


def test_claims_are_found_by_an_index(url):
    """One instance in ten thousand is claimed."""
    with many.statements() as seen:
        assert held.get_all(context.new(), 100) == []
        assert held._hosts(context.new(), str(uuid.uuid4())) == set()
    for statement in seen:
        plan = many.plan(url, statement)
        assert 'instances_claim_id_idx' in plan
        assert 'SCAN instances' not in plan
        if url.startswith('mysql'):
            assert many.rows_read(url, statement) < 20


def expected(host=None, vm_state=None, name=None):
    """How many of the instances :func:`many.fill` makes are wanted."""
    return sum(
        1 for number in range(COUNT)
        if (host is None or number % many.HOSTS == int(host[1:])) and
        (vm_state is None or (number % 100 == 1) == (vm_state == 'error'))
        and (name is None or number % 4 == 0))


def test_a_page_of_hosts_counts_their_instances_only(url):
    with many.statements() as seen:
        page = host.get_page(context.new(), 3, None)
    assert [(row.host.name, row.instances) for row in page.rows] == [
        (f'h{number}', COUNT // many.HOSTS) for number in (0, 1, 10)]
    if url.startswith('mysql'):
        # Those of four hosts: one more, to know whether the page is the last.
        assert many.rows_read(url, seen[0]) < 5 * COUNT // many.HOSTS
