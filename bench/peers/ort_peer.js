// Times an exported network with ONNX Runtime, as contestant.h says. Usage: ort_peer.js FILE.onnx THREADS
// What FILE.onnx takes is told by FILE.onnx.json; FILE.onnx.empty, if there, computes nothing (see torch_peer.py).
// onnxruntime-node is looked for in the current folder and in $DLCC_ORT.
const fs = require('fs');
const paths = [process.cwd(), __dirname].concat(process.env.DLCC_ORT ? [process.env.DLCC_ORT] : []);
let ort;
try {
  ort = require(require.resolve('onnxruntime-node', { paths }));
} catch (why) {
  console.log('absent ONNX Runtime is not there: bench/run.sh --install, or DLCC_ORT=folder of onnxruntime-node');
  process.exit(0);
}
const [WARM, TIMED, LONG] = [4e6, 16e6, 20e6];

async function timed(call) {
  const start = process.hrtime.bigint();
  await call();
  return Number(process.hrtime.bigint() - start);
}

async function repeat(call, budget) {
  const start = process.hrtime.bigint();
  for (let calls = 1; ; calls++) {
    await call();
    const gone = Number(process.hrtime.bigint() - start);
    if (gone >= budget) return gone / calls;
  }
}

async function caller(file, threads, feeds) {
  const session = await ort.InferenceSession.create(file,
    { intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all' });
  return () => session.run(feeds);
}

// Nanoseconds of a call that computes nothing, the median of 2000.
async function emptyCall(file, threads, feeds) {
  if (!fs.existsSync(file)) return 0;
  const call = await caller(file, threads, feeds);
  const ns = [];
  for (let i = 0; i < 2000; i++) ns.push(await timed(call));
  return ns.sort((a, b) => a - b)[1000];
}

async function main() {
  const [file, threads] = [process.argv[2], +process.argv[3]];
  const { shape, ids } = JSON.parse(fs.readFileSync(file + '.json'));
  const count = shape.reduce((a, b) => a * b, 1);
  const x = ids
    ? new ort.Tensor('int64', BigInt64Array.from({ length: count }, () => BigInt(Math.floor(Math.random() * ids))),
      shape)
    : new ort.Tensor('float32', Float32Array.from({ length: count }, () => Math.random() - 0.5), shape);
  const call = await caller(file, threads, { x });
  await repeat(call, 200e6);
  let ns = await repeat(call, 0);
  console.log(`ready ${await emptyCall(file + '.empty', threads, { x })} ONNX Runtime`);
  for await (const line of require('readline').createInterface({ input: process.stdin })) {
    if (line === 'end') break;
    if (ns < LONG) await repeat(call, WARM);
    ns = await repeat(call, TIMED);
    console.log(ns.toFixed(1));
  }
  console.log('0');
  process.stdin.destroy();
}
main();
