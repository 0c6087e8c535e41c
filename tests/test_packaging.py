"""What is installed: every version is pinned, the base is light, and nothing large is in the repository."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
BASE: list[str] = PYPROJECT["project"]["dependencies"]
PIN_LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
PINS: dict[str, str] = {
    canonicalize_name(name): version for name, _, version in (line.partition("==") for line in PIN_LINES)
}
HEAVY = {
    "torch",
    "torchvision",
    "ultralytics",
    "open-clip-torch",
    "faiss-cpu",
    "faiss-gpu-cu12",
    "cupy-cuda13x",
}
MAX_FILE_BYTES = 1_000_000


def _installed_closure(requirements: list[str]) -> dict[str, str]:
    """Follow requirements through what is installed; give the version of every distribution reached."""
    found: dict[str, str] = {}
    waiting = [(Requirement(text), frozenset[str]()) for text in requirements]
    while waiting:
        requirement, extras = waiting.pop()
        applies = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
        )
        name = canonicalize_name(requirement.name)
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            continue
        if not applies or (name in found and not requirement.extras):
            continue
        found[name] = dist.version
        waiting += [(Requirement(text), frozenset(requirement.extras)) for text in dist.requires or ()]
    return found


def test_constraints_are_exact_versions_without_addresses():
    assert [line for line in PIN_LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []
    assert len(PINS) == len(PIN_LINES)


@pytest.mark.parametrize("extra", ["base", *EXTRAS])
def test_constraints_pin_every_requirement(extra: str):
    requirements = [Requirement(text) for text in (BASE if extra == "base" else EXTRAS[extra])]
    wrong = [
        str(requirement)
        for requirement in requirements
        if not requirement.specifier.contains(
            Version(PINS.get(canonicalize_name(requirement.name), "0.dev0"))
        )
    ]
    assert wrong == []


def test_constraints_pin_what_is_installed():
    installed = _installed_closure([*BASE, *EXTRAS["models"], *EXTRAS["dev"]])
    assert {name: version for name, version in installed.items() if PINS.get(name) != version} == {}


def test_base_installs_nothing_heavy():
    assert set(_installed_closure(BASE)) & HEAVY == set()


def test_web_and_celery_load_nothing_heavy():
    code = "import spoton.asgi, spoton.celery, sys; spoton.celery.app.loader.import_default_modules(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"torch", "torchvision", "ultralytics", "open_clip", "faiss", "cupy"} & set(loaded) == set()


def test_makefile_checks_every_package():
    packages = [name.rstrip("*") for name in PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]]
    named = re.search(r"^PACKAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named is not None
    assert sorted(named[1].split()) == sorted(packages)


def test_changelog_begins_with_the_version():
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == PYPROJECT["project"]["version"]


def test_repository_holds_no_large_file_weights_or_footage():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert [path.name for path in files if path.stat().st_size > MAX_FILE_BYTES] == []
    assert [path.name for path in files if path.suffix in {".onnx", ".pt", ".engine", ".mp4", ".npy"}] == []
