"""A password in a configuration that is wrong is not shown."""

import pytest
from oslo_config import cfg

from computed import exception
from computed.conf import shown
from computed.conf import validation


@pytest.mark.parametrize('text, problem', [
    ('[database]\nSECRET\n', 'line 2: No'),
    ('[database\nSECRET = 1\n', 'line 1: Invalid section'),
    ('transport_url = rabbit://u:SECRET@h/\n', 'line 1: Section must be')])
def test_a_line_that_cannot_be_read_is_not_quoted(tmp_path, text, problem):
    path = tmp_path / 'x.conf'
    path.write_text(text)
    with pytest.raises(cfg.Error) as refused:
        cfg.ConfigOpts()([], default_config_files=[str(path)])
    said = str(shown.explained(refused.value))
    assert said.startswith(f'--config-file = {path}: {problem}')
    assert 'SECRET' not in said


def test_other_errors_stay_as_they_are():
    error = cfg.ConfigFilesNotFoundError(['x'])
    assert shown.explained(error) is error


def test_the_value_of_a_secret_option_is_not_shown(tmp_path):
    path = tmp_path / 'x.conf'
    path.write_text('[DEFAULT]\npin = SECRET\n')
    conf = cfg.ConfigOpts()
    conf.register_opt(cfg.IntOpt('pin', secret=True))
    conf([], default_config_files=[str(path)])
    with pytest.raises(exception.ConfigError, match='pin = ') as refused:
        validation.read(conf, None, 'pin')
    assert 'SECRET' not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize('query, names', [
    ('', ''), ('a', '?a'), ('a=1&b=x=y', '?a&b'), ('SECRET', '?***'),
    ('SECRET=1&b', '?***&b')])
def test_of_a_query_only_the_known_names_are_shown(query, names):
    assert shown.names(query, ('a', 'b')) == names
