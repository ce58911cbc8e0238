import pytest

from computed import periodic


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
    task = periodic.collect(manager)['_first']
    assert task(manager, 'context') == ('first', manager, 'context')


def test_a_task_keeps_what_it_was_declared_with():
    first, second = periodic.collect(Manager()).values()
    assert (first.name, first.spacing, first.run_immediately) == (
        '_first', 'some_interval', True)
    assert (second.name, second.spacing, second.run_immediately) == (
        '_second', None, False)


def test_a_given_name_beats_that_of_the_attribute():
    class Named:
        @periodic.periodic_task(name='sweep')
        def _sweep_all_rooms(self, context):
            pass

    tasks = periodic.collect(Named())
    assert list(tasks) == ['sweep']
    assert tasks['sweep'].name == 'sweep'


def test_a_subclass_that_replaces_a_task_has_only_its_own():
    class Sub(Manager):
        @periodic.periodic_task(spacing=5)
        def _first(self, context):
            return 'mine'

    sub = Sub()
    tasks = periodic.collect(sub)
    assert list(tasks) == ['_first', '_second']
    assert tasks['_first'](sub, None) == 'mine'
    assert periodic.collect(Manager())['_first'].spacing == 'some_interval'


def test_a_plain_method_takes_a_task_away():
    class Sub(Manager):
        def _first(self, context):
            pass

    assert list(periodic.collect(Sub())) == ['_second']


def test_mixins_bring_their_tasks():
    class Other:
        @periodic.periodic_task
        def _third(self, context):
            pass

    class Both(Manager, Other):
        pass

    assert set(periodic.collect(Both())) == {'_first', '_second', '_third'}


def test_a_disabled_task_does_not_exist():
    class Sub(Manager):
        @periodic.periodic_task(enabled=False)
        def _first(self, context):
            pass

    assert list(periodic.collect(Sub())) == ['_second']


def test_two_tasks_of_one_name_are_an_error():
    class Sub(Manager):
        @periodic.periodic_task(name='_first')
        def _another(self, context):
            pass

    with pytest.raises(ValueError, match='named _first'):
        periodic.collect(Sub())


def test_managers_that_share_a_task_may_name_it_differently():
    @periodic.periodic_task
    def sweep(manager, context):
        pass

    class One:
        _one = sweep

    class Two:
        _two = sweep

    assert list(periodic.collect(One())) == ['_one']
    assert list(periodic.collect(Two())) == ['_two']


def test_the_arguments_of_oslo_service_are_accepted():
    @periodic.periodic_task(spacing=10, run_immediately=True, enabled=True,
                            name='ported', external_process_ok=True)
    def task(manager, context):
        pass

    assert (task.name, task.spacing) == ('ported', 10)


def test_an_unknown_argument_is_an_error():
    with pytest.raises(TypeError, match='spaceing'):
        periodic.periodic_task(spaceing=10)
