import pytest
from oslo_config import cfg
from oslo_log import log as logging

from computed import conf as computed_conf
from computed import exception
from computed.conf import validation
from computed.rpc import options


@pytest.fixture
def configured(tmp_path):
    """A function that makes a ConfigOpts of a file's text."""
    def make(text=''):
        path = tmp_path / 'computed.conf'
        path.write_text(text)
        conf = cfg.ConfigOpts()
        logging.register_options(conf)
        computed_conf.register_opts(conf)
        options.register_opts(conf)
        conf(['--config-file', str(path)])
        return conf
    return make


def refusal(conf):
    with pytest.raises(exception.ConfigError) as caught:
        validation.check(conf)
    return str(caught.value)


def test_the_defaults_are_accepted(configured):
    validation.check(configured())


def test_a_negative_interval_is_told_that_0_turns_it_off(configured):
    said = refusal(configured('[tasks]\nsync_power_state_interval = -1'))
    assert '[tasks] sync_power_state_interval = -1' in said
    assert 'Write 0 to turn it off.' in said


def test_every_interval_is_checked_also_those_of_later_tasks(configured):
    conf = configured('[tasks]\nmy_own_interval = -1')
    conf.register_opt(cfg.IntOpt('my_own_interval'), group='tasks')
    assert '[tasks] my_own_interval = -1' in refusal(conf)


def test_an_interval_may_be_unset(configured):
    conf = configured()
    conf.register_opt(cfg.IntOpt('my_own_interval'), group='tasks')
    validation.check(conf)


def test_an_interval_of_0_is_accepted(configured):
    validation.check(configured('[tasks]\nsync_power_state_interval = 0'))


@pytest.mark.parametrize('down_time, accepted', [
    (29, False), (30, False), (31, True)])
def test_a_host_must_be_silent_for_longer_than_it_always_is(
        configured, down_time, accepted):
    conf = configured('[DEFAULT]\nreport_interval = 30\n'
                      f'service_down_time = {down_time}')
    if accepted:
        validation.check(conf)
    else:
        said = refusal(conf)
        assert f'[DEFAULT] service_down_time = {down_time}' in said
        assert 'report_interval' in said


@pytest.mark.parametrize('text, said', [
    ('[DEFAULT]\nreport_interval = often',
     '[DEFAULT] report_interval = often: '),
    ('[database]\nmax_replica_lag = -3',
     '[database] max_replica_lag = -3: '),
    ('[tasks]\nsync_power_state_mode = maybe',
     '[tasks] sync_power_state_mode = maybe: '),
    ('[virt]\nshutdown_timeout =\n x',
     '[virt] shutdown_timeout = '),
    ('[DEFAULT]\nreport_interval = 2.5',
     'report_interval = 2.5: not a whole number. '),
    ('[database]\nmax_replica_lag = soon', 'soon: not a number. '),
    ('[DEFAULT]\nperiodic_fuzzy_delay = 99999999999',
     'periodic_fuzzy_delay = 99999999999: larger than 2147483647'),
    ('[database]\nresync_window = inf', 'resync_window = inf: not a finite'),
    ('[database]\nresync_window = 1e30', 'resync_window = 1e+30: larger'),
    ('[DEFAULT]\nreport_interval =', 'report_interval = : it is empty. '),
    ('[database]\nmax_replica_lag =\n', 'max_replica_lag = : it is empty. '),
    ('[tasks]\nsync_power_state_interval =', 'interval = : it is empty. '),
    ('[DEFAULT]\nrpc_response_timeout =', 'timeout = : it is empty. '),
    ('[oslo_messaging_rabbit]\nrpc_conn_pool_size =', 'it is empty. '),
    ('[DEFAULT]\nstate_path =', '[DEFAULT] state_path = : it is empty. '),
])
def test_what_no_option_can_be_is_named_with_its_group_and_text(
        configured, text, said):
    assert said in refusal(configured(text))


@pytest.mark.parametrize('value', ['nan', '-nan'])
def test_a_float_must_be_a_number(configured, value):
    said = refusal(configured(f'[compute]\ncpu_allocation_ratio = {value}'))
    assert '[compute] cpu_allocation_ratio = nan: not a finite' in said


def test_a_bad_value_from_the_environment_is_named_too(
        configured, monkeypatch):
    monkeypatch.setenv('OS_DEFAULT__REPORT_INTERVAL', 'seldom')
    assert '[DEFAULT] report_interval = seldom' in refusal(configured())


def test_a_dollar_sign_in_a_password_is_explained_and_not_shown(configured):
    said = refusal(configured(
        '[database]\nreplica_connections = mysql://u:sec$ret@host/db'))
    assert '[database] replica_connections' in said
    assert '$$' in said
    assert 'sec' not in said.replace('seconds', '')


def test_a_refusal_is_one_line(configured):
    assert '\n' not in refusal(
        configured('[tasks]\nsync_power_state_interval = -1'))


@pytest.mark.parametrize('text', [
    'hour@60', 'day@24', 'month@29', 'year@13', 'week', 'month@', 'day@-1',
    'month@1.5', 'Month', ''])
def test_a_period_that_does_not_exist_is_refused(configured, text):
    said = refusal(configured(
        f'[tasks]\ninstance_usage_audit_period = {text}'))
    assert f'[tasks] instance_usage_audit_period = {text}: ' in said


@pytest.mark.parametrize('text', ['hour@59', 'day@23', 'month@28', 'year@12'])
def test_the_last_periods_there_are_are_accepted(configured, text):
    validation.check(configured(
        f'[tasks]\ninstance_usage_audit_period = {text}'))


@pytest.mark.parametrize('text, said', [
    ('default_log_levels = amqp=ERROR,kombu',
     '[DEFAULT] default_log_levels = kombu: '),
    ('default_log_levels = amqp=LOUD', 'default_log_levels = amqp=LOUD: '),
    ('executor_thread_pool_size = 0',
     '[DEFAULT] executor_thread_pool_size = 0: '),
    ('[oslo_messaging_rabbit]\nuse_queue_manager = true',
     '[oslo_messaging_rabbit] use_queue_manager = True: it needs '
     '[oslo_concurrency] lock_path'),
])
def test_what_a_library_would_find_out_too_late(configured, text, said):
    conf = configured(f'[DEFAULT]\n{text}')
    assert said in refusal(conf)


@pytest.mark.parametrize('level', ['DEBUG', 'WARN', '15'])
def test_the_levels_that_logs_have_are_accepted(configured, level):
    conf = configured(f'[DEFAULT]\ndefault_log_levels = amqp={level}')
    validation.check(conf)


def test_a_queue_manager_with_its_path_is_accepted(configured, tmp_path):
    validation.check(configured(
        '[oslo_messaging_rabbit]\nuse_queue_manager = true\n'
        f'[oslo_concurrency]\nlock_path = {tmp_path}'))
