"""The stored gallery: how people look, kept over restarts of the worker; what is in it is the worker's affair."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from tracking.models import GalleryEntry, GalleryState

AT_ONCE = 500  # entries in one statement


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered of a person, in the worker's own words."""

    person: UUID
    seen_at: datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class Gallery:
    """What is remembered of an environment's people.

    Attributes:
        at: until when the floor was watched.
        state: what looks mean there, in the worker's own words.
        entries: of each person.
    """

    at: datetime
    state: bytes
    entries: tuple[Entry, ...]


def gallery_write(*, environment_id: int, embedder: str, gallery: Gallery) -> None:
    """Store what is remembered; entries of others stay as they are."""
    rows = [
        GalleryEntry(
            person_id=entry.person,
            environment_id=environment_id,
            embedder=embedder,
            seen_at=entry.seen_at,
            content=entry.content,
        )
        for entry in gallery.entries
    ]
    with transaction.atomic():
        GalleryEntry.objects.bulk_create(
            rows,
            batch_size=AT_ONCE,
            update_conflicts=True,
            unique_fields=["person"],
            update_fields=["embedder", "seen_at", "content"],
        )
        GalleryState.objects.update_or_create(
            environment_id=environment_id,
            defaults={"embedder": embedder, "at": gallery.at, "content": gallery.state},
        )


def gallery_read(*, environment_id: int, embedder: str, since: datetime) -> Gallery | None:
    """Give what is remembered of those seen since an instant; None where this embedder has left nothing."""
    state = GalleryState.objects.filter(environment=environment_id, embedder=embedder).first()
    if state is None:
        return None
    found = GalleryEntry.objects.filter(environment=environment_id, embedder=embedder, seen_at__gte=since)
    rows = found.values_list("person_id", "seen_at", "content")
    entries = (Entry(person, seen_at, bytes(content)) for person, seen_at, content in rows.iterator(AT_ONCE))
    return Gallery(state.at, bytes(state.content), tuple(entries))
