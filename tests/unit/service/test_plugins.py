"""Packages are folders on sys.path, as pip would have made them."""

import sys
import textwrap

import pytest
from oslo_config import cfg

from computed import concurrency
from computed import conf as computed_conf
from computed import exception
from computed import manager
from computed.periodic import collect
from computed.service import plugins

BUILTIN = collect.collect(manager.ComputeManager)
CODE = """
    from oslo_config import cfg

    from computed import periodic

    OPTS = [cfg.IntOpt('{module}_interval', default=7)]

    def register_opts(conf):
        conf.register_opts(OPTS, group='tasks')

    @periodic.periodic_task(spacing='{module}_interval')
    def sweep(manager, context):
        return 'swept'

    @periodic.periodic_task(name='renamed')
    def given(manager, context):
        pass

    @periodic.periodic_task(enabled=False)
    def disabled(manager, context):
        pass

    @periodic.periodic_task(spacing='no_such_interval')
    def lost(manager, context):
        pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a package with one entry point."""
    modules = []

    def install(name, group, entry, code=CODE):
        folder = tmp_path / name
        module = f'plugin_{name}'
        info = folder / f'{name}-1.5.dist-info'
        info.mkdir(parents=True)
        (info / 'METADATA').write_text(f'Name: {name}\nVersion: 1.5\n')
        (info / 'entry_points.txt').write_text(
            f'[{group}]\n{entry.format(module=module)}\n')
        (folder / f'{module}.py').write_text(
            textwrap.dedent(code.format(module=module)))
        monkeypatch.syspath_prepend(folder)
        modules.append(module)
    yield install
    for module in modules:
        sys.modules.pop(module, None)


def configured(**overrides):
    conf = cfg.ConfigOpts()
    computed_conf.register_opts(conf)
    conf([], default_config_files=[])
    for name, value in overrides.items():
        conf.set_override(name, value, group='virt')
    return conf


def load_tasks(conf=None):
    return plugins.load_tasks(conf or configured(), BUILTIN)


def refusal(load=load_tasks, kind=exception.PluginError, **overrides):
    with pytest.raises(kind) as caught:
        load(configured(**overrides))
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_without_packages_there_are_the_tasks_of_the_manager():
    assert load_tasks() == BUILTIN


def test_a_task_of_a_package_comes_after_ours_with_its_option(install):
    install('acme', plugins.TASKS, '_sweep = {module}:sweep')
    conf = configured()
    found = load_tasks(conf)
    assert list(found) == [*BUILTIN, '_sweep']
    assert found['_sweep'](None, None) == 'swept'
    assert conf.tasks[found['_sweep'].spacing] == 7


def test_a_given_name_beats_that_of_the_entry_point(install):
    install('acme', plugins.TASKS, '_sweep = {module}:given')
    assert list(load_tasks()) == [*BUILTIN, 'renamed']


def test_a_disabled_task_does_not_exist(install):
    install('acme', plugins.TASKS, '_sweep = {module}:disabled')
    assert load_tasks() == BUILTIN


def test_a_task_named_like_one_of_ours_is_refused(install):
    install('acme', plugins.TASKS, '_sync_power_states = {module}:sweep')
    assert refusal(kind=exception.DuplicatePlugin) == (
        'Both computed 0.1.0 and acme 1.5 provide _sync_power_states of '
        'computed.tasks. Uninstall one.')


def test_two_packages_with_one_name_are_refused(install):
    install('acme', plugins.TASKS, '_sweep = {module}:sweep')
    install('bolt', plugins.TASKS, '_sweep = {module}:sweep')
    assert 'Both acme 1.5 and bolt 1.5 provide _sweep' in refusal(
        kind=exception.DuplicatePlugin)


def test_two_packages_that_give_one_name_are_refused(install):
    install('acme', plugins.TASKS, '_one = {module}:given')
    install('bolt', plugins.TASKS, '_two = {module}:given')
    assert 'Both acme 1.5 and bolt 1.5 provide renamed' in refusal(
        kind=exception.DuplicatePlugin)


@pytest.mark.parametrize('entry, problem', [
    ('_sweep = {module}:absent', "AttributeError: module 'plugin_acme' has "
                                 "no attribute 'absent'"),
    ('_sweep = plugin_absent:sweep', "ModuleNotFoundError: No module named "
                                     "'plugin_absent'"),
    ('_sweep = {module}:OPTS', 'plugin_acme:OPTS is not a PeriodicTask'),
    ('_sweep = {module}:lost', 'its spacing, no_such_interval, is not '
                               'an option of [tasks]'),
])
def test_what_is_wrong_with_a_task_is_said_in_one_line(
        install, entry, problem):
    install('acme', plugins.TASKS, entry)
    assert refusal() == (
        'Entry point _sweep of computed.tasks, from package acme 1.5: '
        f'{problem}. Correct or uninstall that package.')


