// Asks onnxruntime about the models of ../onnxruntime_test.go. In parse/model/onnx, with npm's onnxruntime-node 1.30 in NODE_PATH:
//
//     mkdir /tmp/asked && go test -run TestAsOnnxruntime -ask /tmp/asked . && node testdata/ask.js /tmp/asked > testdata/onnxruntime.json
//
// Numbers are float32 in nine digits; null is not finite.
const ort = require("onnxruntime-node"), fs = require("fs"), dir = process.argv[2];

async function main() {
  const list = JSON.parse(fs.readFileSync(dir + "/list.json"));
  for (const [i, model] of list.entries()) {
    const session = await ort.InferenceSession.create(`${dir}/${i}.onnx`, { logSeverityLevel: 4 });
    model.Scores = [];
    for (const x of model.X) {
      const said = await session.run({ X: new ort.Tensor("float32", Float32Array.from(x), [1, x.length]) });
      if (said.L) (model.Labels ??= []).push(said.L.data[0]);
      model.Scores.push(Array.from(said.Y.data, (v) => (Number.isNaN(v) ? null : Number(v.toPrecision(9)))));
    }
  }
  console.log("[\n" + list.map((m) => JSON.stringify(m)).join(",\n") + "\n]");
}
main();
