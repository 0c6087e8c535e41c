"""Calibration from people: horizon and height of one camera, then all cameras together."""
