"""``manage.py evaluate``: run the live pipeline over scene folders, print a table and the protocol.

With ``--replay`` a recorded run is run again instead, and compared.
"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from gpuworker.backends import BackendError, make_detector, make_embedder
from gpuworker.evaluation import Evaluation, evaluate_scene, site_of
from gpuworker.path_scoring import PROTOCOL as PATHS_PROTOCOL
from gpuworker.recording import RecordingError
from gpuworker.replay import ReplayError, replay
from gpuworker.scenes import Scene, SceneError, read_scene
from gpuworker.scoring import PROTOCOL

HEADINGS = (
    "scene",
    "idf1",
    "mota",
    "motp_m",
    "hota",
    "moda",
    "recall",
    "precision",
    "switches",
    "identities",
)
HORIZON = "3"  # seconds; of the predictions in the table, all are in the JSON
PREDICTED = {"fde_m": "fde 3 s", "fde_still_m": "still", "inside_90": "in 90 %"}
DIFFERENT, WRONG_INPUT = 1, 2  # exit status


class Command(BaseCommand):
    """Score the live pipeline on recorded scenes."""

    help = "Run the live pipeline over scene folders, online, and score what it published."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the scenes and the models."""
        parser.add_argument("scenes", nargs="*", type=Path, metavar="SCENE", help="folder with a scene.json")
        parser.add_argument(
            "--detector", help="see the pictures with it; else ready-made detections are used"
        )
        parser.add_argument("--embedder", help="see the pictures with it; none leaves embeddings aside")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
        recordings = parser.add_mutually_exclusive_group()
        recordings.add_argument(
            "--record", type=Path, metavar="FILE", help="record what the tracker is fed with one scene"
        )
        recordings.add_argument(
            "--replay",
            type=Path,
            metavar="FILE",
            help="feed a fresh tracker with a recording; exit status 1 if it does not publish the same bits",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Evaluate each scene and print what came out, or replay a recording."""
        scenes, path = options["scenes"], options["replay"]
        if bool(scenes) == bool(path) or (options["record"] and len(scenes) > 1):
            raise CommandError(
                "expected scenes, one scene with --record, or --replay alone", returncode=WRONG_INPUT
            )
        self._evaluate(options) if scenes else self._replay(path)

    def _replay(self, path: Path) -> None:
        try:
            replayed = replay(path)
        except ReplayError as error:
            raise CommandError(str(error), returncode=WRONG_INPUT) from error
        if replayed.difference:
            raise CommandError(
                f"{path}: differs from what was published, first in {replayed.difference}",
                returncode=DIFFERENT,
            )
        until = "" if replayed.is_whole else ", where the file was full"
        self.stdout.write(
            f"{path}: {replayed.ticks} ticks over {replayed.seconds:.1f} s{until}: people, numbers, events and "
            "paths are what was published, bit for bit"
        )

    def _evaluate(self, options: dict[str, Any]) -> None:
        found: dict[str, Evaluation] = {}
        try:
            for folder in options["scenes"]:
                scene = read_scene(folder)
                if scene.name in found:
                    raise SceneError(f"two scenes have the name {scene.name!r}: evaluate them apart")
                found[scene.name] = _evaluate(
                    scene, options["detector"], options["embedder"], options["record"]
                )
        except (SceneError, BackendError, RecordingError) as error:
            raise CommandError(str(error), returncode=WRONG_INPUT) from error
        for line in _table(found):
            self.stdout.write(line)
        self.stdout.write(f"Protocol: {PROTOCOL}; {PATHS_PROTOCOL}.")
        if options["json"]:
            _write(options["json"], found)


def _evaluate(scene: Scene, detector: str | None, embedder: str | None, record: Path | None) -> Evaluation:
    recorded = detector is None and any(camera.detections for camera in scene.cameras)
    if recorded and embedder is None:
        return evaluate_scene(scene, record=record)
    site = site_of(scene)
    return evaluate_scene(
        scene,
        detector=None if recorded else make_detector(detector or settings.SPOTON_DETECTOR, site=site),
        embedder=make_embedder(embedder or settings.SPOTON_EMBEDDER),
        scene_looks=False,
        record=record,
    )


def _table(found: dict[str, Evaluation]) -> list[str]:
    rows = [[*HEADINGS, *PREDICTED.values(), "ms p50", "p95", "p99"]]
    for name, evaluation in found.items():
        values = {"scene": name, **evaluation.as_json()}
        predicted = [_cell(v and v[HORIZON]) for v in (values[name] for name in PREDICTED)]
        spent = [f"{v:.1f}" for v in evaluation.ms_per_frame.values()]
        rows.append([*(_cell(values[h]) for h in HEADINGS), *predicted, *spent])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _write(path: Path, found: dict[str, Evaluation]) -> None:
    text = json.dumps({"scenes": {name: e.as_json() for name, e in found.items()}}, indent=2)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error}", returncode=WRONG_INPUT) from error
