"""Secrets at rest: what is sealed opens with its key, in its place, unchanged; and with nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.encryption import START, KeyRing, Undecryptable, is_sealed

OLD, NEW = b"o" * 32, b"n" * 32


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens(text):
    ring = KeyRing([NEW])
    sealed = ring.seal(text, context="a.b")
    assert ring.open(sealed, context="a.b") == text
    assert is_sealed(sealed)


def test_same_text_is_sealed_differently_each_time():
    ring = KeyRing([NEW])
    assert ring.seal("x", context="c") != ring.seal("x", context="c")


def test_every_key_opens_and_the_first_seals():
    old = KeyRing([OLD]).seal("x", context="c")
    both = KeyRing([NEW, OLD])
    assert both.open(old, context="c") == "x"
    with pytest.raises(Undecryptable, match="lacks the key"):
        KeyRing([OLD]).open(both.seal("x", context="c"), context="c")


def test_what_was_changed_or_moved_does_not_open():
    ring = KeyRing([NEW])
    sealed = ring.seal("rtsp://u:p@h", context="c")
    middle = len(sealed) // 2
    changed = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    for text, context in [
        (sealed, "other"),
        (changed, "c"),
        (sealed[:-8], "c"),
        (START, "c"),
        (f"{START}!", "c"),
        ("rtsp://u:p@h", "c"),
        ("", "c"),
    ]:
        with pytest.raises(Undecryptable):
            ring.open(text, context=context)


@pytest.mark.parametrize("keys", [[], [b"short"], [NEW, b""]])
def test_ring_needs_whole_keys(keys):
    with pytest.raises(ValueError, match="32 bytes"):
        KeyRing(keys)
