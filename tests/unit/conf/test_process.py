import pytest

from computed.conf import process


@pytest.mark.parametrize('text', ['1000-1999', '7-7', '1-4294967294'])
def test_a_range_of_user_ids_is_its_text(text):
    assert process.UserIds()(text) == text


@pytest.mark.parametrize('text', [
    '', '5', '0-9', '9-1', '1-4294967295', '-5', 'a-b', '1-2-3'])
def test_what_is_no_range_of_user_ids_is_refused(text):
    with pytest.raises(ValueError):
        process.UserIds()(text)
