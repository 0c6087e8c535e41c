"""`python -m tests.benchmarks NAME ...`: makes Django ready, with the settings of the tests, and runs a benchmark."""

import os
import runpy
import sys

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spoton.settings_test")
    django.setup()
    name = sys.argv.pop(1)
    runpy.run_module(f"tests.benchmarks.{name}", run_name="__main__", alter_sys=True)
