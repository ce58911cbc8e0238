"""Rules about the code that no type can hold."""

import ast
import fnmatch
import inspect
import pathlib
import re
import subprocess
import sys

import pytest
from oslo_versionedobjects import fixture

from computed import context
from computed import manager
from computed import objects
from computed import periodic
from computed.conf import tasks
from computed.objects import base
from computed.virt import driver

ROOT = pathlib.Path(__file__).parents[2]
HASHES = {
    'BandwidthPayload': '1.0-cf33942523f43d18f4cc41c07dd0565d',
    'BandwidthUsage':
        '1.0-f58a5481710ea868745c505f5a0f04a9',
    'BandwidthUsageList':
        '1.0-34d716c61e93578ecc0d600d32f5e50e',
    'ComputeNode':
        '1.1-3799c26e328fe665a1171d6cb99883a2',
    'ComputeNodeList':
        '1.1-c72c90db7ba3546497a47176d01c8473',
    'Event':
        '1.0-0f4478bfab6749e9e7ef1f336c799141',
    'ConsoleToken': '1.0-f3d6a2109138b985c66cd3a620fa9ff0',
    'EventList':
        '1.0-24fb5cdfa387ab4e0e436959c739599f',
    'Freeze':
        '1.0-46a1023850a97f4600b6a350e4bb2488',
    'Grant':
        '1.0-4f0c172cbcd566dd198f35ab2c22c923',
    'HeldClaim': '1.0-b1d9b49400f74b85efe37f474f49161e',
    'HeldClaimList': '1.0-9911f490c4bb8a065531d79078e4b181',
    'Host':
        '1.0-30f8cb2c82ff67616366f2e001a89678',
    'HostList':
        '1.1-c72c90db7ba3546497a47176d01c8473',
    'Instance':
        '1.0-52708682552f3c330e2e81de04f37106',
    'InstanceActionPayload':
        '1.0-8f82eb6776715dace561c0a6a7cee96f',
    'InstanceExistsPayload': '1.0-86fb7d4f5e4947ba4d6a5f5d04dff970',
    'InstanceList':
        '1.1-ccb0ce8ceca45ed4061045eae2a889b0',
    'ResourceUsage':
        '1.0-393a4b7f7b396c152a5d96dcfcec2fee',
    'Service':
        '1.0-325119dc2b732895ffd75cf1122d7923',
    'UsageAudit': '1.0-ef6d79cd2a37369bfe8eec88347e99c8',
    'UsageAuditList': '1.0-67f92a169f8e2dc3534e79ecdaa4c505',
    'VolumeUsagePayload': '1.0-9edcb0b65673112e0ccbb86994c9b621',
    'Volume': '1.0-09254f968c96a9dba0dcefc6e9193cce',
    'VolumeList': '1.0-c2df387063d36276b504f033c31e326c',
    'VolumeUsage': '1.0-5924eb300357ed372bbdd21cf881f015',
    'VolumeUsageList': '1.0-b44ac4bf3a5fb39c714b38ffa3fd55ae',
}


def test_every_changing_method_of_a_driver_takes_a_claim():
    for name in ('spawn', 'destroy', 'power_on', 'power_off', 'reboot',
                 'pause', 'unpause', 'attach_volume', 'detach_volume'):
        found = list(inspect.signature(
            getattr(driver.ComputeDriver, name)).parameters)
        assert found[:2] == ['self', 'claim'], name


def test_the_spacing_of_every_task_names_an_option():
    known = {option.name for option in tasks.OPTS}
    found = [value for value in vars(manager.ComputeManager).values()
             if isinstance(value, periodic.PeriodicTask)]
    assert found
    assert {task.spacing for task in found} <= known


def reads():
    """``[(class, name)]`` of each read of each object."""
    objects.register_all()
    found = [(cls, name) for [cls] in base.registry.obj_classes().values()
             for name, method in inspect.getmembers(cls)
             if name.startswith('get_') and hasattr(method, 'remotable')]
    assert found
    return found


def test_every_read_of_an_object_accepts_use_slave():
    for cls, name in reads():
        read = getattr(cls, name).__func__
        assert read.__kwdefaults__ == {'use_slave': None, 'after': None}, (
            cls, name)


class Conductor:
    """It notes whether the context of a call tolerates lag."""

    def __init__(self):
        self.noted = []

    def object_class_action_versions(self, ctxt, name, method, *rest):
        self.noted.append((name, method, ctxt.lag_tolerant))


@pytest.mark.parametrize('use_slave', [True, False])
def test_every_read_of_an_object_obeys_use_slave(use_slave):
    conductor = Conductor()
    base.use_conductor(conductor)
    try:
        for cls, name in reads():
            ctxt = context.RequestContext(lag_tolerant=not use_slave)
            getattr(cls, name)(ctxt, use_slave=use_slave)
    finally:
        base.use_conductor(None)
    assert conductor.noted == [
        (cls.obj_name(), name, use_slave) for cls, name in reads()]


