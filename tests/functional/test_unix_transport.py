"""The unix:// driver below oslo.messaging's own servers and clients."""

import collections
import contextlib
import gc
import inspect
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
from concurrent import futures

import oslo_messaging
import pytest
from oslo_messaging._drivers import base
from oslo_serialization import jsonutils

from computed import concurrency
from computed import exception
from computed.rpc import errors
from computed.rpc.unix import budget as unix_budget
from computed.rpc.unix import driver as unix_driver
from computed.rpc.unix import links as unix_links
from computed.rpc.unix import peers as unix_peers
from computed.rpc.unix import wire as unix_wire
from tests.support import documents
from tests.support import fixtures
from tests.support import prefork
from tests.support import process_guests
from tests.support import unix_servers
from tests.support import waiting

NOBODY = 65534


def end(server):
    server.stop()
    server.wait()


@pytest.fixture(autouse=True)
def brisk_workers(monkeypatch):
    """Idle workers of a server notice within 20 ms that it ended, not 1 s."""
    monkeypatch.setattr('futurist._thread.ThreadWorker.MAX_IDLE_FOR', 0.02)


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path / 'rpc')


@pytest.fixture
def serve(directory):
    """Start a server in this process; returns it and its endpoint."""
    with contextlib.ExitStack() as stack:
        def start(name='one', topic='topic', where=None, pool=None):
            transport = unix_servers.new_transport(where or directory)
            stack.callback(transport.cleanup)
            endpoint = unix_servers.Endpoint(name)
            server = unix_servers.new_server(transport, name, endpoint, topic)
            server.start(override_pool_size=pool)
            stack.callback(end, server)
            stack.callback(endpoint.released.set)
            return server, endpoint
        yield start


@pytest.fixture
def spawn(directory):
    """Start a server in a process of its own; returns when it listens."""
    with contextlib.ExitStack() as stack:
        def start(name):
            process = prefork.start('tests.support.unix_servers', (
                directory, name), sys.stdout, sys.stderr)
            stack.callback(process.wait)
            stack.callback(process.kill)
            waiting.wait_for(lambda: any(
                f',{process.pid}-' in name for name in names(directory)))
            return process
        yield start


@pytest.fixture
def client(directory):
    transport = unix_servers.new_transport(directory)
    yield oslo_messaging.get_rpc_client(
        transport, oslo_messaging.Target(topic='topic'), timeout=20)
    transport.cleanup()


@pytest.fixture
def threads():
    with futures.ThreadPoolExecutor(16) as executor:
        yield executor


def names(directory):
    return os.listdir(directory) if os.path.exists(directory) else []


def connect(directory):
    """A connection to the only server, without our client's code."""
    name, = names(directory)
    fd = os.open(os.path.join(directory, name), os.O_PATH)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.connect(f'/proc/self/fd/{fd}')
    os.close(fd)
    return sock


def request(method, **args):
    return unix_wire.encode({'id': 'an-id', 'ctxt': {}, 'msg': {
        'method': method, 'args': args}})


def is_closed(sock):
    """Wait until the other side has closed."""
    try:
        return sock.recv(1) == b''
    except ConnectionResetError:
        return True


def opened():
    """What this process has open, with numbers; a socket by its inode."""
    found = collections.Counter()
    for fd in os.listdir('/proc/self/fd'):
        with contextlib.suppress(OSError):
            target = os.readlink(f'/proc/self/fd/{fd}')
            if target != f'/proc/{os.getpid()}/fd':     # the list itself
                found[target] += 1
    return found


def sockets():
    return {name for name in opened() if name.startswith('socket:')}


def described(name):
    """A socket with its address, if it has one; anything else as it is."""
    inode = name.removeprefix('socket:[').removesuffix(']')
    with open('/proc/net/unix') as lines:
        return ' '.join([name, *(line.split(inode, 1)[1].strip()
                                 for line in lines if f' {inode}' in line)])


def wait_until_closed(before):
    """Wait until all is closed that was not open ``before``.

    What earlier tests left open may be closed meanwhile.
    """
    stays = {}

    def is_closed():
        stays.clear()
        stays.update((described(name), number) for name, number in
                     (opened() - before).items())
        return not stays
    waiting.wait_for(is_closed, what=stays)     # shows what stays