@pytest.mark.parametrize('code, problem', [
    ('raise RuntimeError("two\\nlines")', 'RuntimeError: two lines'),
    ('raise SystemExit(3)', 'SystemExit: 3'),
    ('def register_opts(conf): raise OSError("no")\nsweep = 1',
     'OSError: no'),
    ('from oslo_config import cfg\n'
     'def register_opts(conf):\n'
     '    conf.register_opt(cfg.StrOpt("max_repairs_per_pass"), "tasks")\n'
     'sweep = 1',
     'its option max_repairs_per_pass exists already with another definition'),
], ids=['import', 'exit', 'hook', 'option'])
def test_a_module_that_fails_is_named_with_the_cause(install, code, problem):
    install('acme', plugins.TASKS, '_sweep = {module}:sweep', code)
    assert f'from package acme 1.5: {problem}. ' in refusal()


def test_the_options_of_packages_are_judged_as_ours(install):
    install('acme', plugins.TASKS, '_sweep = {module}:sweep',
            CODE.replace('default=7', 'default=-7'))
    assert refusal(kind=exception.ConfigError) == (
        '[tasks] plugin_acme_interval = -7: an interval cannot be negative. '
        'Write 0 to turn it off.')


def test_our_drivers_are_found_by_name():
    assert plugins.load_driver(configured(driver='memory')).__name__ == (
        'MemoryDriver')


def test_an_unknown_driver_is_refused_with_those_there_are():
    said = refusal(plugins.load_driver, exception.ConfigError, driver='xen')
    assert said.startswith('[virt] driver = xen: there is no driver with this '
                           'name. Installed are: ')
    assert {'memory', 'process'} <= set(
        said.partition('are: ')[2].rstrip('.').split(', '))


def test_a_driver_named_like_one_of_ours_is_refused(install):
    install('acme', plugins.DRIVERS, 'process = {module}:sweep')
    assert refusal(plugins.load_driver, exception.DuplicatePlugin) == (
        'Both acme 1.5 and computed 0.1.0 provide process of '
        'computed.drivers. Uninstall one.')


@pytest.mark.parametrize('code, problem', [
    ('Odd = 1', 'plugin_acme:Odd is not a subclass of ComputeDriver'),
    ('from computed.virt.memory import MemoryDriver\n'
     'from computed.virt.driver import ComputeDriver\n'
     'class Odd(MemoryDriver):\n'
     '    pause = ComputeDriver.pause\n', 'Odd lacks pause'),
], ids=['kind', 'abstract'])
def test_what_is_wrong_with_a_driver_is_said_in_one_line(
        install, code, problem):
    install('acme', plugins.DRIVERS, 'odd = {module}:Odd', code)
    assert f'odd of computed.drivers, from package acme 1.5: {problem}' in (
        refusal(plugins.load_driver, driver='odd'))


def test_the_options_of_a_driver_are_judged_as_ours(install):
    install('acme', plugins.DRIVERS, 'odd = {module}:Odd',
            CODE.replace('default=7', 'default=-7') +
            '    from computed.virt.memory import MemoryDriver as Odd\n')
    assert '[tasks] plugin_acme_interval = -7: ' in refusal(
        plugins.load_driver, exception.ConfigError, driver='odd')


def test_eventlet_is_refused_with_a_driver_that_does_not_say_it_fits(
        install, monkeypatch):
    code = """
        from computed.virt import memory

        class Odd(memory.MemoryDriver):
            cooperative = False
    """
    install('acme', plugins.DRIVERS, 'odd = {module}:Odd', code)
    conf = configured(driver='odd')
    monkeypatch.setattr(concurrency, 'chosen', lambda: concurrency.THREADING)
    assert plugins.load_driver(conf).__name__ == 'Odd'
    monkeypatch.setattr(concurrency, 'chosen', lambda: concurrency.EVENTLET)
    assert '[virt] driver = odd: under eventlet' in refusal(
        plugins.load_driver, exception.ConfigError, driver='odd')
    for driver in 'memory', 'process':
        plugins.load_driver(configured(driver=driver))


def test_the_driver_of_another_package_does_no_harm_unless_it_is_used(
        install):
    install('acme', plugins.DRIVERS, 'odd = {module}:absent')
    plugins.load_driver(configured(driver='memory'))
