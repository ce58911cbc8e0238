"""Tokens that admit to consoles: made, checked, expired, cleaned up."""

import hashlib
import json
import subprocess
import sys

import pytest

from computed import context
from computed import exception
from computed.db.cell import console_tokens
from computed.objects import console_token as token_obj
from computed.objects import instance as instance_obj
from computed.operations import build
from computed.operations import operation
from tests.functional import test_freeze
from tests.support import fixtures

UUID, HOST = fixtures.UUID, fixtures.HOST
PAST, FUTURE = '2020-01-01 00:00:00.000000', '2999-01-01 00:00:00.000000'
manage = test_freeze.manage


def put(pair, path, expires=FUTURE, count=1, host=HOST, uuid=UUID, first=0):
    for number in range(first, first + count):
        pair.sql(path, 'INSERT INTO console_tokens VALUES (?, ?, ?, ?)',
                 f'{number:064x}', uuid, host, expires)


def stored(pair, path=None):
    return [token for token, in pair.sql(
        path or pair.primary,
        'SELECT token_hash FROM console_tokens ORDER BY token_hash')]


def check(token='0', **kwargs):
    return token_obj.ConsoleToken.get_by_hash(
        context.new(), token.zfill(64), **kwargs)


def clean(manager):
    return manager._cleanup_expired_console_auth_tokens(context.new())


def verify(pair, token, *words):
    path = pair.folder / 'token'
    path.write_text(token)
    return manage(pair, 'console', 'verify', str(path), *words)


def test_a_token_is_printed_once_and_only_its_hash_is_kept(
        pair, manager, shared):
    status, said = manage(pair, 'instance', 'console-token', 'web')
    assert status == 0
    [token] = [line for line in said.splitlines() if ' ' not in line]
    assert 'It admits to the console of web until 2' in said
    assert len(token) >= 43
    assert stored(pair) == [hashlib.sha256(token.encode()).hexdigest()]
    assert token not in shared.program.output()
    status, said = verify(pair, f'{token}\n', '-f', 'json')
    assert status == 0
    assert json.loads(said).items() >= {
        'uuid': UUID, 'name': 'web', 'host': HOST}.items()
    piped = subprocess.run(
        [sys.executable, '-P', '-m', 'computed.cmd.manage', '--config-file',
         pair.folder / 'computed.conf', 'console', 'verify', '-c', 'name',
         '-f', 'value'], input=token, capture_output=True, text=True)
    assert piped.stdout == 'web\n', piped


@pytest.mark.parametrize('token', ['', 'x', '0' * 5000, '\0'])
def test_a_token_that_admits_nobody(pair, manager, token):
    status, said = verify(pair, token)
    assert status == 1 and 'The token admits to no console' in said
    assert 'Traceback' not in said


def test_a_file_that_cannot_be_read_is_one_line(pair, manager):
    status, said = manage(pair, 'console', 'verify', '/no/such/file')
    assert status == 1 and len(said.splitlines()) == 1
    assert '/no/such/file cannot be read: No such file' in said


def test_it_expires_by_the_clock_of_the_database(pair, manager):
    [(expires,)] = [pair.sql(
        pair.primary, "SELECT strftime('%s', expires) - strftime('%s', 'now')"
        ' FROM console_tokens') for _ in [token_obj.ConsoleToken.create(
            context.new(), UUID, 'a' * 64, 600)]]
    assert 590 <= expires[0] <= 600
    put(pair, pair.primary, PAST)
    assert check() is None
    assert check('a' * 64).uuid == UUID


def test_a_repeat_with_the_same_token_is_harmless(pair, manager):
    for ttl in (600, 1200):
        token_obj.ConsoleToken.create(context.new(), UUID, 'a' * 64, ttl)
    assert len(stored(pair)) == 1


@pytest.mark.parametrize('change, error', [
    ("deleted = 1, vm_state = 'deleted'", exception.InstanceNotFound),
    ('host = NULL', exception.InstanceUnplaced)])
def test_who_gets_no_token(pair, manager, change, error):
    put(pair, pair.primary)
    pair.sql(pair.primary, f'UPDATE instances SET {change}')
    with pytest.raises(error):
        token_obj.ConsoleToken.create(context.new(), UUID, 'a' * 64, 600)
    # Nor is a token good that was made before.
    assert check() is None


def test_a_replica_may_be_asked_and_is_not_by_default(pair, manager):
    put(pair, pair.replica)
    assert check() is None
    assert check(use_slave=False) is None


def test_a_deleted_instance_leaves_no_token(pair, manager):
    put(pair, pair.primary, count=3)
    put(pair, pair.primary, uuid=fixtures.SERVICE, first=7)
    operation.begin(manager, context.new(), build.DELETE, UUID)
    manager.workers.shutdown(wait=True)
    manager.calls.finish()
    assert stored(pair) == [f'{7:064x}']


def test_nor_one_that_is_deleted_without_its_host(pair, manager):
    put(pair, pair.primary)
    fixtures.silence(lambda text: pair.sql(pair.primary, text), HOST, 9999)
    instance_obj.Instance.delete_on_record(context.new(), UUID, HOST, True)
    assert stored(pair) == []


# -- the task

def test_nothing_expired_costs_the_primary_nothing(
        fresh, manager, pair, calls):
    for path in (pair.primary, pair.replica):
        put(pair, path)
    ctxt = context.new()
    manager._cleanup_expired_console_auth_tokens(ctxt)
    assert calls == ['get_expired']
    assert ctxt.reads.by_role == {'replica': 1}


def test_own_expired_tokens_go_in_batches(
        manager, pair, calls, monkeypatch):
    """The conductor deletes 1,000 at once."""
    put(pair, pair.primary, PAST, count=console_tokens.AT_ONCE + 1)
    put(pair, pair.replica, PAST)       # a test before may have it in use
    put(pair, pair.primary, PAST, host='h2', first=5000)
    put(pair, pair.primary, FUTURE, first=6000)
    assert clean(manager).recorded == console_tokens.AT_ONCE + 1
    assert calls == ['get_expired'] + 3 * ['delete_expired']
    assert stored(pair) == [f'{number:064x}' for number in (5000, 6000)]


def test_a_replica_that_lags_makes_it_late_only(fresh, manager, pair, calls):
    put(pair, pair.primary, PAST)
    assert clean(manager).recorded == 0         # it is not there yet
    put(pair, pair.replica, PAST)
    assert clean(manager).recorded == 1
    calls.clear()
    assert clean(manager).recorded == 0         # it is still there
    assert calls == ['get_expired', 'delete_expired']
    assert stored(pair) == []


def test_what_changes_after_the_look_is_judged_by_the_primary(
        manager, pair, monkeypatch):
    """No replica is needed for an old list."""
    put(pair, pair.primary, PAST)
    real = token_obj.ConsoleToken.get_expired

    def look(*args, **kwargs):
        found = real(*args, **kwargs)
        pair.sql(pair.primary, 'UPDATE console_tokens SET expires = ?',
                 FUTURE)
        return found
    monkeypatch.setattr(token_obj.ConsoleToken, 'get_expired', look)
    assert clean(manager).recorded == 0
    assert len(stored(pair)) == 1
