import logging

from computed.periodic import waiting


def test_tasks_that_are_put_off_together_are_told_of_together(caplog):
    tasks = waiting.Waiting()
    with caplog.at_level(logging.INFO):
        for name in ('a', 'b', 'a', 'b'):
            tasks.lasts(name, 'the primary is away')
        for name in ('a', 'a', 'b', 'b'):
            tasks.ends(name)
    assert [record.getMessage() for record in caplog.records] == [
        'Periodic tasks are put off: a: the primary is away',
        'No periodic task is put off any more, after 0 s.']


def test_the_line_of_the_next_minute_names_all_of_them(caplog, monkeypatch):
    now = 1000.0
    monkeypatch.setattr('computed.clock.monotonic', lambda: now)
    tasks = waiting.Waiting()
    with caplog.at_level(logging.INFO):
        tasks.lasts('b', 'away')
        tasks.lasts('a', 'away')
        now += 61
        tasks.lasts('a', 'away')
    assert caplog.messages[1:] == [
        'Periodic tasks have been put off for 61 s: a, b: away']
