'use strict';

// A client of the predecessor's contract: submits calls, waits for some, asks for results.
//
//     npm install
//     node client.js unix:/run/user/1000/tsched-0123456789ab/tsched.sock
//     node client.js 127.0.0.1:50051
//
// Prints one line of JSON for each step; exits with 1 when one did not go as it should.

const crypto = require('node:crypto');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const { pack } = require('./values');

const DEADLINE_MS = 60_000;
const POLL_MS = 20;
const definition = loader.loadSync(path.join(__dirname, 'task_scheduler.proto'), {
  keepCase: true,
  enums: String,
  defaults: true,
});
const { TaskScheduler } = grpc.loadPackageDefinition(definition).taskscheduler;

class Client {
  constructor(target) {
    this.stub = new TaskScheduler(target, grpc.credentials.createInsecure());
  }

  submit(method, args, { id = crypto.randomUUID(), deps = [], isAsync = false } = {}) {
    return this.ask('SubmitTask', { task_id: id, method, args: args.map(pack), deps, is_async: isAsync });
  }

  result(id) {
    return this.ask('GetResult', { task_id: id });
  }

  async finished(id) {
    for (;;) {
      const answer = await this.result(id);
      if (answer.status !== 'PENDING') return answer;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  ask(method, request) {
    const deadline = new Date(Date.now() + DEADLINE_MS);
    return new Promise((resolve, reject) => {
      this.stub[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  }

  close() {
    this.stub.close();
  }
}

async function codeOf(call) {
  try {
    await call;
  } catch (error) {
    return grpc.status[error.code];
  }
  return 'OK';
}

async function steps(client, step) {
  step('add', await client.submit('add', [1, 2]));
  step('echo', await client.submit('echo', ['zwölf']));
  step('nested', await client.submit('echo', [{ list: [1, 2.5, true, null], bytes: Buffer.from('hi') }]));

  const [first, second, third] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
  step('async', await client.submit('sleep', [0.2], { id: first, isAsync: true }));
  step('waits', await client.submit('add', [3, 4], { id: second, deps: [first], isAsync: true }));
  step('after both', await client.submit('add', [5, 6], { id: third, deps: [first, second] }));
  step('result', await client.result(second));
  step('finished', await client.finished(first));

  step('no such method', await codeOf(client.submit('no_such_method', [])));
  step('bad arguments', await codeOf(client.submit('add', [1])));
  step('no such dependency', await codeOf(client.submit('add', [1, 2], { deps: [crypto.randomUUID()] })));
  step('no such task', await codeOf(client.result(crypto.randomUUID())));
}

async function main(target) {
  const client = new Client(target);
  try {
    await steps(client, (name, answer) => console.log(JSON.stringify({ step: name, answer })));
  } finally {
    client.close();
  }
}

if (process.argv.length !== 3) {
  console.error('usage: node client.js unix:PATH | HOST:PORT');
  process.exit(2);
}
main(process.argv[2]).catch((error) => {
  console.error(String(error));
  process.exit(1);
});
