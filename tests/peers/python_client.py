"""The official Python SDK's client against three servers of ours.

python_client.py BINDING FULL_URL BARE_URL EXTENSION_URL: the second server's card declares no capability, the
third one's a required extension. The default agent of all three is the conformance agent.
"""

import asyncio
import sys
import time
import uuid

import grpc
import httpx
from a2a.client import ClientCallContext, ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import a2a_pb2 as pb
from a2a.utils import errors

from checks import check, equal, run

REQUIRED_EXTENSION = "urn:a2a:tck:required-extension"
COMPLETED = pb.TASK_STATE_COMPLETED
WORKING = pb.TASK_STATE_WORKING
CANCELED = pb.TASK_STATE_CANCELED
INPUT_REQUIRED = pb.TASK_STATE_INPUT_REQUIRED


class Peer:
    """Clients of one server: one that streams and one that doesn't."""

    def __init__(self, binding, url):
        self.binding = binding
        self.url = url
        self.http = httpx.AsyncClient(timeout=30)

    async def connect(self, card=None):
        self.card = card or await A2ACardResolver(self.http, self.url).get_agent_card()
        self.unary = self.client(streaming=False)
        self.streaming = self.client(streaming=True)
        return self

    def client(self, streaming):
        config = ClientConfig(
            streaming=streaming,
            httpx_client=self.http,
            grpc_channel_factory=grpc.aio.insecure_channel,
            supported_protocol_bindings=[self.binding],
        )
        return ClientFactory(config).create(self.card)

    async def send(self, text, context=None, **options):
        """One SendMessage; returns its only answer."""
        answers = [one async for one in self.unary.send_message(request(text, **options), context=context)]
        equal(len(answers), 1, "answers")
        return answers[0]

    async def task(self, text, **options):
        answer = await self.send(text, **options)
        equal(answer.WhichOneof("payload"), "task", "payload")
        return answer.task

    def stream(self, text, **options):
        return self.streaming.send_message(request(text, **options))

    async def cancel(self, task_id):
        return await self.unary.cancel_task(pb.CancelTaskRequest(id=task_id))

    def subscribe(self, task_id):
        return self.streaming.subscribe(pb.SubscribeToTaskRequest(id=task_id))


def request(text, parts=None, immediately=False, tenant="", history=None, output_modes=(), **message):
    configuration = pb.SendMessageConfiguration(
        return_immediately=immediately, history_length=history, accepted_output_modes=output_modes
    )
    return pb.SendMessageRequest(
        tenant=tenant,
        configuration=configuration,
        message=pb.Message(
            message_id=str(uuid.uuid4()), role=pb.ROLE_USER, parts=parts or [pb.Part(text=text)], **message
        ),
    )


def texts(message):
    return [part.text for part in message.parts]


async def raises(kind, awaitable):
    """The awaitable fails with exactly this class of the SDK."""
    try:
        outcome = await awaitable
    except Exception as error:
        equal(type(error).__name__, kind.__name__, f"class of {error}")
        return error
    raise AssertionError(f"no {kind.__name__} but {outcome}")


async def drain(stream):
    return [event async for event in stream]


def kinds(events):
    return [event.WhichOneof("payload") for event in events]


def states(events):
    """The states that a stream tells, repeats left out."""
    found = []
    for event in events:
        kind = event.WhichOneof("payload")
        if kind in ("task", "status_update"):
            state = getattr(event, kind).status.state
            if found[-1:] != [state]:
                found.append(state)
    return [pb.TaskState.Name(state).removeprefix("TASK_STATE_") for state in found]


@check
async def card(full, bare, extension):
    equal(full.card.name, "Conformance")
    assert full.card.capabilities.streaming and full.card.capabilities.push_notifications
    bindings = [one.protocol_binding for one in full.card.supported_interfaces]
    equal(bindings, ["GRPC", "JSONRPC", "HTTP+JSON"])
    equal({one.protocol_version for one in full.card.supported_interfaces}, {"1.0"})
    assert not bare.card.capabilities.streaming
    equal([one.uri for one in extension.card.capabilities.extensions if one.required], [REQUIRED_EXTENSION])


