"""The limit of open files is raised, and the former one is known."""

import resource

from computed import files
from computed.files import descriptors
from tests.support import process_guests


def test_the_soft_limit_is_raised_as_far_as_it_goes():
    def raised():
        descriptors._given.clear()
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 4000))
        return [files.given_limit(), files.raise_limit(),
                files.raise_limit(), files.given_limit(),
                resource.getrlimit(resource.RLIMIT_NOFILE)]
    assert process_guests.in_a_fork(lambda: None, raised) == [
        100, 4000, 4000, 100, [4000, 4000]]