def in_child(function):
    """Run ``function`` in a forked child; returns whether it held.

    A child that hangs is killed, and then it did not.
    """
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        held = False
        try:
            held = function()
        finally:
            os._exit(0 if held else 1)
    return os.waitpid(pid, 0)[1] == 0


# -- what a driver does

def test_the_library_still_asks_for_what_this_driver_gives():
    assert base.BaseDriver.__abstractmethods__ == {
        'send', 'send_notification', 'listen', 'listen_for_notifications',
        'cleanup'}
    assert base.RpcIncomingMessage.__abstractmethods__ == {
        'requeue', 'reply', 'heartbeat'}
    assert base.PollStyleListener.__abstractmethods__ == {'poll'}
    for method in ('send', 'listen', 'listen_for_notifications'):
        theirs, ours = (
            list(inspect.signature(getattr(cls, method)).parameters)
            for cls in (base.BaseDriver, unix_driver.UnixDriver))
        assert ours == theirs


def test_calls_spread_over_processes_and_reach_the_named_one(spawn, client):
    spawn('one')
    spawn('two')

    answers = collections.Counter(client.call({}, 'who') for _ in range(60))
    named = {client.prepare(server='two').call({}, 'who') for _ in range(20)}

    assert set(answers) == {'one', 'two'}
    assert min(answers.values()) > 10
    assert named == {'two'}


def test_a_fanout_reaches_every_server_and_a_cast_one(serve, client):
    seen = [serve(name)[1].seen for name in ('one', 'two', 'three')]

    client.prepare(fanout=True).cast({}, 'echo', value='all')
    waiting.wait_for(lambda: seen == [['all']] * 3)
    client.cast({}, 'echo', value='one')

    waiting.wait_for(lambda: sum(map(len, seen)) == 4)
    assert client.call({}, 'echo', value='after a cast') == 'after a cast'


def test_nobody_answers_a_cast(serve, directory):
    serve(pool=1)
    with connect(directory) as sock:
        sock.sendall(unix_wire.encode(
            {'ctxt': {}, 'msg': {'method': 'who', 'args': {}}}))
        sock.sendall(request('echo', value='call'))
        assert unix_wire.receive(sock)['result'] == 'call'


def test_topics_exchanges_and_odd_names_are_kept_apart(serve, client):
    serve('one', topic='topical')
    serve('o,n/e..', topic='topic')
    serve('o', topic='topic')

    assert client.prepare(server='o,n/e..').call({}, 'who') == 'o,n/e..'
    assert {client.prepare(server='o').call({}, 'who')
            for _ in range(20)} == {'o'}
    assert {client.call({}, 'who') for _ in range(20)} == {'o,n/e..', 'o'}
    with pytest.raises(oslo_messaging.MessageDeliveryFailure):
        client.prepare(exchange='other').call({}, 'who')


def test_a_call_that_takes_too_long_times_out(serve, client):
    serve()
    with pytest.raises(oslo_messaging.MessagingTimeout):
        client.prepare(timeout=0.2).call({}, 'hold')
    assert client.call({}, 'echo', value='next') == 'next'


def test_signs_of_life_keep_a_long_call_alive(
        serve, client, threads, monkeypatch):
    _, endpoint = serve()
    heartbeats = []
    heartbeat = unix_peers.Incoming.heartbeat

    def counted(incoming):
        heartbeat(incoming)
        heartbeats.append(incoming)
    monkeypatch.setattr(unix_peers.Incoming, 'heartbeat', counted)

    call = threads.submit(client.prepare(call_monitor_timeout=2).call, {},
                          'hold', value='long')
    waiting.wait_for(lambda: len(heartbeats) == 3)       # one a second
    endpoint.released.set()

    assert call.result(60) == 'long'


def test_a_server_without_a_sign_of_life_is_not_waited_for(spawn, client):
    process = spawn('one')
    client.call({}, 'who')
    process.send_signal(signal.SIGSTOP)
    with waiting.at_most(15), pytest.raises(oslo_messaging.MessagingTimeout):
        client.prepare(call_monitor_timeout=0.3).call({}, 'who')


