"""Ids that follow from what they name, so that whatever is written twice is one row."""

from uuid import UUID, uuid5

from gpuworker.pipeline.values import Event

NAMESPACE = UUID("6d1b0e0c-2f5e-4b51-9a53-6f1f0a1c7b52")


def person_id(*, environment_id: int, number: int) -> UUID:
    """Give the id of an environment's person."""
    return uuid5(NAMESPACE, f"person/{environment_id}/{number}")


def event_id(*, environment_id: int, event: Event) -> UUID:
    """Give the id of an event: what, when, who and where."""
    parts = (event.kind, event.at.isoformat(), event.person, event.zone_id, event.camera_id)
    return uuid5(NAMESPACE, f"event/{environment_id}/" + "/".join(str(part) for part in parts))