def decorated(folder, *decorators):
    """``(module.function, the function's tree)`` of the functions so marked.
    """
    for path in (ROOT / 'computed' / folder).rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and {
                    ast.unparse(one) for one in node.decorator_list
                    }.intersection(decorators):
                yield f'{path.stem}.{node.name}', node


def test_every_query_is_in_a_read_that_accepts_use_slave():
    """In no other remotable method, which would drop the tolerance."""
    queries = dict(decorated('db/cell', 'cell.read', 'cell.read_of_host'))

    def asked(*decorators):
        return {called for _, node in decorated('objects', *decorators)
                for one in ast.walk(node) if isinstance(one, ast.Call)
                for called in ['.'.join(ast.unparse(
                    one.func).split('.')[-2:])] if called in queries}
    # This one is told how old an answer may be.
    assert asked('base.remotable', 'base.remotable_write') == {
        'audits.get_existing'}
    assert len(asked('base.remotable_read')) > 15


def test_every_write_of_fields_refuses_what_was_read_tolerantly():
    """A method of an object writes what its fields say; others do not."""
    objects.register_all()
    writes = {
        f'{cls.__name__}.{name}': method
        for [cls] in base.registry.obj_classes().values()
        for name, method in vars(cls).items()
        if hasattr(method, 'remotable') and inspect.isfunction(method)}
    # It writes fields that nobody read.
    del writes['Instance.create']
    assert writes
    for name, method in writes.items():
        assert hasattr(method, 'refuses_tolerant'), name


def test_objects_change_only_with_their_version():
    """A hash of the fields and remotable methods of each object.

    If this fails, raise the VERSION of the object, name new fields in SINCE
    and other news in the comment at VERSION, and put the new hash here.
    """
    objects.register_all()
    checker = fixture.ObjectVersionChecker(base.registry.obj_classes())
    assert checker.get_hashes() == HASHES


def test_the_sample_configuration_is_what_the_code_says(tmp_path):
    sample = tmp_path / 'sample'
    subprocess.run(
        [pathlib.Path(sys.executable).parent / 'oslo-config-generator',
         '--config-file', ROOT / 'etc/computed/config-generator.conf',
         '--output-file', sample], check=True, cwd=ROOT)
    committed = ROOT / 'etc/computed/computed.conf.sample'
    assert sample.read_text() == committed.read_text(), (
        'run: .venv/bin/oslo-config-generator --config-file '
        'etc/computed/config-generator.conf')


def test_the_type_checker_knows_the_queries(tmp_path):
    """Modules load lazily at run time, and are not hidden from mypy."""
    caller = tmp_path / 'caller.py'
    caller.write_text('from computed.db import cell as db\n'
                      'db.instance.no_such_function(1)\n'
                      'reveal_type(db.instance.get)\n')
    checked = subprocess.run(
        [sys.executable, '-P', '-m', 'mypy', caller], cwd=ROOT,
        capture_output=True, text=True)
    found = checked.stdout.splitlines()
    assert found[0].endswith(
        'caller.py:2: error: Module has no attribute "no_such_function"  '
        '[attr-defined]'), checked
    assert found[1].endswith('uuid: str) -> computed.db.cell.models.Instance"')
    assert found[2].startswith('Found 1 error'), checked


def test_no_start_of_python_looks_for_modules_in_the_current_folder():
    """``python -m`` does, without -P or -I. It runs what others put there.

    Tests may start modules of the tests.
    """
    found = [f'{path.relative_to(ROOT)}: {line.strip()}'
             for path in _sources() for line in path.read_text().splitlines()
             if UNSAFE.search(line)]
    assert found == []


# In a shell: python3 -m; in Python: sys.executable, '-m'.
UNSAFE = re.compile(
    r"""\bpython[\d.]*"?\ -(m\ (?!tests\.)|c\ ')
    |\b(python|executable),\ '-m',(?!\ __name__)""", re.VERBOSE)


def _sources():
    for name in ('Makefile', 'README.rst', 'bindep.txt', 'tox.ini'):
        yield ROOT / name
    for name in ('computed', 'doc', 'etc', 'examples', 'tests', 'tools'):
        yield from (path for path in (ROOT / name).rglob('*')
                    if path.is_file() and 'build' not in path.parts
                    and path.suffix not in ('.pyc', '.svg')
                    and path != pathlib.Path(__file__))


def test_every_module_has_its_test():
    """Its own one, or the one that tests/README.rst names."""
    tests = ROOT / 'tests'
    named = dict(re.findall(r'^``([\w/.*]+)`` +``([\w/.]+)``$', (
        tests / 'README.rst').read_text(), re.MULTILINE))
    assert named
    missing = [test for test in named.values()
               if not (tests / test).exists()]
    assert missing == []
    modules = [path.relative_to(ROOT / 'computed')
               for path in (ROOT / 'computed').rglob('*.py')
               if path.name != '__init__.py']
    alone = [str(path) for path in modules
             if not (tests / 'unit' / path.with_name(
                 f'test_{path.name}')).exists()]
    assert [module for module in alone if not any(
        fnmatch.fnmatch(module, pattern) for pattern in named)] == [], (
            'write the test, or name the one that covers it in '
            'tests/README.rst')
