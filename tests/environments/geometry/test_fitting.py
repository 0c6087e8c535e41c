"""Calibrating from point pairs: hand-computed cases, noise, outliers, lenses, refusals, properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from environments.geometry import FitKind, GeometryError, Lens, fit_pairs, is_singular
from tests.environments.geometry.rig import HEIGHT, MATRIX, WIDTH, Values, camera, poses

SQUARE_PX = np.array([[100.0, 300.0], [300.0, 300.0], [300.0, 100.0], [100.0, 100.0]])  # y up on the floor
SQUARE_M = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
SIZE: Values = {"width": WIDTH, "height": HEIGHT}


def clicks(model, *, us=(200.0, 960.0, 1700.0), vs=(620.0, 800.0, 1050.0), noise_px=0.0, seed=0):
    """Give what somebody clicks on a grid of the picture, and the true places."""
    u, v = np.meshgrid(us, vs)
    points_px = np.column_stack([u.ravel(), v.ravel()])
    noise = np.random.default_rng(seed).normal(0, noise_px, points_px.shape) if noise_px else 0.0
    return points_px + noise, model.to_floor(points_px)


def floor_error_m(fit, model):
    """Give the median error over the floor that the middle of the picture shows."""
    points_px, points_m = clicks(model, us=np.linspace(100, 1800, 15), vs=np.linspace(620, 1060, 9))
    return float(np.nanmedian(np.linalg.norm(fit.model.to_floor(points_px) - points_m, axis=1)))


def codes(fit):
    return [(warning.code, warning.pairs) for warning in fit.warnings]


class TestHomography:
    def test_fit_of_four_pairs_is_exact(self):
        fit = fit_pairs(SQUARE_PX, SQUARE_M, width=400, height=400)
        assert fit.kind is FitKind.HOMOGRAPHY
        assert fit.model.to_floor(np.array([[200.0, 250.0]])) == pytest.approx(np.array([[0.5, 0.25]]))
        assert fit.errors_m == pytest.approx(np.zeros(4), abs=1e-9)
        assert fit.errors_px == pytest.approx(np.zeros(4), abs=1e-6)
        assert fit.inliers.all()
        assert np.isnan(fit.left_out_m).all()
        assert np.isnan(fit.scores[FitKind.HOMOGRAPHY])
        assert codes(fit) == [("few", ())]

    @given(poses)
    @settings(max_examples=25, deadline=None)
    def test_fit_finds_the_camera_again(self, where):
        model = camera(**where)
        points_px, points_m = clicks(model, vs=(750.0, 900.0, 1050.0))
        distance_m = np.linalg.norm(points_m - [where["x_m"], where["y_m"]], axis=1)
        if np.isfinite(points_m).all() and distance_m.max() < 100:
            for kind in (None, FitKind.HOMOGRAPHY):
                fit = fit_pairs(points_px, points_m, **SIZE, kind=kind)
                assert fit.errors_m.max() < 1e-3
                assert fit.inliers.all()

    def test_fit_is_exact_to_clicks_and_says_how_exact(self):
        points_px, points_m = clicks(camera(), noise_px=2.0)
        fit = fit_pairs(points_px, points_m, **SIZE, kind=FitKind.HOMOGRAPHY)
        assert 1.0 < fit.noise_px < 3.5
        assert floor_error_m(fit, camera()) < 0.05
        # what was not fitted is met worse than what was
        assert np.all(fit.left_out_px > fit.errors_px)

    def test_left_out_errors_are_those_of_fits_without_the_pair(self):
        points_px, points_m = clicks(camera(), noise_px=2.0)
        fit = fit_pairs(points_px, points_m, **SIZE, kind=FitKind.HOMOGRAPHY)
        for i in range(len(points_px)):
            others = np.arange(len(points_px)) != i
            without = fit_pairs(points_px[others], points_m[others], **SIZE, kind=FitKind.HOMOGRAPHY)
            missed_px = np.linalg.norm(without.model.to_picture(points_m[i : i + 1]) - points_px[i])
            assert fit.left_out_px[i] == pytest.approx(missed_px, rel=0.1, abs=0.3)

    def test_fit_with_a_known_lens_takes_it_off(self):
        model = camera(distortion=[-0.3, 0.1, 0, 0, 0])
        points_px, points_m = clicks(model)
        fit = fit_pairs(points_px, points_m, **SIZE, lens=model.lens)
        assert fit.errors_m.max() < 1e-3
        assert fit.model.lens is model.lens

    def test_floor_covariance_is_what_many_fits_scatter_by(self):
        model, spot = camera(), np.array([[4.0, 1.0], [9.0, -2.0]])
        found, said = [], []
        spot_px = model.to_picture(spot)
        for seed in range(150):
            points_px, points_m = clicks(model, noise_px=2.0, seed=seed)
            fit = fit_pairs(points_px, points_m, **SIZE, kind=FitKind.HOMOGRAPHY)
            found.append(fit.model.to_floor(spot_px))
            said.append(fit.floor_covariance(spot, sigma_px=0.0))
        scatter = np.array([np.cov(np.array(found)[:, k].T) for k in range(2)])
        ratio = np.sqrt(
            np.trace(np.mean(said, axis=0), axis1=1, axis2=2) / np.trace(scatter, axis1=1, axis2=2)
        )
        assert ratio == pytest.approx(np.ones(2), abs=0.25)

    def test_floor_covariance_holds_the_foot_point_too(self):
        points_px, points_m = clicks(camera())
        fit = fit_pairs(points_px, points_m, **SIZE)
        exact, rough = (fit.floor_covariance([[8.0, 0.0]], sigma_px=s) for s in (0.0, 4.0))
        px = fit.model.to_picture(np.array([[8.0, 0.0]]))
        _, own = fit.model.to_floor_with_covariance(px, 16.0 * np.eye(2)[None])
        assert rough - exact == pytest.approx(own)

    def test_floor_covariance_behind_the_camera_is_unknown(self):
        points_px, points_m = clicks(camera())
        fit = fit_pairs(points_px, points_m, **SIZE)
        assert np.isnan(fit.floor_covariance([[-5.0, 0.0]])).all()


class TestOutliers:
    def test_one_outlier_among_nine_is_left_out(self):
        points_px, points_m = clicks(camera())
        points_m[4] += [3.0, 0.0]
        fit = fit_pairs(points_px, points_m, **SIZE)
        assert fit.inliers.tolist() == [True] * 4 + [False] + [True] * 4
        assert fit.errors_m[4] == pytest.approx(3.0, abs=1e-2)
        assert ("outlier", (4,)) in codes(fit)

    @pytest.mark.parametrize("seed", range(10))
    def test_two_outliers_among_ten_change_nothing(self, seed):
        points_px, points_m = clicks(
            camera(), us=(100.0, 500.0, 960.0, 1400.0, 1800.0), vs=(650.0, 1000.0), noise_px=2.0
        )
        rng = np.random.default_rng(seed)
        wrong = rng.choice(10, 2, replace=False)
        angle = rng.uniform(0, 2 * np.pi, 2)
        spoilt = points_px.copy()
        spoilt[wrong] += 120.0 * np.column_stack([np.cos(angle), np.sin(angle)])
        fit = fit_pairs(spoilt, points_m, **SIZE)
        assert np.flatnonzero(~fit.inliers).tolist() == sorted(wrong.tolist())
        right = np.setdiff1d(np.arange(10), wrong)
        clean = fit_pairs(points_px[right], points_m[right], **SIZE)
        assert floor_error_m(fit, camera()) == pytest.approx(floor_error_m(clean, camera()))

    def test_less_exact_clicks_are_no_outliers(self):
        points_px, points_m = clicks(camera(), noise_px=7.0, seed=3)
        fit = fit_pairs(points_px, points_m, **SIZE)
        assert fit.inliers.all()
        assert 4.0 < fit.noise_px < 11.0

    def test_five_pairs_cannot_tell_which_is_wrong(self):
        points_px, points_m = clicks(camera(), us=(200.0, 1700.0), vs=(650.0, 1000.0))
        points_px, points_m = np.vstack([points_px, [[960, 800]]]), np.vstack([points_m, [[9.0, 3.0]]])
        fit = fit_pairs(points_px, points_m, **SIZE)
        assert fit.inliers.all()
        assert fit.warnings[0].code == "contradiction"
        assert "too few to tell which is wrong" in fit.warnings[0].message

    def test_a_pair_above_the_horizon_is_named(self):
        points_px, points_m = clicks(camera(pitch_deg=15.0))
        points_px, points_m = np.vstack([points_px, [[960, 20]]]), np.vstack([points_m, [[40.0, 0.0]]])
        fit = fit_pairs(points_px, points_m, **SIZE)
        assert not fit.inliers[9]
        assert np.isnan(fit.errors_m[9])
        assert codes(fit) == [("horizon", (9,))]


class TestPose:
    def test_pose_from_six_pairs(self):
        points_px, points_m = clicks(camera(yaw_deg=20.0), vs=(650.0, 1000.0))
        fit = fit_pairs(points_px, points_m, **SIZE, kind=FitKind.POSE)
        assert fit.model.lens is not None
        assert fit.model.lens.matrix == pytest.approx(MATRIX, rel=5e-3, abs=5.0)
        assert fit.model.position_m == pytest.approx([0.0, 0.0, 3.0], abs=1e-2)
        assert fit.refused == {FitKind.LENS: "needs 8 pairs that agree, there are 6"}

    def test_pose_of_a_mirrored_plan_shows_people_upright(self):
        model = camera()
        points_px, points_m = clicks(model)
        fit = fit_pairs(points_px, points_m * [1.0, -1.0], **SIZE, kind=FitKind.POSE)
        assert ("mirrored", ()) in codes(fit)
        expected = model.to_picture_at_height(np.array([[6.0, 1.0]]), 1.74)
        assert fit.model.to_picture_at_height(np.array([[6.0, -1.0]]), 1.74) == pytest.approx(
            expected, abs=1.0
        )

    def test_pose_with_a_known_lens_keeps_it(self):
        model = camera(distortion=[-0.3, 0.1, 0, 0, 0])
        points_px, points_m = clicks(model)
        fit = fit_pairs(points_px, points_m, **SIZE, lens=model.lens, kind=FitKind.POSE)
        assert fit.model.lens is model.lens
        assert fit.model.position_m == pytest.approx([0.0, 0.0, 3.0], abs=1e-2)

    def test_distortion_is_found_and_takes_the_error_away(self):
        model = camera(distortion=[-0.3, 0, 0, 0, 0])
        with_lens, without = [], []
        for seed in range(8):
            points_px, points_m = clicks(
                model, us=(450.0, 800.0, 1200.0, 1500.0), vs=(580.0, 750.0, 900.0), noise_px=1.0, seed=seed
            )
            fit = fit_pairs(points_px, points_m, **SIZE)
            assert fit.kind is FitKind.LENS
            with_lens.append(floor_error_m(fit, model))
            without.append(
                floor_error_m(fit_pairs(points_px, points_m, **SIZE, kind=FitKind.HOMOGRAPHY), model)
            )
        assert np.median(with_lens) < np.median(without) / 5

    def test_no_distortion_is_invented(self):
        kinds = []
        for seed in range(20):
            points_px, points_m = clicks(camera(), noise_px=2.0, seed=seed)
            fit = fit_pairs(points_px, points_m, **SIZE)
            kinds.append(fit.kind)
            assert fit.scores[fit.kind] <= fit.scores[FitKind.HOMOGRAPHY]
        assert kinds.count(FitKind.LENS) <= 2

    @pytest.mark.parametrize("kind", [FitKind.POSE, FitKind.LENS])
    def test_a_kind_that_the_pairs_do_not_give_is_refused(self, kind):
        with pytest.raises(GeometryError, match=f"give no {kind}: it needs . pairs that agree, there are 4"):
            fit_pairs(SQUARE_PX, SQUARE_M, width=400, height=400, kind=kind)


class TestWarnings:
    def test_clustered_points(self):
        points_px, points_m = clicks(camera(), us=(900.0, 950.0, 1000.0), vs=(800.0, 830.0, 860.0))
        assert codes(fit_pairs(points_px, points_m, **SIZE)) == [("clustered", ())]

    def test_points_almost_on_a_line(self):
        points_px, points_m = clicks(camera(), us=(200.0, 800.0, 1400.0, 1800.0), vs=(800.0, 815.0))
        assert ("collinear", ()) in codes(fit_pairs(points_px, points_m, **SIZE))

    def test_a_place_twice(self):
        points_px, points_m = clicks(camera())
        points_px, points_m = np.vstack([points_px, points_px[2:3]]), np.vstack([points_m, points_m[2:3]])
        fit = fit_pairs(points_px, points_m, **SIZE)
        assert codes(fit) == [("duplicate", (2, 9))]
        assert (
            "pairs 3 and 10 are the same place in the picture and the floor plan" in fit.warnings[0].message
        )

    def test_good_points_need_no_words(self):
        assert fit_pairs(*clicks(camera(), noise_px=2.0), **SIZE).warnings == ()


@pytest.mark.parametrize(
    ("points_px", "points_m", "message"),
    [
        (SQUARE_PX[:3], SQUARE_M[:3], "at least 4 point pairs, got 3: add more points"),
        (SQUARE_PX[:0].reshape(0, 2), SQUARE_M[:0], "at least 4 point pairs, got 0"),
        (SQUARE_PX, SQUARE_M[:3], r"expected two arrays \(n, 2\), got \(4, 2\) and \(3, 2\)"),
        (SQUARE_PX[:, :1], SQUARE_M[:, :1], r"expected two arrays \(n, 2\)"),
        (np.where(SQUARE_PX == 100, np.nan, SQUARE_PX), SQUARE_M, "not numbers"),
        (np.column_stack([np.arange(5.0), np.arange(5.0)]), np.eye(5)[:, :2], "one line in the picture"),
        (np.vstack([SQUARE_PX, [[5, 7]]]), np.outer(np.arange(5.0), [1, 2]), "one line in the floor plan"),
        (np.ones((4, 2)), SQUARE_M, "one line in the picture"),
        (SQUARE_PX[[0, 1, 2, 2]], SQUARE_M, "only 3 of the 4 points are different places in the picture"),
        (SQUARE_PX, SQUARE_M[[0, 1, 2, 2]], "only 3 of the 4 points are different places in the floor plan"),
        (np.array([[0.0, 0], [1, 0], [2, 0], [0, 1]]), SQUARE_M, "three of the four are on one line"),
        # two neighbours swapped: a square to a bow tie
        (SQUARE_PX, SQUARE_M[[0, 1, 3, 2]], "contradict each other"),
    ],
)
def test_fit_refuses(points_px, points_m, message):
    with pytest.raises(GeometryError, match=message):
        fit_pairs(points_px, points_m, width=400, height=400)


def test_fit_refuses_pairs_that_do_not_agree():
    rng = np.random.default_rng(5)
    with pytest.raises(GeometryError, match="of the 12 point pairs agree within"):
        fit_pairs(rng.uniform(0, 1000, (12, 2)), rng.uniform(0, 50, (12, 2)), width=1000, height=1000)


@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 4), max_size=8))
@settings(deadline=None)
def test_fit_gives_a_camera_or_says_why_not(pairs):
    values = np.array(pairs).reshape(-1, 4)
    try:
        fit = fit_pairs(values[:, :2], values[:, 2:], **SIZE)
    except GeometryError:
        return
    assert not is_singular(fit.model.h_image_to_world)
    assert 2 * fit.inliers.sum() >= len(values) >= 4
    assert fit.errors_m.shape == fit.left_out_px.shape == (len(values),)


def test_fit_is_the_same_each_time():
    points_px, points_m = clicks(
        camera(), us=np.linspace(100, 1800, 8), vs=(620.0, 800.0, 1050.0), noise_px=2.0
    )
    first, second = (fit_pairs(points_px, points_m, **SIZE) for _ in range(2))
    assert np.array_equal(first.model.h_image_to_world, second.model.h_image_to_world)
    assert Lens.create(matrix=MATRIX).reach2 == np.inf
