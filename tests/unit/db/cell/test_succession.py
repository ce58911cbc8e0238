"""Which run of a service may follow another one."""

import dataclasses

import pytest

from computed.db.cell import succession

FORMER = succession.Life('service', 'run 1', 'machine', '1:2', 100.0)
NEXT = dataclasses.replace(FORMER, boot_id='run 2', began=200.0)


def test_who_holds_the_same_lock_later_proves_that_the_former_has_ended():
    assert succession.follows(NEXT, FORMER)
    # Even if the file with the identity was lost.
    assert succession.follows(
        dataclasses.replace(NEXT, service_id='new'), FORMER)


def test_a_request_that_came_twice_changes_nothing():
    assert succession.follows(FORMER, FORMER)


@pytest.mark.parametrize('change', [
    {'host_boot_id': 'another machine'}, {'place': '1:3'}, {'place': ''},
    {'began': 50.0}], ids=str)
def test_a_copy_of_the_file_proves_nothing(change):
    assert not succession.follows(
        dataclasses.replace(NEXT, **change), FORMER)


def test_two_that_do_not_tell_their_place_prove_nothing():
    assert not succession.follows(dataclasses.replace(NEXT, place=''),
                                  dataclasses.replace(FORMER, place=''))


@pytest.mark.parametrize('silent, left', [(0, 60), (59, 1), (60, 0), (99, 0)])
def test_it_needs_the_whole_silence(silent, left):
    assert succession.left(silent, 60) == left
