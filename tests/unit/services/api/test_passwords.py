"""Passwords are compared, with one answer and one effort for those that there are and those that there are not."""

from services.api.passwords import Passwords, hash_password, matches

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
