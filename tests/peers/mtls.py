"""Mutual TLS with clients of other makes: grpcio (BoringSSL) and httpx (OpenSSL), HTTP/1.1 and HTTP/2 on one port.

mtls.py ADDRESS DIRECTORY MODE: the directory has ca.pem and, for each client, NAME.pem and NAME.key. In mode `dev`
there is only the one of `a2ad certs dev`, called client; in mode `full` there are a, b, expired and stranger.
"""

import asyncio
import ssl
import sys
import uuid
from pathlib import Path

import grpc
import httpx
from a2a.types import a2a_pb2 as pb
from a2a.types import a2a_pb2_grpc

import checks
from checks import check, equal, run

SECONDS = 20
CARD = "/.well-known/agent-card.json"
VERSION = {"A2A-Version": "1.0"}


class Server:
    def __init__(self, address, directory):
        self.address = address
        self.directory = Path(directory)
        self.client = "client" if (self.directory / "client.pem").exists() else "a"

    def read(self, name):
        return (self.directory / name).read_bytes()

    def grpc(self, client=None):
        """A stub; the channel closes with the process."""
        pair = (self.read(f"{client}.key"), self.read(f"{client}.pem")) if client else (None, None)
        credentials = grpc.ssl_channel_credentials(self.read("ca.pem"), *pair)
        return a2a_pb2_grpc.A2AServiceStub(grpc.secure_channel(self.address, credentials))

    def http(self, client=None, version=1, ca="ca.pem"):
        context = ssl.create_default_context(cafile=str(self.directory / ca))
        if client:
            context.load_cert_chain(str(self.directory / f"{client}.pem"), str(self.directory / f"{client}.key"))
        return httpx.AsyncClient(
            base_url=f"https://{self.address}", verify=context, http1=version == 1, http2=version == 2, timeout=SECONDS
        )


def message(text, **rest):
    return pb.Message(message_id=str(uuid.uuid4()), role=pb.ROLE_USER, parts=[pb.Part(text=text)], **rest)


def send(stub, text, tenant="echo", **rest):
    return stub.SendMessage(pb.SendMessageRequest(tenant=tenant, message=message(text, **rest)), timeout=SECONDS).task


def code(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def answer(call):
    """Everything that a caller can tell apart, but for what names the request."""
    try:
        return str(call())
    except grpc.RpcError as error:
        return error.code(), error.details()


@check
def grpc_with_a_certificate(server):
    equal(send(server.grpc(server.client), "hello").status.state, pb.TASK_STATE_COMPLETED)


@check
async def http_1_and_2_on_the_same_port(server):
    for version, name in ((1, "HTTP/1.1"), (2, "HTTP/2")):
        async with server.http(server.client, version) as client:
            card = await client.get(CARD)
            equal((card.http_version, card.status_code), (name, 200))
            body = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}}
            sent = await client.post("/echo/message:send", json=body, headers=VERSION)
            equal(sent.status_code, 200, sent.text)
            equal(sent.json()["task"]["status"]["state"], "TASK_STATE_COMPLETED")


@check
def grpc_without_a_certificate(server):
    equal(code(lambda: send(server.grpc(), "hello")), grpc.StatusCode.UNAVAILABLE)


@check
def grpc_with_an_expired_certificate(server):
    equal(code(lambda: send(server.grpc("expired"), "hello")), grpc.StatusCode.UNAVAILABLE)


@check
def grpc_with_another_authoritys_certificate(server):
    equal(code(lambda: send(server.grpc("stranger"), "hello")), grpc.StatusCode.UNAVAILABLE)


@check
async def http_is_as_strict(server):
    for version in (1, 2):
        for client in (None, "expired", "stranger"):
            try:
                async with server.http(client, version) as http:
                    found = await http.get(CARD)
            except (httpx.TransportError, ssl.SSLError):
                continue
            raise AssertionError(f"HTTP/{version} with {client}: {found.status_code}")


@check
async def clients_notice_another_server(server):
    """The other way round: what the wrong authority signed is no server for our clients."""
    async with server.http("a", ca="stranger-ca.pem") as http:
        try:
            await http.get(CARD)
        except httpx.ConnectError:
            return
    raise AssertionError("the client took the server for another one")


@check
def plaintext_is_not_answered(server):
    stub = a2a_pb2_grpc.A2AServiceStub(grpc.insecure_channel(server.address))
    equal(code(lambda: send(stub, "hello")), grpc.StatusCode.UNAVAILABLE)


@check
def the_server_goes_on_after_all_that(server):
    equal(send(server.grpc("a"), "hello").status.state, pb.TASK_STATE_COMPLETED)


@check
def tasks_of_another_principal_do_not_exist(server):
    alice, bob = server.grpc("a"), server.grpc("b")
    task = send(alice, "turn:mine", tenant="bench")
    equal(task.status.state, pb.TASK_STATE_INPUT_REQUIRED)
    unknown = str(uuid.uuid4())
    calls = {
        "get": lambda id: bob.GetTask(pb.GetTaskRequest(tenant="bench", id=id), timeout=SECONDS),
        "cancel": lambda id: bob.CancelTask(pb.CancelTaskRequest(tenant="bench", id=id), timeout=SECONDS),
        "subscribe": lambda id: list(
            bob.SubscribeToTask(pb.SubscribeToTaskRequest(tenant="bench", id=id), timeout=SECONDS)
        ),
        "send": lambda id: send(bob, "b", tenant="bench", task_id=id),
        "push": lambda id: bob.ListTaskPushNotificationConfigs(
            pb.ListTaskPushNotificationConfigsRequest(tenant="bench", task_id=id), timeout=SECONDS
        ),
    }
    for name, call in calls.items():
        theirs, nobodys = answer(lambda: call(task.id)), answer(lambda: call(unknown))
        equal(theirs, nobodys, f"{name} of another's and of no task")
        equal(theirs[0], grpc.StatusCode.NOT_FOUND, name)
    listed = bob.ListTasks(pb.ListTasksRequest(tenant="bench"), timeout=SECONDS)
    equal((len(listed.tasks), listed.total_size), (0, 0))
    equal(send(alice, "b", tenant="bench", task_id=task.id).status.state, pb.TASK_STATE_COMPLETED)


@check
async def a_principal_is_the_same_on_every_binding(server):
    task = send(server.grpc("a"), "hello")
    for version in (1, 2):
        for client, status in (("a", 200), ("b", 404)):
            async with server.http(client, version) as http:
                found = await http.get(f"/echo/tasks/{task.id}", headers=VERSION)
                equal(found.status_code, status, f"HTTP/{version} as {client}")


if __name__ == "__main__":
    address, directory, mode = sys.argv[1:]
    if mode == "dev":
        checks.CHECKS[:] = [grpc_with_a_certificate, http_1_and_2_on_the_same_port, grpc_without_a_certificate]
    asyncio.run(run(Server(address, directory)))
