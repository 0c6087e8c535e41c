"""A frame as viewers get it: a JPEG of one tier, and the boxes of that very frame."""

from typing import Any

import cv2

from gpuworker.pipeline.values import NO_ID, Frame, Sighting
from tracking.live import Tier

SHOWN_CONFIDENCE = 0.5  # a box of nobody is shown only if the detector is this sure of it


def encode(frame: Frame, tier: Tier) -> bytes:
    """Give the picture as JPEG, scaled down to the tier's width."""
    image = frame.image
    height, width = image.shape[:2]
    if width > tier.max_width:
        size = (tier.max_width, max(round(height * tier.max_width / width), 1))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, tier.jpeg_quality])
    return jpeg.tobytes()


def boxes(sighting: Sighting | None) -> list[dict[str, Any]]:
    """Give a frame's boxes for its header: those of people, and those of nobody that are sure enough."""
    if sighting is None:
        return []
    rows = zip(
        sighting.detections.xyxy.round(1).tolist(),
        sighting.detections.confidence.tolist(),
        sighting.track.tolist(),
        sighting.person.tolist(),
        strict=True,
    )
    return [
        {
            "xyxy": [round(value, 1) for value in xyxy],
            "confidence": round(confidence, 3),
            "track": None if track == NO_ID else track,
            "person": None if person == NO_ID else person,
        }
        for xyxy, confidence, track, person in rows
        if person != NO_ID or confidence >= SHOWN_CONFIDENCE
    ]
