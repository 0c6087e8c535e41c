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
LOST = (CameraState.OFFLINE, CameraState.FAILED)


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
    ) -> None:
        """Begin with every camera off.

        Args:
            cameras: of the session.
            problems: by key, what is wrong with a camera although its pictures come: its calibration.
            show: is told key, state and message of every change.
            happen: is given an event when a camera comes or goes.
            clock: reads the time.
        """
        self._cameras = {camera.key: camera for camera in cameras}
        self._problems = problems
        self._show = show
        self._happen = happen
        self._clock = clock
        self._lock = threading.Lock()
        self._states = dict.fromkeys(self._cameras, str(CameraState.OFF))
        self._unsaved: dict[str, tuple[str, str, datetime]] = {}

    def change(self, key: str, state: str, message: str) -> None:
        """Note what a camera's reader says."""
        if state == CameraState.ONLINE:
            message = message or self._problems.get(key, "")
        at = self._clock()
        with self._lock:
            before, self._states[key] = self._states[key], state
            self._unsaved[key] = state, message, at
        self._show(key, state, message)
        kind = _kind_of_change(before, state)
        if kind is not None:
            self._happen(
                Event(kind=kind, at=at, camera_id=key, payload={"message": message} if message else {})
            )

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


def _kind_of_change(before: str, after: str) -> EventKind | None:
    if after == CameraState.ONLINE and before != CameraState.ONLINE:
        return EventKind.CAMERA_ONLINE
    if after in LOST and before not in LOST:
        return EventKind.CAMERA_OFFLINE
    return None
