"""Answers that were given, for clients that ask again because they did not hear them."""

from django.conf import settings
from django.db import models


class IdempotentAnswer(models.Model):
    """What a request with an ``Idempotency-Key`` was answered; the same request gets the same answer for a day.

    Attributes:
        fingerprint: of method, address and body.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    body = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once")]
        indexes = [
            # tasks.idempotent_answers_expire
            models.Index(fields=["created_at"], name="idempotent_answer_age"),
        ]

    def __str__(self) -> str:
        return self.key
