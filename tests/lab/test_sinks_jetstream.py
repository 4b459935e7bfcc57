# SPDX-License-Identifier: Apache-2.0
"""Messages in a stream of a real server of NATS: what is there, and what is said otherwise."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cloudevents.core.bindings import http as binding
from cloudevents.core.formats.json import JSONFormat
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, ObjectStoreConfig, StreamConfig

from lab.mail_probing import left_behind
from lab.nats_server import BUCKET, STREAM, Realm, administrator, nats_server
from lab.sink_world import MESSAGE, PLACE, scripted, send, told
from postroom.delivery.answers import Answer, Meaning
from postroom.delivery.events import OVERSIZED, RECEIVED, Format
from postroom.delivery.sinks import jetstream
from postroom.delivery.sinks.jetstream import Connection, JetStreamSink, Limits, Server, Subject
from postroom.lab.operator_process import free_port

SUBJECT = Subject("mail", "support.eu")
#: The server is another process, which may have to wait for a processor.
PATIENT = Limits(connect=60.0, acknowledge=60.0, pause=0.05)
SHORT = Limits(connect=3.0, acknowledge=1.0, pause=0.05)
LARGE = bytes(range(256)) * 8192  # 2 MiB
#: Users of one account, the administrator of which may do all.
USERS = """
accounts {{ A {{ jetstream: enabled, users: [
  {{ user: admin, password: p }}
  {{ user: worker, password: p, permissions: {{ publish: [{allowed}], subscribe: ["_INBOX.>"] }} }}
] }} }}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with nats_server(tmp_path_factory.mktemp("nats")) as port:
        yield f"nats://127.0.0.1:{port}"


@pytest.fixture
async def stream(server: str) -> AsyncIterator[Any]:
    """JetStream with an empty stream and an empty bucket."""
    async with administrator(server) as (_, context):
        await context.add_stream(name=STREAM, subjects=[f"{jetstream.PREFIX}.>"])
        await context.create_object_store(BUCKET)
        try:
            yield context
        finally:
            await context.delete_stream(STREAM)
            await context.delete_object_store(BUCKET)


@asynccontextmanager
async def sink(
    url: str, written_as: Format = Format.RAW, *, limits: Limits = PATIENT, **options: Any
) -> AsyncIterator[JetStreamSink]:
    given = {"stream": STREAM, "object_store": BUCKET} | options
    connection = Connection(Server(url, **given), limits)
    try:
        yield JetStreamSink(connection, SUBJECT, written_as)
    finally:
        await connection.close()


async def answer_of(url: str, message: bytes | None = MESSAGE, **options: Any) -> Answer:
    async with sink(url, **options) as to:
        return await send(to, message)


async def refused(url: str, message: bytes | None = MESSAGE, **options: Any) -> str:
    answer = await answer_of(url, message, **options)
    assert (answer.status, answer.meaning) == (None, Meaning.LATER)
    return answer.trouble


@pytest.mark.parametrize(
    "message", [MESSAGE, bytes(range(256)), b"\r\n.\r\n+OK\r\n", b"", b"m" * 900_000]
)
async def test_a_message_is_in_the_stream_octet_for_octet(
    server: str, stream: Any, message: bytes
) -> None:
    assert await answer_of(server, message) == Answer(200)
    kept = await stream.get_msg(STREAM, 1)
    assert kept.subject == "postroom.mail.mail.support_eu"
    assert (kept.data or b"") == message
    assert kept.headers["Nats-Msg-Id"] == PLACE.event_id
    assert kept.headers["Nats-Expected-Stream"] == STREAM
    event = binding.from_binary(
        binding.HTTPMessage(headers=dict(kept.headers), body=kept.data or b""), JSONFormat()
    )
    assert event.get_attributes()["datacontenttype"] == "message/rfc822"
    assert (event.get_id(), event.get_type()) == (PLACE.event_id, RECEIVED)


async def test_a_message_is_a_document_where_that_is_asked_for(server: str, stream: Any) -> None:
    assert await answer_of(server, bytes(range(256)), written_as=Format.CLOUD_EVENT) == Answer(200)
    kept = await stream.get_msg(STREAM, 1)
    headers = {name.lower(): value for name, value in kept.headers.items()}
    event = binding.from_structured(binding.HTTPMessage(headers, kept.data), JSONFormat())
    assert event.get_data() == bytes(range(256))


