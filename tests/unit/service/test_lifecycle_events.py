"""A lifecycle event that cannot be handed on costs no later one."""

from computed.service import lifecycle_events
from tests.support.waiting import wait_for


def test_what_cannot_be_looked_at_now_ends_no_other_event(caplog):
    looked = []

    def look(uuid):
        if uuid == 'a':
            raise RuntimeError("can't start new thread")
        looked.append(uuid)
    found = lifecycle_events.LifecycleEvents(look, lambda: 0)
    found.start()
    found.note('a')
    wait_for(lambda: caplog.records)
    found.note('b')
    wait_for(lambda: looked == ['b'])
    found.stop()