@check
async def send_blocking(full, *_):
    task = await full.task("tck-complete-task")
    equal(task.status.state, COMPLETED)
    equal(texts(task.status.message), ["Hello from TCK"])
    assert task.id and task.context_id and task.status.HasField("timestamp")


@check
async def send_blocking_waits(full, *_):
    equal((await full.task("tck-delayed-complete")).status.state, COMPLETED)


@check
async def send_return_immediately(full, *_):
    task = await full.task("tck-cancel", immediately=True)
    assert task.status.state in (pb.TASK_STATE_SUBMITTED, WORKING), task
    await full.cancel(task.id)


@check
async def send_history_length(full, *_):
    equal(len((await full.task("tck-complete-task", history=0)).history), 0)


@check
async def message_response(full, *_):
    answer = await full.send("tck-message-response")
    equal(answer.WhichOneof("payload"), "message")
    equal(texts(answer.message), ["Direct message response"])
    assert answer.message.context_id and not answer.message.task_id
    equal(answer.message.role, pb.ROLE_AGENT)


@check
async def message_response_stream(full, *_):
    events = await drain(full.stream("tck-message-response"))
    equal(kinds(events), ["message"])


@check
async def parts_of_every_kind(full, *_):
    raw = (await full.task("tck-artifact-file")).artifacts[0].parts[0]
    equal((raw.raw, raw.filename, raw.media_type), (b"tck", "output.txt", "text/plain"))
    url = (await full.task("tck-artifact-file-url")).artifacts[0].parts[0]
    equal(url.url, "https://example.com/output.txt")
    data = (await full.task("tck-artifact-data")).artifacts[0].parts[0].data.struct_value
    equal((data["key"], data["count"]), ("value", 42))


@check
async def parts_come_back(full, *_):
    parts = [pb.Part(text="ümläut 𝄞"), pb.Part(raw=bytes(range(256)), filename="b"), pb.Part(url="https://a.example/")]
    parts.append(pb.Part(media_type="application/json"))
    parts[-1].data.struct_value.update({"a": [1, 2.5, None, True, {"b": "c"}]})
    task = await full.task("", parts=parts, tenant="echo")
    equal(list(task.artifacts[0].parts), parts)


@check
async def stream(full, *_):
    events = await drain(full.stream("tck-stream-artifact-chunked"))
    equal(kinds(events)[0], "task")
    equal(states(events)[-2:], ["WORKING", "COMPLETED"])
    chunks = [one.artifact_update for one in events if one.HasField("artifact_update")]
    equal([texts(one.artifact) for one in chunks], [["chunk-1 "], ["chunk-2"]])
    equal([(one.append, one.last_chunk) for one in chunks], [(False, False), (True, True)])
    equal(len({one.artifact.artifact_id for one in chunks}), 1)


@check
async def stream_many_events(full, *_):
    events = await drain(full.stream("ticks:500:0:0:10", tenant="bench"))
    chunks = [one.artifact_update.artifact.parts[0].text for one in events if one.HasField("artifact_update")]
    equal([text.split()[1] for text in chunks], [str(index) for index in range(500)])
    equal(states(events)[-1], "COMPLETED")


@check
async def get(full, *_):
    sent = await full.task("tck-artifact-text")
    found = await full.unary.get_task(pb.GetTaskRequest(id=sent.id))
    equal(found, sent)
    equal(texts(found.artifacts[0]), ["Generated text content"])
    equal(texts(found.history[0]), ["tck-artifact-text"])
    bare = await full.unary.get_task(pb.GetTaskRequest(id=sent.id, history_length=0))
    equal(len(bare.history), 0)


@check
async def list_pages(full, *_):
    context = str(uuid.uuid4())
    sent = [(await full.task("tck-complete-task", context_id=context)).id for _ in range(5)]
    token, pages = "", []
    while not pages or token:
        page = await full.unary.list_tasks(pb.ListTasksRequest(context_id=context, page_size=2, page_token=token))
        equal((page.total_size, page.page_size), (5, 2))
        pages.append([task.id for task in page.tasks])
        token = page.next_page_token
    equal([len(page) for page in pages], [2, 2, 1])
    equal([one for page in pages for one in page], sent[::-1], "latest first")


