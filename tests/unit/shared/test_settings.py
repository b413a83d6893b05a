"""Settings come from a mapping, and a wrong one is named."""

import pytest

from shared.settings import BadSetting, History, Http, Liveness, Servers, load


def test_missing_variables_leave_the_defaults() -> None:
    assert Http("127.0.0.1", 0) == load(Http, {"PORT": ""})


def test_required_variable_is_named() -> None:
    with pytest.raises(BadSetting, match="DATABASE_URL is not set"):
        load(Servers, {"REDIS_URL": "redis://localhost"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("1.5", 1.5), ("90s", 90.0), ("10m", 600.0), ("4h", 14_400.0), ("7d", 604_800.0)],
)
def test_duration_may_carry_a_unit(text: str, seconds: float) -> None:
    assert seconds == load(Liveness, {"OFFLINE_AFTER": text}).offline_after_s


@pytest.mark.parametrize("text", ["0", "-1", "soon", "10 minutes", "1w", "nan"])
def test_wrong_duration_is_named(text: str) -> None:
    with pytest.raises(BadSetting, match="OFFLINE_AFTER"):
        load(Liveness, {"OFFLINE_AFTER": text})


@pytest.mark.parametrize("text", ["x", "70000", "-1", "80.5"])
def test_wrong_port_is_named(text: str) -> None:
    with pytest.raises(BadSetting, match="PORT"):
        load(Http, {"PORT": text})


def test_history_is_kept_no_shorter_at_a_coarser_level() -> None:
    with pytest.raises(BadSetting, match="HISTORY_15M_RETENTION is shorter than HISTORY_1M_RETENTION"):
        load(History, {"HISTORY_15M_RETENTION": "13d"})
    kept = load(History, {"HISTORY_15M_RETENTION": "13d", "HISTORY_1M_RETENTION": "13d"})
    assert (13 * 86_400, 13 * 86_400) == (kept.one_minute_retention_s, kept.quarter_hour_retention_s)
