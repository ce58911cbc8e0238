"""No name leads out of its folder."""

import pytest

from computed import files


@pytest.mark.parametrize('name', ['', '.', '..', '../a', 'a/b', '/a', 'a\0'])
def test_a_name_that_leads_elsewhere_makes_no_path(tmp_path, name):
    with pytest.raises(ValueError):
        files.below(tmp_path, name)
    with pytest.raises(ValueError):
        files.by_uuid(tmp_path, name)


def test_a_uuid_makes_a_path(tmp_path):
    uuid = '11111111-2222-4333-8444-555555555555'
    assert files.by_uuid(tmp_path, uuid, '.json') == str(
        tmp_path / f'{uuid}.json')
