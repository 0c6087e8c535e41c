"""Every tuning value of the floor tracker, with its unit and its reason."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Hold the tuning values of the floor tracker; times in seconds, so that frame rates do not matter.

    Motion:
        acceleration_psd: m^2/s^3, white-noise acceleration; 0.6 m/s^2 held for half a second.
        birth_speed_mps: spread of an unknown velocity; people walk at about 1.4 m/s.
        height_m, height_std_m: adults standing.
    A box as a measurement:
        mid_noise, bottom_noise, top_noise: of the predicted box height; what detectors show.
        pixel_noise_px: of any edge of a box.
        floor_noise_m: the foot is not under the middle of the body.
        edge_px: a box that ends this close to the edge of the picture is cut there.
        feet_hidden_base, top_cut_base: probability with everything in view.
        feet_hidden_occluded: probability when others cover the lower fifth of the person.
    Association:
        gate_chi2: 99.9 % of three degrees of freedom.
        clutter_per_frame: boxes of nobody known, false or new.
        confidence_neutral: a detection of this confidence speaks neither for nor against a person.
        confidence_limit: most that a confidence can say, in nats.
        late_limit_s: a frame older than this says nothing about now.
        gap_limit_s: after nothing for so long, everybody known counts as gone.
    Existence:
        hit_limit: most that one frame of one camera can say for a person, nats.
        miss_limit_per_s: most that one camera can say against a person, nats a second.
        evidence_s: frames closer in time than this tell partly the same.
        survival_per_s: people leave.
        logit_limit: no certainty is beyond doubt.
        coast_s: an unseen track is kept this long.
        publish_unseen_s: and shown this long.
        drop_logit: a track less likely than this is dropped.
    Duplicates:
        duplicate_m: two tracks nearer than this are one person,
        duplicate_apart_s: unless some frame showed them as two not longer ago than this.
    Births:
        birth_logit: odds that an unexplained box is a new person, before its evidence.
        birth_drop_logit: a new person less likely than this is not begun.
        crowding_m: people do not stand in one another.
        birth_miss_limit: most that one camera that should see a new person can say against it, nats.
    """

    acceleration_psd: float = 0.18
    birth_speed_mps: float = 1.0
    height_m: float = 1.74
    height_std_m: float = 0.09

    mid_noise: float = 0.04
    bottom_noise: float = 0.035
    top_noise: float = 0.035
    pixel_noise_px: float = 1.5
    floor_noise_m: float = 0.12
    edge_px: float = 3.0
    feet_hidden_base: float = 0.05
    top_cut_base: float = 0.03
    feet_hidden_occluded: float = 0.8

    gate_chi2: float = 16.0
    clutter_per_frame: float = 1.0
    confidence_neutral: float = 0.4
    confidence_limit: float = 1.5
    late_limit_s: float = 1.0
    gap_limit_s: float = 5.0

    hit_limit: float = 1.3863  # ln 4
    miss_limit_per_s: float = 3.0
    evidence_s: float = 0.5
    survival_per_s: float = 0.98
    logit_limit: float = 5.0
    coast_s: float = 1.5
    publish_unseen_s: float = 0.6
    drop_logit: float = -3.0

    duplicate_m: float = 0.6
    duplicate_apart_s: float = 1.5

    birth_logit: float = -1.0
    crowding_m: float = 0.35
    birth_drop_logit: float = -1.5
    birth_miss_limit: float = 1.5


@dataclass(frozen=True, slots=True)
class EventSettings:
    """Hold the tuning values of floor events.

    Attributes:
        margin_m: an edge is crossed once the person is this far beyond it; positions jitter by less.
        settle_s: or has been beyond it for so long.
        left_after_s: a person not seen for so long has left.
    """

    margin_m: float = 0.2
    settle_s: float = 1.0
    left_after_s: float = 3.0


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """Hold the tuning values of the whole pipeline.

    Attributes:
        tracker, events: of the parts.
        embeddings_per_tick: crops that one tick may embed; the cleanest come first.
        clean_share: a crop of which others cover more than this share is not embedded.
        min_crop_px: nor one less high than this.
    """

    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    events: EventSettings = field(default_factory=EventSettings)
    embeddings_per_tick: int = 16
    clean_share: float = 0.3
    min_crop_px: float = 40.0
