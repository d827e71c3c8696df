"""What a gRPC client other than an SDK's meets: reflection, health, compression, metadata, error details, gRPC-Web.

grpc_raw.py ADDRESS: a server whose default agent is the conformance agent. No message type of A2A is imported here:
they all come out of the server's reflection, the way that command line tools get them.
"""

import asyncio
import base64
import gzip
import struct
import sys
import threading
import uuid

import grpc
import httpx
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from checks import check, equal, run

SERVICE = "lf.a2a.v1.A2AService"
SECONDS = 20
MIB = 1024 * 1024
REFLECTION_VERSIONS = ("v1", "v1alpha")


class Server:
    """A channel, and the protocol as reflection tells it."""

    def __init__(self, address):
        self.address = address
        self.channel = grpc.insecure_channel(address)
        self.pool = DescriptorPool()
        self.known = set()
        self.load(file_containing_symbol=SERVICE)
        self.service = self.pool.FindServiceByName(SERVICE)

    def reflect(self, version="v1", **question):
        """The messages of both versions of the reflection service are the same on the wire."""
        call = self.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        return next(call(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=SECONDS))

    def load(self, **question):
        """Adds a file and, before it, all that it imports."""
        for encoded in self.reflect(**question).file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(encoded)
            if file.name in self.known:
                continue
            self.known.add(file.name)
            for name in file.dependency:
                if name not in self.known:
                    self.load(file_by_filename=name)
            self.pool.Add(file)

    def message(self, name, **fields):
        kind = message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"lf.a2a.v1.{name}"))
        return kind(**fields)

    def method(self, name, channel=None, raw_request=False):
        method = self.service.methods_by_name[name]
        answer = message_factory.GetMessageClass(method.output_type)
        channel = channel or self.channel
        factory = channel.unary_stream if method.server_streaming else channel.unary_unary
        return factory(
            f"/{SERVICE}/{name}",
            request_serializer=None if raw_request else lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    def request(self, text, **rest):
        request = self.message("SendMessageRequest", **rest)
        request.message.message_id = str(uuid.uuid4())
        request.message.role = 1
        request.message.parts.add().text = text
        return request

    def send(self, text, channel=None, metadata=None, compression=None, **rest):
        call = self.method("SendMessage", channel)
        return call(self.request(text, **rest), timeout=SECONDS, metadata=metadata, compression=compression)


def fails(code, call):
    """The call ends with this code; the error comes back."""
    try:
        outcome = call()
    except grpc.RpcError as error:
        equal(error.code(), code, f"code of {error.details()!r}")
        return error
    raise AssertionError(f"no {code} but {outcome}")


def details(error):
    """The `google.rpc` details of an error by their type's name."""
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    equal((status.code, status.message), (error.code().value[0], error.details()))
    found = {}
    for detail in status.details:
        name = detail.type_url.rpartition(".")[2]
        found[name] = getattr(error_details_pb2, name)()
        detail.Unpack(found[name])
    return found


@check
def reflection_lists_the_services(server):
    for version in REFLECTION_VERSIONS:
        answer = server.reflect(version, list_services="")
        names = {one.name for one in answer.list_services_response.service}
        assert {SERVICE, "grpc.health.v1.Health"} <= names, names


@check
def reflection_keeps_the_http_rules(server):
    for version in REFLECTION_VERSIONS:
        answer = server.reflect(version, file_containing_symbol=f"{SERVICE}.SendMessage")
        files = answer.file_descriptor_response.file_descriptor_proto
        parsed = [descriptor_pb2.FileDescriptorProto.FromString(one) for one in files]
        methods = {method.name: method for file in parsed for service in file.service for method in service.method}
        rule = methods["SendMessage"].options.Extensions[annotations_pb2.http]
        equal((rule.post, rule.body), ("/message:send", "*"))
        rule = methods["GetTask"].options.Extensions[annotations_pb2.http]
        equal(rule.get, "/tasks/{id=*}")


@check
def reflection_does_not_know_what_is_not_there(server):
    """tonic-reflection ends the stream where others answer in the stream; clients take both."""
    for version in REFLECTION_VERSIONS:
        ask = lambda: server.reflect(version, file_containing_symbol="no.such.Thing")
        fails(grpc.StatusCode.NOT_FOUND, ask)


@check
def calls_from_reflection_alone(server):
    equal(len(server.service.methods), 11)
    task = server.send("tck-complete-task").task
    found = server.method("GetTask")(server.message("GetTaskRequest", id=task.id), timeout=SECONDS)
    equal(found, task)
    events = list(server.method("SendStreamingMessage")(server.request("tck-stream-001"), timeout=SECONDS))
    equal(events[0].WhichOneof("payload"), "task")


@check
def health_check(server):
    stub = health_pb2_grpc.HealthStub(server.channel)
    for service in ("", SERVICE):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
        equal(answer.status, health_pb2.HealthCheckResponse.SERVING)
    unknown = health_pb2.HealthCheckRequest(service="no.such.Service")
    fails(grpc.StatusCode.NOT_FOUND, lambda: stub.Check(unknown, timeout=SECONDS))


@check
def health_watch(server):
    stub = health_pb2_grpc.HealthStub(server.channel)
    for service in ("", SERVICE):
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
        equal(next(watch).status, health_pb2.HealthCheckResponse.SERVING)
        watch.cancel()


@check
def gzip_by_a_client(server):
    text = "compress me " * 20_000
    with grpc.insecure_channel(server.address, compression=grpc.Compression.Gzip) as channel:
        task = server.send(text, channel, tenant="echo").task
    equal(task.artifacts[0].parts[0].text, text)


@check
async def gzip_on_the_wire(server):
    """Both directions, seen in the frames."""
    text = "compress me " * 20_000
    body = gzip.compress(server.request(text, tenant="echo").SerializeToString())
    headers = {
        "content-type": "application/grpc",
        "te": "trailers",
        "grpc-encoding": "gzip",
        "grpc-accept-encoding": "gzip",
    }
    async with httpx.AsyncClient(http1=False, http2=True, timeout=SECONDS) as client:
        url = f"http://{server.address}/{SERVICE}/SendMessage"
        answer = await client.post(url, content=frame(body, flag=1), headers=headers)
    equal(answer.headers.get("grpc-encoding"), "gzip")
    flag, payload = frames(answer.content)[0]
    equal(flag, 1, "compressed flag")
    assert len(payload) < len(text) / 10, len(payload)
    task = server.message("SendMessageResponse").FromString(gzip.decompress(payload)).task
    equal(task.artifacts[0].parts[0].text, text)


def frame(message, flag=0):
    return struct.pack(">BI", flag, len(message)) + message


def frames(data):
    found = []
    while data:
        flag, length = struct.unpack(">BI", data[:5])
        found.append((flag, data[5 : 5 + length]))
        data = data[5 + length :]
    return found


@check
def versions(server):
    for metadata in (None, (("a2a-version", "1.0"),), (("a2a-version", "1.0.1"),)):
        assert server.send("tck-complete-task", metadata=metadata).task.id
    for version in ("0.3", "7.3", "abc"):
        metadata = (("a2a-version", version),)
        error = fails(
            grpc.StatusCode.FAILED_PRECONDITION, lambda: server.send("tck-complete-task", metadata=metadata)
        )
        equal(details(error)["ErrorInfo"].reason, "VERSION_NOT_SUPPORTED")


@check
def error_info(server):
    unknown = server.message("GetTaskRequest", id=str(uuid.uuid4()))
    error = fails(grpc.StatusCode.NOT_FOUND, lambda: server.method("GetTask")(unknown, timeout=SECONDS))
    info = details(error)["ErrorInfo"]
    equal((info.reason, info.domain), ("TASK_NOT_FOUND", "a2a-protocol.org"))
    equal(info.metadata["taskId"], unknown.id)
    assert info.metadata["requestId"]


@check
def bad_request(server):
    request = server.request("x")
    del request.message.parts[:]
    request.message.message_id = ""
    error = fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: server.method("SendMessage")(request, timeout=SECONDS))
    fields = {one.field for one in details(error)["BadRequest"].field_violations}
    equal(fields, {"message.messageId", "message.parts"})


