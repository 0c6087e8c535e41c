"""Getting in over REST, staying in and getting out; and what happens to those who try other ways."""

import base64
import hmac
import json
import uuid
from datetime import timedelta

import jwt
import pytest
from axes.models import AccessAttempt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.contrib.auth.models import Group
from django.utils import timezone
from redis import Redis
from rest_framework.test import APIClient

from accounts import lockout, services, tokens
from accounts.models import ApiKey, Login, Role, User
from accounts.tokens import AccessToken, signing_backend
from tests.factories import UserFactory
from tests.roles import client_of, client_with, roles_ensure

ME = "/api/v1/auth/me/"
LOGIN = "/api/v1/auth/login/"
REFRESH = "/api/v1/auth/refresh/"
LOGOUT = "/api/v1/auth/logout/"
PASSWORD = "/api/v1/auth/password/"
GOOD_PASSWORD = "correct horse battery"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _surroundings(settings, redis_url):
    roles_ensure()
    settings.REDIS_URL = redis_url
    with Redis.from_url(redis_url) as client:
        client.flushall()


@pytest.fixture
def rates(settings):
    """Give a function that sets how often one may ask."""

    def rates(user="100000/min", login="100000/min"):
        given = {"DEFAULT_THROTTLE_RATES": {"user": user, "login": login}}
        settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | given

    return rates


@pytest.fixture
def vera():
    return UserFactory.create(username="vera", role=Role.VIEWER)


