"""Camera geometry: picture pixels to floor metres and back, with uncertainty.

Frames used in names: ``px`` is the recorded picture (origin top left, x right, y down), ``m`` is the
floor plan of the environment (right-handed, metres). A homography always names its direction.
"""

from environments.geometry.camera import CameraModel as CameraModel
from environments.geometry.fitting import PairsFit as PairsFit
from environments.geometry.fitting import fit_pairs as fit_pairs
from environments.geometry.homography import camera_matrix_from_homography as camera_matrix_from_homography
from environments.geometry.homography import homography_jacobian as homography_jacobian
from environments.geometry.homography import is_singular as is_singular
from environments.geometry.homography import orient_homography as orient_homography
from environments.geometry.homography import project as project
from environments.geometry.homography import projection_from_homography as projection_from_homography
from environments.geometry.lens import Lens as Lens
from environments.geometry.pair_warnings import PairsWarning as PairsWarning
from environments.geometry.pairs import MIN_PAIRS as MIN_PAIRS
from environments.geometry.pairs import ClickNoise as ClickNoise
from environments.geometry.refit import Refit as Refit
from environments.geometry.refit import Sights as Sights
from environments.geometry.refit import refit as refit
from environments.geometry.shapes import FitKind as FitKind
from environments.polygons import Floats as Floats
from environments.polygons import GeometryError as GeometryError
from environments.polygons import crossing_direction as crossing_direction
from environments.polygons import points_in_polygon as points_in_polygon
