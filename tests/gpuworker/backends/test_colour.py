import numpy as np
import pytest

from gpuworker.backends.colour import ColourEmbedder, colour_words, stripe_weights
from tests.gpuworker.backends.tiny_models import frame

RED, BLUE, GREEN = (30, 30, 180), (180, 40, 30), (40, 150, 40)


def street(*people: tuple[tuple, tuple], light: float = 1.0) -> np.ndarray:
    """Draw people of shirt and trousers, 100 px apart, on a grey floor."""
    image = np.full((200, 100 * len(people), 3), 120, np.float32)
    for i, (shirt, trousers) in enumerate(people):
        image[40:100, 100 * i + 35 : 100 * i + 65] = shirt
        image[100:160, 100 * i + 35 : 100 * i + 65] = trousers
    lit: np.ndarray = np.clip(image * light, 0, 255).astype(np.uint8)
    return lit


def boxes(count: int) -> np.ndarray:
    return np.array([[100 * i + 35, 40, 100 * i + 65, 160] for i in range(count)], np.float32)


def test_embeddings_are_unit_vectors():
    embedder = ColourEmbedder()
    out = embedder.embed([frame(street((RED, BLUE), (BLUE, RED)))], [boxes(2)])[0]
    assert out.shape == (2, embedder.dimension)
    assert out.dtype == np.float32
    assert np.linalg.norm(out, axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_same_clothes_are_closer_than_others_and_than_swapped_ones():
    embedder = ColourEmbedder()
    here = embedder.embed([frame(street((RED, BLUE), (BLUE, RED), (GREEN, BLUE)))], [boxes(3)])[0]
    there = embedder.embed([frame(street((RED, BLUE), light=0.8))], [boxes(1)])[0]
    similarity = here @ there[0]
    assert similarity[0] > 0.8
    assert similarity[0] > similarity[1] + 0.1
    assert similarity[0] > similarity[2] + 0.1


def test_no_boxes_give_no_embeddings():
    embedder = ColourEmbedder()
    assert embedder.embed([frame(street((RED, BLUE)))], [np.zeros((0, 4), np.float32)])[0].shape == (
        0,
        embedder.dimension,
    )


def test_boxes_beside_the_picture_have_no_embedding():
    places = np.array([[-30, 0, -1, 50], [-15, 40, 15, 160], [90, 190, 110, 260], [np.nan] * 4], np.float32)
    out = ColourEmbedder().embed([frame(street((RED, BLUE)))], [places])[0]
    assert np.isnan(out).any(axis=1).tolist() == [True, False, False, True]


def test_every_colour_fills_one_bin_in_sum():
    assert colour_words().sum(axis=1) == pytest.approx(np.ones(32**3), abs=1e-5)


def test_stripes_are_averages_and_margins_are_not_the_person():
    person, background = stripe_weights()
    assert person.sum(axis=1) == pytest.approx(np.ones(8), abs=1e-5)
    assert background.sum(axis=1) == pytest.approx(np.ones(8), abs=1e-5)
    middle = person.reshape(8, 48, 24)[:, :, 12].sum()
    assert background.reshape(8, 48, 24)[:, :, 12].sum() == 0
    assert person.reshape(8, 48, 24)[:, :, 0].sum() == 0
    assert middle > 0
