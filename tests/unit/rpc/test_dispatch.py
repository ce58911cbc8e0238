"""Which requests are carried out, and how the others are answered."""

import threading
import types
import typing

import oslo_messaging as messaging
import pytest

from computed import context
from computed import exception
from computed import metrics
from computed.objects import arguments
from computed.rpc import dispatch
from computed.rpc import endpoint
from computed.rpc import serializer
from computed.rpc import tickets

# As deep as the parser of JSON allows.
DEEP = []
for _ in range(900):
    DEEP = [DEEP]


class Row(typing.TypedDict):
    uuid: arguments.Uuid
    host: str | None
    more: typing.NotRequired[int]


ROW = {'uuid': '11111111-2222-4333-8444-555555555555', 'host': None}


class Endpoint:
    target = messaging.Target(version='1.1')

    def __init__(self):
        self.done = []

    @endpoint.exposed
    def name(self, context, uuid: str, count: int | None = None) -> str:
        self.done.append(uuid)
        return uuid

    @endpoint.exposed
    def size(self, context, size: float) -> None:
        self.done.append(size)

    @endpoint.exposed
    def rows(self, context, rows: typing.Annotated[
            list[Row], arguments.at_most(3)]) -> None:
        self.done.append(rows)

    @endpoint.exposed_act
    def stop(self, context, uuid: str) -> None:
        self.done.append(uuid)

    @endpoint.exposed
    def refuse(self, context) -> None:
        try:
            raise ZeroDivisionError
        except ZeroDivisionError as error:
            raise exception.HostNotFound(host='h1') from error

    @endpoint.exposed
    def fail(self, context) -> None:
        raise RuntimeError('a fault of ours')

    def hidden(self, context) -> None:
        self.done.append('hidden')


class Server:
    """A dispatcher, and what peers send to it."""

    def __init__(self):
        self.endpoint = Endpoint()
        self.dispatcher = dispatch.Dispatcher(
            [self.endpoint], serializer.Serializer())

    def ask(self, method, args=None, wanted=True, timeout=None, **message):
        """The reply; raises what the caller gets."""
        try:
            return self.dispatcher.dispatch(types.SimpleNamespace(
                ctxt=message.pop('ctxt', context.new().to_dict()),
                message={'method': method, 'args': args or {}, **message},
                client_timeout=timeout, is_given_up=lambda: not wanted))
        except messaging.ExpectedException as error:
            kind, value, traceback = error.exc_info
            assert kind is type(value) and traceback is None
            assert value.__cause__ is value.__context__ is None
            raise value from None


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def counted():
    """The value of a metric, counted from now on."""
    registry = metrics.Registry()
    former = metrics.use(registry)
    yield lambda name, **labels: registry.collectors.get_sample_value(
        f'computed_{name}_total', labels)
    metrics.use(former)


def test_a_request_that_nobody_waits_for_is_not_begun(server, counted):
    assert server.ask('name', {'uuid': 'u'}) == 'u'
    with pytest.raises(exception.RequestExpired, match='name'):
        server.ask('name', {'uuid': 'late'}, wanted=False)
    assert server.endpoint.done == ['u']
    assert counted('rpc_requests_expired', method='name') == 1


def test_work_begins_only_with_a_ticket_that_is_valid(server, counted):
    ticket = server.ask('get_ticket')
    server.ask('stop', {'uuid': 'u', 'ticket': tickets.limited(ticket, 60)})
    with pytest.raises(exception.RequestExpired):
        server.ask('stop', {'uuid': 'late',
                            'ticket': tickets.limited(ticket, 0)})
    with pytest.raises(exception.BadRequest, match='no ticket'):
        server.ask('stop', {'uuid': 'without'})
    assert server.endpoint.done == ['u']
    assert counted('rpc_requests_expired', method='stop') == 1


