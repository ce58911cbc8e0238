"""What the lint step makes of code that acts on a replica's word."""

import pathlib
import textwrap

import pytest

from tools.claimlint import __main__ as program
from tools.claimlint import flow

ROOT = pathlib.Path(__file__).parents[3]
NAMES = program.names(ROOT)


def found(source):
    """``[(line, sink, begin of the remedy)]`` in a snippet."""
    return [(one.line, one.sink, one.remedy.split()[0])
            for one in flow.findings(textwrap.dedent(source), 'f.py', NAMES)]


# Nova's periodic tasks that act on what a lagging replica told them, in this
# project's words.
UNSAFE = {
    'power sync: confirmed by the replica once more': ("""
        def sync(manager, context, instance):
            instance.refresh(use_slave=True)
            if instance.vm_state == 'stopped':
                manager.driver.power_off(instance, 60)
        """, [(5, 'power_off')]),
    'reclaim: an old list is deleted': ("""
        def reclaim(manager, context):
            instances = InstanceList.get_by_host(
                context, manager.host, use_slave=True)
            for instance in instances:
                if instance.vm_state == 'soft-delete':
                    delete(manager, context, instance)

        def delete(manager, context, instance):
            manager.driver.destroy(instance.uuid)
            instance.destroy()
        """, [(10, 'destroy'), (11, 'destroy')]),
    'build timeout: a plain save': ("""
        def check_build_time(manager, context):
            slow = [instance for instance in InstanceList.get_by_host(
                        context, manager.host, use_slave=True)
                    if instance.vm_state == 'building']
            for instance in slow:
                instance.vm_state = 'error'
                instance.save()
        """, [(8, 'save')]),
    'unconfirmed resizes: not found on the replica': ("""
        def confirm(manager, context):
            for migration in MigrationList.get_by_host(context, manager.host):
                try:
                    Instance.get_by_uuid(
                        context, migration.uuid, use_slave=True)
                except exception.InstanceNotFound:
                    migration.status = 'error'
                    migration.save()
        """, [(9, 'save')]),
    'resources: orphan nodes of an old list': ("""
        class Tracker:
            def update(self, context):
                self.nodes = NodeList.get_by_host(
                    context.tolerating_lag(True), self.host)
                self.forget()

            def forget(self):
                for node in self.nodes:
                    if node.name not in self.driver.list_nodes():
                        node.destroy()
        """, [(11, 'destroy')]),
    'shelved: offloaded by an old list, in a pool': ("""
        def poll_shelved(manager, context):
            with futures.ThreadPoolExecutor() as pool:
                pool.map(lambda one: offload(manager, one),
                         listed(manager, context))

        def listed(manager, context, use_slave=True):
            return InstanceList.get_by_host(
                context, manager.host, use_slave=use_slave)

        def offload(manager, instance):
            instance.task_state = 'offloading'
            instance.save()
            manager.driver.destroy(instance)
        """, [(13, 'save'), (14, 'destroy')]),
    'running deleted: guests that an old list does not know': ("""
        def reap(manager, context):
            known = {row.uuid for row in InstanceList.get_by_host(
                context, manager.host, use_slave=True)}
            for uuid in manager.driver.list_instances().instances:
                if uuid not in known:
                    manager.driver.destroy(uuid)
        """, [(7, 'destroy')]),
}


@pytest.mark.parametrize('name', UNSAFE)
def test_each_unsafe_act_of_nova_is_found(name):
    source, expected = UNSAFE[name]
    resting = [(line, sink) for line, sink, remedy in found(source)
               if remedy == 'claim']
    assert resting == expected


@pytest.mark.parametrize('source', [
    'if one.x(use_slave=True): row.save()',
    'x = f(use_slave=not strict)\nx.save()',
    'def g(conf):\n    f(use_slave=conf.lax).save()',
    'a = b = f(use_slave=True)\nc, *d = b, 1\nd[0].save()',
    'x = []\nx.append(f(use_slave=True))\nx[0].save()',
    'row.host = f(use_slave=True).host\nrow.save()',
    'Node.delete_former(context, f(use_slave=True).host)',
    'c = context.tolerating_lag(True)\nInstance.get_by_uuid(c, u).save()',
    'c = RequestContext(lag_tolerant=True)\nInstance.get(c, u).destroy()',
    'while (x := f(use_slave=True)):\n    x.y.save()',
    'f(use_slave=True).save()',
    'with f(use_slave=True) as x:\n    x.save()',
    'def g():\n    yield f(use_slave=True)\nfor x in g():\n    x.save()',
    'def g(x):\n    x.save()\npool.submit(g, f(use_slave=True))',
    'def g(x=f(use_slave=True)):\n    return x\ng().save()',
    'x = f(use_slave=True)\nclaim = claims.claim(c, x.uuid, "t", {})\n'
    'driver.spawn(claim, x.spec)',
    'x = f(use_slave=True)\nself.claims.settle(c, claim, host=x.host)',
    'self.claims.settle_all(c, claim, {u: f(use_slave=True).host})',
    'x = f(use_slave=True)\nwrite = x.save\nwrite()',
    'c.lag_tolerant = True\nInstance.get_by_uuid(c, u).save()',
    # Whatever follows a guard is done because of it.
    'def g(x):\n    if f(use_slave=True).y:\n        return\n    x.save()',
    'def g(x):\n    if f(use_slave=True).y:\n        raise x\n    x.save()',
    'for x in y:\n    if f(use_slave=True):\n        continue\n    x.save()',
    'def g(x):\n    try:\n        f(use_slave=True)\n'
    '    except KeyError:\n        return\n    x.save()',
    'f(use_slave=True).y and x.save()',
    'x.save() if f(use_slave=True).y else None',
    '[x.save() for x in y if f(x, use_slave=True)]',
    'match x:\n    case y if f(use_slave=True):\n        x.save()',
    # So is what is done elsewhere, and what was noted.
    'def g(x):\n    x.save()\nif f(use_slave=True).y:\n    g(x)',
    'def g():\n    h()\ndef h():\n    x.save()\n'
    'if f(use_slave=True).y:\n    g()',
    'def g(x):\n    if x.y:\n        return 1\n    return 2\n'
    'if g(f(use_slave=True)):\n    y.save()',
    'old = False\nif f(use_slave=True).y:\n    old = True\n'
    'if old:\n    x.save()',
    'old = []\nif f(use_slave=True).y:\n    old.append(x)\n'
    'for one in old:\n    one.save()',
    'class C:\n    def g(self, x):\n        x.save()\n'
    'C().h()\nc.g(f(use_slave=True))',
    # Read again, but never decided again.
    'for x in f(use_slave=True):\n    g(x.uuid, use_slave=False).save()',
])
def test_a_tolerant_read_is_followed_to_the_write(source):
    assert [remedy for *_, remedy in found(source)] == ['claim']


