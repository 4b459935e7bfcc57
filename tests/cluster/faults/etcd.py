# SPDX-License-Identifier: Apache-2.0
"""Compaction of the etcd that the control plane of tests runs in its own process.

One call of etcd's API (KV.Compact) over HTTP/2 without TLS, written out: nothing else here needs a
client of gRPC.
"""

from __future__ import annotations

import socket
from pathlib import Path

from postroom.lab.controlplane import ControlPlane

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS, _LISTENING = 1, 4, "0A"
#: The field grpc-status: 0 of the answer, as etcd writes it: the name in Huffman's code.
_WELL = bytes.fromhex("889acac8b21234da8f") + b"\x010"
_FIELDS = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/etcdserverpb.KV/Compact"),
    (":authority", "etcd"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
)


def compact(plane: ControlPlane, revision: int) -> None:
    """Have etcd forget everything before a revision, which resource versions are."""
    assert any(_done(port, _call(revision)) for port in _ports(plane)), "etcd did not compact"


def _done(port: int, call: bytes) -> bool:
    """Whether a server on a port of the process carried a call out; the others know no gRPC."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(call)
        try:
            while _WELL not in said and (piece := connection.recv(65536)):
                said += piece
        except (TimeoutError, ConnectionError):
            return False
    return _WELL in said


def _call(revision: int) -> bytes:
    # Each a literal that enters no table, without Huffman coding (RFC 7541 section 6.2.2).
    fields = b"".join(b"\x00" + _string(name) + _string(value) for name, value in _FIELDS)
    # CompactionRequest: revision (1, varint), physical (2, true).
    request = b"\x08" + _varint(revision) + b"\x10\x01"
    message = b"\x00" + len(request).to_bytes(4, "big") + request
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, fields)
        + _frame(_DATA, _END_STREAM, 1, message)
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


def _string(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _ports(plane: ControlPlane) -> list[int]:
    """Those of loopback on which the process of the control plane listens."""
    state = str(plane.kubeconfig.parent)
    process = next(
        path.parent
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"--state-dir={state}" in path.read_text(errors="replace").split("\0")
    )
    sockets = set[str]()
    for link in (process / "fd").iterdir():
        try:
            sockets.add(str(link.readlink()))
        except OSError:
            continue
    lines = [line.split() for line in (process / "net" / "tcp").read_text().splitlines()[1:]]
    return [
        int(line[1].partition(":")[2], 16)
        for line in lines
        if line[3] == _LISTENING and f"socket:[{line[9]}]" in sockets
    ]
