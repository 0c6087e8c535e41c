"""From tracks to persons: an identity that outlives its track."""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.seams import TakeNumber

Ints = NDArray[np.int64]


class Persons:
    """Gives each track a person."""

    def __init__(self, take_person_number: TakeNumber) -> None:
        """Begin knowing nobody."""
        self._take_number = take_person_number
        self._person: dict[int, int] = {}

    def of(self, tracks: Ints) -> Ints:
        """Give the person of each track (n,); one never seen before is a new person."""
        for track in tracks.tolist():
            if track not in self._person:
                self._person[track] = self._take_number()
        return np.array([self._person[track] for track in tracks.tolist()], dtype=np.int64)
