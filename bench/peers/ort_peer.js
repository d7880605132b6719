// Times an exported network with ONNX Runtime, as contestant.h says. Usage: ort_peer.js FILE.onnx THREADS DIMS...
// onnxruntime-node is looked for in the current folder and in $DLCC_ORT:
//   npm install onnxruntime-node --ignore-scripts
const paths = [process.cwd(), __dirname].concat(process.env.DLCC_ORT ? [process.env.DLCC_ORT] : []);
let ort;
try {
  ort = require(require.resolve('onnxruntime-node', { paths }));
} catch (why) {
  console.log('absent ONNX Runtime is not there: npm install onnxruntime-node --ignore-scripts, DLCC_ORT=its folder');
  process.exit(0);
}

async function repeat(call, budget) {
  const start = process.hrtime.bigint();
  for (let calls = 1; ; calls++) {
    await call();
    const gone = Number(process.hrtime.bigint() - start);
    if (gone >= budget) return gone / calls;
  }
}

async function main() {
  const [file, threads, ...dims] = process.argv.slice(2);
  const shape = dims.map(Number);
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.random() - 0.5);
  const feeds = { x: new ort.Tensor('float32', values, shape) };
  const session = await ort.InferenceSession.create(file,
    { intraOpNumThreads: +threads, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all' });
  const call = () => session.run(feeds);
  await repeat(call, 200e6);
  console.log('ready ONNX Runtime');
  for await (const _ of require('readline').createInterface({ input: process.stdin })) {
    await repeat(call, 10e6);
    console.log((await repeat(call, 40e6)).toFixed(1));
  }
}
main();
