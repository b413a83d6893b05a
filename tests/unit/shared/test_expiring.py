"""What may be looked up again is remembered for a while and in bounds."""

from shared.expiring import ExpiringMemory


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_value_is_remembered_until_its_time_is_over() -> None:
    clock = Clock()
    memory: ExpiringMemory[str, int] = ExpiringMemory(capacity=10, lifetime_s=5, clock=clock)
    memory.store("a", 1)
    clock.now_s = 4.9
    assert 1 == memory.get("a")
    clock.now_s = 5
    assert memory.get("a") is None
    assert 0 == len(memory)


def test_storing_again_starts_the_time_again() -> None:
    clock = Clock()
    memory: ExpiringMemory[str, int] = ExpiringMemory(capacity=10, lifetime_s=5, clock=clock)
    memory.store("a", 1)
    clock.now_s = 4
    memory.store("a", 2)
    clock.now_s = 8
    assert 2 == memory.get("a")


def test_the_oldest_leaves_when_there_are_too_many() -> None:
    memory: ExpiringMemory[str, int] = ExpiringMemory(capacity=2, lifetime_s=5, clock=Clock())
    memory.store("a", 1)
    memory.store("b", 2)
    memory.store("a", 3)
    memory.store("c", 4)
    assert [3, None, 4] == [memory.get(key) for key in "abc"]
    assert 2 == len(memory)


def test_what_is_forgotten_is_gone() -> None:
    memory: ExpiringMemory[str, int] = ExpiringMemory(capacity=2, lifetime_s=5, clock=Clock())
    memory.store("a", 1)
    memory.forget("a")
    memory.forget("b")
    assert memory.get("a") is None


def test_what_a_rule_means_is_forgotten() -> None:
    memory: ExpiringMemory[str, int] = ExpiringMemory(capacity=3, lifetime_s=5, clock=Clock())
    for number, key in enumerate("abc"):
        memory.store(key, number)
    memory.forget_where(lambda number: number != 1)
    assert [None, 1, None] == [memory.get(key) for key in "abc"]
