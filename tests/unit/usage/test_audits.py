"""Which periods of accounting are due, and when."""

import datetime
import types

import pytest

from computed.conf import audit_period
from computed.usage import audits

TASK = '_instance_usage_audit'


def at(text):
    return datetime.datetime.fromisoformat(text).replace(
        tzinfo=datetime.UTC)


def known(*periods, state='done'):
    return [types.SimpleNamespace(
        period_beginning=at(begin), period_ending=at(end), state=state)
        for begin, end in periods]


def due(text, now, *rows):
    """The due periods of a host whose delay is the shortest."""
    return [tuple(f'{border:%m-%d %H:%M}' for border in when)
            for when in audits.due(audit_period.AuditPeriod()(text), at(now),
                                   rows, 'h1', TASK)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(audits.timetable, 'fraction', lambda *names: 0.0)


@pytest.mark.parametrize('now, wanted', [
    ('2026-05-06 07:01:01', [('05-06 06:00', '05-06 07:00')]),
    # Not all of the period is recorded yet.
    ('2026-05-06 07:01:00', [('05-06 05:00', '05-06 06:00')])])
def test_a_host_begins_with_the_last_period(now, wanted):
    assert due('hour', now) == wanted


def test_what_is_known_is_not_due():
    assert due('hour', '2026-05-06 07:30', *known(
        ('2026-05-06 06:00', '2026-05-06 07:00'))) == []


def test_what_was_begun_comes_first_however_old_it_is():
    assert due('hour', '2026-05-06 07:30', *known(
        ('2026-01-01 00:00', '2026-02-01 00:00'), state='running')) == [
            ('01-01 00:00', '02-01 00:00'), ('05-06 06:00', '05-06 07:00')]


def test_a_host_that_was_away_makes_up_for_what_it_missed():
    assert due('hour', '2026-05-06 07:30', *known(
        ('2026-05-06 03:00', '2026-05-06 04:00'),
        ('2026-05-06 02:00', '2026-05-06 03:00'))) == [
            ('05-06 04:00', '05-06 05:00'), ('05-06 05:00', '05-06 06:00'),
            ('05-06 06:00', '05-06 07:00')]


@pytest.mark.parametrize('begin, end', [
    # Too long ago; or the option has changed.
    ('2026-05-01 03:00', '2026-05-01 04:00'),
    ('2026-05-06 03:30', '2026-05-06 04:30')])
def test_a_host_that_cannot_begins_anew(begin, end):
    assert due('hour', '2026-05-06 07:30', *known((begin, end))) == [
        ('05-06 06:00', '05-06 07:00')]


def test_from_hours_to_days_and_back_no_time_is_left_out():
    day = known(('2026-05-05 00:00', '2026-05-06 00:00'))
    assert due('hour', '2026-05-06 02:30', *day) == [
        ('05-06 00:00', '05-06 01:00'), ('05-06 01:00', '05-06 02:00')]
    assert due('day', '2026-05-06 12:00', *known(
        ('2026-05-05 22:00', '2026-05-05 23:00'))) == [
            ('05-05 00:00', '05-06 00:00')]


@pytest.mark.parametrize('length, longest', [
    (3600, 1800), (24 * 3600, 3600), (31 * 24 * 3600, 3600)])
def test_hosts_do_not_begin_at_once(length, longest, monkeypatch):
    monkeypatch.undo()
    found = [audits.delay(f'h{number}', TASK, length)
             for number in range(200)]
    assert found == [audits.delay(f'h{number}', TASK, length)
                     for number in range(200)]
    assert audit_period.SETTLED <= min(found) < longest / 10
    assert longest * 0.9 < max(found) < longest
