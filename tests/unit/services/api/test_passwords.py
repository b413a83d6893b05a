"""Passwords are compared, with one answer and one effort for those that there are and those that there are not."""

import pytest

from services.api.passwords import Passwords, hash_password, matches, require_good_password
from shared.io.problem import HttpError

HASH = hash_password("right")


async def test_a_right_password_is_told_from_a_wrong_one() -> None:
    passwords = Passwords()
    assert [True, False, False] == [await passwords.verify(text, HASH) for text in ("right", "wrong", "")]


async def test_there_is_no_right_password_for_nobody() -> None:
    assert not await Passwords().verify("right", None)


def test_hashes_are_argon2id_and_salted() -> None:
    assert HASH.startswith("$argon2id$")
    assert HASH != hash_password("right")


def test_a_hash_that_cannot_be_read_matches_nothing() -> None:
    assert not matches("right", "")
    assert not matches("right", "$argon2id$nonsense")


@pytest.mark.parametrize("password", ["ann@example.org", "ANN@Example.org", "aaaaaaaaaaaaaaa", "abcdabcdabcd"])
def test_passwords_that_anybody_would_try_first_are_refused(password: str) -> None:
    with pytest.raises(HttpError) as error:
        require_good_password(password, "Ann@example.org", "new")
    assert "new" == error.value.errors[0].field


@pytest.mark.parametrize("password", ["correct horse", "пароль-пароль", "ann@example.org!"])
def test_any_other_password_will_do(password: str) -> None:
    require_good_password(password, "ann@example.org", "new")


async def test_what_is_hashed_off_the_loop_is_a_hash() -> None:
    assert matches("right", await Passwords().hash("right"))