async def test_what_was_published_a_moment_ago_is_not_there_twice(server: str, stream: Any) -> None:
    async with sink(server) as to:
        assert [await send(to) for _ in range(3)] == [Answer(200)] * 3
    assert (await stream.stream_info(STREAM)).state.messages == 1


@pytest.mark.parametrize("written_as", Format)
async def test_a_large_message_is_in_the_object_store(
    server: str, stream: Any, written_as: Format
) -> None:
    async with sink(server, written_as) as to:
        assert await send(to, LARGE) == Answer(200)
        assert await send(to, LARGE) == Answer(200)
    kept = await stream.get_msg(STREAM, 1)
    if written_as is Format.RAW:
        assert kept.headers["ce-dataref"] == f"nats-object:{BUCKET}/{PLACE.event_id}"
        assert kept.headers["ce-datacontenttype"] == "message/rfc822"
        assert (kept.headers["ce-type"], kept.data or b"") == (RECEIVED, b"")
    else:
        assert f'"dataref":"nats-object:{BUCKET}/{PLACE.event_id}"'.encode() in kept.data
    store = await stream.object_store(BUCKET)
    assert (await store.get(PLACE.event_id)).data == LARGE
    assert len(await store.list()) == 1


async def test_what_is_in_the_object_store_already_stays(server: str, stream: Any) -> None:
    """Whoever heard of it the first time may be reading it."""
    store = await stream.object_store(BUCKET)
    async with sink(server) as to:
        assert await send(to, LARGE) == Answer(200)
        first = await store.get_info(PLACE.event_id)
        assert await send(to, LARGE) == Answer(200)
        assert (await store.get_info(PLACE.event_id)).nuid == first.nuid
        # What is another, or gone, is put anew.
        await store.put(PLACE.event_id, LARGE[::-1])
        assert await send(to, LARGE) == Answer(200)
        assert (await store.get(PLACE.event_id)).data == LARGE
        await store.delete(PLACE.event_id)
        assert await send(to, LARGE) == Answer(200)
        assert (await store.get(PLACE.event_id)).data == LARGE


async def test_without_an_object_store_a_large_message_is_told_of(server: str, stream: Any) -> None:
    assert await answer_of(server, LARGE, object_store="") == Answer(200)
    kept = await stream.get_msg(STREAM, 1)
    assert (kept.headers["ce-type"], kept.data or b"") == (OVERSIZED, b"")
    assert "ce-dataref" not in kept.headers


@pytest.mark.parametrize("written_as", Format)
@pytest.mark.parametrize("bucket", [BUCKET, ""])
@pytest.mark.parametrize("most", ["server", "stream", "both"])
async def test_whatever_bound_a_message_is_beyond_it_holds_nobody_up(
    tmp_path: Path, most: str, bucket: str, written_as: Format
) -> None:
    """Whoever writes to a mailbox chooses the size: it is stored or told of, however the bounds of
    server and stream are."""
    payload = "" if most == "stream" else "max_payload: 32768"
    size = -1 if most == "server" else 20_000
    with nats_server(tmp_path, payload) as port:
        url = f"nats://127.0.0.1:{port}"
        async with administrator(url) as (_, context):
            await context.add_stream(
                name=STREAM, subjects=["postroom.mail.>"], max_msg_size=size, max_msgs=-1
            )
            store = await context.create_object_store(BUCKET)
            octets = bytes(range(256)) * 400
            async with sink(url, written_as, object_store=bucket) as to:
                small = {**told(), "id": "small"}
                assert await send(to, octets, what=told()) == Answer(200)
                assert await send(to, b"small", what=small) == Answer(200)
            large, after = [await context.get_msg(STREAM, number) for number in (1, 2)]
            said = f"{large.headers}{(large.data or b'').decode()}"
            assert (f"nats-object:{BUCKET}/{PLACE.event_id}" in said) is bool(bucket)
            assert (OVERSIZED in said) is not bool(bucket)
            assert "small" in (after.headers or {}).values()
            if bucket:
                assert (await store.get(PLACE.event_id)).data == octets