def test_allowed_errors_keep_their_type_and_others_do_not(serve, client):
    serve()
    with pytest.raises(exception.InstanceNotFound) as caught:
        client.call({}, 'fail', module='computed')
    assert caught.value.kwargs == {'instance': 'i-1'}
    with pytest.raises(oslo_messaging.RemoteError, match='from elsewhere'):
        client.call({}, 'fail', module='subprocess')


def test_large_messages_pass_both_ways(serve, client):
    serve()
    assert len(client.call({}, 'blob', size=20 << 20)) == 20 << 20
    value = 'y' * (3 << 20)
    assert client.call({}, 'echo', value=value) == value


def test_what_cannot_be_sent_is_an_error_to_the_caller(
        serve, client, monkeypatch):
    _, endpoint = serve()
    monkeypatch.setattr(unix_wire, 'LIMIT', 100000)
    monkeypatch.setattr(unix_wire, 'REQUEST_LIMIT', 100000)
    with pytest.raises(exception.AnswerTooLarge, match='exceeds the limit'):
        client.call({}, 'blob', size=100001)
    with pytest.raises(oslo_messaging.MessageDeliveryFailure, match='limit'):
        client.call({}, 'echo', value='z' * 100001)
    assert endpoint.seen == []


def test_concurrent_calls_get_their_own_answers(spawn, client, threads):
    spawn('one')

    def calls(thread):
        return [client.call({}, 'echo', value=[thread, n]) == [thread, n]
                for n in range(50)]

    assert all(map(all, threads.map(calls, range(8))))


def test_requeue_and_notifications_are_refused(directory):
    transport = unix_servers.new_transport(directory)
    target = oslo_messaging.Target(topic='topic')
    with pytest.raises(NotImplementedError):
        transport._require_driver_features(requeue=True)
    with pytest.raises(NotImplementedError, match='no notifications'):
        transport._send_notification(target, {}, {}, 2.0)
    with pytest.raises(NotImplementedError, match='no notifications'):
        transport._listen_for_notifications([(target, 'info')], None, 1, None)


@pytest.mark.parametrize('url', [
    'unix://', 'unix:///', 'unix://host/run', 'unix:///run?mode=0700'])
def test_a_url_that_is_not_a_directory_is_refused(url):
    with pytest.raises(oslo_messaging.InvalidTransportURL,
                       match='write unix:///absolute/directory'):
        oslo_messaging.get_rpc_transport(unix_servers.new_conf(), url)


# -- files and users

def test_a_directory_may_be_deeper_than_a_socket_address(tmp_path):
    deep = tmp_path / ('d' * 120) / ('e' * 120)
    transport = unix_servers.new_transport(deep)
    server = unix_servers.new_server(transport, 'h' * 64,
                                     unix_servers.Endpoint())
    server.start()
    client = oslo_messaging.get_rpc_client(
        transport, oslo_messaging.Target(topic='topic'), timeout=10)

    assert client.call({}, 'who') == 'one'
    end(server)

    assert os.listdir(deep) == []
    transport.cleanup()


def test_only_a_server_makes_the_directory(serve, client, directory):
    with pytest.raises(oslo_messaging.MessageDeliveryFailure):
        client.call({}, 'who')
    assert not os.path.exists(directory)

    old = os.umask(0)
    try:
        serve()
    finally:
        os.umask(old)

    name, = names(directory)
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    assert stat.S_IMODE(
        os.stat(os.path.join(directory, name)).st_mode) == 0o600


# Sends one request to a socket in the current folder, and prints the reply.
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock, sock.makefile('rb') as replies:
    sock.connect(sys.argv[1])
    sock.sendall(bytes.fromhex(sys.argv[2]))
    print(replies.read(int.from_bytes(replies.read(4), 'big')).decode(),
          end='')
