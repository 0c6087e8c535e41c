"""Importing this makes Django ready, with the settings of the tests; import it before what needs models."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spoton.settings_test")
django.setup()
