"""The makers of rows."""

import pytest
from django.apps import apps

from tests import factories

FACTORIES = [
    value
    for name, value in vars(factories).items()
    if name.endswith("Factory") and value.__module__ == factories.__name__
]


@pytest.mark.django_db
@pytest.mark.parametrize("factory", FACTORIES)
def test_factory_makes_rows_that_are_valid(factory):
    first, second = factory(), factory()
    first.full_clean()
    assert type(first).objects.count() == 2
    assert first != second


def test_every_model_has_a_factory():
    models = {
        model
        for app in ("rest", "accounts", "environments", "calibrating", "tracking", "notifications")
        for model in apps.get_app_config(app).get_models()
    }
    assert {factory._meta.model for factory in FACTORIES} == models