"""


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be others')
@pytest.mark.parametrize('server_uid, client_uid, served', [
    (0, 0, True), (0, NOBODY, False), (NOBODY, NOBODY, True),
    (NOBODY, 0, True), (NOBODY, NOBODY - 1, False)])
def test_only_root_and_the_same_user_are_served(
        serve, directory, monkeypatch, server_uid, client_uid, served):
    serve()
    name, = names(directory)
    os.chmod(os.path.join(directory, name), 0o666)
    os.chmod(directory, 0o755)
    monkeypatch.setattr(os, 'geteuid', lambda: server_uid)
    # No fork: threads of the server run in this process.
    asked = subprocess.run(
        [process_guests.PYTHON, '-I', '-c', ASK, name, request('who').hex()],
        user=client_uid, cwd=directory, capture_output=True, text=True)
    if served:
        assert jsonutils.loads(asked.stdout)['result'] == 'one', asked.stderr
    else:
        assert asked.stdout == '', asked.stdout
        assert re.search('^$|ConnectionReset|BrokenPipe', asked.stderr)


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be others')
def test_root_calls_the_servers_of_the_user_whose_folder_it_is(directory):
    path = os.path.join(directory, 'server')
    with listening(path, NOBODY):
        unix_links.Link(path, None).hang_up()
        os.chmod(directory, 0o777)
        with pytest.raises(PermissionError, match='belongs to user'):
            unix_links.Link(path, None)


@contextlib.contextmanager
def as_user(uid, act):
    """Run ``act(say)`` as a user in a child; yields what it says first."""
    ready, done = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            signal.alarm(60)
            os.setuid(uid)
            act(lambda text: os.write(done, text.encode()))
        finally:
            os._exit(1)
    os.close(done)
    try:
        yield os.read(ready, 1 << 16).decode()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)


@contextlib.contextmanager
def listening(path, uid):
    """A server of the user ``uid``, in a folder of that user alone."""
    folder, name = os.path.split(path)
    os.mkdir(folder, 0o700)
    os.chown(folder, uid, uid)
    descriptor = os.open(folder, os.O_PATH)

    def listen(say):
        os.fchdir(descriptor)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.bind(name)
            sock.listen()
            say('.')
            signal.pause()
    try:
        with as_user(uid, listen) as said:
            assert said == '.'
            yield
    finally:
        os.close(descriptor)


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be others')
@pytest.mark.parametrize('server, owner, client, said', [
    (0, 0, NOBODY, 'root, and this program runs as user nobody. Run commands '
     'as root, and'),
    (0, NOBODY, NOBODY, 'nobody, and its server runs as user root. Run '
     'commands as nobody or root, and'),
    (NOBODY, 0, 0, 'root, and its server runs as user nobody. Run commands '
     'as root, and')])
def test_who_may_not_use_the_sockets_is_told_whose_they_are(
        server_folder, server, owner, client, said):
    """As if systemd gave the folder to the user of another unit."""
    folder = server_folder / f'rpc-{server}-{owner}-{client}'
    target = oslo_messaging.Target(exchange='e', topic='topic')

    def call(say):
        caller = oslo_messaging.get_rpc_client(
            unix_servers.new_transport(folder), target, timeout=20)
        try:
            with errors.translated(
                    exception.ConductorUnavailable(url='x'), 'who', 20):
                caller.call({}, 'who')
        except exception.ComputedError as error:
            say(str(error))
    path = folder / unix_wire.socket_name('e', 'topic', 's')
    with listening(path, server):
        for given in (folder, path):
            os.chown(given, owner, owner)
        with as_user(client, call) as found:
            assert found.startswith(
                f'Permission denied at {folder}: it belongs to user {said}')
            assert '\n' not in found


# -- servers that are not there

@pytest.mark.parametrize('retry', [None, 0, 3])
@pytest.mark.parametrize('method', ['call', 'cast'])
def test_without_a_server_the_client_is_told_at_once(
        client, directory, method, retry):
    with waiting.at_most(5), pytest.raises(
            oslo_messaging.MessageDeliveryFailure, match='nothing was done'):
        getattr(client.prepare(retry=retry), method)({}, 'who')


def test_a_fanout_to_nobody_is_no_error(client):
    client.prepare(fanout=True).cast({}, 'who')


def test_whoever_meets_a_dead_servers_socket_removes_it(
        serve, client, spawn, directory):
    process = spawn('dead')
    process.kill()
    process.wait()
    stale, = names(directory)
    serve('alive')
    file = os.path.join(
        directory, unix_wire.socket_name('openstack', 'topic', 'file'))
    open(file, 'w').close()

    assert {client.call({}, 'who') for _ in range(30)} == {'alive'}

    assert stale not in names(directory)
    assert os.path.exists(file)         # not a socket: not ours to remove


def test_a_server_that_is_just_starting_is_left_alone(
        serve, client, monkeypatch):
    chmod, meddled = os.chmod, []

    def meddled_with(path, mode):       # it is bound, and does not listen
        with pytest.raises(oslo_messaging.MessageDeliveryFailure):
            client.call({}, 'who')
        meddled.append(path)
        chmod(path, mode)
    monkeypatch.setattr(os, 'chmod', meddled_with)

    serve()

    assert meddled
    assert client.call({}, 'who') == 'one'


def test_a_client_waits_for_a_server_whose_backlog_is_full(
        client, directory, threads):
    os.makedirs(directory, mode=0o700)
    inside = os.open(directory, os.O_PATH)
    name = unix_wire.socket_name('openstack', 'topic', 'full')
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(f'/proc/self/fd/{inside}/{name}')
        server.listen(0)
        with connect(directory):        # takes the only place
            with pytest.raises(oslo_messaging.MessageDeliveryFailure,
                               match='accepts no connection'):
                client.prepare(timeout=0.1).call({}, 'who')
            call = threads.submit(client.call, {}, 'who')
            server.accept()[0].close()
            with server.accept()[0] as sock:
                asked = unix_wire.receive(sock)
                sock.sendall(unix_wire.encode(
                    {'id': asked['id'], 'result': 'full'}))
                assert call.result(60) == 'full'
    os.close(inside)


def test_a_call_whose_server_is_killed_fails_at_once_and_is_not_repeated(
        spawn, client, threads, tmp_path):
    log = tmp_path / 'log'
    process = spawn('one')
    call = threads.submit(client.call, {}, 'note', path=str(log))
    waiting.wait_for(log.exists)
    spawn('two')
    process.kill()

    with pytest.raises(unix_driver.WentAway, match='may have been done'):
        call.result(60)
    assert log.read_text() == 'executed\n'
    assert isinstance(call.exception(),
                      oslo_messaging.MessageDeliveryFailure)


def test_an_idle_connection_to_a_server_that_restarted_is_not_used(
        spawn, client):
    process = spawn('one')
    assert client.call({}, 'echo', value=1) == 1
    process.kill()
    process.wait()
    spawn('one')
    assert client.call({}, 'echo', value=2) == 2


def test_a_connection_closed_since_the_look_at_it_is_replaced(
        serve, client, monkeypatch):
    server, endpoint = serve()
    client.call({}, 'echo', value=1)
    monkeypatch.setattr(unix_links.Link, 'is_usable', lambda link: True)
    for peer in list(server.listener._poll_style_listener._peers):
        peer.shut(socket.SHUT_RDWR)

    assert client.call({}, 'echo', value=2) == 2
    assert endpoint.seen == [1, 2]


def test_a_connection_with_something_left_on_it_is_not_used(serve, client):
    server, endpoint = serve()
    client.call({}, 'echo', value=1)
    for peer in list(server.listener._poll_style_listener._peers):
        peer._put(unix_wire.encode({'id': 'of another call'}))

    assert client.call({}, 'echo', value=2) == 2
    assert endpoint.seen == [1, 2]


def test_restarts_under_load_lose_and_repeat_nothing(serve, client, threads):
    stop = threading.Event()
    endpoints = []

    def calls(thread):
        done = []
        while not stop.is_set():
            value = [thread, len(done)]
            done.append(client.call({}, 'echo', value=value))
        return done

    server, endpoint = serve()
    load = [threads.submit(calls, thread) for thread in range(6)]
    for _ in range(8):
        endpoints.append(endpoint)
        successor, fresh = serve()
        waiting.wait_for(lambda: fresh.seen)    # noqa: B023
        end(server)
        server, endpoint = successor, fresh
    endpoints.append(endpoint)
    stop.set()

    answered = sum((caller.result(60) for caller in load), [])
    executed = sum((endpoint.seen for endpoint in endpoints), [])
    assert sorted(executed) == sorted(answered)


# -- clients that misbehave

@pytest.mark.parametrize('frame, complaint', [
    (b'\xff\xff\xff\xff', 'the limit is'),
    (struct.pack('!I', unix_wire.REQUEST_LIMIT + 1), 'the limit is'),
    (b'\0\0\0\4nope', 'Expecting'),
    (b'\0\0\0\2\xff\xfe', 'decode'),
    (b'\0\0\0\2[]', 'not a message'),
    (struct.pack('!I', 100000) + b'[' * 100000, 'nested'),
    (unix_wire.encode({'msg': {}}), "proper 'ctxt'"),
    (unix_wire.encode({'ctxt': {}, 'msg': {}, 'id': 3}), "proper 'id'")])
def test_a_bad_frame_ends_its_own_connection_only(
        serve, client, directory, caplog, frame, complaint):
    _, endpoint = serve()
    client.call({}, 'echo', value=1)
    with connect(directory) as good, connect(directory) as bad:
        bad.sendall(frame)
        assert is_closed(bad)
        good.sendall(request('echo', value=2))
        assert unix_wire.receive(good)['result'] == 2

    assert client.call({}, 'echo', value=3) == 3
    said, = [record.getMessage() for record in fixtures.complaints(caplog)]
    assert said.startswith('Closed the connection of process')
    assert complaint in said


def test_a_call_that_has_its_answer_sends_no_more_signs_of_life(
        serve, directory):
    """The library ends its thread only when a sign cannot be sent."""
    serve()
    before = set(threading.enumerate())
    with connect(directory) as sock:
        sock.sendall(unix_wire.encode({
            'id': 'an-id', 'ctxt': {}, 'timeout': 2,
            'msg': {'method': 'nothing', 'args': {}}}))
        assert unix_wire.receive(sock)['failure']
        waiting.wait_for(lambda: not [
            thread for thread in set(threading.enumerate()) - before
            if '_watchdog' in thread.name])
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)


def test_nor_one_whose_client_is_gone(serve, directory):
    server, endpoint = serve()
    before = set(threading.enumerate())
    with connect(directory) as sock:
        sock.sendall(unix_wire.encode({
            'id': 'an-id', 'ctxt': {}, 'timeout': 2,
            'msg': {'method': 'hold', 'args': {}}}))
        waiting.wait_for(lambda: endpoint.seen)
    waiting.wait_for(lambda: not [
        thread for thread in set(threading.enumerate()) - before
        if '_watchdog' in thread.name])


def test_a_frame_that_does_not_end_ends_its_connection(
        serve, client, directory, monkeypatch):
    monkeypatch.setattr(unix_wire, 'STUCK', 0.1)
    monkeypatch.setattr(unix_wire, 'FRAME', 0.5)
    serve()
    with connect(directory) as idle, connect(directory) as slow, \
            connect(directory) as slower:
        slow.sendall(b'\0')
        slower.sendall(request('who')[:-1])
        assert client.call({}, 'echo', value=1) == 1
        assert is_closed(slow)
        assert is_closed(slower)
        idle.sendall(request('who'))    # it had not begun one
        assert unix_wire.receive(idle)['result'] == 'one'


def test_one_client_more_than_a_server_takes_makes_an_idle_one_leave(
        serve, client, directory, monkeypatch):
    monkeypatch.setattr(unix_budget, 'PEERS', 3)
    server, endpoint = serve()
    peers = server.listener._poll_style_listener._peers
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connect(directory)) for _ in range(3)]
        waiting.wait_for(lambda: len(peers) == 3)
        crowd[0].sendall(request('hold', value=0))
        waiting.wait_for(lambda: endpoint.seen)
        for _ in range(9):
            crowd.append(stack.enter_context(connect(directory)))
            crowd[-1].sendall(request('who'))
            assert unix_wire.receive(crowd[-1])['result'] == 'one'
            assert len(peers) <= 3
        assert client.call({}, 'who') == 'one'
        endpoint.released.set()
        assert unix_wire.receive(crowd[0])['id'] == 'an-id'


def test_who_finds_a_server_full_of_busy_clients_waits(
        serve, client, directory, threads, monkeypatch):
    monkeypatch.setattr(unix_budget, 'PEERS', 2)
    server, endpoint = serve()
    holding = [threads.submit(client.call, {}, 'hold', value=n)
               for n in range(2)]
    waiting.wait_for(lambda: len(endpoint.seen) == 2)
    call = threads.submit(client.call, {}, 'echo', value='waits')
    with connect(directory) as crowd:   # until this one is in the queue too
        assert len(server.listener._poll_style_listener._peers) == 2
        assert endpoint.seen == [0, 1] or endpoint.seen == [1, 0]
        endpoint.released.set()
        assert call.result(60) == 'waits'
        crowd.sendall(request('who'))
        assert unix_wire.receive(crowd)['result'] == 'one'
    futures.wait(holding)


def test_requests_share_a_number_of_bytes(
        serve, client, threads, monkeypatch):
    monkeypatch.setattr(unix_budget, 'BYTES', 3 * unix_budget.LEAST)
    server, endpoint = serve()
    calls = [threads.submit(client.call, {}, 'hold', value=n)
             for n in range(8)]
    peers = server.listener._poll_style_listener._peers
    waiting.wait_for(lambda: len(peers) == 8 and len(endpoint.seen) == 3)
    assert not [call for call in calls if call.done()]
    endpoint.released.set()
    assert {call.result(60) for call in calls} == set(range(8))
    assert sorted(endpoint.seen) == list(range(8))


def test_a_client_in_mid_frame_blocks_nobody(serve, client, directory):
    server, endpoint = serve()
    with connect(directory) as slow:
        slow.sendall(request('echo', value=0)[:-1])
        assert client.call({}, 'echo', value=1) == 1
        end(server)
        assert is_closed(slow)
    assert endpoint.seen == [1]


def test_a_client_that_does_not_read_loses_its_connection(
        serve, client, directory, monkeypatch):
    monkeypatch.setattr(unix_wire, 'STUCK', 0.3)
    serve(pool=1)
    with connect(directory) as deaf:
        deaf.sendall(request('blob', size=8 << 20))
        # the only worker is busy with it, but not for long
        assert client.call({}, 'echo', value=1) == 1


def test_an_accept_that_fails_is_not_the_last(serve, client, monkeypatch):
    accept = socket.socket.accept
    failures = iter([OSError(24, 'Too many open files')] * 2)

    def failing(sock):
        for failure in failures:
            raise failure
        return accept(sock)
    monkeypatch.setattr(socket.socket, 'accept', failing)
    serve()
    assert client.call({}, 'who') == 'one'


# -- stop, fork, descriptors

def test_a_stopped_server_answers_what_it_has_and_takes_nothing_new(
        serve, client, threads, directory):
    server, endpoint = serve()
    with connect(directory) as idle:
        call = threads.submit(client.call, {}, 'hold', value='begun')
        waiting.wait_for(lambda: endpoint.seen)
        server.stop()

        assert names(directory) == []
        assert is_closed(idle)
        with pytest.raises(oslo_messaging.MessageDeliveryFailure):
            client.call({}, 'echo', value='new')

    endpoint.released.set()
    assert call.result(60) == 'begun'
    assert endpoint.seen == ['begun']


def test_a_request_sent_before_the_stop_is_still_answered(
        serve, directory, threads):
    server, endpoint = serve(pool=1)
    with connect(directory) as one, connect(directory) as two:
        one.sendall(request('hold', value=1))
        waiting.wait_for(lambda: endpoint.seen)
        two.sendall(request('hold', value=2))
        ended = threads.submit(end, server)
        waiting.wait_for(lambda: names(directory) == [])
        endpoint.released.set()

        assert unix_wire.receive(one)['result'] == 1
        assert unix_wire.receive(two)['result'] == 2
        assert is_closed(two)
    ended.result(60)


def test_who_waits_to_be_accepted_at_the_stop_is_still_answered(
        serve, directory, threads, monkeypatch):
    accept, gate = socket.socket.accept, threading.Event()

    def gated(sock):
        gate.wait(60)
        return accept(sock)
    monkeypatch.setattr(socket.socket, 'accept', gated)
    server, _ = serve()
    with connect(directory) as waits:
        waits.sendall(request('who'))
        ended = threads.submit(end, server)
        waiting.wait_for(lambda: names(directory) == [])
        gate.set()
        assert unix_wire.receive(waits)['result'] == 'one'
    ended.result(60)


# A program of its own: this process has threads of other tests, and what they
# lock at the instant of a fork stays locked in the child.
FORKS = """
from computed import concurrency
concurrency.choose()
import sys
from tests.functional import test_unix_transport
test_unix_transport.fork_amid_a_call(sys.argv[1])
"""


def fork_amid_a_call(directory):
    before = sockets()
    endpoint = unix_servers.Endpoint()
    server = unix_servers.new_server(
        unix_servers.new_transport(directory), 'one', endpoint)
    server.start()
    client = oslo_messaging.get_rpc_client(
        unix_servers.new_transport(directory),
        oslo_messaging.Target(topic='topic'), timeout=60)
    answers = []
    call = concurrency.thread('holds', lambda: answers.append(
        client.call({}, 'hold', value='meanwhile')))
    call.start()
    waiting.wait_for(lambda: endpoint.seen)
    client.call({}, 'who')
    ours = sockets() - before
    assert len(ours) == 5       # listening; both ends, used and unused

    assert in_child(lambda: not sockets() & ours)
    assert in_child(lambda: client.call({}, 'who') == 'one')

    endpoint.released.set()
    call.join(60)
    assert answers == ['meanwhile']
    assert client.call({}, 'who') == 'one'
    assert ours <= sockets()
    print('done', flush=True)
    os._exit(0)


def test_a_forked_child_has_none_of_its_parents_connections(directory):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', FORKS, directory],
        cwd=documents.ROOT, capture_output=True, text=True,
        timeout=100 * waiting.PATIENCE)
    assert done.stdout == 'done\n', done.stderr


def test_descriptors_do_not_leak_over_calls_and_restarts(
        directory, client, threads):
    def cycle():
        transport = unix_servers.new_transport(directory)
        server = unix_servers.new_server(transport, 'one',
                                         unix_servers.Endpoint())
        server.start()
        assert all(threads.map(
            lambda n: client.call({}, 'who') == 'one', range(40)))
        with pytest.raises(oslo_messaging.MessagingTimeout):
            client.prepare(timeout=0.01).call({}, 'blob', size=30 << 20)
        end(server)
        transport.cleanup()
        with pytest.raises(oslo_messaging.MessageDeliveryFailure):
            client.call({}, 'who')
        wait_until_closed(before)

    client.prepare(fanout=True).cast({}, 'who')
    gc.collect()
    before = opened()
    for _ in range(5):
        cycle()


def test_idle_connections_are_few(serve, client, threads, monkeypatch):
    monkeypatch.setattr(unix_links, 'IDLE', 2)
    server, endpoint = serve()
    calls = [threads.submit(client.call, {}, 'hold') for _ in range(8)]
    waiting.wait_for(lambda: len(endpoint.seen) == 8)
    peers = server.listener._poll_style_listener._peers
    assert len(peers) == 8

    endpoint.released.set()
    futures.wait(calls)

    waiting.wait_for(lambda: len(peers) == 2)


def test_cleanup_closes_the_clients_connections(serve, client, threads):
    server, endpoint = serve()
    client.call({}, 'who')
    call = threads.submit(client.call, {}, 'hold', value=1)
    waiting.wait_for(lambda: endpoint.seen)
    client.transport.cleanup()
    endpoint.released.set()

    assert call.result(60) == 1
    waiting.wait_for(
        lambda: not server.listener._poll_style_listener._peers)
