import datetime

import pytest
from oslo_config import cfg

from computed.conf import audit_period

PARSE = audit_period.AuditPeriod()


def at(text):
    return datetime.datetime.fromisoformat(text).replace(
        tzinfo=datetime.UTC)


@pytest.mark.parametrize('text, now, begin, end', [
    ('hour', '2026-05-06 07:08:09', '2026-05-06 06:00', '2026-05-06 07:00'),
    ('hour@8', '2026-05-06 07:08:09', '2026-05-06 06:08',
     '2026-05-06 07:08'),
    ('hour@9', '2026-05-06 07:08:09', '2026-05-06 05:09',
     '2026-05-06 06:09'),
    ('hour@30', '2026-01-01 00:10', '2025-12-31 22:30', '2025-12-31 23:30'),
    ('day', '2026-05-06 07:08', '2026-05-05 00:00', '2026-05-06 00:00'),
    ('day@8', '2026-05-06 07:08', '2026-05-04 08:00', '2026-05-05 08:00'),
    ('day', '2028-03-01 00:01', '2028-02-29 00:00', '2028-03-01 00:00'),
    ('day@12', '2028-03-01 00:01', '2028-02-28 12:00', '2028-02-29 12:00'),
    ('month', '2026-05-06 07:08', '2026-04-01 00:00', '2026-05-01 00:00'),
    ('month@0', '2026-01-31 23:59', '2025-12-01 00:00', '2026-01-01 00:00'),
    ('month@7', '2026-05-06 07:08', '2026-03-07 00:00', '2026-04-07 00:00'),
    ('month@28', '2026-03-01 00:00', '2026-01-28 00:00',
     '2026-02-28 00:00'),
    ('month', '2028-02-29 12:00', '2028-01-01 00:00', '2028-02-01 00:00'),
    ('year', '2028-02-29 12:00', '2027-01-01 00:00', '2028-01-01 00:00'),
    ('year@0', '2026-05-06 07:08', '2025-01-01 00:00', '2026-01-01 00:00'),
    ('year@6', '2026-05-06 07:08', '2024-06-01 00:00', '2025-06-01 00:00'),
])
def test_the_last_completed_period(text, now, begin, end):
    assert PARSE(text).last_completed(at(now)) == (
        at(begin), at(end))


@pytest.mark.parametrize('text, border, before', [
    ('hour@5', '2026-05-06 07:05', '2026-05-06 06:05'),
    ('day', '2026-03-01 00:00', '2026-02-28 00:00'),
    ('month', '2026-01-01 00:00', '2025-12-01 00:00'),
    ('month@28', '2026-03-28 00:00', '2026-02-28 00:00'),
    ('year@3', '2026-03-01 00:00', '2025-03-01 00:00'),
])
def test_at_the_very_border_the_period_before_it_counts(
        text, border, before):
    period, tick = PARSE(text), datetime.timedelta(microseconds=1)
    assert period.last_completed(at(border))[1] == at(before)
    assert period.last_completed(at(border) + tick) == (
        at(before), at(border))


@pytest.mark.parametrize('text, remedy', [
    ('hour@60', 'a minute; write hour@59 at most'),
    ('day@24', 'an hour; write day@23 at most'),
    ('month@29', 'a day; write month@28 at most'),
    ('year@13', 'a month; write year@12 at most'),
    ('week', 'write hour, day'), ('month@', 'write hour, day'),
    ('@3', 'write hour, day'), ('hour@-1', 'write hour, day')])
def test_what_is_no_period_is_refused(text, remedy):
    with pytest.raises(ValueError, match=remedy):
        PARSE(text)


def test_an_option_of_this_type_is_read_as_a_period():
    conf = cfg.ConfigOpts()
    conf.register_opt(cfg.Opt('counted', type=PARSE, default='month'))
    conf([])
    assert conf.counted == audit_period.Period('month', 1)
    conf.set_override('counted', 'day@6')
    assert conf.counted == audit_period.Period('day', 6)
    with pytest.raises(ValueError, match='write day@23 at most'):
        conf.set_override('counted', 'day@24')
