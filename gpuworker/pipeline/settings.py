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
        feet_hidden_base: probability with everything in view.
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
        odd_height_std: a person so many standard deviations off the usual height may be a thing;
        odd_hit_limit: one frame of one camera says at most this for it, nats.
        miss_limit_per_s: most that one camera can say against a person, nats a second.
        evidence_s: frames closer in time than this tell partly the same.
        survival_per_s: people leave.
        logit_limit: no certainty is beyond doubt.
        publish_logit: two to one for a person shows it for the first time; later, likelier than not is enough.
        publish_age_s: what flickers for less long is nobody: a newcomer is shown once the next tick would be later
            than this after the first sight,
        publish_sure_logit: or as soon as so much speaks for the person.
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
        shape_limit: most that a box unlike a standing adult says against a new person, nats.
    """

    acceleration_psd: float = 0.18
    birth_speed_mps: float = 1.2
    height_m: float = 1.74
    height_std_m: float = 0.09

    mid_noise: float = 0.04
    bottom_noise: float = 0.035
    top_noise: float = 0.035
    pixel_noise_px: float = 1.5
    floor_noise_m: float = 0.12
    edge_px: float = 3.0
    feet_hidden_base: float = 0.05
    feet_hidden_occluded: float = 0.8

    gate_chi2: float = 16.0
    clutter_per_frame: float = 1.0
    confidence_neutral: float = 0.4
    confidence_limit: float = 2.5
    late_limit_s: float = 1.0
    gap_limit_s: float = 5.0

    hit_limit: float = 1.3863  # ln 4
    odd_height_std: float = 3.0
    odd_hit_limit: float = 0.7
    miss_limit_per_s: float = 3.0
    evidence_s: float = 0.5
    survival_per_s: float = 0.97
    logit_limit: float = 4.0
    publish_logit: float = 0.7
    publish_age_s: float = 0.4
    publish_sure_logit: float = 3.0
    coast_s: float = 1.5
    publish_unseen_s: float = 0.3
    drop_logit: float = -3.0

    duplicate_m: float = 0.6
    duplicate_apart_s: float = 1.5

    birth_logit: float = -1.0
    crowding_m: float = 0.35
    birth_drop_logit: float = -1.5
    shape_limit: float = 2.0


@dataclass(frozen=True, slots=True)
class AppearanceSettings:
    """Hold the tuning values of appearance.

    Attributes:
        threshold: cosine similarity that speaks for one person before anything was learned.
        cold_slope, cold_limit: nats per similarity above it, and the most it can say.
        limit: most that a learned similarity can say, nats: enough to hold two people apart who pass closely.
        min_pairs: pairs of each kind before the learned ratio holds.
        pair_memory: pairs after which old ones fade.
        camera_memory, camera_prior: embeddings after which a camera's mean fades, and before it counts half.
        clean_share: a box of which others cover more than this does not teach a look.
    """

    threshold: float = 0.8
    cold_slope: float = 10.0
    cold_limit: float = 1.0
    limit: float = 6.0
    min_pairs: float = 100.0
    pair_memory: float = 5000.0
    camera_memory: float = 2000.0
    camera_prior: float = 20.0
    clean_share: float = 0.3


@dataclass(frozen=True, slots=True)
class BiasSettings:
    """Hold the tuning values of the cameras' shifts; those without unit are shares of the picture's width.

    Learning:
        every_s: between frames of a camera that are learned from.
        prior_px, prior_turn_px: how far off a careful calibration is, in the middle and by a turn at the edge.
        people_alike: boxes of one frame err alike, so each counts for less.
        memory_s: what was learned fades; sets how fast a camera that creeps is followed.
        limit: beyond this a camera needs a new calibration, not a correction.
    Voting on a shift too far for boxes to be matched:
        vote_memory_s: votes do not count after this.
        reach, agree: how far off a box may be, and how far votes may differ,
        agree_std: or so many standard deviations of the box.
        vote_people: people who must have been voted on,
        vote_share: and share of them who must agree,
        vote_lead: so many times as many as are about where they should be.
    Moves:
        settle_s: learning after which a shift is the camera's usual one, which follows in
        usual_s: slowly, as mounts give and temperatures change.
        moved, moved_std: further from it, and more standard deviations, is a move,
        confirm_s: after so long.
    """

    every_s: float = 0.25
    prior_px: float = 4.0
    prior_turn_px: float = 2.0
    people_alike: float = 4.0
    memory_s: float = 600.0
    limit: float = 0.06

    vote_memory_s: float = 30.0
    reach: float = 0.06
    agree: float = 0.008
    agree_std: float = 1.5
    vote_people: int = 40
    vote_share: float = 0.35
    vote_lead: float = 2.0

    settle_s: float = 10.0
    usual_s: float = 240.0
    moved: float = 0.0065
    moved_std: float = 4.0
    confirm_s: float = 3.0


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """Hold the tuning values of the figures of cameras' health.

    Attributes:
        memory_s: after so long a box counts a third.
        limit: squared innovation over its variance beyond which an edge was hidden.
        least: boxes before there is a figure.
    """

    memory_s: float = 30.0
    limit: float = 16.0
    least: float = 10.0


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Hold the tuning values of recognising people.

    Attributes:
        threshold: cosine similarity below which nobody is recognised before likelihoods were learned.
        limit: most that a learned similarity can say, nats.
        margin: nats by which a pairing must lead every other one, and a new person.
        return_logit: odds that a newcomer is the person who went last, place and look aside; half of it for
            the one who went before, a third for the next.
        floor_m2: where newcomers may appear.
        place_m, walk_mps: how far off somebody may be who is away, and how fast that grows.
        walks_on_s: somebody who is away walks on as before for about so long.
        min_looks: clean embeddings before a track's look counts.
        same_look, max_looks: prototypes more alike than this are one; so many are kept for a person.
        near_m: tracks nearer than this may leave each other's person.
        revise_looks: clean embeddings since the last verdict before there is another one.
        revise_doubt: what the tracker's own choice of the number is worth, nats.
        look_memory: embeddings after which a person's old looks fade; a wrong box or two must not change them.
        recent_s: those since the last verdict fade over so long.
        stranger_logit: what speaks for a number being nobody's known, nats.
        settle_margin: lead of a number over the next best one for a verdict, nats.
        confirm_s: a verdict must stay the same for so long.
        settle_s: a look settles after so long at the soonest, that of a new number after revise_s.
        hidden_s, hidden_logit: for so long who was lost within sight keeps the number, and the odds that a newcomer
            is that person, place and look aside.
        reach_m, reach_mps: how far somebody can be after an absence; nobody here runs faster.
        overlap_s: a track that is losing its person may live on beside the new one for so long.
        revise_s: a new person may still be recognised for so long.
        memory_s: people away for longer are not recognised.
        stay_s: after a time in which nothing was seen, the chance that somebody is still there has fallen to a third
            in so long.
        collect_s: after such a time a track waits so long at most for its look before it is anybody.
    """

    threshold: float = 0.8
    limit: float = 6.0
    margin: float = 2.5
    return_logit: float = -1.0
    floor_m2: float = 200.0
    place_m: float = 1.0
    walk_mps: float = 1.0
    walks_on_s: float = 1.5
    min_looks: float = 3.0
    same_look: float = 0.9
    max_looks: int = 8
    near_m: float = 1.2
    revise_looks: float = 4.0
    revise_doubt: float = 1.0
    look_memory: float = 200.0
    recent_s: float = 4.0
    stranger_logit: float = -3.0
    settle_margin: float = 1.5
    confirm_s: float = 0.3
    settle_s: float = 1.0
    hidden_s: float = 60.0
    hidden_logit: float = 0.0
    reach_m: float = 2.0
    reach_mps: float = 2.5
    overlap_s: float = 1.0
    revise_s: float = 4.0
    memory_s: float = 1800.0
    stay_s: float = 60.0
    collect_s: float = 1.5