@check
def unknown_methods_and_services(server):
    for path in (f"/{SERVICE}/NoSuchMethod", "/no.such.Service/Get"):
        call = server.channel.unary_unary(path)
        fails(grpc.StatusCode.UNIMPLEMENTED, lambda: call(b"", timeout=SECONDS))


@check
def deadline(server):
    request = server.request("hold:30", tenant="bench")
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: server.method("SendMessage")(request, timeout=0.3))


@check
async def deadline_kept_by_the_server(server):
    """Nobody cancels here: the answer is the server's own."""
    headers = {"content-type": "application/grpc", "te": "trailers", "grpc-timeout": "200m"}
    body = frame(server.request("hold:30", tenant="bench").SerializeToString())
    async with httpx.AsyncClient(http1=False, http2=True, timeout=SECONDS) as client:
        answer = await client.post(f"http://{server.address}/{SERVICE}/SendMessage", content=body, headers=headers)
    equal(answer.headers.get("grpc-status"), "4")


@check
def a_message_that_is_too_large(server):
    error = fails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: server.send("x" * (5 * MIB)))
    assert error.details(), "no word about the limit"
    assert server.send("tck-complete-task").task.id, "the connection is still good"


@check
def a_compressed_message_that_is_too_large(server):
    with grpc.insecure_channel(server.address, compression=grpc.Compression.Gzip) as channel:
        fails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: server.send("x" * (64 * MIB), channel))


@check
def malformed_bytes(server):
    for name in ("SendMessage", "GetTask"):
        call = server.method(name, raw_request=True)
        for junk in (b"\xff\xff\xff\xff", b"\x0a\x7f\x00", b"\x0a\x02\xff\xfe"):
            fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: call(junk, timeout=SECONDS))
    stream = server.method("SendStreamingMessage", raw_request=True)
    fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: list(stream(b"\xff\xff", timeout=SECONDS)))


