// The file to take away, in the format of safetensors: a head, and the features of its pictures.
// https://github.com/huggingface/safetensors
(() => {
  "use strict";
  const { TEXT } = Teach;
  const TYPES = { F32: Float32Array, I64: BigInt64Array };

  // Tensors `{ name: { type, shape, values } }` and a text for each name of `notes` → a Blob.
  function write(tensors, notes) {
    const header = { __metadata__: notes };
    const parts = [];
    let at = 0;
    // The widest type first, so that each begins at a multiple of its size.
    const widest = ([, a], [, b]) => TYPES[b.type].BYTES_PER_ELEMENT - TYPES[a.type].BYTES_PER_ELEMENT;
    for (const [name, { type, shape, values }] of Object.entries(tensors).sort(widest)) {
      const bytes = new Uint8Array(TYPES[type].from(values).buffer);
      header[name] = { dtype: type, shape, data_offsets: [at, (at += bytes.length)] };
      parts.push(bytes);
    }
    const text = new TextEncoder().encode(JSON.stringify(header));
    const padding = new Uint8Array((8 - (text.length % 8)) % 8).fill(32);
    const length = new BigUint64Array([BigInt(text.length + padding.length)]);
    return new Blob([length, text, padding, ...parts], { type: "application/octet-stream" });
  }

  // The opposite. Throws an Error that says what is wrong with a file.
  async function read(file) {
    const buffer = await file.arrayBuffer();
    let header;
    let start;
    try {
      start = 8 + Number(new DataView(buffer).getBigUint64(0, true));
      header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)));
    } catch {
      throw new Error(TEXT.notOurs);
    }
    const { __metadata__: notes, ...entries } = header ?? {};
    const tensors = {};
    for (const [name, entry] of Object.entries(entries)) {
      const { dtype, shape, data_offsets: place } = entry ?? {};
      const Type = Object.hasOwn(TYPES, dtype) ? TYPES[dtype] : null;
      const isSize = (n) => Number.isInteger(n) && n >= 0;
      if (!Type || ![shape, place].every((list) => Array.isArray(list) && list.every(isSize))) {
        throw new Error(TEXT.notOurs);
      }
      const [from, to] = place;
      const size = shape.reduce((a, b) => a * b, Type.BYTES_PER_ELEMENT);
      if (to - from !== size || start + to > buffer.byteLength) throw new Error(TEXT.cut);
      tensors[name] = { shape, values: new Type(buffer.slice(start + from, start + to)) };
    }
    return { tensors, notes: notes ?? {} };
  }

  Object.assign(Teach, { write, read });
})();
