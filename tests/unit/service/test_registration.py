"""What a refused registration means."""

from computed import exception
from computed.service import registration


def refusal(service='theirs', sign='run:7'):
    return exception.HostNotSilent(
        host='h', service=service, age=1.0, left=59.0, sign=sign)


def test_at_first_nobody_knows_whether_the_other_run_is_alive():
    first = refusal()
    assert registration.judged(first, 'ours', None) is first
    assert registration.judged(first, 'ours', 'run:7') is first


def test_another_service_that_is_heard_ends_this_one():
    found = registration.judged(refusal(sign='run:8'), 'ours', 'run:7')
    assert isinstance(found, exception.HostTaken)


def test_a_copy_waits_for_the_one_that_is_heard():
    found = registration.judged(
        refusal('ours', 'run:8'), 'ours', 'run:7')
    assert isinstance(found, exception.HostCopied)
    assert 'one of them is a copy' in str(found)
