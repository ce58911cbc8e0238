import types

import pytest

from computed import exception
from computed.virt.process import cgroups
from computed.virt.process import isolation

GUEST = '6d1e3a52-5d0f-4b7e-9f0e-0c8a4b1f7a11'
# No user of any system has these.
UIDS = range(2_000_000_000, 2_000_000_003)
TRIALS = ('user', 'process_namespace', 'ipc_namespace', 'own_proc',
          'mount_namespace')
ALL = (cgroups.Hierarchy('/g', 2, frozenset(cgroups.CONTROLLERS)),)


def decided(*refused, uids=UIDS, as_root=False, hierarchies=ALL):
    errors = {name: 'refused' if name in refused else None
              for name in TRIALS}
    return isolation.decide(errors, uids, as_root, hierarchies)


def test_root_gives_guests_all_that_there_is():
    found = decided()
    assert found.uids == UIDS
    assert found.for_shim(UIDS[1]) == {
        'uid': UIDS[1], 'unprivileged': True, 'user_namespace': False,
        'process_namespace': True, 'ipc_namespace': True,
        'mount_namespace': True, 'own_proc': True}
    assert (found.missing, found.refusal) == ((), '')
    assert 'a user id of its own (2000000000-2000000002)' in found.describe()


def test_an_ordinary_user_needs_a_user_namespace_and_says_whose_guests_are():
    found = decided(uids=None)
    assert found.user_namespace and found.own_proc and found.unprivileged
    [missing] = found.missing
    assert missing.startswith('they run as the user of the daemon (uid ')
    assert found.refusal == ''


@pytest.mark.parametrize('refused, lacks, says', [
    (['process_namespace'], ['process_namespace', 'own_proc'],
     'no process namespaces (refused)'),
    (['own_proc'], ['own_proc'], 'they see the processes of the host'),
    (['own_proc', 'mount_namespace'], ['own_proc', 'mount_namespace'],
     'no mount namespaces'),
    (['ipc_namespace'], ['ipc_namespace'], 'no IPC namespaces (refused)')])
def test_what_the_kernel_refuses_is_done_without_and_said(
        refused, lacks, says):
    found = decided(*refused)
    given = found.for_shim(UIDS[0])
    assert [name for name in TRIALS[1:] if not given[name]] == sorted(
        lacks, key=TRIALS.index)
    assert says in found.describe()
    assert found.uids == UIDS


def test_without_any_namespace_a_user_makes_no_user_namespace():
    found = decided(*TRIALS[1:], uids=None)
    assert not found.user_namespace


def test_root_starts_no_guest_as_root_unless_told_to():
    found = decided('user')
    assert found.uids is None
    assert '[process] guests_run_as_root' in found.refusal
    assert found.refusal in found.describe()
    told = decided('user', as_root=True)
    assert (told.uids, told.unprivileged, told.refusal) == (None, False, '')
    assert not told.mount_namespace
    assert 'they run as root with all capabilities' in told.describe()


def test_an_ordinary_user_cannot_run_guests_as_root():
    assert decided(uids=None, as_root=True) == decided(uids=None)


def test_limits_that_no_control_group_keeps_are_named():
    found = decided(hierarchies=(
        cgroups.Hierarchy('/g', 2, frozenset(['pids'])),))
    assert found.missing == ('no control groups that limit memory, cpu',)


def test_each_guest_gets_a_user_that_nobody_has():
    taken = set()
    for _ in UIDS:
        taken.add(isolation.choose_uid(UIDS, GUEST, taken))
    assert taken == set(UIDS)
    with pytest.raises(exception.DriverError, match='widen'):
        isolation.choose_uid(UIDS, GUEST, taken)


def test_a_user_that_the_system_knows_is_left_out():
    with pytest.raises(exception.DriverError, match='no user id is left'):
        isolation.choose_uid(range(0, 1), GUEST, ())


class Configuration(types.SimpleNamespace):
    def __contains__(self, name):
        return hasattr(self, name)


def test_state_sockets_and_configuration_are_hidden(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path)
    conf = Configuration(
        state_path=f'{tmp_path}/link/state', transport_url='unix:///r/rpc',
        config_file=['/c/computed.conf', f'{tmp_path}/state/own.conf'],
        config_dir=None)
    assert isolation.hidden_paths(conf) == sorted(
        ['/c/computed.conf', '/r/rpc', f'{tmp_path}/state'])
    conf.transport_url = 'rabbit://h/v'
    assert '/v' not in isolation.hidden_paths(conf)
