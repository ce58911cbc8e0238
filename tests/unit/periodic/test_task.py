import pytest
from oslo_config import cfg
from oslo_service import periodic_task as foreign

from computed import periodic
from computed.periodic import collect
from computed.periodic import timetable


class Manager:

    @periodic.periodic_task(spacing='some_interval', run_immediately=True)
    def _first(self, context):
        return ('first', self, context)

    @periodic.periodic_task
    def _second(self, context):
        return ('second', self, context)


def test_a_task_can_be_called_as_a_method_and_as_the_runner_does():
    manager = Manager()
    assert manager._first('context') == ('first', manager, 'context')
    assert manager._first(context=1) == ('first', manager, 1)
    task = collect.collect(manager)['_first']
    assert task(manager, 'context') == ('first', manager, 'context')


def test_a_task_keeps_what_it_was_declared_with():
    first, second = collect.collect(Manager()).values()
    assert (first.name, first.spacing, first.run_immediately) == (
        '_first', 'some_interval', True)
    assert (second.name, second.spacing, second.run_immediately) == (
        '_second', None, False)


def test_a_given_name_beats_that_of_the_attribute():
    class Named:
        @periodic.periodic_task(name='sweep')
        def _sweep_all_rooms(self, context):
            pass

    tasks = collect.collect(Named())
    assert list(tasks) == ['sweep']
    assert tasks['sweep'].name == 'sweep'


def test_a_subclass_that_replaces_a_task_has_only_its_own():
    class Sub(Manager):
        @periodic.periodic_task(spacing=5)
        def _first(self, context):
            return 'mine'

    sub = Sub()
    tasks = collect.collect(sub)
    assert list(tasks) == ['_first', '_second']
    assert tasks['_first'](sub, None) == 'mine'
    assert collect.collect(Manager())['_first'].spacing == 'some_interval'


def test_a_plain_method_takes_a_task_away():
    class Sub(Manager):
        def _first(self, context):
            pass

    assert list(collect.collect(Sub())) == ['_second']


def test_mixins_bring_their_tasks():
    class Other:
        @periodic.periodic_task
        def _third(self, context):
            pass

    class Both(Manager, Other):
        pass

    assert set(collect.collect(Both())) == {'_first', '_second', '_third'}


def test_a_disabled_task_does_not_exist():
    class Sub(Manager):
        @periodic.periodic_task(enabled=False)
        def _first(self, context):
            pass

    assert list(collect.collect(Sub())) == ['_second']


def test_two_tasks_of_one_name_are_an_error():
    class Sub(Manager):
        @periodic.periodic_task(name='_first')
        def _another(self, context):
            pass

    with pytest.raises(ValueError, match='named _first'):
        collect.collect(Sub())


def test_managers_that_share_a_task_may_name_it_differently():
    @periodic.periodic_task
    def sweep(manager, context):
        pass

    class One:
        _one = sweep

    class Two:
        _two = sweep

    assert list(collect.collect(One())) == ['_one']
    assert list(collect.collect(Two())) == ['_two']


def test_the_arguments_of_oslo_service_are_accepted():
    @periodic.periodic_task(spacing=10, run_immediately=True, enabled=True,
                            name='ported', external_process_ok=True)
    def task(manager, context):
        pass

    assert (task.name, task.spacing) == ('ported', 10)


def test_an_unknown_argument_is_an_error():
    with pytest.raises(TypeError, match='spaceing'):
        periodic.periodic_task(spaceing=10)


# -- managers written for oslo.service

class Nova(foreign.PeriodicTasks):
    """As it would be in nova: nothing here knows of computed."""

    host = 'h1'

    @foreign.periodic_task(spacing=20, run_immediately=True)
    def _poll(self, context):
        return ('poll', self, context)

    @foreign.periodic_task
    def _sweep(self, context):
        return ('sweep', self, context)

    @foreign.periodic_task(spacing=-1)
    def _never(self, context):
        pass

    @foreign.periodic_task(spacing=5, enabled=False)
    def _disabled(self, context):
        pass

    @foreign.periodic_task(spacing=0, name='shipped',
                           external_process_ok=True)
    def _ship(self, context):
        return 'shipped'


