# SPDX-License-Identifier: Apache-2.0
"""What a shard answers for, and what it knows of others."""

from __future__ import annotations

from postroom.api.names import Key, Kind
from postroom.concurrency.shards import Shard
from postroom.controller.shard_objects import OTHERS, OWN, ShardObjects
from postroom.metrics import Metrics
from scrapes import scraped

SHARD = Shard(1, 3)
NAMESPACES = [f"team-{number}" for number in range(30)]
OURS = [name for name in NAMESPACES if SHARD.has(name)]


def key(namespace: str) -> Key:
    return Key(Kind.MAIL_SERVER, namespace, "smtp")


async def test_every_object_is_counted_once_until_it_is_gone() -> None:
    stored: set[Key] = set()
    counted = ShardObjects(stored, lambda each: SHARD.has(each.namespace))
    works = False
    metrics = Metrics()
    counted.tell(metrics, "postroom", SHARD, lambda: works)
    info = 'postroom_shard_info{scope="postroom",shard="1",shards="3"}'
    assert f"{info} 0.0" in await scraped(metrics)
    works = True
    for name in NAMESPACES:
        stored.add(key(name))
        counted.changed(key(name))
        counted.changed(key(name))
    assert 0 < len(OURS) == counted.count(OWN)
    assert counted.count(OTHERS) == len(NAMESPACES) - len(OURS)
    told = await scraped(metrics)
    assert f"{info} 1.0" in told
    own = f'postroom_shard_objects{{part="own",scope="postroom"}} {float(len(OURS))}'
    assert own in told
    stored.clear()
    for name in NAMESPACES:
        counted.changed(key(name))
    assert counted.count(OWN) == counted.count(OTHERS) == 0
