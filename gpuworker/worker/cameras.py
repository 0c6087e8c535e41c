"""How a session's cameras are doing: told by their readers, shown live, and kept in the database off the hot path."""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from django.db import DatabaseError

from environments.models import Camera, CameraState
from environments.services import camera_state_set
from gpuworker.pipeline.values import Event
from tracking.choices import EventKind

OVER = (CameraState.ENDED, CameraState.FAILED)
UP_STATES: dict[str, bool] = {CameraState.ONLINE: True, CameraState.OFFLINE: False, CameraState.FAILED: False}


class CameraStates:
    """The states of one session's cameras; safe to use from several threads."""

    def __init__(
        self,
        cameras: Iterable[Camera],
        *,
        problems: Mapping[str, str],
        show: Callable[[str, str, str], None],
        happen: Callable[[Event], None],
        clock: Callable[[], datetime],
        were_up: Mapping[str, bool] | None = None,
    ) -> None:
        """Begin with every camera off.

        Args:
            cameras: of the session.
            problems: by key, what is wrong with a camera although its pictures come: its calibration.
            show: is told key, state and message of every change.
            happen: is given an event when a camera comes or goes.
            clock: reads the time.
            were_up: whether a camera was up when it was last heard of, by key; what is no news makes no event.
        """
        self._cameras = {camera.key: camera for camera in cameras}
        self._problems = dict(problems)
        self._show = show
        self._happen = happen
        self._clock = clock
        self._lock = threading.Lock()
        self._states = dict.fromkeys(self._cameras, str(CameraState.OFF))
        self._up = dict(were_up or {})
        self._unsaved: dict[str, tuple[str, str, datetime]] = {}

    def change(self, key: str, state: str, message: str) -> None:
        """Note what a camera's reader says."""
        if state == CameraState.ONLINE:
            message = message or self._problems.get(key, "")
        at = self._clock()
        with self._lock:
            self._states[key] = state
            self._unsaved[key] = state, message, at
            kind = self._news(key, state)
        self._show(key, state, message)
        if kind is not None:
            self._happen(
                Event(kind=kind, at=at, camera_id=key, payload={"message": message} if message else {})
            )

    def complain(self, key: str, problem: str) -> None:
        """Note what is wrong with a camera although its pictures come."""
        if self._problems.get(key) != problem:
            self._problems[key] = problem
            self.change(key, CameraState.ONLINE, "")

    def save(self) -> None:
        """Write what changed to the database; whatever cannot be written waits for the next call.

        Raises:
            DatabaseError: the database is away.
        """
        with self._lock:
            unsaved, self._unsaved = self._unsaved, {}
        try:
            for key, (state, message, at) in unsaved.items():
                camera_state_set(camera=self._cameras[key], state=CameraState(state), message=message, now=at)
        except DatabaseError:
            with self._lock:
                self._unsaved = unsaved | self._unsaved  # what came meanwhile is newer
            raise

    def switch_off(self) -> None:
        """Note that nobody reads the cameras any more."""
        for key in self._cameras:
            self.change(key, CameraState.OFF, "")

    @property
    def are_over(self) -> bool:
        """Say whether no camera will give a frame any more: recordings ended, the rest failed."""
        with self._lock:
            return all(state in OVER for state in self._states.values())

    @property
    def are_online(self) -> bool:
        """Say whether all cameras give frames."""
        with self._lock:
            return all(state == CameraState.ONLINE for state in self._states.values())

    @property
    def have_failed(self) -> bool:
        """Say whether all cameras failed."""
        with self._lock:
            return all(state == CameraState.FAILED for state in self._states.values())

    @property
    def were_up(self) -> dict[str, bool]:
        """Give by key whether a camera was up when it was last heard of."""
        with self._lock:
            return dict(self._up)

    def _news(self, key: str, state: str) -> EventKind | None:
        """Give the event of a camera that came or went; being paused or switched off is none."""
        if state not in UP_STATES:
            return None
        is_up = UP_STATES[state]
        if self._up.get(key) == is_up:
            return None
        self._up[key] = is_up
        return EventKind.CAMERA_ONLINE if is_up else EventKind.CAMERA_OFFLINE
