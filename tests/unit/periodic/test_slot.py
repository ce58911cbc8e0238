from concurrent import futures

from computed.periodic import slot as task_slot
from computed.periodic import timetable
from computed.periodic import waiting


def slot():
    table = timetable.Timetable(0.25)
    table.start(1000, 100)
    return task_slot.Slot('_task', None, table, waiting.Waiting())


def test_a_run_is_overdue_from_its_deadline_on():
    one = slot()
    one.timetable.advance(1025)
    one.begin(1025, 0, thread=1)
    assert not one.overdue(1124) and one.overdue(1125)
    one.end(1126, 'ok', None, 0)
    assert not one.overdue(1126)


def test_waiting_too_long_for_a_thread_or_a_scheduler_is_overdue_too():
    one = slot()
    assert not one.overdue(1124) and one.overdue(1125)
    one.timetable.advance(1025)
    assert not one.overdue(1125)
    one.queued_at = 1025
    assert not one.overdue(1124) and one.overdue(1125)


def test_a_run_wants_a_look_at_its_deadline_until_that_was_said():
    one = slot()
    assert list(one.alarms()) == [1025]
    one.timetable.advance(1025)
    one.begin(1026, 0, thread=1)
    assert list(one.alarms()) == [1125, 1126]
    one.run.late = True
    assert list(one.alarms()) == [1125]


def test_a_run_answers_all_who_asked_but_those_who_gave_up():
    one = slot()
    first, second, gone = (futures.Future() for _ in range(3))
    one.requests = [(first, None), (second, 5), (gone, 9)]
    gone.cancel()
    run = one.begin(1025, 0, thread=1)
    assert run.futures == [first, second]
    assert run.accept == 5
    assert one.requests == []


def test_ends_are_counted_by_how_they_were():
    one = slot()
    for outcome in ('ok', 'error', 'put_off', 'error'):
        one.begin(1025, 0, thread=1)
        one.end(1026, outcome, 5, 0)
    assert (one.runs, one.failures, one.timetable.failures) == (4, 2, 2)
