"""A receiver of push notifications by the conventions of the official Python SDK: push_receiver.py URL.

The SDK has a sender and no receiver. What this one expects is what that sender sends: X-A2A-Notification-Token,
Authorization, and a StreamResponse in JSON, which is parsed by the SDK's types with nothing unknown let pass. Whatever
comes from the server is also sent by the SDK's own sender to the same receiver, and compared.
"""

import asyncio
import json
import queue
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.server.context import ServerCallContext
from a2a.server.tasks import BasePushNotificationSender, InMemoryPushNotificationConfigStore
from a2a.types import a2a_pb2 as pb
from google.protobuf.json_format import ParseDict

from checks import check, equal, run

SECONDS_MAX = 20


class Receiver:
    """Takes what carries the right token and credentials, and refuses everything else."""

    def __init__(self, token, authorization):
        self.expected = {"X-A2A-Notification-Token": token, "Authorization": authorization}
        self.taken = queue.Queue()
        self.refused = queue.Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_known = all(self.headers[name] == value for name, value in receiver.expected.items())
                (receiver.taken if is_known else receiver.refused).put((self.headers, body))
                self.send_response(200 if is_known else 401)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    async def next(self, which=None):
        return await asyncio.to_thread((which or self.taken).get, timeout=SECONDS_MAX)

    def config(self, token, credentials):
        authentication = pb.AuthenticationInfo(scheme="Bearer", credentials=credentials)
        return pb.TaskPushNotificationConfig(id="c", url=self.url, token=token, authentication=authentication)


def parsed(body):
    """Fails on a field that the SDK does not know."""
    return ParseDict(json.loads(body), pb.StreamResponse())


def ends(event):
    return pb.TASK_STATE_COMPLETED in (event.task.status.state, event.status_update.status.state)


class Peer:
    """The SDK's client of one server."""

    def __init__(self, http, card):
        config = ClientConfig(streaming=False, httpx_client=http, supported_protocol_bindings=["JSONRPC"])
        self.client = ClientFactory(config).create(card)

    async def task(self, text, config):
        configuration = pb.SendMessageConfiguration(task_push_notification_config=config)
        message = pb.Message(message_id=str(uuid.uuid4()), role=pb.ROLE_USER, parts=[pb.Part(text=text)])
        request = pb.SendMessageRequest(message=message, configuration=configuration)
        answers = [one async for one in self.client.send_message(request)]
        return answers[0].task


async def deliveries(peer, receiver, text):
    """Runs a task to its end; its id, and what came: headers, body, event."""
    task = await peer.task(text, receiver.config("secret token", "secret credentials"))
    found = []
    while not found or not ends(found[-1][2]):
        headers, body = await receiver.next()
        found.append((headers, body, parsed(body)))
    return task.id, found


def receiver():
    return Receiver("secret token", "Bearer secret credentials")


@check
async def events_are_parsed_by_the_sdks_types(peer):
    task_id, found = await deliveries(peer, receiver(), "tck-artifact-file")
    kinds = [event.WhichOneof("payload") for _, _, event in found]
    equal(kinds[0], "task")
    equal((kinds.count("artifact_update"), kinds[-1]), (1, "status_update"), "kinds")
    equal(found[0][2].task.id, task_id)
    part = next(event for _, _, event in found if event.HasField("artifact_update")).artifact_update.artifact.parts[0]
    equal((part.raw, part.filename, part.media_type), (b"tck", "output.txt", "text/plain"))


@check
async def the_sdks_sender_sends_the_same(peer):
    ours, theirs = receiver(), receiver()
    store = InMemoryPushNotificationConfigStore()
    async with httpx.AsyncClient() as http:
        sender = BasePushNotificationSender(http, store)
        for text in ["tck-artifact-file", "tck-artifact-file-url", "tck-artifact-data", "tck-complete-task"]:
            task_id, found = await deliveries(peer, ours, text)
            config = theirs.config("secret token", "secret credentials")
            await store.set_info(task_id, config, ServerCallContext())
            for headers, body, event in found:
                await sender.send_notification(task_id, getattr(event, event.WhichOneof("payload")))
                their_headers, their_body = await theirs.next()
                equal(parsed(body), parsed(their_body), "event")
                for name in ["X-A2A-Notification-Token", "Authorization"]:
                    equal(headers[name], their_headers[name], name)
                media_type = headers["Content-Type"]
                assert media_type.startswith("application/") and media_type.endswith("json"), media_type


@check
async def who_refuses_the_token_gets_it_again(peer):
    repaired = Receiver("another token", "Bearer secret credentials")
    await peer.task("tck-complete-task", repaired.config("secret token", "secret credentials"))
    first, body = await repaired.next(repaired.refused)
    repaired.expected["X-A2A-Notification-Token"] = "secret token"
    again, same = await repaired.next()
    equal((again["A2A-Notification-Id"], same), (first["A2A-Notification-Id"], body))
    equal(parsed(same).WhichOneof("payload"), "task")


async def main(url):
    async with httpx.AsyncClient(timeout=30) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        await run(Peer(http, card))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
