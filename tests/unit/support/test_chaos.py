import itertools

from tests.chaos import plan

COUNTS = {'replica': 2, 'primary': 1, 'conductor': 2}


def test_a_seed_gives_the_same_faults_again():
    assert plan.drawn(7, 600, COUNTS) == plan.drawn(7, 600, COUNTS)
    assert plan.drawn(7, 600, COUNTS) != plan.drawn(8, 600, COUNTS)


def test_every_kind_of_fault_happens_to_every_part():
    faults = plan.drawn(1, 3600, COUNTS)
    assert {(fault.part, fault.kind) for fault in faults} == {
        (part, kind) for part, kinds in plan.KINDS.items() for kind in kinds}
    assert {fault.number for fault in faults
            if fault.part == 'replica'} == {0, 1}


def test_no_part_has_two_faults_at_once():
    faults = sorted(plan.drawn(3, 3600, COUNTS),
                    key=lambda fault: (fault.part, fault.number, fault.at))
    for first, second in itertools.pairwise(faults):
        if (first.part, first.number) == (second.part, second.number):
            assert first.at + first.lasts < second.at


def test_the_end_is_quiet():
    assert max(fault.at + fault.lasts
               for fault in plan.drawn(5, 120, COUNTS)) < 120
