"""A server of the official Python SDK on all three bindings: python_server.py.

Chooses its own ports and prints `ready HTTP_PORT GRPC_PORT` once it serves. JSON-RPC is at /rpc, HTTP+JSON at /. The
agent does what the first word of a message says: complete, chunks, ask, run (until it is canceled), fail. Ends with its
standard input.
"""

import asyncio
import socket
import sys

import grpc
import httpx
import uvicorn
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler, GrpcHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import (
    BasePushNotificationSender,
    InMemoryPushNotificationConfigStore,
    InMemoryTaskStore,
    TaskUpdater,
)
from a2a.types import a2a_pb2 as pb
from a2a.types import a2a_pb2_grpc
from starlette.applications import Starlette


def text(value):
    return pb.Part(text=value)


class Scripted(AgentExecutor):
    async def execute(self, context, event_queue):
        if not context.current_task:
            task = pb.Task(
                id=context.task_id,
                context_id=context.context_id,
                status=pb.TaskStatus(state=pb.TaskState.TASK_STATE_SUBMITTED),
                history=[context.message],
            )
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work()
        match context.get_user_input().split()[0]:
            case "chunks":
                for number, chunk in enumerate(["one ", "two ", "three"]):
                    await updater.add_artifact(
                        [text(chunk)], artifact_id="a", append=number > 0, last_chunk=number == 2
                    )
            case "ask":
                return await updater.requires_input(updater.new_agent_message([text("what?")]))
            case "run":
                await asyncio.Event().wait()
            case "fail":
                return await updater.failed(updater.new_agent_message([text("it failed")]))
            case _:
                await updater.add_artifact([text("done")], artifact_id="a", last_chunk=True)
        await updater.complete()

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def card(http_port, grpc_port):
    base = f"http://127.0.0.1:{http_port}"
    return pb.AgentCard(
        name="Python peer",
        description="Does what its message says",
        version="1",
        supported_interfaces=[
            pb.AgentInterface(url=url, protocol_binding=binding, protocol_version="1.0")
            for url, binding in [
                (f"127.0.0.1:{grpc_port}", "GRPC"),
                (f"{base}/rpc", "JSONRPC"),
                (base, "HTTP+JSON"),
            ]
        ],
        capabilities=pb.AgentCapabilities(streaming=True, push_notifications=True, extended_agent_card=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[pb.AgentSkill(id="script", name="Script", description="Does what it is told", tags=["test"])],
    )


def extended(public):
    whole = pb.AgentCard()
    whole.CopyFrom(public)
    whole.skills.add(id="hidden", name="Hidden", description="Not for everybody", tags=["test"])
    return whole


async def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    grpc_server = grpc.aio.server()
    http_port, grpc_port = listener.getsockname()[1], grpc_server.add_insecure_port("127.0.0.1:0")
    public = card(http_port, grpc_port)
    configs = InMemoryPushNotificationConfigStore()
    handler = DefaultRequestHandler(
        agent_executor=Scripted(),
        task_store=InMemoryTaskStore(),
        agent_card=public,
        push_config_store=configs,
        push_sender=BasePushNotificationSender(httpx.AsyncClient(), configs),
        extended_agent_card=extended(public),
    )
    a2a_pb2_grpc.add_A2AServiceServicer_to_server(GrpcHandler(handler), grpc_server)
    await grpc_server.start()
    routes = [
        *create_agent_card_routes(public),
        *create_jsonrpc_routes(handler, "/rpc"),
        *create_rest_routes(handler),
    ]
    config = uvicorn.Config(Starlette(routes=routes), log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    print("ready", http_port, grpc_port, flush=True)
    # Whoever started this holds the other end; it goes away with them.
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving
    await grpc_server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
