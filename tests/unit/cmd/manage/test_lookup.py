"""Which instance, which host, and whether something is over."""

import pytest

from computed import exception
from computed import states
from computed.cmd.manage import lookup
from tests.support import deployment as fake


def test_an_instance_is_named_by_name_or_uuid(deployment):
    deployment.primary = [fake.instance(1, 'web'), fake.instance(2, 'db')]
    wanted = fake.UUID.format(2)
    for name in ('db', wanted, wanted.replace('-', '')):
        found = lookup.instance(deployment.context, name)
        assert found.uuid == wanted


def test_a_name_may_look_like_a_uuid(deployment):
    deployment.primary = [fake.instance(1, fake.UUID.format(8))]
    found = lookup.instance(deployment.context, fake.UUID.format(8))
    assert found.uuid == fake.UUID.format(1)


def test_of_several_instances_none_is_chosen(deployment):
    deployment.primary = [fake.instance(2), fake.instance(1)]
    with pytest.raises(exception.InstanceAmbiguous) as caught:
        lookup.instance(deployment.context, 'web')
    assert f'{fake.UUID.format(1)}, {fake.UUID.format(2)}' in str(caught.value)


def test_who_acts_is_told_by_the_primary(deployment):
    deployment.primary = []
    deployment.replica = [fake.instance()]
    for name in ('web', fake.UUID.format(1)):
        with pytest.raises(exception.InstanceNotFound):
            lookup.instance(deployment.context, name)


def test_what_a_replica_does_not_know_yet_is_asked_of_the_primary(deployment):
    deployment.primary = [fake.instance()]
    deployment.replica = []
    for name in ('web', fake.UUID.format(1)):
        assert lookup.instance(deployment.context, name, tolerant=True)


def test_a_deleted_instance_can_be_looked_at_but_not_acted_upon(deployment):
    deployment.primary = [fake.instance(deleted=True)]
    name = fake.UUID.format(1)
    assert lookup.instance(deployment.context, name, deleted=True).deleted
    with pytest.raises(exception.InstanceNotFound):
        lookup.instance(deployment.context, name)


# -- which host

@pytest.mark.parametrize('silent_for, up', [
    (0.0, True), (60.0, True), (60.1, False), (None, False)])
def test_a_host_is_down_after_a_silence(silent_for, up):
    assert lookup.is_up(fake.host(silent_for=silent_for).service, 60) is up


@pytest.mark.parametrize('known, chosen', [
    ([fake.host('a'), fake.host('here', instances=9)], 'here'),
    ([fake.host('a', instances=2), fake.host('b', instances=1),
      fake.host('here', silent_for=61)], 'b'),
    ([fake.host('b'), fake.host('a')], 'a'),
])
def test_a_new_instance_is_built_here_or_where_there_are_fewest(
        known, chosen):
    assert lookup.host_for_new(known, 'here', 60) == chosen


# -- waiting

class Clock:
    now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def looks(*found):
    """A ``read`` that has or raises one after the other, the last for ever.
    """
    left = list(found)

    def read():
        one = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(one, Exception):
            raise one
        return one
    return read


def test_waiting_ends_when_nobody_works_on_it_any_more():
    done, clock = fake.instance(vm_state=states.STOPPED), Clock()
    assert lookup.wait(looks(
        fake.instance(task_state=states.POWERING_OFF, claim_id='c'),
        fake.instance(claim_id='c'),
        exception.ConductorUnavailable(url='u'), done), 10, clock,
        clock.sleep) is done


@pytest.mark.parametrize('values', [
    {'fault': 'stop: no'}, {'vm_state': states.ERROR}])
def test_waiting_for_what_failed_says_why(values):
    with pytest.raises(exception.ComputedError) as caught:
        lookup.wait(looks(fake.instance(**values)), 10, Clock())
    assert 'web' in str(caught.value)
    assert (values.get('fault') or 'error') in str(caught.value)


@pytest.mark.parametrize('last, said', [
    (fake.instance(task_state=states.DELETING), 'still deleting after 10 s'),
    (exception.ConductorUnavailable(url='u'), 'No conductor answers at u')])
def test_waiting_has_an_end(last, said):
    clock = Clock()
    with pytest.raises(exception.ComputedError) as caught:
        lookup.wait(looks(last), 10, clock, clock.sleep)
    assert said in str(caught.value)
    assert 10 <= clock.now < 12


def test_what_has_crashed_meanwhile_is_not_called_done():
    crashed = fake.instance(1, 'web', power_state=states.CRASHED,
                            exit_code=127)
    with pytest.raises(exception.InstanceCrashed, match='exit code 127'):
        lookup.ensure_not_crashed(crashed)
    lookup.ensure_not_crashed(fake.instance(1, power_state=states.SHUTDOWN))