def ported(cls=Nova, **options):
    """A manager of oslo.service, and its tasks as ours."""
    found = cls(cfg.ConfigOpts())
    found.conf([], default_config_files=[])
    for name, value in options.items():
        found.conf.set_override(name, value)
    return found, collect.collect(found)


def spacings(cls):
    """What the runner makes of the spacings of a manager's tasks."""
    return {name: timetable.seconds(task.spacing, None)
            for name, task in ported(cls)[1].items()}


def test_the_tasks_of_oslo_service_are_ours():
    manager, tasks = ported()
    assert tasks['_poll'](manager, 'context') == ('poll', manager, 'context')
    assert tasks['_poll'].run_immediately
    assert not tasks['_sweep'].run_immediately
    assert manager._poll('context') == ('poll', manager, 'context')


def test_their_spacings_mean_what_they_mean_there():
    assert spacings(Nova) == {
        '_poll': 20, '_sweep': 60, '_never': None, 'shipped': 60}


def test_a_task_for_another_process_is_left_to_it():
    manager, tasks = ported()
    assert tasks['shipped'](manager, None) == 'shipped'
    manager, tasks = ported(run_external_periodic_tasks=False)
    assert tasks['shipped'](manager, None).note == (
        'left to another process: run_external_periodic_tasks is false')


@pytest.mark.parametrize('declare', [
    lambda function: function, foreign.periodic_task(spacing=7)],
    ids=['plain', 'decorated'])
def test_a_subclass_runs_its_own_function_not_that_of_its_base(declare):
    class Sub(Nova):
        @declare
        def _poll(self, context):
            return 'mine'

    manager, tasks = ported(Sub)
    assert tasks['_poll'](manager, None) == 'mine'
    # The table of oslo.service would run the base's, once or twice.
    names = [name for name, _ in Sub._periodic_tasks]
    assert list(tasks).count('_poll') == 1 <= names.count('_poll')
    assert tasks['_poll'].spacing == (20 if tasks['_poll'].run_immediately
                                      else 7)


def test_a_subclass_can_turn_a_task_off():
    class Sub(Nova):
        _sweep = None

        @foreign.periodic_task(spacing=5, enabled=False)
        def _poll(self, context):
            pass

    assert set(spacings(Sub)) == {'_never', 'shipped'}


def test_mixins_lose_no_task_whatever_they_derive_from():
    class Second(foreign.PeriodicTasks):
        @foreign.periodic_task(spacing=30)
        def _second(self, context):
            return 'second'

    class Plain:
        @foreign.periodic_task
        def _plain(self, context):
            return 'plain'

    class All(Nova, Second, Plain):
        pass

    assert spacings(All) == {**spacings(Nova), '_second': 30, '_plain': 60}
    assert '_second' not in [name for name, _ in All._periodic_tasks]
    manager, tasks = ported(All)
    assert [tasks[name](manager, None) for name in ('_second', '_plain')] == [
        'second', 'plain']


def test_a_task_added_to_the_manager_later_is_found():
    class Sub(Nova):
        pass

    @foreign.periodic_task(spacing=9)
    def late(manager, context):
        return ('late', manager)

    manager, _ = ported(Sub)
    manager.add_periodic_task(late)
    tasks = collect.collect(manager)
    assert tasks['late'](manager, None) == ('late', manager)
    assert timetable.seconds(tasks['late'].spacing, None) == 9


def test_both_kinds_live_in_one_manager():
    class Both(Nova):
        @periodic.periodic_task(spacing='some_interval')
        def _poll(self, context):
            return 'ours'

        @periodic.periodic_task
        def _more(self, context):
            return 'more'

    manager, tasks = ported(Both)
    assert tasks['_poll'].spacing == 'some_interval'
    assert tasks['_poll'](manager, None) == 'ours'
    assert {'_poll', '_sweep', '_more'} <= set(tasks)
