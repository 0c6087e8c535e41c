"""Runs that are recorded and replayed: equal bit for bit, or told where they differ."""

from functools import partial
from itertools import count

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from gpuworker.pipeline import kalman
from gpuworker.pipeline.settings import PipelineSettings, SmoothingSettings, TrackerSettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Site, Zone
from gpuworker.recording import SUFFIX, RecordedPipeline, Recorder
from gpuworker.replay import Fed, ReplayError, replay
from tests.gpuworker.pipeline.staging import observe, state, yard
from tests.gpuworker.test_evaluate import write_scene

TICKS = 12
SQUARE = Zone("square", "polygon", np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 9.0], [0.0, 9.0]]))


def record(path, *, ticks=TICKS, **options):
    """Record two people who pass each other, with looks, a zone and settings that are not the usual ones."""
    site = Site(yard(), (SQUARE,))
    settings = PipelineSettings(smoothing=SmoothingSettings(0.4, 0.0), embeddings_per_tick=7)
    make = partial(Pipeline, detector=Fed(), embedder=None, site=site, settings=settings)
    recorder = Recorder(path, site=site, settings=settings, **options)
    pipeline = RecordedPipeline(make, count(500).__next__, count(70).__next__, recorder)
    looks, rng = np.eye(4)[:2], np.random.default_rng(5)
    results = [
        pipeline.follow(
            observe(yard(), state((2 + 0.4 * k, 4), (8 - 0.4 * k, 7)), k / 4, noise=rng, looks=looks)
        )
        for k in range(ticks)
    ]
    pipeline.finish()
    return recorder, results


def test_replay_of_a_run_is_equal_in_every_bit(tmp_path):
    _, results = record(tmp_path / "run")
    assert results[-1].people.track.tolist() == [500, 501]
    assert {event.kind for result in results for event in result.events} >= {"person_appeared", "zone_enter"}
    replayed = replay(tmp_path / "run")
    assert (replayed.ticks, replayed.seconds, replayed.is_whole) == (TICKS, (TICKS - 1) / 4, True)
    assert replayed.difference == ""
    assert (tmp_path / "run").stat().st_mode & 0o077 == 0


def test_replay_tells_the_first_tick_and_what_differs(tmp_path, monkeypatch, capsys):
    record(tmp_path / "run")
    exact, calls = kalman.predict, count()

    def off(mean, *rest):
        mean, covariance = exact(mean, *rest)
        return (np.nextafter(mean, np.inf) if next(calls) >= 4 else mean), covariance

    monkeypatch.setattr(kalman, "predict", off)
    with pytest.raises(CommandError, match=r"first in tick 5, .*: positions") as error:
        call_command("evaluate", replay=tmp_path / "run")
    assert error.value.returncode == 1
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_replay_tells_what_computed_it_when_that_was_something_else(tmp_path, monkeypatch):
    elsewhere = {"numpy": "0.1", "machine": "abacus"}
    monkeypatch.setattr("gpuworker.recording.computed_with", lambda: elsewhere)
    record(tmp_path / "run")
    monkeypatch.setattr(kalman, "predict", lambda mean, covariance, *_: (mean, covariance))
    assert "recorded with numpy 0.1, here " in replay(tmp_path / "run").difference


def test_replay_tells_of_numbers_that_nobody_took(tmp_path, monkeypatch):
    record(tmp_path / "run")
    shy = PipelineSettings(tracker=TrackerSettings(publish_logit=99.0))
    monkeypatch.setattr("gpuworker.replay._settings", lambda values: shy)
    assert "the numbers taken" in replay(tmp_path / "run").difference


def test_recording_that_is_full_is_closed_and_can_be_replayed(tmp_path, caplog):
    record(tmp_path / "whole")
    least = (tmp_path / "whole").stat().st_size // 2
    record(tmp_path / "run", max_bytes=least)
    assert (tmp_path / "run").stat().st_size <= least
    assert "is full after" in caplog.text
    replayed = replay(tmp_path / "run")
    assert 0 < replayed.ticks < TICKS
    assert (replayed.is_whole, replayed.difference) == (False, "")


def test_recordings_that_are_too_many_make_room(tmp_path):
    for name in ("1", "2", "3", "4"):
        record(tmp_path / f"{name}{SUFFIX}", ticks=1, keep=3)
    (tmp_path / "notes.txt").touch()
    assert sorted(path.stem for path in tmp_path.glob(f"*{SUFFIX}")) == ["2", "3", "4"]


def test_run_without_ticks_leaves_no_recording(tmp_path):
    record(tmp_path / "run", ticks=0)
    assert list(tmp_path.iterdir()) == []


def test_tracking_goes_on_where_nothing_can_be_recorded(tmp_path, caplog):
    (tmp_path / "file").touch()
    recorder, results = record(tmp_path / "file" / "run")
    assert len(results[-1].people) == 2
    assert "cannot be written" in recorder.failure
    assert caplog.text.count("nothing more is recorded") == 1


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_replay_of_a_recording_that_is_cut_off_ends_with_2_and_one_line(tmp_path, share):
    record(tmp_path / "run")
    data = (tmp_path / "run").read_bytes()
    (tmp_path / "run").write_bytes(data[: round(share * len(data))])
    with pytest.raises(CommandError, match=r"is cut off after \d+ ticks|is no recording") as error:
        call_command("evaluate", replay=tmp_path / "run")
    assert error.value.returncode == 2
    assert "\n" not in str(error.value)


def test_replay_of_any_damage_is_refused(tmp_path):
    record(tmp_path / "run", ticks=3)
    data, rng = (tmp_path / "run").read_bytes(), np.random.default_rng(1)
    for at in rng.integers(0, len(data), 200).tolist():
        spoilt = bytearray(data)
        spoilt[at] ^= 1 << rng.integers(8)
        (tmp_path / "run").write_bytes(spoilt)
        with pytest.raises(ReplayError) as error:
            replay(tmp_path / "run")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(("content", "message"), [(b"\0" * 99, "is no recording"), (None, "cannot be read")])
def test_replay_of_another_file_ends_with_2(tmp_path, content, message):
    if content:
        (tmp_path / "run").write_bytes(content)
    with pytest.raises(CommandError, match=message) as error:
        call_command("evaluate", replay=tmp_path / "run")
    assert error.value.returncode == 2


def test_replay_of_settings_that_are_not_known_any_more_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gpuworker.recording.asdict", lambda value: {"magic": 1})
    record(tmp_path / "run")
    with pytest.raises(ReplayError, match=r"of another version of SpotOn.*magic"):
        replay(tmp_path / "run")


def test_evaluate_records_a_scene_and_replays_it(tmp_path, capsys):
    call_command("evaluate", write_scene(tmp_path), record=tmp_path / "run")
    call_command("evaluate", replay=tmp_path / "run")
    assert f"{TICKS} ticks over 2.8 s: people, numbers, events" in capsys.readouterr().out


@pytest.mark.parametrize("options", [{"record": "x"}, {}, {"replay": "x"}])
def test_evaluate_without_scenes_or_with_both_ends_with_2(tmp_path, options):
    scenes = [tmp_path] if "replay" in options else []
    with pytest.raises(CommandError, match="expected scenes") as error:
        call_command("evaluate", *scenes, **options)
    assert error.value.returncode == 2


def test_evaluate_that_cannot_record_ends_with_2(tmp_path):
    with pytest.raises(CommandError, match="cannot be written") as error:
        call_command("evaluate", write_scene(tmp_path), record=tmp_path / "scene.json" / "run")
    assert error.value.returncode == 2
