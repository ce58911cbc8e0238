import pytest

from computed.virt.process import marks
from computed.virt.process import proc


def process(pid, parent=1, name='sleep', state='S', start_time=None):
    return proc.Stat(
        process=proc.Process(pid, start_time or pid * 10), name=name,
        parent=parent, state=state, threads=1, exit_status=0)


def chosen(shim, *others):
    table = {one.process.pid: one for one in others}
    return marks.choose_main(table.get, shim, list(others))


@pytest.mark.parametrize('name, pid', [
    ('shim-4194304', 4194304), ('shim-', 0), ('shim-x', 0), ('python3', 0),
    ('12', 0)])
def test_the_name_of_a_shim_tells_the_main_process(name, pid):
    assert marks.main_pid(name) == pid


def test_the_main_process_is_the_one_that_the_shim_names():
    shim = process(5, name='shim-7')
    assert chosen(shim, process(6, 5), process(7, 5)).process.pid == 7


@pytest.mark.parametrize('main', [
    process(7, parent=1), process(7, parent=5, state='Z')])
def test_a_main_process_that_ended_or_is_another_one_is_none(main):
    assert chosen(process(5, name='shim-7'), main) is None


def test_without_a_shim_the_oldest_process_is_the_main_one():
    assert chosen(None, process(9, start_time=2),
                  process(8, start_time=1)).process.pid == 8
    assert chosen(None) is None
