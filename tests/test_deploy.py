"""The containers: what compose.yaml and the Dockerfiles say holds together, and is what the demo runs."""

import re
import shlex
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from spoton import demo

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILES = sorted((ROOT / "deploy").glob("Dockerfile.*"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
OWN = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
SECRETS = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "POSTGRES_PASSWORD", "ALLOWED_HOSTS")


def _instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Split a Dockerfile into (instruction, arguments), with continued lines joined."""
    lines = [line for line in dockerfile.read_text().splitlines() if line and not line.startswith("#")]
    words = [line.strip().split(maxsplit=1) for line in "\n".join(lines).replace("\\\n", " ").splitlines()]
    return [(instruction, arguments) for instruction, arguments in words]


def command_of(service: dict[str, Any]) -> list[str]:
    """Give what a service runs: its own command or its image's."""
    if "command" in service:
        return [str(word) for word in service["command"]]
    instructions = dict(_instructions(ROOT / service["build"]["dockerfile"]))
    command: list[str] = yaml.safe_load(instructions["CMD"])
    return command


def _is_pinned(image: str) -> bool:
    return re.search(r":v?\d+\.\d+", image) is not None


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfile_is_pinned_constrained_and_runs_as_nobody_special(dockerfile: Path):
    instructions = _instructions(dockerfile)
    images = [arguments.split()[0] for name, arguments in instructions if name == "FROM"]
    installs = [
        part
        for name, arguments in instructions
        for part in arguments.split("&&")
        if name == "RUN" and "pip install" in part
    ]
    final = dict(instructions)
    assert all(map(_is_pinned, images)), images
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in part for part in installs)
    assert final["USER"] == "10001"
    assert "HEALTHCHECK" in final
    assert "CMD" in final


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfile_copies_what_exists(dockerfile: Path):
    copies = [
        arguments.split()[:-1]
        for name, arguments in _instructions(dockerfile)
        if name == "COPY" and "--from" not in arguments
    ]
    assert [source for sources in copies for source in sources if not (ROOT / source).exists()] == []


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfile_installs_known_extras(dockerfile: Path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r'"\.\[([a-z,]+)\]"', dockerfile.read_text())
    extras = {extra for group in named for extra in group.split(",")}
    assert extras <= set(project["optional-dependencies"])


def test_image_holds_every_package_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = [name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]]
    others = ["pyproject.toml", "constraints.txt", "README.md", "LICENSE", "manage.py", "templates"]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == {*packages, *others}


def test_compose_images_are_pinned():
    images = {name: s["image"] for name, s in COMPOSE["services"].items() if name not in OWN}
    assert all(map(_is_pinned, images.values())), images


@pytest.mark.parametrize("name", OWN)
def test_compose_builds_from_a_dockerfile_that_exists(name: str):
    assert (ROOT / OWN[name]["build"]["dockerfile"]) in DOCKERFILES


@pytest.mark.parametrize("name", OWN)
def test_compose_runs_commands_that_exist(name: str):
    words = command_of(OWN[name])
    assert words[0] == "python"
    if words[1] == "manage.py":
        assert words[2] in get_commands()
    else:
        assert find_spec(words[2]) is not None


@pytest.mark.parametrize("name", OWN)
def test_compose_service_has_the_least_rights(name: str):
    assert OWN[name]["cap_drop"] == ["ALL"]
    assert OWN[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["web", "worker", "worker-cuda", "celery", "notifications", "beat"])
def test_compose_waits_for_migrations_and_restarts(name: str):
    assert OWN[name]["depends_on"] == {
        "migrate": {"condition": "service_completed_successfully"},
        "redis": {"condition": "service_healthy"},
    }
    assert OWN[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", [name for name in COMPOSE["services"] if name != "migrate"])
def test_compose_service_has_a_health_check(name: str):
    service = COMPOSE["services"][name]
    assert "healthcheck" in service or "HEALTHCHECK" in dict(
        _instructions(ROOT / service["build"]["dockerfile"])
    )


def test_compose_secrets_have_no_default():
    uses = re.findall(r"\$\{(\w+)([^}]*)\}", (ROOT / "deploy" / "compose.yaml").read_text())
    assert {name for name, _ in uses} >= set(SECRETS)
    assert [rest for name, rest in uses if name in SECRETS and not rest.startswith(":?")] == []


def test_compose_mounts_declared_volumes():
    mounts = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", [])]
    assert {mount.partition(":")[0] for mount in mounts} == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", ["web", "worker", "celery", "beat"])
def test_compose_runs_what_the_demo_runs(name: str):
    ours = shlex.split(demo.processes(port=8000, redis_at=None)[name])[2:]
    theirs = command_of(OWN[name])[1:]
    assert _essence(theirs) == _essence(ours)


def _essence(words: list[str]) -> set[str]:
    """Give what a command does, without where it listens and how much it logs."""
    text = re.sub(
        r"--(bind|port|verbosity|loglevel|pool|concurrency) \S+|--proxy-headers|-q ", "", " ".join(words)
    )
    return set(text.split())


def test_alerts_have_a_process_of_their_own():
    queues = [
        set(command_of(service)[command_of(service).index("-Q") + 1].split(","))
        for service in (OWN["celery"], OWN["notifications"])
    ]
    assert queues == [{"celery", "notifications"}, {"notifications"}]
    routes: dict[str, dict[str, str]] = settings.CELERY_TASK_ROUTES
    assert routes["tracking.notifications.tasks.*"] == {"queue": "notifications"}


def test_gpu_worker_is_only_started_when_asked_for():
    assert OWN["worker-cuda"]["profiles"] == ["gpu"]
    devices = OWN["worker-cuda"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