@dataclass(frozen=True, slots=True)
class EventSettings:
    """Hold the tuning values of floor events.

    Attributes:
        margin_m: an edge is crossed once the person is this far beyond it; positions jitter by less.
        settle_s: or has been beyond it for so long.
        left_after_s: a person not seen for so long has left.
        handover_within_s: a camera that sees somebody so much later does not take them over from the one before.
    """

    margin_m: float = 0.2
    confirm_s: float = 0.3
    settle_s: float = 1.0
    left_after_s: float = 3.0
    handover_within_s: float = 60.0


@dataclass(frozen=True, slots=True)
class SmoothingSettings:
    """Hold the tuning values of the paths that are stored.

    Attributes:
        lag_s: what is seen so much later still corrects a point, 0 to 10; a point is stored this late.
        interval_s: between two points of a track, 0 (every tick) to 3600; its first and its last are always kept.

    Raises:
        ValueError: a value out of its bounds.
    """

    lag_s: float = 1.0
    interval_s: float = 0.5

    def __post_init__(self) -> None:
        for name, value, most in (("lag_s", self.lag_s, 10.0), ("interval_s", self.interval_s, 3600.0)):
            if not 0.0 <= value <= most:
                raise ValueError(f"{name}: expected 0 to {most:g} s, got {value}")


@dataclass(frozen=True, slots=True)
class PredictionSettings:
    """Hold the tuning values of where people will be.

    Attributes:
        velocity_memory_s: people turn and stop; after so long a third of today's velocity is left.
        acceleration_psd: m^2/s^3, as of the tracker.
    """

    velocity_memory_s: float = 7.0
    acceleration_psd: float = 0.18


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """Hold the tuning values of the whole pipeline.

    Attributes:
        tracker, appearance, bias, health, identity, events, smoothing: of the parts.
        embeddings_per_tick: crops that one tick may embed; the most telling come first, then the cleanest.
        min_crop_px: a crop less high than this is not embedded.
        known_looks: clean embeddings of somebody before it is enough to look again now and then.
        doubt_s: who was so near to somebody else that they may be confused is looked at for so long after.
        look_again_s: everybody else after so long.
        look_apart_s: nobody sooner than so long after the last look; frames closer in time show the same.
    """

    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    appearance: AppearanceSettings = field(default_factory=AppearanceSettings)
    bias: BiasSettings = field(default_factory=BiasSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    events: EventSettings = field(default_factory=EventSettings)
    smoothing: SmoothingSettings = field(default_factory=SmoothingSettings)
    embeddings_per_tick: int = 16
    min_crop_px: float = 40.0
    known_looks: float = 6.0
    doubt_s: float = 3.0
    look_again_s: float = 1.0
    look_apart_s: float = 0.1
