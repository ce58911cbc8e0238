import types

from computed.db.routing import read_stats


def node(name, role='replica'):
    return types.SimpleNamespace(name=name, role=role)


def test_reads_are_counted_by_node_query_and_reason():
    stats = read_stats.ReadStats()
    for query, reason in (('host.get', 'lag_tolerant'),
                          ('host.get', 'lag_tolerant'),
                          ('host.get', 'after_host'),
                          ('instance.get', 'lag_tolerant')):
        stats.read(query, node('r1'), reason)
    stats.read('host.get', node('r1', 'primary'), 'strict')
    assert stats.of(node('r1')) == {
        'host.get': {'after_host': 1, 'lag_tolerant': 2},
        'instance.get': {'lag_tolerant': 1}}
    assert stats.of(node('r1', 'primary')) == {'host.get': {'strict': 1}}
    assert stats.of(node('r2')) == {}
