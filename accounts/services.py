"""What changes users."""

from django.contrib.auth.password_validation import validate_password

from accounts.models import Role, User


def user_create(*, username: str, password: str, role: Role = Role.VIEWER, email: str = "") -> User:
    """Make a user; an Admin may use the admin pages.

    Raises:
        ValidationError: by field, the name is taken or malformed; or the password is too weak.
    """
    user = User(username=username, role=role, email=email, is_staff=role == Role.ADMIN)
    user.set_password(password)
    user.full_clean()
    validate_password(password, user)
    user.save()
    return user


def administrator_ensure(*, username: str, password: str) -> bool:
    """Make an Admin of this name with this password, or make the one that is there so; True for news.

    The password is not judged: whoever runs commands on the machine may choose any.
    """
    user = User.objects.filter(username=username).first() or User(username=username)
    if user.is_admin and user.is_staff and user.is_active and user.check_password(password):
        return False  # setting it again would end the user's logins
    user.role, user.is_staff, user.is_active = Role.ADMIN, True, True
    user.set_password(password)
    user.save()
    return True
