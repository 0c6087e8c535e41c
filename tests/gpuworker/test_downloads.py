import hashlib
import re
import shutil
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from gpuworker.downloads import DownloadError, fetch
from gpuworker.model_catalogue import CATALOGUE, CatalogueEntry
from tests.gpuworker.weights_server import weights_server

CONTENT = bytes(range(256)) * 8192  # 2 MiB: more than one piece


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with weights_server(CONTENT) as served:
        yield served


def entry(server, content=CONTENT):
    return CatalogueEntry(
        "mine", "onnx:weights.onnx", server.url, hashlib.sha256(content).hexdigest(), "Apache-2.0"
    )


def get(server, folder, content=CONTENT):
    steps = []
    fetched = fetch(entry(server, content), folder, progress=lambda had, whole: steps.append((had, whole)))
    return fetched, steps


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_fetch_downloads_and_checks(server, tmp_path):
    folder = tmp_path / "new" / "models"
    fetched, steps = get(server, folder)
    assert fetched
    assert (folder / "weights.onnx").read_bytes() == CONTENT
    assert files(folder) == ["weights.onnx"]
    assert steps[-1] == (len(CONTENT), len(CONTENT))


def test_fetch_leaves_a_good_file_alone(server, tmp_path):
    get(server, tmp_path)
    before = (tmp_path / "weights.onnx").stat().st_mtime_ns
    assert get(server, tmp_path) == (False, [])
    assert (tmp_path / "weights.onnx").stat().st_mtime_ns == before
    assert server.asked == [None]


def test_fetch_never_overwrites_another_file_of_that_name(server, tmp_path):
    (tmp_path / "weights.onnx").write_bytes(b"mine")
    with pytest.raises(DownloadError, match=r"is another file than the official one .* move it away"):
        get(server, tmp_path)
    assert (tmp_path / "weights.onnx").read_bytes() == b"mine"
    assert server.asked == []


def test_fetch_goes_on_where_the_connection_was_cut(server, tmp_path):
    server.cut_after = 700_000
    with pytest.raises(
        DownloadError, match=f"ended after 700000 of {len(CONTENT)} bytes: run the same command again"
    ):
        get(server, tmp_path)
    assert files(tmp_path) == ["weights.onnx.part"]
    server.cut_after = None
    assert get(server, tmp_path)[0]
    assert server.asked == [None, "bytes=700000-"]
    assert (tmp_path / "weights.onnx").read_bytes() == CONTENT
    assert files(tmp_path) == ["weights.onnx"]


def test_fetch_begins_again_where_the_server_does_not_resume(server, tmp_path):
    (tmp_path / "weights.onnx.part").write_bytes(CONTENT[:5])
    server.resumes = False
    assert get(server, tmp_path)[0]
    assert (tmp_path / "weights.onnx").read_bytes() == CONTENT


def test_fetch_takes_a_part_that_is_whole_already(server, tmp_path):
    (tmp_path / "weights.onnx.part").write_bytes(CONTENT)
    assert get(server, tmp_path)[0]
    assert files(tmp_path) == ["weights.onnx"]


@pytest.mark.parametrize("part", [b"", b"wrong begin"])
def test_fetch_keeps_nothing_of_another_checksum(server, tmp_path, part):
    if part:
        (tmp_path / "weights.onnx.part").write_bytes(part)
    wanted = CONTENT if part else b"other content"
    with pytest.raises(DownloadError, match=r"gave another file than the official one: .* nothing was kept"):
        get(server, tmp_path, wanted)
    assert files(tmp_path) == []


@pytest.mark.parametrize("status", [404, 403, 503])
def test_fetch_says_how_to_do_it_by_hand_where_the_server_refuses(server, tmp_path, status):
    server.status = status
    with pytest.raises(DownloadError) as error:
        get(server, tmp_path)
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert f"the server answers {status}" in str(error.value)
    assert f"put it at {tmp_path / 'weights.onnx'} (SHA-256 {digest})" in str(error.value)
    assert "\n" not in str(error.value)
    assert files(tmp_path) == []


def test_fetch_says_how_to_do_it_by_hand_without_a_network(server, tmp_path):
    entry_elsewhere = CatalogueEntry("mine", "x", "http://127.0.0.1:1/weights.onnx", "00", "MIT")
    with pytest.raises(DownloadError, match=r"cannot be reached \(.*refused\): set https_proxy where"):
        fetch(entry_elsewhere, tmp_path, progress=lambda had, whole: None)


def test_fetch_asks_the_proxy_of_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url.rpartition("/")[0])
    monkeypatch.delenv("no_proxy")
    beyond = CatalogueEntry(
        "mine", "x", "http://weights.invalid/weights.onnx", hashlib.sha256(CONTENT).hexdigest(), "MIT"
    )
    assert fetch(beyond, tmp_path, progress=lambda had, whole: None)
    assert (tmp_path / "weights.onnx").read_bytes() == CONTENT


def test_fetch_does_not_begin_where_there_is_no_room(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(DownloadError, match=r"has 1 MB left and weights\.onnx needs 2: make room"):
        get(server, tmp_path)
    assert files(tmp_path) == []


def test_fetch_says_when_the_folder_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DownloadError, match="cannot be written"):
        get(server, tmp_path / "file")


def test_the_catalogue_names_each_file_once_with_a_whole_checksum():
    assert len({e.name for e in CATALOGUE}) == len(CATALOGUE)
    assert len({e.file_name for e in CATALOGUE}) == len(CATALOGUE)
    assert [e.name for e in CATALOGUE if not re.fullmatch("[0-9a-f]{64}", e.sha256)] == []
    assert [e.name for e in CATALOGUE if not e.url.startswith("https://")] == []


def test_checksums_are_those_that_the_publishers_give():
    for one in CATALOGUE:
        if "pytorch.org" in one.url:  # torchvision: the first eight digits in the file's name
            assert one.file_name.rpartition("-")[2].removesuffix(".pth") == one.sha256[:8]
        if "/clip/" in one.url:
            assert one.sha256 in one.url


def command(*args):
    out = StringIO()
    call_command("fetch_models", *args, stdout=out)
    return out.getvalue()


def test_command_lists_what_there_is_with_licences(settings, tmp_path):
    settings.SPOTON_MODELS = tmp_path
    for shown in (command(), command("--list")):
        assert [line.split()[0] for line in shown.splitlines()[1:]] == [e.name for e in CATALOGUE]
        assert "AGPL-3.0" in shown
        assert str(tmp_path) in shown


def test_command_downloads_says_the_licence_and_how_to_use_it(server, settings, tmp_path, monkeypatch):
    settings.SPOTON_MODELS = tmp_path
    monkeypatch.setattr("gpuworker.management.commands.fetch_models.CATALOGUE", (entry(server),))
    said = command("mine")
    assert "licence Apache-2.0" in said
    assert "downloaded and checked; use it as onnx:weights.onnx" in said
    assert "is there already; use it as onnx:weights.onnx" in command("mine")
    assert "there" in command("--list").splitlines()[1]


def test_command_names_the_choices_and_ends_with_2(server, settings, tmp_path, monkeypatch):
    settings.SPOTON_MODELS = tmp_path
    monkeypatch.setattr("gpuworker.management.commands.fetch_models.CATALOGUE", (entry(server),))
    with pytest.raises(CommandError, match="no weights other: choose from mine") as error:
        command("mine", "other")
    assert error.value.returncode == 2
    assert server.asked == []
    server.status = 404
    with pytest.raises(CommandError, match="the server answers 404") as error:
        command("mine")
    assert error.value.returncode == 2