@pytest.mark.parametrize('source', [
    'driver.power_off(uuid, 60)',
    'manager.driver.power_off(instance, 60)',
    'self._driver.destroy(self.uuid)',
    'virt = manager.driver\nvirt.pause(uuid)',
    'claim = instance\ndriver.pause(claim)',
    'if x:\n    claim = instance\ndriver.pause(claim)',
    'pool.submit(manager.driver.power_on, uuid)',
    'driver.reboot()',
    'off = manager.driver.power_off\noff(uuid, 60)',
])
def test_an_act_without_a_claim_is_found(source):
    assert [remedy for *_, remedy in found(source)] == ['take']


@pytest.mark.parametrize('source', [
    'permit.Claim("id", "stop", row, mark)',
    'from computed.virt.claim import Claim\nClaim("id", "stop", row, mark)',
    'Grant.grant_claim(context, uuid)',
    'grant_obj.Grant.settle_guest_claim(context, uuid)',
])
def test_a_claim_made_elsewhere_is_found(source):
    assert [remedy for *_, remedy in found(source)] == ['leave']


def test_a_method_of_the_driver_by_any_name_is_found():
    assert found('getattr(manager.driver, name)(uuid)') == [
        (1, 'getattr', 'name')]
    assert found('{"off": manager.driver.power_off}[name](uuid)') == [
        (1, 'power_off', 'name')]


@pytest.mark.parametrize('source', [
    # What is claimed is read from the primary.
    """
    for x in f(use_slave=True):
        claim = manager.claims.claim(c, x.uuid, 't', {'vm_state': x.vm_state})
        x = claim.instance
        manager.driver.power_off(claim, 60)
        manager.claims.settle(c, claim, vm_state=x.vm_state)
    """,
    # Guards decide who is claimed, and the claim decides again.
    """
    for x in f(use_slave=True):
        if x.task_state:
            continue
        claim = manager.claims.claim(c, x.uuid, 't', {'vm_state': x.vm_state})
        old = claim.instance.vm_state == 'stopped'
        if not old:
            continue
        values = outcome(manager, claim)
        manager.driver.power_off(claim, 60)
        manager.claims.settle(c, claim, **values)
    """,
    # So is what is read again strictly: its save is guarded by revision.
    """
    x = lookup(c, name, use_slave=True)
    fresh = Instance.get_by_uuid(c, x.uuid, use_slave=False)
    fresh.name = 'new'
    fresh.save()
    """,
    'claim = operation.claimed(m, c, op, x)\ndriver.pause(claim)',
    'def stop(manager, claim):\n    manager.driver.power_off(claim, 1)',
    'x = f(use_slave=False)\nx.save()',
    'x = f(use_slave=True)\nx = f(use_slave=False)\nx.save()',
    'def g(use_slave):\n    return f(use_slave=use_slave)\n'
    'g(False).save()',
    'x = f(use_slave=True)\nLOG.info("%s", x)\ny.save()',
    'manager.driver.list_instances()',
    'thread.pause(5)',
], ids=range(11))
def test_what_is_right_is_left_alone(source):
    assert found(source) == []


def test_a_finding_says_where_what_and_what_to_do():
    [one] = flow.findings(
        'x = f(use_slave=True)\n\nx.save()', 'tasks/t.py', NAMES)
    assert str(one) == (
        'tasks/t.py:3: save() writes, and what it rests on was read '
        'tolerantly in line 1; claim the row: `claims.claim(context, uuid, '
        'operation, {every fact})`, and go on with claim.instance only')


def test_the_code_itself_says_what_an_act_is():
    assert {'save', 'record_power_states', 'delete_former'} <= NAMES.writes
    assert NAMES.acts == {'spawn', 'destroy', 'power_on', 'power_off',
                          'reboot', 'pause', 'unpause'}


def test_the_code_and_the_examples_are_clean():
    assert program.check(ROOT) == []


def test_an_allowance_that_allows_nothing_is_reported(monkeypatch):
    monkeypatch.setitem(program.ALLOWED, ('a.py', 'f', 'save'), 'none')
    [line] = program.check(ROOT)
    assert 'take it out of ALLOWED' in line


def test_an_act_that_is_not_allowed_is_reported(monkeypatch):
    monkeypatch.setattr(program, 'ALLOWED', {})
    assert all(line.startswith('computed/tasks/power_states/task.py:')
               for line in program.check(ROOT))
    assert program.main([str(ROOT)]) == 1