@check
async def list_filters(full, *_):
    context = str(uuid.uuid4())
    done = await full.task("tck-artifact-text", context_id=context)
    # Both may well happen within one millisecond, and timestamps are no finer.
    while time.time_ns() // 1_000_000 <= done.status.timestamp.ToMilliseconds():
        await asyncio.sleep(0.001)
    asks = await full.task("tck-input-required", context_id=context)

    async def ids(**filters):
        found = await full.unary.list_tasks(pb.ListTasksRequest(context_id=context, **filters))
        return [task.id for task in found.tasks]

    equal(await ids(), [asks.id, done.id])
    equal(await ids(status=COMPLETED), [done.id])
    equal(await ids(status=INPUT_REQUIRED), [asks.id])
    equal(await ids(status_timestamp_after=asks.status.timestamp), [asks.id])
    with_artifacts = pb.ListTasksRequest(context_id=context, include_artifacts=True, status=COMPLETED)
    equal(len((await full.unary.list_tasks(with_artifacts)).tasks[0].artifacts), 1)
    without = pb.ListTasksRequest(context_id=context, status=COMPLETED)
    equal(len((await full.unary.list_tasks(without)).tasks[0].artifacts), 0)


@check
async def cancel(full, *_):
    task = await full.task("tck-cancel", immediately=True)
    equal((await full.cancel(task.id)).status.state, CANCELED)
    equal((await full.cancel(task.id)).status.state, CANCELED, "second cancel")
    equal((await full.unary.get_task(pb.GetTaskRequest(id=task.id))).status.state, CANCELED)


@check
async def subscribe(full, *_):
    task = await full.task("tck-cancel", immediately=True)
    events = []
    async for event in full.subscribe(task.id):
        events.append(event)
        if len(events) == 1:
            equal(event.WhichOneof("payload"), "task")
            await full.cancel(task.id)
    equal(states(events)[-1], "CANCELED")


@check
async def resubscribe_after_a_break(full, *_):
    stream = full.stream("tck-long-running")
    first = await anext(stream)
    await stream.aclose()
    events = await drain(full.subscribe(first.task.id))
    equal(kinds(events)[0], "task")
    equal(states(events)[-1], "COMPLETED")


@check
async def subscribe_stays_through_input_required(full, *_):
    task = await full.task("tck-input-required")
    equal(task.status.state, INPUT_REQUIRED)
    watchers = [full.subscribe(task.id) for _ in range(2)]
    firsts = [await anext(one) for one in watchers]
    equal(kinds(firsts), ["task", "task"])
    done = await full.task("tck-complete-task", task_id=task.id, context_id=task.context_id)
    equal(done.status.state, COMPLETED)
    seen = [await drain(one) for one in watchers]
    equal(seen[0], seen[1], "parallel subscribers")
    equal(states(seen[0])[-1], "COMPLETED")


@check
async def multi_turn(full, *_):
    task = await full.task("tck-multi-turn")
    for text, state in (("more", INPUT_REQUIRED), ("done", COMPLETED)):
        follow = await full.task(text, task_id=task.id, context_id=task.context_id)
        equal((follow.id, follow.status.state), (task.id, state))
    found = await full.unary.get_task(pb.GetTaskRequest(id=task.id))
    said = [texts(message)[0] for message in found.history if message.role == pb.ROLE_USER]
    equal(said, ["tck-multi-turn", "more", "done"])


@check
async def multi_turn_with_tenant(full, *_):
    task = await full.task("turn:a", tenant="bench")
    equal((task.status.state, texts(task.artifacts[0])), (INPUT_REQUIRED, ["echo: turn:a"]))
    done = await full.task("b", tenant="bench", task_id=task.id, context_id=task.context_id)
    equal((done.status.state, len(done.artifacts)), (COMPLETED, 2))
    found = await full.unary.get_task(pb.GetTaskRequest(tenant="bench", id=task.id))
    equal(found.status.state, COMPLETED)
    await raises(errors.TaskNotFoundError, full.unary.get_task(pb.GetTaskRequest(id=task.id)))


@check
async def auth_required(full, *_):
    equal((await full.task("tck-auth-required")).status.state, pb.TASK_STATE_AUTH_REQUIRED)


@check
async def other_endings(full, *_):
    equal((await full.task("tck-reject-task")).status.state, pb.TASK_STATE_REJECTED)
    equal((await full.task("tck-task-failure")).status.state, pb.TASK_STATE_FAILED)


