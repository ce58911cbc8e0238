import pytest

from computed.virt.process import proc

# As in /proc, with a name that looks like more fields.
LINE = ('4242 (a) S 1 (x) T 4100 4242 4242 0 -1 4194560 100 0 0 0 1 2 0 0 20 '
        '0 3 0 987654 4096 50 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 '
        '17 1 0 0 0 0 0 0 0 0 0 0 0 0 2304\n')


def stat(pid, parent, state='S'):
    return proc.Stat(process=proc.Process(pid, pid * 10), parent=parent,
                     state=state, threads=1, exit_status=0)


def test_a_name_may_contain_brackets_and_blanks():
    assert proc.parse_stat(LINE) == proc.Stat(
        process=proc.Process(pid=4242, start_time=987654), parent=4100,
        state='T', threads=3, exit_status=2304, name='a) S 1 (x')


@pytest.mark.parametrize('letter, threads, ended', [
    ('S', 1, False), ('T', 1, False), ('Z', 1, True), ('X', 0, True),
    ('Z', 2, False)])
def test_a_process_has_ended_when_its_last_thread_has(letter, threads, ended):
    assert proc.Stat(process=proc.Process(1, 1), parent=0, state=letter,
                     threads=threads, exit_status=0).ended is ended


def test_descendants_are_found_at_any_depth():
    table = {one.process.pid: one for one in (
        stat(1, 0), stat(10, 1), stat(11, 10), stat(12, 11), stat(20, 1),
        stat(21, 20))}
    assert proc.descendants(table, {10}) == {10, 11, 12}
    assert proc.descendants(table, {11, 21}) == {11, 12, 21}
    assert proc.descendants(table, {99}) == set()


def test_a_circle_of_parents_ends_the_search():
    table = {1: stat(1, 2), 2: stat(2, 1)}
    assert proc.descendants(table, {1}) == {1, 2}
