"""Areas and lines on the floor: hand-computed cases, OpenCV as the reference, properties."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from environments.polygons import (
    GeometryError,
    as_floats,
    check_line,
    check_polygon,
    crossing_direction,
    is_collinear,
    points_in_polygon,
    polygon_area,
)

SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
# an L: the unit square at the upper right is missing
NOTCHED = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [1.0, 1.0], [1.0, 2.0], [0.0, 2.0]])
LINE = np.array([[0.0, 0.0], [0.0, 2.0]])  # northwards: its left is west

metres = st.integers(-400, 400).map(lambda n: n / 8)  # exact in binary: no rounding decides a test
places = st.tuples(metres, metres)


def star(angles, radii):
    """Give a polygon around the origin that cannot cross itself."""
    angles = np.sort(angles)
    return np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])


stars = st.integers(3, 9).flatmap(
    lambda k: st.lists(st.floats(0.5, 5), min_size=k, max_size=k).map(
        lambda radii: star(np.arange(k) * 2 * np.pi / k, np.array(radii))
    )
)


class TestArea:
    def test_area_by_hand(self):
        assert polygon_area(SQUARE) == 4.0
        assert polygon_area(SQUARE[::-1]) == -4.0
        assert polygon_area(NOTCHED) == 3.0
        assert polygon_area(np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])) == 6.0

    @given(stars, places)
    def test_area_does_not_move_with_the_polygon(self, polygon, shift):
        expected = cv2.contourArea(polygon.astype(np.float32))
        assert polygon_area(polygon + np.array(shift)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


class TestInside:
    def test_inside_by_hand(self):
        points = np.array([[0.5, 0.5], [1.5, 1.5], [1.5, 0.5], [3.0, 0.5], [-0.1, 1.0]])
        assert points_in_polygon(points, NOTCHED).tolist() == [True, False, True, False, False]

    def test_inside_gives_nothing_for_nothing(self):
        assert points_in_polygon(np.zeros((0, 2)), SQUARE).shape == (0,)

    def test_nan_is_nowhere(self):
        assert points_in_polygon(np.array([[np.nan, 1.0], [1.0, np.nan]]), SQUARE).tolist() == [False, False]

    def test_a_shared_edge_belongs_to_one_of_two_neighbours(self):
        right = SQUARE + np.array([2.0, 0.0])
        edge = np.array([[2.0, 0.5], [2.0, 1.5]])
        assert (points_in_polygon(edge, SQUARE) ^ points_in_polygon(edge, right)).all()

    @given(stars, places)
    def test_inside_agrees_with_opencv(self, polygon, place):
        point = np.array(place) / 8
        distance = cv2.pointPolygonTest(polygon.astype(np.float32), point.tolist(), measureDist=True)
        assume(abs(distance) > 1e-3)
        assert points_in_polygon(point[None], polygon).tolist() == [distance > 0]

    @given(stars, places)
    def test_inside_does_not_depend_on_the_way_round(self, polygon, place):
        point = np.array([place]) / 8
        assert points_in_polygon(point, polygon) == points_in_polygon(point, polygon[::-1])


class TestCrossing:
    @pytest.mark.parametrize(
        ("a", "b", "direction"),
        [
            ([-1, 1], [1, 1], 1),  # from the left (west) to the right
            ([1, 1], [-1, 1], -1),
            ([-1, 1], [-0.5, 1], 0),  # stays on one side
            ([-1, 3], [1, 3], 0),  # passes beyond the end
            ([-1, 0.5], [1, -1.5], 0),  # passes before the beginning
            ([-1, 1], [-1, 1], 0),  # stands still
            ([0, 0.5], [0, 1.5], 0),  # walks along the line
        ],
    )
    def test_crossing_by_hand(self, a, b, direction):
        assert crossing_direction(np.array(a, float), np.array(b, float), LINE) == direction

    def test_a_step_that_ends_on_the_line_is_counted_once(self):
        path = np.array([[-1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
        steps = [crossing_direction(path[i], path[i + 1], LINE) for i in (0, 1)]
        assert sorted(steps) == [0, 1]

    @given(places, places)
    def test_crossing_back_is_the_opposite(self, a, b):
        there = crossing_direction(np.array(a), np.array(b), LINE * 10)
        assert crossing_direction(np.array(b), np.array(a), LINE * 10) == -there

    @given(places, places)
    def test_crossing_a_turned_line_is_the_opposite(self, a, b):
        assume(a[0] != 0 and b[0] != 0)
        there = crossing_direction(np.array(a), np.array(b), LINE * 10)
        assert crossing_direction(np.array(a), np.array(b), LINE[::-1] * 10) == -there

    @given(st.lists(places, min_size=2, max_size=30))
    def test_crossings_of_an_endless_line_add_up(self, path):
        points = np.array(path)
        endless = np.array([[0.0, -1e6], [0.0, 1e6]])
        total = sum(crossing_direction(p, q, endless) for p, q in pairwise(points))
        started_left, ended_left = points[0, 0] < 0, points[-1, 0] < 0
        assert total == int(started_left) - int(ended_left)


class TestCollinear:
    @pytest.mark.parametrize(
        ("points", "expected"),
        [
            ([[0, 0], [1, 1], [2, 2]], True),
            ([[0, 0], [1, 1], [2, 2.5]], False),
            ([[3, 3], [3, 3], [3, 3]], True),
            ([[1, 2]], True),
            ([[0, 0], [1e6, 1], [2e6, 0]], True),  # a micrometre beside a metre is a line
        ],
    )
    def test_collinear_by_hand(self, points, expected):
        assert is_collinear(np.array(points, float)) is expected


class TestCheckPolygon:
    def test_polygon_is_given_as_it_is(self):
        assert check_polygon(NOTCHED.tolist()).tolist() == NOTCHED.tolist()

    def test_polygon_loses_a_last_point_that_repeats_the_first(self):
        assert check_polygon([*SQUARE.tolist(), SQUARE[0].tolist()]).tolist() == SQUARE.tolist()

    def test_polygon_may_have_a_point_within_an_edge(self):
        ring = [[0, 0], [1, 0], [2, 0], [2, 2], [0, 2]]
        assert check_polygon(ring).tolist() == ring

    @given(stars)
    def test_polygon_that_does_not_cross_itself_is_taken(self, polygon):
        assert len(check_polygon(polygon)) == len(polygon)

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            ([], "at least three different points, got 0: add points"),
            ([[0, 0], [1, 0]], "at least three different points, got 2"),
            ([[0, 0], [1, 0], [0, 0]], "at least three different points, got 2"),
            ([[0, 0], [1, 1], [2, 2]], "no area: its points lie on one line"),
            ([[0, 0], [2, 2], [2, 0], [0, 2]], "crosses itself between points 1 and 3"),
            ([[0, 0], [2, 0], [2, 2], [2, 0], [0, 2]], "crosses itself"),  # there and back
            ([[0, 0], [2, 0], [2, 0], [0, 2]], "crosses itself"),  # a point twice
            ([[0, 0], [4, 0], [4, 4], [2, 0], [0, 4]], "crosses itself"),  # touches its own edge
            ([[0, 0], [4, 0], [2, 0], [2, 2]], "crosses itself"),  # a spike
            ([[0, 0], [1, float("nan")], [2, 0]], "not numbers"),
            ([[0, 0], [1, float("inf")], [2, 0]], "not numbers"),
            ([[0, 0, 0], [1, 0, 0], [2, 2, 0]], r"polygon: expected shape \(3, 2\), got \(3, 3\)"),
            ([[0, 0], [1], [2, 0]], "polygon: expected numbers"),
            (["ab", "cd", "ef"], "polygon: expected numbers"),
            (5, r"polygon: expected a list of \[x, y\]"),
            (None, r"polygon: expected a list of \[x, y\]"),
            ({"x": 1}, "polygon: expected"),
        ],
    )
    def test_polygon_is_refused(self, points, message):
        with pytest.raises(GeometryError, match=message):
            check_polygon(points)


class TestCheckLine:
    def test_line_is_given_as_it_is(self):
        assert check_line([[0, 0], [1, 2]]).tolist() == [[0, 0], [1, 2]]

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            ([], "a line has two points, got 0"),
            ([[0, 0]], "a line has two points, got 1"),
            ([[0, 0], [1, 1], [2, 2]], "a line has two points, got 3"),
            ([[1, 1], [1, 1]], "the line has no length"),
            ([[0, 0], [1, float("nan")]], "not numbers"),
        ],
    )
    def test_line_is_refused(self, points, message):
        with pytest.raises(GeometryError, match=message):
            check_line(points)


class TestAsFloats:
    def test_as_floats_gives_numbers(self):
        assert as_floats("x", [[1, 2]], (1, 2)).dtype == np.float64

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ([1, 2], r"x: expected shape \(3,\), got \(2,\)"),
            ([1, float("nan"), 3], "x has values that are not numbers"),
            ([1, float("inf"), 3], "x has values that are not numbers"),
            ([1, None, 3], "x has values that are not numbers"),
            ([1, "a", 3], "x: expected numbers"),
            ([[1], [2, 3], 4], "x: expected numbers"),
            ({"a": 1}, "x: expected numbers"),
        ],
    )
    def test_as_floats_refuses(self, values, message):
        with pytest.raises(GeometryError, match=message):
            as_floats("x", values, (3,))
