import pytest

from computed.logs import outage


@pytest.fixture
def primary(minutes):
    return outage.Outage('db1 is away', 'db1 has been away for {seconds}',
                         'db1 answers again after {seconds}.')


def said(caplog):
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_an_outage_is_three_lines_and_one_more_each_minute(
        primary, minutes, caplog):
    for _ in range(128):
        primary.lasts('refused')
        minutes.now += 1
    assert primary.length() == 128
    primary.ends()
    assert said(caplog) == [
        'db1 is away: refused', 'db1 has been away for 60 s: refused',
        'db1 has been away for 120 s: refused',
        'db1 answers again after 128 s.']
    assert primary.length() is None
    primary.ends()
    assert said(caplog) == []


def test_what_goes_and_comes_is_told_once_a_minute(primary, minutes, caplog):
    for _ in range(120):
        primary.lasts('too many connections')
        minutes.now += 0.5
        primary.ends()
        minutes.now += 0.5
    assert said(caplog) == 2 * [
        'db1 is away: too many connections', 'db1 answers again after 0 s.']


def test_a_reason_may_have_braces(primary, caplog):
    primary.lasts('{x} %s')
    assert said(caplog) == ['db1 is away: {x} %s']
