"""Views of the plaza's cameras, drawn once."""

import pytest

from gpuworker.sources.sim.draw import CameraView
from gpuworker.sources.sim.scene import plaza_cameras
from gpuworker.sources.sim.worlds import Worlds


@pytest.fixture(scope="session")
def worlds() -> Worlds:
    """Give worlds whose views are kept between tests."""
    return Worlds()


@pytest.fixture(scope="session")
def views(worlds: Worlds) -> dict[str, CameraView]:
    """Give the views of all cameras by their id."""
    return {camera.camera_id: worlds.view(camera, 7) for camera in plaza_cameras()}
