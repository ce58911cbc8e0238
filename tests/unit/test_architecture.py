"""Rules about the code that no type can hold."""

import inspect
import pathlib
import subprocess
import sys

from oslo_versionedobjects import fixture

from computed import manager
from computed import objects
from computed import periodic
from computed.conf import tasks
from computed.objects import base
from computed.virt import driver

ROOT = pathlib.Path(__file__).parents[2]
HASHES = {
    'BandwidthUsage':
        '1.0-b69169d64fd046f2e8589524de949093',
    'BandwidthUsageList':
        '1.0-fb20aad3eea3373cc3391e58c65fe2d2',
    'ComputeNode':
        '1.1-52497c7ba48a1e2e9a566b94965c5b83',
    'ComputeNodeList':
        '1.1-a4c78e091248ee9e8d750d6433a32cb5',
    'Freeze':
        '1.0-7b54c7e4e164fdcbaf5b74842e5b5145',
    'Grant':
        '1.0-1af835c50fc0b50aee9442554c343a61',
    'Host':
        '1.0-e639525461123a335cb24caf0e7f9af3',
    'HostList':
        '1.1-a4c78e091248ee9e8d750d6433a32cb5',
    'Instance':
        '1.0-5b87c706da6c921526e2dde944a425e2',
    'InstanceList':
        '1.1-2282d600cc05ee221a31e43f5152c4e5',
    'ResourceUsage':
        '1.0-8849352bb69c7688efa4b71f65396c36',
    'Service':
        '1.0-647b09aa428b34d35543a62d24672f9f',
}


def test_every_changing_method_of_a_driver_takes_a_claim():
    for name in ('spawn', 'destroy', 'power_on', 'power_off', 'reboot',
                 'pause', 'unpause'):
        found = list(inspect.signature(
            getattr(driver.ComputeDriver, name)).parameters)
        assert found[:2] == ['self', 'claim'], name


def test_the_spacing_of_every_task_names_an_option():
    known = {option.name for option in tasks.OPTS}
    found = [value for value in vars(manager.ComputeManager).values()
             if isinstance(value, periodic.PeriodicTask)]
    assert found
    assert {task.spacing for task in found} <= known


def test_every_read_of_an_object_accepts_use_slave():
    objects.register_all()
    reads = [method for [cls] in base.registry.obj_classes().values()
             for name, method in inspect.getmembers(cls)
             if name.startswith('get_') and hasattr(method, 'remotable')]
    assert reads
    for read in reads:
        assert read.__func__.__kwdefaults__ == {
            'use_slave': None, 'after': None}, read


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
        [sys.executable, '-m', 'mypy', caller], cwd=ROOT,
        capture_output=True, text=True)
    found = checked.stdout.splitlines()
    assert found[0].endswith(
        'caller.py:2: error: Module has no attribute "no_such_function"  '
        '[attr-defined]'), checked
    assert found[1].endswith('uuid: str) -> computed.db.cell.models.Instance"')
    assert found[2].startswith('Found 1 error'), checked
