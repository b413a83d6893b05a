"""Names: ids, topics, partitions, keys."""

from collections import Counter
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.names import PartitionKeys, Topic, is_id, new_id, partition_of

ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


def test_new_ids_are_ids_and_differ() -> None:
    made = {new_id("s") for _ in range(1000)}
    assert 1000 == len(made)
    assert all(is_id(one) and one.startswith("s_") for one in made)


@pytest.mark.parametrize("text", ["", "a b", 'a"', "a\n", "ä", "a" * 65, "a:b", "a/b", "a\0"])
def test_other_text_is_no_id(text: str) -> None:
    assert not is_id(text)


@given(ids)
def test_topic_text_and_back(workspace_id: str) -> None:
    assert Topic(workspace_id, "servers") == Topic.parse(str(Topic(workspace_id, "servers")))


@pytest.mark.parametrize("text", ["", "servers", "w_1:", ":servers", "w_1:Servers", "w_1:a:b", "w 1:servers"])
def test_other_text_is_no_topic(text: str) -> None:
    with pytest.raises(Malformed):
        Topic.parse(text)


def test_partition_is_the_crc32_of_the_workspace() -> None:
    assert crc32(b"w_1") % 8 == partition_of("w_1")


def test_workspaces_spread_over_the_partitions() -> None:
    spread = Counter(partition_of(new_id("w")) for _ in range(8000))
    assert 8 == len(spread)
    assert max(spread.values()) < 1.5 * min(spread.values())


def test_keys_of_a_partition_share_a_cluster_slot() -> None:
    keys = PartitionKeys(3)
    topic = Topic("w_1", "servers")
    names = [keys.log, keys.epoch, keys.versions, keys.deadlines, keys.samples]
    names += [keys.state(topic), keys.unique(topic, "name"), keys.operation("op")]
    assert {"{3}"} == {name[name.index("{") : name.index("}") + 1] for name in names}
    assert len(names) == len(set(names))
