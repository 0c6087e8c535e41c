import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gpuworker.backends.faiss_index import FlatIndex, IvfIndex, gpus
from gpuworker.pipeline.gallery import NEVER, Entries, Gallery, best
from gpuworker.pipeline.values import NO_ID

D = 8


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def looks(n, seed=0):
    return unit(np.random.default_rng(seed).normal(size=(n, D)))


def entries(keys, seed=0, expires_s=NEVER):
    return Entries(np.array(keys, np.int64), looks(len(keys), seed), np.full(len(keys), expires_s))


def no_index(embeddings):
    return None


def gallery(make_index=no_index):
    return Gallery("net@1", D, make_index=make_index)


def test_search_gives_the_most_alike_first():
    g = gallery()
    e = entries([7, 8, 9])
    g.add(e)
    found = g.search(e.embeddings[1:2], k=3)
    order = np.argsort(-(e.embeddings @ e.embeddings[1]))
    assert found.keys.tolist() == [e.keys[order].tolist()]
    assert found.similarity[0, 0] == pytest.approx(1.0)
    assert (np.diff(found.similarity[0]) <= 0).all()


def test_search_of_less_than_is_asked_says_so():
    g = gallery()
    assert g.search(looks(2), k=2).keys.tolist() == [[NO_ID] * 2] * 2
    g.add(entries([5]))
    found = g.search(looks(1), k=3)
    assert found.keys.tolist() == [[5, NO_ID, NO_ID]]
    assert np.isnan(found.similarity[0, 1:]).all()
    assert g.search(np.zeros((0, D), np.float32)).keys.shape == (0, 1)


def test_a_query_of_no_numbers_finds_nothing():
    g = gallery()
    g.add(entries([1, 2]))
    queries = looks(2)
    queries[0] = np.nan
    assert g.search(queries).keys[:, 0].tolist()[0] == NO_ID
    assert g.search(queries).keys[1, 0] != NO_ID


def test_a_key_that_comes_again_takes_the_place_of_the_old():
    g = gallery()
    g.add(entries([1, 2], seed=1))
    g.add(entries([2], seed=5))
    assert len(g) == 2
    assert g.search(looks(1, seed=5)).keys.tolist() == [[2]]
    assert g.search(looks(1, seed=5)).similarity[0, 0] == pytest.approx(1.0)


def test_expired_entries_go():
    g = gallery()
    g.add(entries([1, 2], expires_s=100.0))
    g.add(entries([3]))
    assert g.expire(datetime.fromtimestamp(99, UTC)) == 0
    assert g.expire(datetime.fromtimestamp(100, UTC)) == 2
    assert g.entries.keys.tolist() == [3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda e: Entries(e.keys, np.ones((2, D + 1), np.float32), e.expires_s),
            "expected 8 values of net@1, got 9",
        ),
        (lambda e: Entries(e.keys, e.embeddings * 2, e.expires_s), "expected unit length"),
        (lambda e: Entries(e.keys, e.embeddings * np.nan, e.expires_s), "expected unit length"),
        (lambda e: Entries(e.keys * 0, e.embeddings, e.expires_s), "expected each once"),
        (lambda e: Entries(e.keys - 9, e.embeddings, e.expires_s), "0 or more"),
        (lambda e: Entries(e.keys, e.embeddings[:1], e.expires_s), "expected 2 embeddings"),
    ],
)
def test_wrong_entries_are_refused_and_nothing_is_added(change, message):
    g = gallery()
    with pytest.raises(ValueError, match=message):
        g.add(change(entries([1, 2])))
    assert len(g) == 0


def test_queries_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"queries: expected shape \(n, 8\), got \(1, 9\)"):
        gallery().search(np.ones((1, 9), np.float32))


def test_best_passes_over_nothing():
    found = best(np.array([[1, 2, 3]]), np.array([[0.5, np.nan, -np.inf]], np.float32), 2)
    assert found.keys.tolist() == [[1, NO_ID]]


def ivf(embeddings):
    return IvfIndex(embeddings) if len(embeddings) >= 30 else None


