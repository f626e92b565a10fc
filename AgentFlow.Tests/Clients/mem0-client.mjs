// Calls every method of Mem0's own MemoryClient (npm mem0ai) that has a counterpart here against the host given, and prints one line of
// JSON for each: {method, ok, result | error}. Called by Mem0ClientTests with MEM0_TELEMETRY=false.
import { MemoryClient } from 'mem0ai';

const [host, apiKey] = process.argv.slice(2);
const client = new MemoryClient({ apiKey, host });
const user = 'mem0-user';
const results = {};

async function call(name, run) {
  try {
    const result = await run();
    results[name] = result;
    console.log(JSON.stringify({ method: name, ok: true, result: result ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ method: name, ok: false, error: `${error?.name}: ${error?.message}` }));
  }
}

const texts = (name) => (results[name]?.results ?? []).map((item) => item.memory);

await call('ping', () => client.ping());
await call('add', () => client.add([{ role: 'user', content: 'The tulips are in the north garden' }, { role: 'assistant', content: 'I will water the tulips on Friday' }],
  { userId: user, infer: false, metadata: { topic: 'garden', rowNumber: 7 } }));
const first = results.add?.results?.[0]?.id;
const second = results.add?.results?.[1]?.id;
await call('addInferred', () => client.add([{ role: 'user', content: 'My name is Ada. What time is it?' }], { userId: user }));
await call('addOtherScopes', () => client.add([{ role: 'user', content: 'Deploy to staging first' }], { agentId: 'agent-1', runId: 'run-1', appId: 'app-1', infer: false }));
await call('search', () => client.search('where are the tulips', { filters: { user_id: user }, topK: 5 }));
await call('searchByMetadata', () => client.search('tulips', { filters: { AND: [{ user_id: user }, { metadata: { topic: 'garden' } }] }, threshold: 0 }));
await call('getAll', () => client.getAll({ filters: { user_id: user }, page: 1, pageSize: 2 }));
await call('get', () => client.get(first));
await call('update', () => client.update(first, { text: 'The tulips are in the south garden', metadata: { topic: 'moved' } }));
await call('updateTime', () => client.update(first, { timestamp: 1716200000 }));
await call('updateMetadata', () => client.update(first, { metadata: { topic: 'timed' } }));
await call('updateExpiry', () => client.update(first, { expirationDate: null }));
await call('history', () => client.history(first));
await call('users', () => client.users({ page: 1, pageSize: 10 }));
await call('batchUpdate', () => client.batchUpdate([{ memoryId: first, text: 'The tulips are in the west garden' }]));
await call('feedback', () => client.feedback({ memoryId: first, feedback: 'POSITIVE', feedbackReason: 'true' }));
await call('createMemoryExport', () => client.createMemoryExport({ schema: { type: 'object' }, filters: { user_id: user }, exportInstructions: 'all' }));
await call('getMemoryExport', () => client.getMemoryExport({ memoryExportId: results.createMemoryExport?.id }));
await call('batchDelete', () => client.batchDelete([second]));
await call('delete', () => client.delete(first));
await call('searchAfterDelete', () => client.search('tulips', { filters: { user_id: user }, threshold: 0 }));
await call('deleteUser', () => client.deleteUser({ entity_id: 'app-1', entity_type: 'app' }));
await call('deleteAll', () => client.deleteAll({ userId: user }));
await call('getAllAfterDeleteAll', () => client.getAll({ filters: { user_id: user } }));
await call('addAgain', () => client.add([{ role: 'user', content: 'One last thing' }], { userId: 'gone', infer: false }));
await call('deleteUsers', () => client.deleteUsers());
console.log(JSON.stringify({ method: 'end', ok: true, result: { afterDelete: texts('searchAfterDelete') } }));
process.exit(0);