@pytest.fixture
def rsa_key(settings):
    """Sign tokens with a new key pair, and give its private half."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    settings.JWT_PRIVATE_KEY = pem
    return pem


def sign_in(username="vera", password="password", **meta):  # noqa: S107 - of the factory
    return APIClient().post(LOGIN, {"username": username, "password": password}, **meta)


def status_with(access):
    return APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {access}").status_code


def renew(refresh):
    return APIClient().post(REFRESH, {"refresh": refresh})


def code_of(response):
    return response.json()["error"]["code"]


# --- in, on and out ---


def test_login_gives_a_pair_that_lets_one_in(vera):
    response = sign_in()
    assert (response.status_code, set(response.json())) == (200, {"access", "refresh"})
    assert response["Cache-Control"] == "no-store"
    me = APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {response.json()['access']}").json()
    assert (me["username"], me["role"]) == ("vera", "viewer")
    assert "tracking.view_person" in me["permissions"]
    assert "tracking.change_trackingsession" not in me["permissions"]
    vera.refresh_from_db()
    assert vera.last_login is not None


@pytest.mark.parametrize(
    ("username", "password"), [("vera", "wrong"), ("nobody", "password"), ("vera", "password ")]
)
def test_wrong_login_gives_one_answer(vera, username, password):
    response = sign_in(username, password)
    assert response.status_code == 401
    assert response.json() == {
        "error": {"code": "wrong_credentials", "message": "User name and password do not match."}
    }
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_closed_account_does_not_get_in(vera):
    User.objects.update(is_active=False)
    assert code_of(sign_in()) == "wrong_credentials"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "vera"}, "password"),
        ({"username": ["vera"], "password": "x"}, "username"),
        ({"username": "ve\0ra", "password": "x"}, "username"),
        ({"username": "vera", "password": "x" * 257}, "password"),
    ],
)
def test_login_says_what_is_wrong_with_its_fields(body, field):
    response = APIClient().post(LOGIN, body)
    assert (response.status_code, list(response.json()["error"]["fields"])) == (400, [field])


def test_refresh_gives_the_next_pair_once(vera):
    first = sign_in().json()
    second = renew(first["refresh"])
    assert second.status_code == 200
    assert second.json()["refresh"] != first["refresh"]
    assert status_with(second.json()["access"]) == 200
    assert renew(second.json()["refresh"]).status_code == 200


def test_refresh_replayed_ends_the_login(vera):
    first = sign_in().json()
    second = renew(first["refresh"]).json()
    assert renew(first["refresh"]).status_code == 401
    assert renew(second["refresh"]).status_code == 401
    assert status_with(second["access"]) == 401


def test_other_logins_outlast_a_replay(vera):
    other = sign_in().json()
    first = sign_in().json()
    renew(first["refresh"])
    renew(first["refresh"])
    assert status_with(other["access"]) == 200


def test_logout_ends_both_tokens_and_no_other_login(vera):
    pair, other = sign_in().json(), sign_in().json()
    response = APIClient().post(LOGOUT, {"refresh": pair["refresh"]})
    assert (response.status_code, response.content) == (204, b"")
    assert status_with(pair["access"]) == 401
    assert renew(pair["refresh"]).status_code == 401
    assert status_with(other["access"]) == 200


def test_logout_by_the_access_token_alone(vera):
    client = client_of(vera)
    assert client.post(LOGOUT, {}).status_code == 204
    assert client.get(ME).status_code == 401


def test_logout_of_nobody_is_refused():
    assert APIClient().post(LOGOUT, {}).status_code == 401
    assert APIClient().post(LOGOUT, {"refresh": "nonsense"}).status_code == 401


def test_tokens_die_with_the_account(vera):
    pair = sign_in().json()
    User.objects.filter(pk=vera.pk).update(is_active=False)
    assert (status_with(pair["access"]), renew(pair["refresh"]).status_code) == (401, 401)


def test_tokens_die_with_the_user(vera):
    pair = sign_in().json()
    vera.delete()
    assert (status_with(pair["access"]), renew(pair["refresh"]).status_code) == (401, 401)


def test_tokens_die_with_the_password_however_it_is_changed(vera):
    pair = sign_in().json()
    vera.set_password("another password")  # as a command or the admin pages do
    vera.save()
    assert (status_with(pair["access"]), renew(pair["refresh"]).status_code) == (401, 401)


def test_password_is_changed_by_who_knows_it(vera):
    client = client_of(vera)
    wrong = client.post(PASSWORD, {"password": "no", "new_password": GOOD_PASSWORD})
    assert (wrong.status_code, list(wrong.json()["error"]["fields"])) == (400, ["password"])
    weak = client.post(PASSWORD, {"password": "password", "new_password": "12345"})
    assert weak.status_code == 400
    assert client.post(PASSWORD, {"password": "password", "new_password": GOOD_PASSWORD}).status_code == 204
    assert client.get(ME).status_code == 401
    assert sign_in(password=GOOD_PASSWORD).status_code == 200


def test_logins_expire_when_nobody_renews_them(vera):
    sign_in()
    assert services.logins_expire(now=timezone.now()) == 0
    assert services.logins_expire(now=timezone.now() + timedelta(days=8)) == 1
    assert Login.objects.count() == 0


# --- other ways in ---


def claims_of(access):
    return jwt.decode(access, options={"verify_signature": False})


def test_tokens_that_are_not_ours_let_nobody_in(vera):
    pair = sign_in().json()
    claims = claims_of(pair["access"])
    past = int((timezone.now() - timedelta(seconds=1)).timestamp())
    ours = signing_backend()
    head, body, signature = pair["access"].split(".")
    forged = {
        "foreign key": jwt.encode(claims, "k" * 64, algorithm="HS256"),
        "none": jwt.encode(claims, "", algorithm="none"),
        "none, unsigned": f"{jwt.encode(claims, '', algorithm='none').split('.')[0]}.{body}.",
        "other signature": f"{head}.{body}.{signature[::-1]}",
        "other algorithm": jwt.encode(claims, ours.prepared_signing_key, algorithm="HS512"),
        "expired": ours.encode(claims | {"exp": past}),
        "without an end": ours.encode({k: v for k, v in claims.items() if k != "exp"}),
        "with an odd end": ours.encode(claims | {"exp": "never"}),
        "refresh": pair["refresh"],
        "other issuer": jwt.encode(claims | {"iss": "else"}, ours.prepared_signing_key, algorithm="HS256"),
        "other login": ours.encode(claims | {tokens.LOGIN_CLAIM: str(uuid.uuid4())}),
        "odd login": ours.encode(claims | {tokens.LOGIN_CLAIM: "' OR 1=1 --"}),
        "nothing": "",
        "nonsense": "a.b.c",
        "long": "a" * 100_000,
    }
    answers = {name: status_with(token) for name, token in forged.items()}
    assert answers == dict.fromkeys(forged, 401)
    assert status_with(pair["access"]) == 200


def test_access_token_renews_nothing(vera):
    response = renew(sign_in().json()["access"])
    assert (response.status_code, code_of(response)) == (401, "token_invalid")


def test_a_thousand_guesses_are_locked_out(vera, settings, rates):
    rates()
    statuses = [sign_in(password=f"guess {number}").status_code for number in range(1000)]
    assert statuses[: settings.AXES_FAILURE_LIMIT - 1] == [401] * (settings.AXES_FAILURE_LIMIT - 1)
    assert set(statuses[settings.AXES_FAILURE_LIMIT :]) == {429}
    right = sign_in()
    assert (right.status_code, code_of(right)) == (429, "locked_out")
    assert right["Retry-After"] == "900"
    assert sign_in(REMOTE_ADDR="10.9.9.9").status_code == 200


def test_guesses_from_many_addresses_are_locked_out(vera, settings, rates):
    rates()
    for number in range(lockout.NAME_LIMIT):
        sign_in(password="guess", REMOTE_ADDR=f"10.0.{number // 250}.{number % 250 + 1}")
    assert sign_in(REMOTE_ADDR="10.9.9.9").status_code == 429
    AccessAttempt.objects.update(attempt_time=timezone.now() - settings.AXES_COOLOFF_TIME)
    assert sign_in(REMOTE_ADDR="10.9.9.9").status_code == 200


def test_attempts_are_throttled_by_address(vera, rates):
    rates(login="3/hour")
    statuses = [sign_in("nobody", f"guess {n}").status_code for n in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert sign_in(REMOTE_ADDR="10.9.9.9").status_code == 200


def test_login_page_is_locked_too(client, vera, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        response = client.post("/accounts/login/", {"username": "vera", "password": "guess"})
    assert response.status_code == 429
    assert b"Too many wrong passwords" in response.content


def test_redis_away_throttles_nobody(vera, settings, rates):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    rates(user="1/hour", login="1/hour")
    assert [sign_in().status_code for _ in range(3)] == [200] * 3


# --- tokens by a key pair ---


def test_tokens_are_signed_by_the_key_pair_and_checked_with_the_published_key(rsa_key, vera, client):
    access = sign_in().json()["access"]
    head = jwt.get_unverified_header(access)
    (key,) = client.get("/.well-known/jwks.json").json()["keys"]
    assert (head["alg"], head["kid"]) == ("RS256", key["kid"])
    assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}
    checked = jwt.decode(access, jwt.PyJWK(key).key, algorithms=["RS256"], issuer="spoton")
    assert checked["sub"] == str(vera.pk)
    assert status_with(access) == 200


def test_public_key_signs_nothing(rsa_key, vera):
    access = sign_in().json()["access"]
    # PyJWT refuses to sign with a public key, so the confusion of algorithms is written by hand
    public = signing_backend().verifying_key
    forged = _signed_with(public, claims_of(access))
    assert status_with(forged) == 401


def _signed_with(secret, claims):
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.digest(secret.encode(), signed, "sha256"))).decode()


def test_no_key_is_published_for_tokens_by_a_secret(client):
    assert client.get("/.well-known/jwks.json").json() == {"keys": []}


@pytest.mark.parametrize("pem", ["nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_unusable_key_is_said(pem, settings):
    settings.JWT_PRIVATE_KEY = pem
    with pytest.raises(tokens.KeyUnusable, match="JWT_PRIVATE_KEY_FILE"):
        AccessToken().token_backend.encode({})


# --- keys of machines ---


def test_key_lets_a_machine_in_until_it_is_taken_back(vera):
    client = client_of(vera)
    made = client.post("/api/v1/auth/keys/", {"name": "turnstile"})
    assert made.status_code == 201
    text = made.json()["key"]
    machine = APIClient()
    machine.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
    assert machine.get(ME).json()["username"] == "vera"

    (listed,) = client.get("/api/v1/auth/keys/").json()["results"]
    assert (listed["name"], listed["prefix"], "key" in listed) == ("turnstile", text.split("_")[1], False)
    assert listed["last_used_at"] is not None
    stored = ApiKey.objects.get()
    assert text.split("_")[2] not in f"{stored.digest}{stored.prefix}"

    assert client.delete(f"/api/v1/auth/keys/{stored.pk}/").status_code == 204
    assert machine.get(ME).status_code == 401


def test_key_that_is_over_or_of_a_closed_account_lets_nobody_in(vera):
    _, over = services.api_key_create(user=vera, name="a", expires_at=timezone.now())
    _, good = services.api_key_create(user=vera, name="b", expires_at=timezone.now() + timedelta(days=1))
    _, broken = services.api_key_create(user=vera, name="c")

    def status(text):
        return APIClient().get(ME, HTTP_AUTHORIZATION=f"Api-Key {text}").status_code

    assert [status(text) for text in (over, good, broken[:-1], "", "spoton_", "x y")] == [401, 200] + [
        401
    ] * 4
    User.objects.update(is_active=False)
    assert status(good) == 401


def test_keys_of_others_are_invisible(vera):
    key, _ = services.api_key_create(user=vera, name="a")
    other = client_with(Role.ADMIN)
    assert other.get("/api/v1/auth/keys/").json()["count"] == 0
    assert other.delete(f"/api/v1/auth/keys/{key.pk}/").status_code == 404


def test_key_makes_no_keys(vera):
    _, text = services.api_key_create(user=vera, name="a")
    machine = APIClient()
    machine.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
    assert machine.post("/api/v1/auth/keys/", {"name": "b"}).status_code == 409


# --- users ---


def test_admin_makes_changes_and_deletes_users():
    admin = client_with(Role.ADMIN)
    made = admin.post("/api/v1/users/", {"username": "olga", "password": GOOD_PASSWORD, "role": "operator"})
    assert made.status_code == 201
    assert "password" not in made.json()
    pair = sign_in("olga", GOOD_PASSWORD).json()
    address = f"/api/v1/users/{made.json()['id']}/"
    assert admin.patch(address, {"role": "admin"}).json()["role"] == "admin"
    assert User.objects.get(username="olga").is_staff
    assert admin.patch(address, {"password": "another good password"}).status_code == 200
    assert status_with(pair["access"]) == 401
    assert admin.delete(address).status_code == 204


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "olga", "password": "12345678"}, "password"),
        ({"username": "olga.meier", "password": "olga.meier1"}, "password"),
        ({"username": "ol ga", "password": GOOD_PASSWORD}, "username"),
        ({"username": "olga", "password": GOOD_PASSWORD, "role": "king"}, "role"),
        ({"username": "olga"}, "password"),
    ],
)
def test_users_that_cannot_be_made_are_refused(body, field):
    response = client_with(Role.ADMIN).post("/api/v1/users/", body)
    assert response.status_code == 400
    assert field in response.json()["error"]["fields"]


def test_admin_cannot_lock_themselves_out():
    admin = client_with(Role.ADMIN)
    address = f"/api/v1/users/{admin.user.pk}/"
    assert [
        admin.patch(address, {"role": "viewer"}).status_code,
        admin.patch(address, {"is_active": False}).status_code,
        admin.delete(address).status_code,
        admin.patch(address, {"role": "admin", "first_name": "Ada"}).status_code,
    ] == [409, 409, 409, 200]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_users_are_for_admins(role):
    assert client_with(role).get("/api/v1/users/").status_code == 403


def test_list_of_users_takes_few_queries(django_assert_max_num_queries):
    UserFactory.create_batch(20)
    admin = client_with(Role.ADMIN)
    with django_assert_max_num_queries(3):
        assert admin.get("/api/v1/users/?role=viewer&ordering=-date_joined").json()["count"] == 20


def test_list_of_keys_takes_few_queries(vera, django_assert_max_num_queries):
    for number in range(20):
        services.api_key_create(user=vera, name=f"door {number}")
    client = client_of(vera)
    with django_assert_max_num_queries(3):
        assert client.get("/api/v1/auth/keys/?ordering=name").json()["count"] == 20


def test_role_has_the_permissions_of_its_group(vera):
    assert not User.objects.get(pk=vera.pk).has_perm("environments.add_zone")
    group = Group.objects.get(name="viewer")
    group.permissions.add(Group.objects.get(name="admin").permissions.get(codename="add_zone"))
    assert User.objects.get(pk=vera.pk).has_perm("environments.add_zone")