@check
def a_value_that_is_nested_too_deeply(server):
    request = server.request("x")
    value = request.message.metadata
    for _ in range(60):
        value = value.get_or_create_struct("a")
    fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: server.method("SendMessage")(request, timeout=SECONDS))


@check
def streams_resume_by_generation(server):
    request = server.request("ticks:20:0:0:0", tenant="bench")
    full = server.method("SendStreamingMessage")(request, timeout=SECONDS)
    first = int(dict(full.initial_metadata())["a2ad-first-generation"])
    events = list(full)
    equal(first, 1)
    task = events[0].task
    # A new task of the same kind, that is still running when its reader comes back.
    request = server.request("ticks:20:50000:0:0", tenant="bench")
    stream = server.method("SendStreamingMessage")(request, timeout=SECONDS)
    seen = [next(stream) for _ in range(5)]
    stream.cancel()
    task = seen[0].task
    subscription = server.message("SubscribeToTaskRequest", tenant="bench", id=task.id)
    resumed = server.method("SubscribeToTask")(
        subscription, timeout=SECONDS, metadata=(("a2ad-last-generation", str(len(seen))),)
    )
    equal(dict(resumed.initial_metadata())["a2ad-first-generation"], str(len(seen) + 1))
    rest = list(resumed)
    equal([one.WhichOneof("payload") for one in seen + rest], [one.WhichOneof("payload") for one in events])
    ticks = [one.artifact_update.artifact.parts[0].text.split()[1] for one in seen + rest if one.HasField("artifact_update")]
    equal(ticks, [str(index) for index in range(20)])


@check
def parallel_calls_on_one_connection(server):
    """More at once than one HTTP/2 window of small requests: nothing is lost or mixed up."""
    call = server.method("SendMessage")
    texts = [f"number {index}" for index in range(300)]
    futures = [call.future(server.request(text, tenant="echo"), timeout=SECONDS) for text in texts]
    equal([one.result().task.artifacts[0].parts[0].text for one in futures], texts)


@check
def a_client_that_leaves_does_not_stop_its_task(server):
    stream = server.method("SendStreamingMessage")(server.request("ticks:20:20000:0:0", tenant="bench"), timeout=SECONDS)
    task = next(stream).task
    stream.cancel()
    found = server.method("SubscribeToTask")(
        server.message("SubscribeToTaskRequest", tenant="bench", id=task.id), timeout=SECONDS
    )
    equal(list(found)[-1].status_update.status.state, 3)


@check
async def grpc_web(server):
    """Plain HTTP/1.1, as a browser or a proxy sends it, in both encodings."""
    body = frame(server.request("tck-complete-task").SerializeToString())
    url = f"http://{server.address}/{SERVICE}/SendMessage"
    async with httpx.AsyncClient(timeout=SECONDS) as client:
        for encoding, encode, decode in (
            ("application/grpc-web+proto", bytes, bytes),
            ("application/grpc-web-text", base64.b64encode, decode_text),
        ):
            headers = {"content-type": encoding, "accept": encoding, "x-grpc-web": "1"}
            answer = await client.post(url, content=encode(body), headers=headers)
            equal((answer.http_version, answer.status_code), ("HTTP/1.1", 200))
            assert answer.headers["content-type"].startswith(encoding.removesuffix("+proto")), answer.headers
            (_, message), (flag, trailers) = frames(decode(answer.content))
            task = server.message("SendMessageResponse").FromString(message).task
            equal(task.status.state, 3)
            assert flag == 0x80 and b"grpc-status:0" in trailers.replace(b" ", b""), trailers


def decode_text(data):
    """Each chunk of the text form may have padding of its own."""
    decoded, start = b"", 0
    while start < len(data):
        end = data.find(b"=", start)
        end = len(data) if end < 0 else end + (2 if data[end : end + 2] == b"==" else 1)
        decoded += base64.b64decode(data[start:end])
        start = end
    return decoded


@check
async def grpc_web_stream_and_error(server):
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    base = f"http://{server.address}/{SERVICE}"
    async with httpx.AsyncClient(timeout=SECONDS) as client:
        body = frame(server.request("tck-stream-001").SerializeToString())
        answer = await client.post(f"{base}/SendStreamingMessage", content=body, headers=headers)
        found = frames(answer.content)
        assert len(found) >= 4 and found[-1][0] == 0x80, found
        body = frame(server.message("GetTaskRequest", id=str(uuid.uuid4())).SerializeToString())
        answer = await client.post(f"{base}/GetTask", content=body, headers=headers)
        told = answer.headers.get("grpc-status") or answer.content.decode("latin-1")
        assert told == "5" or "grpc-status:5" in told.replace(" ", ""), answer.content


@check
def threads_share_a_channel(server):
    outcomes = []

    def work():
        outcomes.append(server.send("tck-complete-task").task.status.state)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(outcomes, [3] * 16)


if __name__ == "__main__":
    asyncio.run(run(Server(sys.argv[1])))
