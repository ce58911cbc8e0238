import datetime
import math

import pytest
import sqlalchemy as sa

from computed import exception
from computed.db.cell import bounds
from computed.db.cell import models
from computed.db.engine import dialects
from tests.support import fixtures

NOW = datetime.datetime(2026, 1, 1)


@pytest.mark.parametrize('column, value', [
    ('name', 'web'), ('name', 'ü' * 255), ('name', ''), ('host', None),
    ('command', 'x' * bounds.TEXT_BYTES), ('vcpus', 2 ** 31 - 1),
    ('vcpus', -2 ** 31), ('revision', 2 ** 63 - 1), ('exit_code', None),
    ('deleted', False), ('launched_at', NOW),
    ('updated_at', dialects.utcnow()), ('revision', models.Host.revision + 1)])
def test_what_fits_is_accepted(column, value):
    bounds.ensure_fit(models.Instance, {column: value})


@pytest.mark.parametrize('column, value, problem', [
    ('vcpus', 'abc', 'it is not a whole number'),
    ('vcpus', 1.5, 'it is not a whole number'),
    ('vcpus', True, 'it is not a whole number'),
    ('vcpus', None, 'it must have a value'),
    ('vcpus', 2 ** 31, 'it does not fit into 32 bits'),
    ('revision', 2 ** 63, 'it does not fit into 64 bits'),
    ('name', 7, 'it is not a text'),
    ('name', b'web', 'it is not a text'),
    ('name', 'x' * 256, 'it has more than 255 characters'),
    ('name', 'a\0b', 'it contains a NUL character'),
    ('name', '\ud800', 'it is not valid Unicode'),
    ('command', 'ü' * 40000, 'it has more than 65535 bytes'),
    ('uuid', '../service', 'it is not a uuid in lower case'),
    ('claim_id', fixtures.UUID.replace('-', '/'),
     'it is not a uuid in lower case'),
    ('claim_id', fixtures.UUID + ' ', 'it has more than 36 characters'),
    ('deleted', 'no', 'it is neither true nor false'),
    ('launched_at', 'yesterday', 'it is not a time'),
    ('colour', 'blue', 'there is no such column')])
def test_what_does_not_fit_is_refused_with_one_line(column, value, problem):
    with pytest.raises(exception.InvalidValue) as refused:
        bounds.ensure_fit(models.Instance, {'name': 'web', column: value})
    assert refused.value.kwargs['problem'] == problem
    said = str(refused.value)
    assert said.startswith(f'instances.{column} cannot be ')
    assert '\n' not in said and len(said) < 200


@pytest.mark.parametrize('values, problem', [
    ({'service_id': 'x'}, "services.service_id cannot be 'x': it is not a"),
    ({'boot_id': 'boot'}, 'services.boot_id cannot be'),
    ({'host_boot_id': 'boot'}, 'services.host_boot_id cannot be'),
    ({'version': '1\n2'}, 'a character that cannot be printed'),
    ({'version': '1' * 65}, 'more than 64 characters'),
    ({'place': '\x1b[2J'}, 'a character that cannot be printed')])
def test_what_a_service_says_of_itself_is_made_of_uuids_and_words(
        values, problem):
    with pytest.raises(exception.InvalidValue) as refused:
        bounds.ensure_fit(models.Service, values)
    assert problem in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_row_must_be_whole():
    whole = {'uuid': 'u', 'host': 'h', 'claim_id': 'c', 'claim_owner': 'o',
             'claimed_at': NOW}
    bounds.ensure_whole(models.GuestClaim, whole)
    del whole['host']
    with pytest.raises(exception.InvalidValue, match='guest_claims.host can'
                       'not be nothing: it must have a value'):
        bounds.ensure_whole(models.GuestClaim, whole)


@pytest.mark.parametrize('name', ['revision', 'claim_id', 'updated_at'])
def test_only_a_conductor_writes_what_tells_who_may_change_a_row(name):
    value = dialects.utcnow()
    bounds.ensure_fit(models.Instance, {name: value})
    with pytest.raises(exception.InvalidValue, match='it cannot be chosen'):
        bounds.ensure_may_write(models.Instance, {name: value})


def test_however_large_a_value_is_the_error_is_one_line():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, ['x' * 1000] * 1000, 10 ** 5000):
        with pytest.raises(exception.InvalidValue) as refused:
            bounds.ensure_fit(models.Instance, {'name': value})
        assert len(str(refused.value)) < 200


@pytest.mark.parametrize('value', [math.nan, math.inf, 10 ** 400, '2', None])
def test_a_ratio_is_a_finite_number_or_missing(value):
    problem = bounds.problem_of(
        models.ComputeNode.__table__.c.vcpus_allocation_ratio, value)
    assert (problem is None) == (value is None)


def test_every_column_has_a_type_that_is_checked():
    for table in models.Base.metadata.sorted_tables:
        for column in table.columns:
            assert isinstance(column.type, tuple(bounds.CHECKS)), column
            assert isinstance(bounds.problem_of(column, object()), str)


def test_a_column_of_another_type_is_not_forgotten():
    with pytest.raises(TypeError, match='nobody checks'):
        bounds.problem_of(sa.Column('x', sa.JSON), 1)
