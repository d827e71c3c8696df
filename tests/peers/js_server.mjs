// A server of the official JavaScript SDK on all three bindings: js_server.mjs.
//
// Chooses its own ports and prints `ready HTTP_PORT GRPC_PORT` once it serves. JSON-RPC is at /rpc, HTTP+JSON at /. The
// agent does what the first word of a message says: complete, chunks, ask, run (until it is canceled), fail. Ends with
// its standard input.

import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

// The packages are not beside this file but where tests/peers/install put them.
const modules = createRequire(path.resolve('target/peers/node/package.json'));
const load = (name) => import(pathToFileURL(modules.resolve(name)).href);
const unwrap = (module) => module.default ?? module;
const { AgentCard, Task, TaskStatusUpdateEvent, TaskArtifactUpdateEvent } = unwrap(await load('@a2a-js/sdk'));
const { AgentEvent, DefaultPushNotificationSender, DefaultRequestHandler, InMemoryPushNotificationStore,
  InMemoryTaskStore } = unwrap(await load('@a2a-js/sdk/server'));
const { UserBuilder, agentCardHandler, jsonRpcHandler, restHandler } = unwrap(await load('@a2a-js/sdk/server/express'));
const { A2AService, grpcService } = unwrap(await load('@a2a-js/sdk/server/grpc'));
const express = unwrap(await load('express'));
const grpc = unwrap(await load('@grpc/grpc-js'));

// What the SDK tells is none of what the one who started this reads.
console.log = console.info = console.debug = console.error;

class Scripted {
  running = new Map();

  async execute(context, bus) {
    const { taskId, contextId } = context;
    const said = context.userMessage.parts[0].content.value.split(' ')[0];
    const now = () => new Date().toISOString();
    const status = (state, text) => bus.publish(AgentEvent.statusUpdate(TaskStatusUpdateEvent.fromJSON({
      taskId, contextId, status: { state: `TASK_STATE_${state}`, timestamp: now(), ...(text && { message: {
        messageId: randomUUID(), role: 'ROLE_AGENT', taskId, contextId, parts: [{ text }] } }) } })));
    const artifact = (text, append, lastChunk) => bus.publish(AgentEvent.artifactUpdate(
      TaskArtifactUpdateEvent.fromJSON({ taskId, contextId, append, lastChunk,
        artifact: { artifactId: 'a', parts: [{ text }] } })));
    if (!context.task) {
      bus.publish(AgentEvent.task({ ...Task.fromJSON({ id: taskId, contextId,
        status: { state: 'TASK_STATE_SUBMITTED', timestamp: now() } }), history: [context.userMessage] }));
    }
    status('WORKING');
    if (said === 'ask') {
      status('INPUT_REQUIRED', 'what?');
    } else if (said === 'fail') {
      status('FAILED', 'it failed');
    } else if (said === 'run') {
      await new Promise((resolve) => this.running.set(taskId, resolve));
      status('CANCELED');
    } else {
      const chunks = said === 'chunks' ? ['one ', 'two ', 'three'] : ['done'];
      chunks.forEach((chunk, index) => artifact(chunk, index > 0, index === chunks.length - 1));
      status('COMPLETED');
    }
    bus.finished();
  }

  cancelTask = async (taskId) => {
    this.running.get(taskId)?.();
    this.running.delete(taskId);
  };
}

function card(httpPort, grpcPort) {
  const base = `http://127.0.0.1:${httpPort}`;
  const faces = [[`127.0.0.1:${grpcPort}`, 'GRPC'], [`${base}/rpc`, 'JSONRPC'], [base, 'HTTP+JSON']];
  return AgentCard.fromJSON({
    name: 'JavaScript peer',
    description: 'Does what its message says',
    version: '1',
    supportedInterfaces: faces.map(([url, protocolBinding]) => ({ url, protocolBinding, protocolVersion: '1.0' })),
    capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [{ id: 'script', name: 'Script', description: 'Does what it is told', tags: ['test'] }],
  });
}

function extended(known) {
  const skill = { id: 'hidden', name: 'Hidden', description: 'Not for everybody', tags: ['test'] };
  const json = AgentCard.toJSON(known);
  return AgentCard.fromJSON({ ...json, skills: [...json.skills, skill] });
}

const app = express();
const http = app.listen(0, '127.0.0.1');
await new Promise((resolve) => http.once('listening', resolve));
const service = new grpc.Server();
const grpcPort = await new Promise((resolve, reject) => service.bindAsync('127.0.0.1:0',
  grpc.ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port))));
const known = card(http.address().port, grpcPort);
const pushes = new InMemoryPushNotificationStore();
const requestHandler = new DefaultRequestHandler(known, new InMemoryTaskStore(), new Scripted(), undefined, pushes,
  new DefaultPushNotificationSender(pushes), () => extended(known));
const options = { requestHandler, userBuilder: UserBuilder.noAuthentication };
service.addService(A2AService, grpcService(options));
app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: requestHandler }));
app.use('/rpc', jsonRpcHandler(options));
app.use('/', restHandler(options));
process.stdout.write(`ready ${http.address().port} ${grpcPort}\n`);
// Whoever started this holds the other end; it goes away with them.
process.stdin.on('end', () => process.exit(0)).resume();
