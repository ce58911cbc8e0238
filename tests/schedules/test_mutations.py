"""The guards that can be removed still stand where ``mutations`` says."""

import pytest

from tests.schedules import changed
from tests.schedules import mutations
from tests.schedules import profiles


@pytest.mark.parametrize('name', mutations.ALL)
def test_the_guard_is_there(name):
    found = mutations.ALL[name]
    source = (changed.ROOT / found.file).read_text(encoding='utf-8')
    assert source.count(found.was) == 1
    compile(source.replace(found.was, found.becomes), found.file, 'exec')
    assert found.profile in profiles.PROFILES
    assert found.also is None or found.also in mutations.ALL