@pytest.mark.parametrize('request_, problem', [
    ({'method': None}, 'not a name'),
    ({'method': ['x'] * 1000}, 'not a name'),
    ({'method': DEEP}, 'not a name'),
    ({'method': 'x\n\x1b[2J'}, 'no such method'),
    ({'method': 'hidden'}, 'no such method'),
    ({'method': 'target'}, 'no such method'),
    ({'method': '__init__'}, 'no such method'),
    ({'method': 'name', 'args': ['u']}, 'no names'),
    ({'method': 'name', 'args': {}}, "'uuid'"),
    ({'method': 'name', 'args': {'uuid': 7}}, 'uuid is not str'),
    ({'method': 'name', 'args': {'uuid': 'u', 'more': 1}}, "'more'"),
    ({'method': 'name', 'args': {'uuid': 'u', 'count': 'x'}},
     r'count is not int \| None'),
    ({'method': 'name', 'args': {'uuid': 'u', 'count': True}}, 'count'),
    ({'method': 'name', 'args': {'uuid': {
        'computed_object.name': 7}}}, 'KeyError'),
    ({'method': 'name', 'args': {'uuid': '\ud800'}}, 'not valid Unicode'),
    ({'method': 'name', 'args': {'uuid': {'a': [['b\0']]}}}, 'a NUL'),
    ({'method': 'name', 'args': {'uuid': {'\udcff': 1}}}, 'Unicode'),
    ({'method': 'name', 'args': {'uuid': DEEP}}, 'nested too deeply'),
    ({'method': 'name', 'args': {'uuid': 'u', 'count': 2 ** 63}}, '64 bits'),
    ({'method': 'name', 'args': {'uuid': 'u', 'x' * 10 ** 6: 1}},
     'unexpected keyword'),
    ({'method': 'size', 'args': {'size': float('nan')}}, 'not finite'),
    ({'method': 'size', 'args': {'size': -10 ** 400}}, '64 bits'),
    ({'method': 'rows', 'args': {'rows': [{}]}}, r'rows\[0\] has no uuid'),
    ({'method': 'rows', 'args': {'rows': [7]}}, r'rows\[0\] is not an obj'),
    ({'method': 'rows', 'args': {'rows': [{**ROW, 'uuid': 'u'}]}},
     r'rows\[0\].uuid is not a uuid'),
    ({'method': 'rows', 'args': {'rows': [{**ROW, 'host': 7}]}},
     r'rows\[0\].host is not str \| None'),
    ({'method': 'rows', 'args': {'rows': [{**ROW, 'more': 'x'}]}},
     r'rows\[0\].more is not int'),
    ({'method': 'rows', 'args': {'rows': [ROW] * 4}}, 'more than 3 members'),
    ({'method': 'name', 'args': {'uuid': 'u'}, 'ctxt': {
        'request_id': '\ud800'}}, 'Unicode'),
    ({'method': 'name', 'args': {'uuid': 'u'}, 'ctxt': {'roles': DEEP}},
     'nested too deeply'),
    ({'method': 'stop', 'args': {'uuid': 'u', 'ticket': {
        'issued': 10 ** 400, 'valid_for': 1}}}, 'no ticket'),
    ({'method': 'name', 'args': {'uuid': 'u'}, 'version': '2.0'},
     'version 2.0 is not supported'),
    ({'method': 'name', 'args': {'uuid': 'u'}, 'version': 'x'},
     'not a number'),
    ({'method': 'name', 'args': {'uuid': 'u'}, 'version': '1.' + '9' * 9999},
     'not a number'),
    ({'method': 'name', 'args': {'uuid': 'u'}, 'namespace': {}},
     'namespace'),
    ({'method': 'name', 'args': {'uuid': 'u'}, 'ctxt': [7]}, 'Error'),
    ({'method': 'name', 'args': {'uuid': 'u'}, 'timeout': 'x'}, 'timeout'),
    ({'method': 'name', 'args': {'uuid': 'u'}, 'timeout': float('inf')},
     'timeout'),
])
def test_a_malformed_request_is_one_error_in_one_line(
        server, counted, caplog, request_, problem):
    with pytest.raises(exception.BadRequest, match=problem) as refused:
        server.ask(**request_)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 500
    assert server.endpoint.done == []
    assert counted('rpc_requests_refused') == 1
    said, = caplog.records
    assert said.exc_info is None and said.getMessage().isprintable()


def test_a_row_may_have_keys_of_a_newer_peer(server):
    server.ask('rows', {'rows': [ROW, {**ROW, 'more': 1, 'newer': [1]}]})
    assert len(server.endpoint.done) == 1


def test_none_of_them_leaves_a_thread(server):
    """The library starts one that would send signs of life for ever."""
    before = set(threading.enumerate())
    for request_ in ({'method': 'nothing'},
                     {'method': 'name', 'version': '2.0'}):
        with pytest.raises(exception.BadRequest):
            server.ask(timeout=1_000_000, **request_)
    assert not [thread for thread in set(threading.enumerate()) - before
                if '_watchdog' in thread.name]


def test_many_of_them_are_one_line_in_the_log(server, caplog):
    for _ in range(50):
        with pytest.raises(exception.BadRequest):
            server.ask('hidden')
    assert len(caplog.records) == 1


def test_our_errors_are_answers_and_other_errors_are_logged(server, caplog):
    with pytest.raises(exception.HostNotFound):
        server.ask('refuse')
    assert caplog.records == []
    for _ in range(3):
        with pytest.raises(exception.PeerFailed) as failed:
            server.ask('fail')
        # Its text may have an SQL statement with values of other users.
        assert str(failed.value) == (
            'fail failed at the other end: RuntimeError. The log there says '
            'more.')
    said, = caplog.records
    assert 'a fault of ours' in str(said.exc_info[1])