def flat(embeddings):
    return FlatIndex(embeddings)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "expire", "rebuild", "search"]),
        st.integers(0, 40),
        st.integers(0, 999),
    ),
    max_size=25,
)


@pytest.mark.parametrize("make_index", [no_index, flat])
@hypothesis_settings(max_examples=40)
@given(steps=STEPS)
def test_whatever_comes_and_goes_the_gallery_finds_what_comparing_with_all_finds(make_index, steps):
    g = gallery(make_index)
    truth: dict[int, tuple[np.ndarray, float]] = {}
    for what, key, seed in steps:
        if what == "add":
            keys = sorted({key, (key * 7) % 41, seed % 41})
            new = entries(keys, seed, expires_s=float(seed % 50))
            g.add(new)
            truth |= {k: (new.embeddings[i], float(seed % 50)) for i, k in enumerate(keys)}
        elif what == "remove":
            assert g.remove([key, key + 1]) == sum(truth.pop(k, None) is not None for k in (key, key + 1))
        elif what == "expire":
            over = [k for k, (_, end) in truth.items() if end <= key]
            assert g.expire(datetime.fromtimestamp(key, UTC)) == len(over)
            truth = {k: v for k, v in truth.items() if k not in over}
        elif what == "rebuild":
            g.rebuild()
        queries = looks(3, seed)
        found = g.search(queries, k=4)
        assert len(g) == len(truth)
        for row, query in enumerate(queries):
            expected = sorted(((float(v @ query), k) for k, (v, _) in truth.items()), reverse=True)[:4]
            got = found.similarity[row][found.keys[row] != NO_ID]
            assert got == pytest.approx([s for s, _ in expected], abs=1e-5)
            for k, s in zip(found.keys[row].tolist(), found.similarity[row].tolist(), strict=True):
                assert k == NO_ID or float(truth[k][0] @ query) == pytest.approx(s, abs=1e-5)


def test_an_index_is_built_in_the_background_and_changes_meanwhile_count():
    g = gallery(ivf)
    g.add(entries(range(60), seed=3))
    g.wait()
    g.remove([5])
    g.add(entries([6], seed=9))
    assert g.index.startswith("faiss IVF")
    found = g.search(np.concatenate([looks(60, 3)[5:6], looks(1, 9)]), k=2)
    assert 5 not in found.keys[0]
    assert found.keys[1, 0] == 6
    assert len(g) == 59


def test_what_changes_while_an_index_is_built_is_not_undone_by_it():
    gate = threading.Event()

    def slow(embeddings):
        gate.wait(30)
        return FlatIndex(embeddings)

    g = gallery(slow)
    g.add(entries(range(20), seed=3))
    g.remove([4])
    g.add(entries([5, 99], seed=8))
    gate.set()
    g.wait()
    e = entries(range(20), seed=3)
    found = g.search(np.concatenate([e.embeddings[4:5], looks(2, 8)]))
    assert g.index == "faiss flat"
    assert found.keys[:, 0].tolist()[1:] == [5, 99]
    assert found.keys[0, 0] != 4
    assert len(g) == 20


def test_ivf_finds_what_queries_are_of():
    rng = np.random.default_rng(2)
    centres = unit(rng.normal(size=(300, 64)))
    rows = unit(np.repeat(centres, 8, axis=0) + 0.05 * rng.normal(size=(2400, 64)))
    g = Gallery("net@1", 64, make_index=IvfIndex)
    g.add(Entries(np.arange(2400), rows, np.full(2400, NEVER)))
    g.rebuild()
    queries = unit(centres + 0.05 * rng.normal(size=centres.shape))
    exact = (queries @ rows.T).argmax(axis=1)
    assert (g.search(queries).keys[:, 0] == exact).mean() >= 0.98


@pytest.mark.gpu
def test_a_gpu_finds_what_comparing_with_all_finds():
    if not gpus():
        pytest.skip("this FAISS knows no GPU: install faiss-gpu")
    rows = unit(np.random.default_rng(5).normal(size=(5000, 64)))
    index = FlatIndex(rows, device=0)
    assert (index.search(rows[:200], 1)[:, 0] == np.arange(200)).all()