async def test_large_messages_are_in_memory_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a server takes: eight of them would be more than the worker has."""
    published, under_way, most = JetStreamContext.publish, [], []

    async def counted(self: Any, subject: str, payload: bytes, **more: Any) -> Any:
        under_way.append(len(payload))
        most.append(sum(under_way))
        try:
            return await published(self, subject, payload, **more)
        finally:
            under_way.remove(len(payload))

    monkeypatch.setattr(JetStreamContext, "publish", counted)
    with nats_server(tmp_path, "max_payload: 33554432") as port:
        url = f"nats://127.0.0.1:{port}"
        async with administrator(url) as (_, context), sink(url) as to:
            await context.add_stream(name=STREAM, subjects=["postroom.mail.>"])
            each = [send(to, b"x" * 5_000_000, {**told(), "id": str(n)}) for n in range(4)]
            each += [send(to, MESSAGE, {**told(), "id": f"small-{n}"}) for n in range(4)]
            assert await asyncio.gather(*each) == [Answer(200)] * 8
    assert 5_000_000 <= max(most) <= 5_000_000 + 4 * len(MESSAGE)


async def test_a_bucket_that_takes_no_more_is_named(server: str, stream: Any) -> None:
    """And not the stream of the events, which has room."""
    await stream.delete_object_store(BUCKET)
    await stream.create_object_store(BUCKET, ObjectStoreConfig(max_bytes=1_000_000))
    assert "Object Store of --nats-object-store is full" in await refused(server, LARGE)


async def test_an_event_without_a_message(server: str, stream: Any) -> None:
    assert await answer_of(server, None) == Answer(200)
    kept = await stream.get_msg(STREAM, 1)
    assert kept.headers["ce-type"] == OVERSIZED
    assert "ce-datacontenttype" not in kept.headers


async def test_no_line_of_a_header_comes_from_a_message(server: str, stream: Any) -> None:
    what = {**told(), "messageid": "a\r\nNats-Rollup: all\r\n\r\nPUB x 1", "mailbox": "Entwürfe %"}
    async with sink(server) as to:
        assert await send(to, what=what) == Answer(200)
    kept = await stream.get_msg(STREAM, 1)
    assert "Nats-Rollup" not in kept.headers
    assert kept.headers["ce-mailbox"] == "Entw%C3%BCrfe%20%25"


async def test_no_stream_takes_the_subject(server: str) -> None:
    trouble = await refused(server)
    assert trouble.startswith("No stream of NATS takes postroom.mail.mail.support_eu")


async def test_another_stream_takes_the_subject(server: str, stream: Any) -> None:
    trouble = await refused(server, stream="OTHER")
    assert trouble.startswith("Another stream of NATS takes postroom.mail.mail.support_eu")


async def test_no_bucket(server: str, stream: Any) -> None:
    assert "no Object Store" in await refused(server, LARGE, object_store="other")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_msgs": 1}, "is full"),
        ({"max_bytes": 900}, "is full"),
    ],
)
async def test_a_stream_that_takes_no_more(server: str, limits: Any, words: str) -> None:
    async with administrator(server) as (_, context):
        await context.add_stream(
            StreamConfig(STREAM, subjects=["postroom.mail.>"], discard=DiscardPolicy.NEW, **limits)
        )
        try:
            async with sink(server) as to:
                answers = [
                    await send(to, b"x" * size, {**told(), "id": str(size)}) for size in (8, 700)
                ]
            assert answers[0] == Answer(200)
            assert words in answers[1].trouble
        finally:
            await context.delete_stream(STREAM)


@pytest.mark.parametrize(
    ("discard", "answers", "left"),
    [(DiscardPolicy.OLD, True, 0), (DiscardPolicy.NEW, False, 1)],
)
async def test_what_docs_tell_of_a_stream_that_is_smaller_than_a_message(
    server: str, discard: DiscardPolicy, answers: bool, left: int
) -> None:
    async with administrator(server) as (_, context), sink(server) as to:
        await context.add_stream(
            StreamConfig(STREAM, subjects=["postroom.mail.>"], discard=discard, max_bytes=50_000)
        )
        try:
            assert await send(to, what={**told(), "id": "before"}) == Answer(200)
            assert ((await send(to, b"x" * 100_000)) == Answer(200)) is answers
            assert (await context.stream_info(STREAM)).state.messages == left
        finally:
            await context.delete_stream(STREAM)


@pytest.mark.parametrize("message", [MESSAGE, None])
async def test_a_stream_that_takes_not_even_what_is_told(
    server: str, stream: Any, message: bytes | None
) -> None:
    await stream.update_stream(name=STREAM, subjects=["postroom.mail.>"], max_msg_size=100)
    trouble = await refused(server, message)
    assert trouble.startswith("The stream of NATS takes no message so large as what is told of one")


async def test_somebody_answers_who_is_no_stream(server: str) -> None:
    async with administrator(server) as (client, _):
        for said in (
            b"{}",
            b"+OK",
            b'{"stream": "OTHER", "seq": 1}',
            b'{"stream": "MAIL", "seq": 0}',
        ):

            async def answer(message: Any, said: bytes = said) -> None:
                await message.respond(said)

            subscription = await client.subscribe(SUBJECT.name, cb=answer)
            await client.flush()
            assert "that is no stream" in await refused(server)
            await subscription.unsubscribe()
            await client.flush()


async def test_somebody_takes_it_and_says_nothing(server: str) -> None:
    async with administrator(server) as (client, _):
        await client.subscribe(SUBJECT.name)
        await client.flush()
        trouble = await refused(server, limits=SHORT)
        assert trouble == "NATS does not acknowledge the message in time"


async def test_without_jetstream(tmp_path: Path) -> None:
    with nats_server(tmp_path, "accounts { A { users: [{ user: u, password: p }] } }") as port:
        trouble = await refused(f"nats://u:p@127.0.0.1:{port}", LARGE)
        assert "JetStream is not available" in trouble


async def test_nobody_listens_then_somebody_does_then_not_again(tmp_path: Path) -> None:
    port = free_port()
    url = f"nats://127.0.0.1:{port}"
    async with sink(url) as to:
        assert "cannot be reached" in (await send(to)).trouble
        for _ in range(2):
            with nats_server(tmp_path, port=port):
                await asyncio.sleep(2 * SHORT.pause)
                async with administrator(url) as (_, context):
                    await context.add_stream(name=STREAM, subjects=["postroom.mail.>"])
                assert await send(to) == Answer(200)
                assert await send(to, LARGE, {**told(), "id": "l"}) != Answer(200)
            assert "NATS" in (await send(to)).trouble


async def test_what_may_not_be_published_is_told(tmp_path: Path) -> None:
    with nats_server(tmp_path, USERS.format(allowed='"other.>"')) as port:
        url = f"nats://worker:p@127.0.0.1:{port}"
        # What it says of that is no answer, and the answer is waited for.
        trouble = await refused(url, limits=SHORT)
        assert trouble.startswith("NATS lets postroom not publish postroom.mail.mail.support_eu")
        async with sink(url, limits=SHORT) as to:
            # However often it says so over one connection.
            several = 2 * jetstream._COMPLAINTS
            told_of = [(await send(to)).trouble for _ in range(several)]
        assert set(told_of) == {trouble}
        assert "NATS does not let postroom sign in" in await refused(url.replace(":p@", ":x@"))
        assert "NATS does not let postroom sign in" in await refused(url.replace("worker:p@", ""))


async def test_these_rights_are_enough(tmp_path: Path) -> None:
    """The least that docs/incoming-events.md tells administrators to allow."""
    allowed = f'"postroom.mail.>", "$O.{BUCKET}.>", "$JS.API.STREAM.INFO.OBJ_{BUCKET}", '
    allowed += f'"$JS.API.STREAM.MSG.GET.OBJ_{BUCKET}", "$JS.API.STREAM.PURGE.OBJ_{BUCKET}", '
    allowed += f'"$JS.API.DIRECT.GET.OBJ_{BUCKET}.>"'
    with nats_server(tmp_path, USERS.format(allowed=allowed)) as port:
        async with administrator(f"nats://admin:p@127.0.0.1:{port}") as (_, context):
            await context.add_stream(name=STREAM, subjects=["postroom.mail.>"])
            await context.create_object_store(BUCKET)
            async with sink(f"nats://worker:p@127.0.0.1:{port}") as to:
                for message in (MESSAGE, LARGE, LARGE):
                    assert await send(to, message) == Answer(200)


async def test_credentials_of_a_file(tmp_path: Path) -> None:
    realm, stranger = Realm(), Realm()
    good = realm.credentials(tmp_path / "good.creds")
    with nats_server(tmp_path, realm.configuration) as port:
        url = f"nats://127.0.0.1:{port}"
        async with administrator(url, user_credentials=str(good)) as (_, context):
            await context.add_stream(name=STREAM, subjects=["postroom.mail.>"])
        assert await answer_of(url, credentials=good) == Answer(200)
        other = stranger.credentials(tmp_path / "other.creds")
        (tmp_path / "broken.creds").write_text("nothing")
        for path, words in (
            (other, "does not let postroom sign in"),
            (None, "does not let postroom sign in"),
            (tmp_path / "none.creds", "cannot be read"),
            (tmp_path / "broken.creds", "cannot be read"),
        ):
            assert words in await refused(url, credentials=path), path


async def test_tls_is_begun_and_proven_before_anything_is_told(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    files = {}
    for name, blob in (
        ("ca", authority.cert_pem),
        ("other", other.cert_pem),
    ):
        files[name] = tmp_path / f"{name}.crt"
        blob.write_to_path(str(files[name]))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    tls = f'tls {{ cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.pem" }}'
    with nats_server(tmp_path, tls) as port:
        url = f"tls://127.0.0.1:{port}"
        trusting = ssl.create_default_context(cafile=str(files["ca"]))
        async with administrator(url, tls=trusting) as (_, context):
            await context.add_stream(name=STREAM, subjects=["postroom.mail.>"])
        assert await answer_of(url, ca_file=files["ca"]) == Answer(200)
        assert "is not trusted" in await refused(url, ca_file=files["other"])
        assert "is not trusted" in await refused(
            url.replace("127.0.0.1", "localhost"), ca_file=files["ca"]
        )
        assert "cannot be read" in await refused(url, ca_file=tmp_path / "none.crt")
    mutual = f'tls {{ cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.pem",'
    mutual += f' ca_file: "{files["ca"]}", verify: true }}'
    with nats_server(tmp_path, mutual) as port:
        trouble = await refused(f"tls://127.0.0.1:{port}", ca_file=files["ca"])
        assert "asks for a client certificate" in trouble


async def test_a_server_without_tls_gets_nothing_where_tls_is_asked_for(tmp_path: Path) -> None:
    said = bytearray()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'INFO {"version":"2.10.0","headers":true,"max_payload":1048576,"nonce":"n"}\r\n'
        )
        await writer.drain()
        while octets := await reader.read(1000):
            said.extend(octets)

    good = Realm().credentials(tmp_path / "good.creds")
    async with scripted(script) as port:
        trouble = await refused(f"tls://127.0.0.1:{port}", credentials=good)
    assert trouble.startswith("NATS does not begin with TLS")
    assert bytes(said) == b""


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"INFO {\r\n", b"INFO {}\r\n-ERR 'x'\r\n"])
async def test_what_is_no_nats_is_not_there(said: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        await asyncio.sleep(0.1)

    async with scripted(script) as port:
        assert "cannot be reached" in await refused(f"nats://127.0.0.1:{port}")


async def test_attempts_to_connect_are_paced_for_all_accounts_together() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1

    async with scripted(script) as port:
        limits = Limits(connect=1.0, acknowledge=1.0, pause=60.0)
        connection = Connection(Server(f"nats://127.0.0.1:{port}", STREAM), limits)
        sinks = [JetStreamSink(connection, Subject("mail", f"a{n}")) for n in range(10)]
        answers = await asyncio.gather(*(send(to) for to in sinks))
        once = connections
        answers += await asyncio.gather(*(send(to) for to in sinks))
        await connection.close()
    assert {answer.meaning for answer in answers} == {Meaning.LATER}
    assert connections == once <= 3


async def test_a_sending_that_is_given_up_leaves_nothing_behind(server: str, stream: Any) -> None:
    before = asyncio.all_tasks()
    async with administrator(server) as (client, _), sink(server) as to:
        await client.subscribe("postroom.mail.mail.*")
        for moments in (0, 1, 2, 5, 10, 20, 50, 100):
            sending = asyncio.create_task(send(to, LARGE))
            for _ in range(moments):
                await asyncio.sleep(0)
            if sending.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await sending
            else:
                assert moments, "it cannot be done before it begins"
        assert await send(to) == Answer(200)
    assert await left_behind(before) == set()
