"""What a report says of the floor, as pictures to lay over the plan."""

from dataclasses import dataclass

import cv2
import numpy as np

from environments.geometry import Floats
from environments.geometry.coverage import Coverage

SCALE = 4  # pixels of a picture for each spot
OPACITY = 170
WORST_M = 1.0  # larger errors look alike
MOST_CAMERAS = 4
TALLEST_PX = 300.0


@dataclass(frozen=True, slots=True)
class Layer:
    """One picture: what it shows (0 good to 1 bad; NaN for nothing) and what its ends mean."""

    key: str
    values: Floats
    good: str
    bad: str


def layers_of(coverage: Coverage) -> dict[str, Layer]:
    """Give the layers by key: cameras, error, and what each camera shows."""
    found = [
        Layer(
            "cameras",
            1.0 - np.minimum(coverage.cameras, MOST_CAMERAS) / MOST_CAMERAS,
            f"{MOST_CAMERAS}+",
            "0",
        ),
        Layer("error", np.minimum(coverage.error_m / WORST_M, 1.0), "0 m", f"{WORST_M:g} m"),
    ]
    for key, sight in sorted(coverage.sights.items()):
        if np.isnan(sight.person_px[sight.sees]).any():  # heights are not known: say how exactly places are
            error = np.where(sight.sees, np.minimum(sight.error_m / WORST_M, 1.0), np.nan)
            found.append(Layer(f"camera-{key}", error, "0 m", f"{WORST_M:g} m"))
            continue
        tall = np.where(sight.sees, 1.0 - np.minimum(sight.person_px, TALLEST_PX) / TALLEST_PX, np.nan)
        found.append(Layer(f"camera-{key}", tall, f"{TALLEST_PX:g} px", "0 px"))
    return {layer.key: layer for layer in found}


def layer_png(layer: Layer, coverage: Coverage) -> bytes:
    """Draw a layer: blue for good to yellow for bad, see-through where there is nothing."""
    g = coverage.grid
    values = layer.values.reshape(g.rows, g.columns)[::-1]  # up is up
    known = np.isfinite(values)
    shade = np.round(np.where(known, values, 0.0) * 255).astype(np.uint8)
    colour = cv2.applyColorMap(shade, cv2.COLORMAP_CIVIDIS)
    picture = np.dstack([colour, np.where(known, OPACITY, 0).astype(np.uint8)])
    large = cv2.resize(picture, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_NEAREST)
    return bytes(cv2.imencode(".png", large)[1])
