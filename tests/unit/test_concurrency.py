"""The makers of threads, and finding out where a thread is."""

import threading

from computed import concurrency


def test_a_thread_is_named_and_does_not_hold_the_process():
    found = []
    thread = concurrency.thread('worker', found.append, 7)
    assert (thread.name, thread.daemon, thread.is_alive()) == (
        'worker', True, False)
    thread.start()
    thread.join(60)
    assert found == [7]


def test_a_pool_runs_so_many_at_once():
    with concurrency.executor('pool', 2) as pool:
        barrier = threading.Barrier(2)
        both = [pool.submit(barrier.wait, 10) for _ in range(2)]
        assert sorted(one.result(60) for one in both) == [0, 1]
        name = pool.submit(lambda: threading.current_thread().name)
        assert name.result(60).startswith('pool')


def test_where_a_thread_is_can_be_found():
    begun, go_on = threading.Event(), threading.Event()
    idents = []

    def waiting_here():
        idents.append(threading.get_ident())
        begun.set()
        go_on.wait(60)
    thread = concurrency.thread('waiting', waiting_here)
    thread.start()
    assert begun.wait(60)
    frame = concurrency.frame_of(idents[0])
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    assert 'waiting_here' in names
    go_on.set()
    thread.join(60)


def test_the_backend_is_chosen_once():
    chosen = concurrency.chosen()
    assert chosen in concurrency.BACKENDS
    concurrency.choose(['--config-file', '/none'])
    assert concurrency.chosen() == chosen
