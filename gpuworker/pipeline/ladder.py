"""How much is done for each tick: one ladder, gone down when time or memory is short, and climbed back."""

from dataclasses import dataclass

LOAD_MEMORY_S = 1.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done.

    Attributes:
        name: for people.
        looks: share of the budget of crops that are described.
        frames: that the detector gets at once, None for all.
        scale: of the detector's input, where it can be changed.
        quality: the best live pictures that are encoded, None for any.
    """

    name: str
    looks: float = 1.0
    frames: int | None = None
    scale: float = 1.0
    quality: str | None = None


FULL = Effort("everything")
EFFORTS = (
    FULL,
    Effort("fewer looks", looks=0.5),
    Effort("fewer looks, two frames at once", looks=0.25, frames=2),
    Effort("smaller pictures, few looks", looks=0.25, frames=2, scale=0.75, quality="low"),
    Effort(
        "smallest pictures, hardly a look, frame by frame", looks=0.125, frames=1, scale=0.5, quality="low"
    ),
)


@dataclass(frozen=True, slots=True)
class LadderSettings:
    """Hold the tuning values of the ladder.

    Attributes:
        busy, patience_s: a tick takes more than this share of the time until the next for so long: a step down.
        calm, calm_s: less than this for so long: a step up.
        relapse_s: down again so soon after a step up, and the next step up waits twice as long,
        longest_s: but no longer than this.
    """

    busy: float = 1.0
    patience_s: float = 5.0
    calm: float = 0.6
    calm_s: float = 30.0
    relapse_s: float = 60.0
    longest_s: float = 600.0


class Ladder:
    """Says how much to do; times are monotonic seconds.

    Attributes:
        step: how far down, 0 for not at all.
        why: what made it go down last.
    """

    steps = len(EFFORTS)

    def __init__(self, settings: LadderSettings | None = None) -> None:
        """Begin with everything."""
        self._settings = settings or LadderSettings()
        self.step = 0
        self.why = ""
        self._load: float | None = None
        self._at_s: float | None = None
        self._busy_since_s: float | None = None
        self._calm_since_s: float | None = None
        self._climbed_s = self._fell_s = float("-inf")
        self._wait_s = self._settings.calm_s

    @property
    def effort(self) -> Effort:
        """Give how much to do now."""
        return EFFORTS[self.step]

    def go_down(self, why: str, now_s: float) -> bool:
        """Take a step down for a reason, at once; False at the bottom."""
        if self.step + 1 >= self.steps:
            return False
        if now_s - self._climbed_s < self._settings.relapse_s:
            self._wait_s = min(2 * self._wait_s, self._settings.longest_s)
        self.step += 1
        self.why = why
        self._fell_s = now_s
        self._restart()
        return True

    def count(self, spent_s: float, interval_s: float, now_s: float) -> bool:
        """Take in what a tick took of the time until the next; say whether the step changed."""
        s = self._settings
        elapsed_s = interval_s if self._at_s is None else min(max(now_s - self._at_s, 0.0), LOAD_MEMORY_S)
        self._at_s = now_s
        share = spent_s / interval_s
        weight = elapsed_s / (elapsed_s + LOAD_MEMORY_S)
        self._load = share if self._load is None else self._load + weight * (share - self._load)
        self._busy_since_s = self._since(self._busy_since_s, self._load > s.busy, now_s)
        self._calm_since_s = self._since(self._calm_since_s, self._load < s.calm, now_s)
        if self._busy_since_s is not None and now_s - self._busy_since_s >= s.patience_s:
            return self.go_down(f"ticks take {self._load:.0%} of the time there is", now_s)
        if self.step and self._calm_since_s is not None and now_s - self._calm_since_s >= self._wait_s:
            self.step -= 1
            self._climbed_s = now_s
            self._restart()
            return True
        if self._climbed_s > self._fell_s and now_s - self._climbed_s >= s.longest_s:
            self._wait_s = s.calm_s
        return False

    def _restart(self) -> None:
        self._load = self._busy_since_s = self._calm_since_s = None

    @staticmethod
    def _since(before_s: float | None, holds: bool, now_s: float) -> float | None:
        if not holds:
            return None
        return now_s if before_s is None else before_s
