// What was packed when the site was built (book/_ext/in_page.py): bytes in scripts, since a page that is
// opened from a folder may load scripts and no other files.
(() => {
  "use strict";
  const FIRST = 0x1000; // a character holds 15 bits: its code minus this
  const here = document.currentScript.src;
  const packed = {};

  // Each script of data calls this, with the number of its bytes and its text.
  const put = (name, length, text) => (packed[name] = { length, text });

  function script(name) {
    return new Promise((done, failed) => {
      const tag = document.createElement("script");
      tag.src = new URL(name, here).href;
      tag.onload = () => done();
      tag.onerror = () => failed(new Error(Teach.TEXT.noFile(name)));
      document.head.append(tag);
    });
  }

  // 15 bits a character, the high ones first → bytes. Lets the page live meanwhile.
  async function toBytes({ length, text }) {
    const breathe = Teach.breather();
    const bytes = new Uint8Array(length);
    let bits = 0;
    let held = 0;
    let at = 0;
    for (let i = 0; i < text.length; i++) {
      if (i % 2 ** 16 === 0) await breathe();
      held = (held << 15) | (text.charCodeAt(i) - FIRST);
      bits += 15;
      while (bits >= 8 && at < length) {
        bits -= 8;
        bytes[at++] = held >> bits;
      }
      held &= (1 << bits) - 1;
    }
    return bytes;
  }

  async function inflate(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Load the script with this name and return the bytes that it holds.
  async function load(name) {
    if (typeof DecompressionStream !== "function") throw new Error(Teach.TEXT.tooOld);
    await script(`data/${name}.js`);
    const bytes = await toBytes(packed[name]);
    delete packed[name];
    return inflate(bytes);
  }

  // Numbers of 16 bits, stored as all their high bytes and then all their low ones → 32 bits.
  function fromHalves(bytes) {
    const n = bytes.length / 2;
    const values = new Float32Array(n);
    for (let i = 0; i < n; i++) values[i] = HALVES[(bytes[i] << 8) | bytes[n + i]];
    return values;
  }
  const HALVES = Float32Array.from({ length: 1 << 16 }, (_, half) => {
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction;
    return half >> 15 ? -size : size;
  });

  Object.assign(Teach, { put, script, load, fromHalves });
})();
