"""The guide to replicas leaves out nothing that an operator may meet."""

import ast

from computed import context
from computed import metrics
from computed.conf import database
from tests.support import documents

GUIDE = {page.stem: page.read_text()
         for page in (documents.SOURCE / 'replicas').glob('*.rst')}
DB = documents.ROOT / 'computed/db/routing'
# The modules that decide who answers a read.
READS = ('router', 'tolerant', 'exact', 'answers')


def calls(module, *names):
    """The arguments of each call of a function of that name."""
    for node in ast.walk(ast.parse((DB / f'{module}.py').read_text())):
        if isinstance(node, ast.Call):
            called = getattr(node.func, 'attr', getattr(node.func, 'id', None))
            if called in names:
                yield from node.args


def returned(module, name):
    """What a function returns."""
    for node in ast.walk(ast.parse((DB / f'{module}.py').read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            yield from (found.value for found in ast.walk(node)
                        if isinstance(found, ast.Return))


def assigned(module, name):
    for node in ast.walk(ast.parse((DB / f'{module}.py').read_text())):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = getattr(node, 'targets', [getattr(node, 'target', 0)])
            if any(getattr(found, 'id', None) == name for found in targets):
                yield node.value


def texts(nodes):
    """Their literal texts; of one with values in it, up to the first."""
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            node = node.values[0]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def rows(page):
    """The first cells of its tables."""
    return [line.removeprefix('   * - ') for line in GUIDE[page].splitlines()
            if line.startswith('   * - ')]


def test_every_option_of_replicas_has_its_price():
    for option in database.OPTS:
        assert f'``{option.name}``' in rows('options'), option.name


def test_every_metric_of_replicas_and_reads_is_shown():
    found = [metric.current()._name for name, metric in vars(metrics).items()
             if isinstance(metric, metrics.Metric)
             and name.startswith(('replica_', 'db_reads'))]
    assert len(found) >= 5
    for name in found:
        assert name in GUIDE['watching'], name


def test_every_reason_of_a_read_is_explained():
    found = {context.AVAILABILITY, *texts(
        [*(text for module in READS for text in [
            *calls(module, 'NodeUnfit', 'Need', 'read', 'on_primary'),
            *assigned(module, 'reason')]),
         *returned('selection', 'why_none'),
         *returned('selection', 'why_out')])}
    assert {'strict', 'after_host', 'no_replica', 'replica_failed',
            'replica_lagging', 'in_transaction'} < found
    for reason in found:
        assert f'``{reason}``' in rows('watching'), reason


def test_every_refusal_is_explained():
    found = {*texts(found for module in READS
                    for found in calls(module, 'refusal')), *(
        getattr(node.func, 'attr', None) for node in returned(
            'selection', 'refusal'))}
    assert {'Busy', 'TooStale', 'Resync', 'resync_full'} == found
    for reason in found:
        assert f'``{reason}``' in rows('watching'), reason


def test_every_reason_to_leave_a_node_out_is_explained():
    found = {*texts([
        *calls('replica', 'failed'), *calls('answers', 'failed'),
        *returned('nodes', 'unfit'), *assigned('replica', 'problem'),
        *assigned('replica', 'LAGGING'), *assigned('replica', 'DOWN'),
        *assigned('health', 'reason')]), 'takes no heartbeat'}
    assert {'lagging', 'error (', 'read failed (', 'is the primary itself',
            'has schema ', 'not looked at yet'} < found
    for reason in found:
        assert any(row.startswith(f'``{reason}')
                   for row in rows('watching')), reason
