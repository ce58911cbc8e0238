from computed import context
from computed.db.cell import models
from computed.db.cell.claims import claimed
from computed.objects import grant
from tests.support import deployment as fake


def test_every_kind_that_can_be_claimed_has_a_field():
    assert grant.KINDS.keys() == claimed.KINDS.keys()
    for field, _ in grant.KINDS.values():
        assert field in grant.Grant.fields


def test_rows_come_in_the_field_of_their_kind_without_those_that_are_lost():
    instance = fake.instance()
    row = models.Instance(**{
        name: getattr(instance, name) for name in instance.fields
        if instance.obj_attr_is_set(name)})
    made = grant.Grant._of(
        context.new(), [('instance', None), ('instance', row)])
    assert [one.uuid for one in made.instances] == [instance.uuid]
    assert made.revision is None


def test_a_claim_has_the_rows_of_every_kind():
    instance = fake.instance()
    made = grant.Grant(instances=[instance], revision=None)
    assert made.rows == [instance]
