"""The built things of a simulated place: what people walk around and what hides them from cameras.

The floor is metres, right-handed seen from above: x runs east, y runs north, the origin is the
south-west corner, z is up.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

INWARD = {"south": (0.0, 1.0), "north": (0.0, -1.0), "west": (1.0, 0.0), "east": (-1.0, 0.0)}


@dataclass(frozen=True, slots=True)
class Cylinder:
    """A round thing that stands on the floor: a pillar, or a planter."""

    x_m: float
    y_m: float
    radius_m: float
    height_m: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangular thing that stands on the floor along the axes: a bench."""

    x0_m: float
    y0_m: float
    x1_m: float
    y1_m: float
    height_m: float


@dataclass(frozen=True, slots=True)
class Gate:
    """An opening in a wall, through which people come and go.

    Attributes:
        wall: ``south``, ``north``, ``west`` or ``east``.
        along_m: middle of the opening along the wall, x or y.
    """

    name: str
    wall: str
    along_m: float
    width_m: float
    height_m: float


@dataclass(frozen=True, slots=True)
class Layout:
    """A walled place.

    Attributes:
        bounds_m: x_min, y_min, x_max, y_max between the walls.
        wall_height_m: of all four walls.
    """

    bounds_m: tuple[float, float, float, float]
    wall_height_m: float
    pillars: tuple[Cylinder, ...]
    planters: tuple[Cylinder, ...]
    benches: tuple[Box, ...]
    gates: tuple[Gate, ...]

    def gate_point(self, gate: Gate, inside_m: float) -> tuple[float, float]:
        """Give the point in the middle of a gate, so far inside the wall (negative: outside)."""
        x_min, y_min, x_max, y_max = self.bounds_m
        dx, dy = INWARD[gate.wall]
        on_wall = {
            "south": (gate.along_m, y_min),
            "north": (gate.along_m, y_max),
            "west": (x_min, gate.along_m),
            "east": (x_max, gate.along_m),
        }[gate.wall]
        return on_wall[0] + dx * inside_m, on_wall[1] + dy * inside_m

    def circles(self) -> Floats:
        """Give circles that cover everything one cannot walk through, (m, 3) as x, y, radius."""
        rows = [(c.x_m, c.y_m, c.radius_m) for c in (*self.pillars, *self.planters)]
        for b in self.benches:
            half = 0.5 * min(b.x1_m - b.x0_m, b.y1_m - b.y0_m)
            length = max(b.x1_m - b.x0_m, b.y1_m - b.y0_m)
            for s in np.linspace(half, length - half, max(2, round(length / half))):
                along_x = b.x1_m - b.x0_m > b.y1_m - b.y0_m
                x, y = (b.x0_m + s, b.y0_m + half) if along_x else (b.x0_m + half, b.y0_m + s)
                rows.append((x, y, half * 1.1))
        return np.array(rows).reshape(-1, 3)


PLAZA = Layout(
    bounds_m=(0.0, 0.0, 20.0, 14.0),
    wall_height_m=2.9,
    pillars=(
        Cylinder(5.4, 9.6, 0.30, 3.4),
        Cylinder(14.6, 9.6, 0.30, 3.4),
        Cylinder(5.4, 4.4, 0.30, 3.4),
        Cylinder(14.6, 4.4, 0.30, 3.4),
    ),
    planters=(Cylinder(10.0, 7.0, 1.15, 0.55),),
    benches=(
        Box(8.6, 11.2, 11.0, 11.7, 0.45),
        Box(2.2, 5.9, 2.7, 8.1, 0.45),
    ),
    gates=(
        Gate("north door", "north", 15.6, 1.8, 2.3),
        Gate("station", "north", 4.2, 2.6, 2.5),
        Gate("east passage", "east", 6.6, 2.4, 2.5),
        Gate("west passage", "west", 11.4, 2.2, 2.5),
        Gate("south door", "south", 9.6, 2.2, 2.5),
    ),
)
