"""What others ask of users."""

from accounts.models import User


def user_find(*, username: str) -> User | None:
    """Give the user of a name, or None."""
    return User.objects.filter(username=username).first()
