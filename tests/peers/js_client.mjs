// The official JavaScript SDK's client against three servers of ours.
//
// js_client.mjs BINDING FULL_URL BARE_URL EXTENSION_URL: the second server's card declares no capability, the third
// one's a required extension. The default agent of all three is the conformance agent. Prints a line for each check.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

// The packages are not beside this file but where tests/peers/install put them.
const modules = createRequire(path.resolve('target/peers/node/package.json'));
const load = (name) => import(pathToFileURL(modules.resolve(name)).href);
const unwrap = (module) => module.default ?? module;
const { AgentCard, SendMessageRequest, GetTaskRequest, CancelTaskRequest, SubscribeToTaskRequest, ListTasksRequest,
  TaskPushNotificationConfig, TaskState } = unwrap(await load('@a2a-js/sdk'));
const { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } =
  unwrap(await load('@a2a-js/sdk/client'));
const { GrpcTransportFactory } = unwrap(await load('@a2a-js/sdk/client/grpc'));

const REQUIRED_EXTENSION = 'urn:a2a:tck:required-extension';
const SECONDS_MAX = 40;
const FACTORIES = {
  GRPC: () => new GrpcTransportFactory(),
  JSONRPC: () => new JsonRpcTransportFactory(),
  'HTTP+JSON': () => new RestTransportFactory(),
};

class Peer {
  static async connect(binding, url, card) {
    const peer = new Peer();
    peer.card = card ?? (await new DefaultAgentCardResolver().resolve(url));
    peer.client = await new ClientFactory({
      transports: [FACTORIES[binding]()],
      preferredTransports: [binding],
    }).createFromAgentCard(peer.card);
    return peer;
  }

  send(text, message = {}, rest = {}, options = undefined) {
    return this.client.sendMessage(request(text, message, rest), options);
  }

  stream(text, message = {}, rest = {}) {
    return this.client.sendMessageStream(request(text, message, rest));
  }

  get(id, rest = {}) {
    return this.client.getTask(GetTaskRequest.fromJSON({ id, ...rest }));
  }

  cancel(id) {
    return this.client.cancelTask(CancelTaskRequest.fromJSON({ id }));
  }

  subscribe(id) {
    return this.client.resubscribeTask(SubscribeToTaskRequest.fromJSON({ id }));
  }

  list(filters) {
    return this.client.listTasks(ListTasksRequest.fromJSON(filters));
  }
}

function request(text, message, rest) {
  return SendMessageRequest.fromJSON({
    message: { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ text }], ...message },
    ...rest,
  });
}

const immediately = { configuration: { returnImmediately: true } };
const texts = (message) => message.parts.map((part) => part.content.value);
const kinds = (events) => events.map((event) => event.payload.$case);
const state = (task) => TaskState[task.status.state].replace('TASK_STATE_', '');

function states(events) {
  const told = events.filter((event) => ['task', 'statusUpdate'].includes(event.payload.$case));
  const all = told.map((event) => state(event.payload.value));
  return all.filter((one, index) => one !== all[index - 1]);
}