@check
async def push_configs(full, *_):
    task = await full.task("tck-input-required")
    url = "http://127.0.0.1:9/hook"
    made = await full.unary.create_task_push_notification_config(
        pb.TaskPushNotificationConfig(task_id=task.id, id="one", url=url, token="t")
    )
    equal((made.id, made.task_id, made.url, made.token), ("one", task.id, url, "***"))
    other = await full.unary.create_task_push_notification_config(
        pb.TaskPushNotificationConfig(task_id=task.id, url=url)
    )
    assert other.id
    get = pb.GetTaskPushNotificationConfigRequest(task_id=task.id, id="one")
    equal(await full.unary.get_task_push_notification_config(get), made)
    listing = pb.ListTaskPushNotificationConfigsRequest(task_id=task.id)
    found = await full.unary.list_task_push_notification_configs(listing)
    equal({one.id for one in found.configs}, {"one", other.id})
    delete = pb.DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="one")
    for _ in range(2):
        await full.unary.delete_task_push_notification_config(delete)
    await raises(errors.TaskNotFoundError, full.unary.get_task_push_notification_config(get))


@check
async def extended_card(full, *_):
    card = await full.client(streaming=True).get_extended_agent_card(pb.GetExtendedAgentCardRequest())
    equal([skill.id for skill in card.skills], ["conformance", "instructions"])


@check
async def error_task_not_found(full, *_):
    unknown = str(uuid.uuid4())
    missing = errors.TaskNotFoundError
    await raises(missing, full.unary.get_task(pb.GetTaskRequest(id=unknown)))
    await raises(missing, full.cancel(unknown))
    await raises(missing, drain(full.subscribe(unknown)))
    await raises(missing, full.send("tck-complete-task", task_id=unknown))


@check
async def error_not_cancelable(full, *_):
    task = await full.task("tck-complete-task")
    await raises(errors.TaskNotCancelableError, full.cancel(task.id))


@check
async def error_unsupported(full, *_):
    task = await full.task("tck-complete-task")
    unsupported = errors.UnsupportedOperationError
    await raises(unsupported, drain(full.subscribe(task.id)))
    await raises(unsupported, full.send("more", task_id=task.id, context_id=task.context_id))


@check
async def error_content_type(full, *_):
    parts = [pb.Part(text="x", media_type="application/x-unknown")]
    await raises(errors.ContentTypeNotSupportedError, full.send("", parts=parts))


@check
async def error_invalid_params(full, *_):
    no_parts = request("x")
    del no_parts.message.parts[:]
    await raises(errors.InvalidParamsError, drain(full.unary.send_message(no_parts)))
    await raises(errors.InvalidParamsError, full.unary.list_tasks(pb.ListTasksRequest(page_size=101)))
    await raises(errors.InvalidParamsError, full.unary.list_tasks(pb.ListTasksRequest(page_token="forged")))


@check
async def error_without_capabilities(full, bare, _):
    # With its own card the client would not even try: it believes another one.
    pretending = Peer(bare.binding, bare.url)
    believed = pb.AgentCard()
    believed.CopyFrom(bare.card)
    believed.capabilities.CopyFrom(full.card.capabilities)
    await pretending.connect(believed)
    await raises(errors.UnsupportedOperationError, drain(pretending.stream("tck-complete-task")))
    config = pb.TaskPushNotificationConfig(task_id="x", url="http://127.0.0.1:9/")
    await raises(
        errors.PushNotificationNotSupportedError, pretending.unary.create_task_push_notification_config(config)
    )
    await raises(
        errors.UnsupportedOperationError,
        pretending.unary.get_extended_agent_card(pb.GetExtendedAgentCardRequest()),
    )
    equal((await pretending.task("tck-complete-task")).status.state, COMPLETED)


@check
async def error_extension_required(full, bare, extension):
    await raises(errors.ExtensionSupportRequiredError, extension.send("tck-complete-task"))
    declared = ClientCallContext(service_parameters={"A2A-Extensions": REQUIRED_EXTENSION})
    answer = await extension.send("tck-complete-task", context=declared)
    equal(answer.task.status.state, COMPLETED)


async def main(binding, *urls):
    peers = [await Peer(binding, url).connect() for url in urls]
    await run(*peers)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
