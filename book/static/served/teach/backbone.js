// EfficientNet-Lite0 without its head, on TensorFlow.js's WebAssembly: pictures → maps of features.
(() => {
  "use strict";
  const { TEXT, breather } = Teach;
  const TENSORFLOW = ["tf-core.min.js", "tf-backend-wasm.min.js"];
  const EPSILON = 1e-3; // of its BatchNorms
  const PARTS = 4; // of its weights, so that the page can say how far it is
  const FEATURES = 1280;

  // Load TensorFlow.js; its .wasm comes as bytes, since a page in a folder may not fetch files.
  async function startTensorFlow() {
    for (const name of TENSORFLOW) await Teach.script(`../tensorflow/${name}`);
    const wasm = new Blob([await Teach.load("wasm")], { type: "application/wasm" });
    if (!(await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT"))) throw new Error(TEXT.noWasm);
    tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // so it takes the file for one thread
    const address = URL.createObjectURL(wasm);
    const kinds = ["", "-simd", "-threaded-simd"]; // it wants to know of each
    tf.wasm.setWasmPaths(
      Object.fromEntries(kinds.map((kind) => [`tfjs-backend-wasm${kind}.wasm`, address])),
    );
    await tf.setBackend("wasm");
    await tf.ready();
  }

  // Each layer is a convolution and a BatchNorm, which in evaluation mode multiplies each channel
  // and adds something: both together are one convolution with other weights and a bias.
  function fold(weights, { scale, bias, mean, variance }) {
    const factor = scale.map((value, c) => value / Math.sqrt(variance[c] + EPSILON));
    const channels = factor.length; // which vary fastest in TensorFlow's order
    return {
      weights: weights.map((value, i) => value * factor[i % channels]),
      bias: bias.map((value, c) => value - mean[c] * factor[c]),
    };
  }

  // The weights, one layer after another, as tensors. A block is `{ layers, skip }`; a layer is
  // `{ shape, depthwise, stride, active }`.
  async function toTensors(blocks, numbers) {
    const breathe = breather();
    let at = 0;
    const take = (n) => numbers.subarray(at, (at += n));
    const made = [];
    for (const { layers, skip } of blocks) {
      const ready = layers.map((layer) => {
        const { shape, depthwise } = layer;
        const channels = depthwise ? shape[2] : shape[3];
        const weights = take(shape.reduce((a, b) => a * b));
        const [scale, bias, mean, variance] = Array.from({ length: 4 }, () => take(channels));
        const folded = fold(weights, { scale, bias, mean, variance });
        return { ...layer, filter: tf.tensor4d(folded.weights, shape), bias: tf.tensor1d(folded.bias) };
      });
      made.push({ layers: ready, skip });
      await breathe();
    }
    return made;
  }

  // One layer: a convolution over all channels, or over each alone; then ReLU6 where it is active.
  function apply({ filter, bias, depthwise, stride, active }, x) {
    const convolution = depthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
    const activation = active ? "relu6" : "linear";
    return convolution({ x, filter, bias, strides: stride, pad: "same", activation });
  }

  class Backbone {
    constructor(blocks) {
      this.blocks = blocks;
    }

    // Input of `size` × `size` × RGB, normalized → its map, `side` × `side` cells × 1,280 numbers
    // each, and its features: their mean over the cells. The page lives between the blocks.
    async run(input, size) {
      const breathe = breather();
      let x = tf.tensor4d(input, [1, size, size, 3]);
      for (const { layers, skip } of this.blocks) {
        const before = x;
        x = tf.tidy(() => {
          const y = layers.reduce((inner, layer) => apply(layer, inner), before);
          return skip ? tf.add(before, y) : y;
        });
        before.dispose();
        await breathe();
      }
      const [values, side] = [await x.data(), x.shape[1]];
      x.dispose();
      return { map: values, side, features: meanOverCells(values, side * side) };
    }
  }

  function meanOverCells(map, cells) {
    const sums = new Float64Array(FEATURES);
    for (let cell = 0; cell < cells; cell++) {
      for (let c = 0; c < FEATURES; c++) sums[c] += map[FEATURES * cell + c];
    }
    return Float32Array.from(sums, (sum) => sum / cells);
  }

  // Load all of it; `say` is told how far it is. Throws an Error that says what is missing.
  async function loadBackbone(say) {
    if (typeof WebAssembly !== "object") throw new Error(TEXT.noWasm);
    const parts = [];
    for (let i = 1; i <= PARTS; i++) {
      say(TEXT.loading(i, PARTS));
      parts.push(await Teach.load(`backbone-${i}`));
    }
    say(TEXT.starting);
    await Teach.script("data/backbone.js");
    try {
      await startTensorFlow();
      const numbers = new Float32Array(await new Blob(parts.map(Teach.fromHalves)).arrayBuffer());
      return new Backbone(await toTensors(Teach.blocks, numbers));
    } catch (error) {
      if (error instanceof RangeError) throw new Error(TEXT.noMemory);
      throw error.message.includes("WASM") || error instanceof WebAssembly.CompileError
        ? new Error(TEXT.noWasm)
        : error;
    }
  }

  Object.assign(Teach, { loadBackbone, FEATURES });
})();