async function drain(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

// The promise fails with this class of the SDK, or its binding's own subclass of it.
async function fails(name, promise) {
  const error = await promise.then(
    (outcome) => assert.fail(`no ${name} but ${JSON.stringify(outcome)}`),
    (error) => error,
  );
  const ancestors = [];
  for (let proto = error; proto; proto = Object.getPrototypeOf(proto)) ancestors.push(proto.constructor?.name);
  assert.ok([error.name, ...ancestors].some((one) => one?.endsWith(name)), `${name} expected: ${error.stack}`);
}

const checks = {
  async card(full, bare, extension) {
    assert.equal(full.card.name, 'Conformance');
    assert.deepEqual(full.card.supportedInterfaces.map((one) => one.protocolBinding), ['GRPC', 'JSONRPC', 'HTTP+JSON']);
    assert.ok(full.card.capabilities.streaming && !bare.card.capabilities.streaming);
    assert.ok(extension.card.capabilities.extensions.some((one) => one.uri === REQUIRED_EXTENSION && one.required));
  },

  async send_blocking(full) {
    const task = await full.send('tck-complete-task');
    assert.equal(state(task), 'COMPLETED');
    assert.deepEqual(texts(task.status.message), ['Hello from TCK']);
    assert.match(task.status.timestamp, /Z$/);
  },

  async send_return_immediately(full) {
    const task = await full.send('tck-cancel', {}, immediately);
    assert.ok(['SUBMITTED', 'WORKING'].includes(state(task)));
    await full.cancel(task.id);
  },

  async message_response(full) {
    const message = await full.send('tck-message-response');
    assert.deepEqual(texts(message), ['Direct message response']);
    assert.ok(message.contextId && !message.taskId);
    assert.deepEqual(kinds(await drain(full.stream('tck-message-response'))), ['message']);
  },

  async parts_come_back(full) {
    const parts = [
      { text: 'ümläut 𝄞' },
      { raw: Buffer.from([0, 127, 255]).toString('base64'), filename: 'b' },
      { url: 'https://a.example/' },
      { data: { a: [1, 2.5, null, true, { b: 'c' }] }, mediaType: 'application/json' },
    ];
    const task = await full.send('', { parts }, { tenant: 'echo' });
    const back = task.artifacts[0].parts.map((part) => part.content.value);
    assert.equal(back[0], parts[0].text);
    assert.deepEqual([...back[1]], [0, 127, 255]);
    assert.equal(back[2], parts[2].url);
    assert.deepEqual(back[3], parts[3].data);
  },

  async stream(full) {
    const events = await drain(full.stream('tck-stream-artifact-chunked'));
    assert.equal(kinds(events)[0], 'task');
    assert.deepEqual(states(events).slice(-2), ['WORKING', 'COMPLETED']);
    const chunks = events.filter((one) => one.payload.$case === 'artifactUpdate').map((one) => one.payload.value);
    assert.deepEqual(chunks.map((one) => texts(one.artifact)[0]), ['chunk-1 ', 'chunk-2']);
    assert.deepEqual(chunks.map((one) => one.append), [false, true]);
    assert.deepEqual(chunks.map((one) => one.lastChunk), [false, true]);
  },

  async get(full) {
    const sent = await full.send('tck-artifact-text');
    const found = await full.get(sent.id);
    assert.deepEqual(found, sent);
    assert.deepEqual(texts(found.artifacts[0]), ['Generated text content']);
    assert.equal((await full.get(sent.id, { historyLength: 0 })).history.length, 0);
  },

  async list_pages(full) {
    const contextId = randomUUID();
    const sent = [];
    for (let count = 0; count < 5; count++) sent.push((await full.send('tck-complete-task', { contextId })).id);
    const pages = [];
    let pageToken = '';
    do {
      const page = await full.list({ contextId, pageSize: 2, pageToken });
      assert.equal(page.totalSize, 5);
      pages.push(page.tasks.map((task) => task.id));
      pageToken = page.nextPageToken;
    } while (pageToken);
    assert.deepEqual(pages.map((page) => page.length), [2, 2, 1]);
    assert.deepEqual(pages.flat(), sent.reverse());
  },

  async list_filters(full) {
    const contextId = randomUUID();
    const done = await full.send('tck-artifact-text', { contextId });
    // Both may well happen within one millisecond, and timestamps are no finer.
    while (Date.now() <= Date.parse(done.status.timestamp)) await new Promise((resolve) => setTimeout(resolve, 1));
    const asks = await full.send('tck-input-required', { contextId });
    const ids = async (filters) => (await full.list({ contextId, ...filters })).tasks.map((task) => task.id);
    assert.deepEqual(await ids({}), [asks.id, done.id]);
    assert.deepEqual(await ids({ status: 'TASK_STATE_COMPLETED' }), [done.id]);
    assert.deepEqual(await ids({ statusTimestampAfter: asks.status.timestamp }), [asks.id]);
    const page = await full.list({ contextId, status: 'TASK_STATE_COMPLETED', includeArtifacts: true });
    assert.equal(page.tasks[0].artifacts.length, 1);
  },

  async cancel(full) {
    const task = await full.send('tck-cancel', {}, immediately);
    assert.equal(state(await full.cancel(task.id)), 'CANCELED');
    assert.equal(state(await full.cancel(task.id)), 'CANCELED');
  },

  async subscribe(full) {
    const task = await full.send('tck-cancel', {}, immediately);
    const events = [];
    for await (const event of full.subscribe(task.id)) {
      events.push(event);
      if (events.length === 1) await full.cancel(task.id);
    }
    assert.equal(kinds(events)[0], 'task');
    assert.equal(states(events).at(-1), 'CANCELED');
  },

  async subscribe_stays_through_input_required(full) {
    const task = await full.send('tck-input-required');
    const stream = full.subscribe(task.id);
    assert.equal((await stream.next()).value.payload.$case, 'task');
    await full.send('tck-complete-task', { taskId: task.id, contextId: task.contextId });
    assert.equal(states(await drain(stream)).at(-1), 'COMPLETED');
  },

  async multi_turn(full) {
    const task = await full.send('tck-multi-turn');
    assert.equal(state(task), 'INPUT_REQUIRED');
    for (const [text, expected] of [['more', 'INPUT_REQUIRED'], ['done', 'COMPLETED']]) {
      const follow = await full.send(text, { taskId: task.id, contextId: task.contextId });
      assert.deepEqual([follow.id, state(follow)], [task.id, expected]);
    }
  },

  async multi_turn_with_tenant(full) {
    const tenant = 'bench';
    const task = await full.send('turn:a', {}, { tenant });
    assert.equal(state(task), 'INPUT_REQUIRED');
    const done = await full.send('b', { taskId: task.id, contextId: task.contextId }, { tenant });
    assert.equal(state(done), 'COMPLETED');
    assert.equal(state(await full.get(task.id, { tenant })), 'COMPLETED');
    await fails('TaskNotFoundError', full.get(task.id));
  },

  async push_configs(full) {
    const task = await full.send('tck-input-required');
    const url = 'http://127.0.0.1:9/hook';
    const make = (rest) => full.client.createTaskPushNotificationConfig(
      TaskPushNotificationConfig.fromJSON({ taskId: task.id, url, ...rest }),
    );
    const made = await make({ id: 'one', token: 't' });
    assert.deepEqual([made.id, made.taskId, made.url, made.token], ['one', task.id, url, '***']);
    const other = await make({});
    const key = { tenant: '', taskId: task.id, id: 'one' };
    assert.deepEqual(await full.client.getTaskPushNotificationConfig(key), made);
    const listing = { tenant: '', taskId: task.id, pageSize: 0, pageToken: '' };
    const found = (await full.client.listTaskPushNotificationConfig(listing)).configs.map((one) => one.id);
    assert.deepEqual(found.sort(), ['one', other.id].sort());
    await full.client.deleteTaskPushNotificationConfig(key);
    await full.client.deleteTaskPushNotificationConfig(key);
    await fails('TaskNotFoundError', full.client.getTaskPushNotificationConfig(key));
  },

  async extended_card(full) {
    const card = await full.client.getAgentCard();
    assert.deepEqual(card.skills.map((skill) => skill.id), ['conformance', 'instructions']);
  },

  async error_task_not_found(full) {
    const unknown = randomUUID();
    await fails('TaskNotFoundError', full.get(unknown));
    await fails('TaskNotFoundError', full.cancel(unknown));
    await fails('TaskNotFoundError', drain(full.subscribe(unknown)));
    await fails('TaskNotFoundError', full.send('tck-complete-task', { taskId: unknown }));
  },

  async error_not_cancelable(full) {
    const task = await full.send('tck-complete-task');
    await fails('TaskNotCancelableError', full.cancel(task.id));
  },

  async error_unsupported(full) {
    const task = await full.send('tck-complete-task');
    await fails('UnsupportedOperationError', drain(full.subscribe(task.id)));
    await fails('UnsupportedOperationError', full.send('more', { taskId: task.id, contextId: task.contextId }));
  },

  async error_content_type(full) {
    const parts = [{ text: 'x', mediaType: 'application/x-unknown' }];
    await fails('ContentTypeNotSupportedError', full.send('', { parts }));
  },

  async error_without_capabilities(full, bare) {
    // With its own card the client would not even try: it believes another one.
    const believed = AgentCard.fromJSON({ ...AgentCard.toJSON(bare.card),
      capabilities: AgentCard.toJSON(full.card).capabilities });
    const pretending = await Peer.connect(bare.binding, bare.url, believed);
    await fails('UnsupportedOperationError', drain(pretending.stream('tck-complete-task')));
    const config = TaskPushNotificationConfig.fromJSON({ taskId: 'x', url: 'http://127.0.0.1:9/' });
    await fails('PushNotificationNotSupportedError', pretending.client.createTaskPushNotificationConfig(config));
  },

  async error_extension_required(full, bare, extension) {
    await fails('ExtensionSupportRequiredError', extension.send('tck-complete-task'));
    const options = { serviceParameters: { 'A2A-Extensions': REQUIRED_EXTENSION } };
    assert.equal(state(await extension.send('tck-complete-task', {}, {}, options)), 'COMPLETED');
  },
};

// A check that hangs fails like one that throws.
function inTime(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${SECONDS_MAX} s`)), SECONDS_MAX * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function connect(binding, url) {
  return Object.assign(await Peer.connect(binding, url), { binding, url });
}

const [binding, ...urls] = process.argv.slice(2);
const peers = await Promise.all(urls.map((url) => connect(binding, url)));
for (const [name, run] of Object.entries(checks)) {
  try {
    await inTime(run(...peers));
    console.log(`ok ${name}`);
  } catch (error) {
    console.error(error);
    console.log(`FAIL ${name} ${String(error.message).replace(/\s+/g, ' ')}`);
  }
}
process.exit(0);
