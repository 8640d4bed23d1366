'use strict';

// JavaScript values as the google.protobuf.Any that the contract takes as arguments.

const path = require('node:path');
const protobuf = require('protobufjs');

const PREFIX = 'type.googleapis.com/';
const wrappers = protobuf.Root.fromJSON(protobuf.common.get('google/protobuf/wrappers.proto'));
const own = protobuf.loadSync(path.join(__dirname, 'task_scheduler.proto'));

function packed(root, name, content) {
  const type = root.lookupType(name);
  return { type_url: PREFIX + name, value: Buffer.from(type.encode(type.create(content)).finish()) };
}

// protobufjs has its own names for the fields of Any.
function inside(value) {
  const any = pack(value);
  return { type_url: any.type_url, typeUrl: any.type_url, value: any.value };
}

function pack(value) {
  if (value === null || value === undefined) return { type_url: '', value: Buffer.alloc(0) };
  if (typeof value === 'boolean') return packed(wrappers, 'google.protobuf.BoolValue', { value });
  if (typeof value === 'string') return packed(wrappers, 'google.protobuf.StringValue', { value });
  if (Number.isSafeInteger(value)) return packed(wrappers, 'google.protobuf.Int64Value', { value });
  if (typeof value === 'number') return packed(wrappers, 'google.protobuf.DoubleValue', { value });
  if (Buffer.isBuffer(value)) return packed(wrappers, 'google.protobuf.BytesValue', { value });
  if (Array.isArray(value)) return packed(own, 'taskscheduler.ListValue', { values: value.map(inside) });
  const fields = Object.fromEntries(Object.entries(value).map(([key, each]) => [key, inside(each)]));
  return packed(own, 'taskscheduler.MapValue', { fields });
}

module.exports = { pack };
