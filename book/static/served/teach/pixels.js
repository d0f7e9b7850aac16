// From a file to the network's input, step for step as the notebooks do it: upright, on white,
// resized as torchvision resizes bytes, the middle cut out, normalized.
(() => {
  "use strict";
  const { TEXT, breather, element } = Teach;
  const MOST_PIXELS = 100e6;
  const MOST_RATIO = 100; // of the long side to the short one, as in helpers.pictures
  const STRIP = 2 ** 20; // pixels that are read at a time
  const DARK = 32; // of 256: a picture of 16 bits whose brightest pixel is darker doesn't use them
  const SIDE = 128; // of the known picture

  // Decode a file that begins like this; throws an Error that says why not.
  async function decode(file, start) {
    if (file.size === 0) throw new Error(TEXT.empty);
    if (await Teach.isCut(file, start)) throw new Error(TEXT.cutOff);
    let bitmap;
    try {
      // Without the color profile, as Pillow reads a picture; turned as the camera noted.
      const options = { colorSpaceConversion: "none", imageOrientation: "from-image" };
      bitmap = await createImageBitmap(file, options);
    } catch {
      throw new Error(TEXT.kinds[Teach.kindOf(start)] ?? TEXT.noPicture);
    }
    const { width: w, height: h } = bitmap;
    let problem = null;
    if (w * h > MOST_PIXELS) problem = TEXT.tooLarge(w, h);
    if (Math.max(w, h) > MOST_RATIO * Math.min(w, h)) problem = TEXT.line(w, h);
    if (problem) {
      bitmap.close();
      throw new Error(problem);
    }
    return bitmap;
  }

  // How to make `to` pixels of `from`: for each, where its source pixels begin, and their weights,
  // which fall off linearly to either side. As in PyTorch they are whole numbers of 16 bits, with as
  // many `bits` behind the point as fit. (Pillow has 22, and now and then a byte that differs by 1.)
  function weightsOf(from, to) {
    const scale = from / to;
    const reach = Math.max(1, scale);
    const exact = Array.from({ length: to }, (_, i) => {
      const center = (i + 0.5) * scale;
      const first = Math.max(0, Math.trunc(center - reach + 0.5));
      const end = Math.min(from, Math.trunc(center + reach + 0.5));
      const weights = Array.from({ length: end - first }, (_, j) =>
        Math.max(0, 1 - Math.abs((first + j - center + 0.5) / reach)),
      );
      const sum = weights.reduce((a, b) => a + b);
      return { first, weights: weights.map((weight) => weight / sum) };
    });
    const most = Math.max(...exact.map(({ weights }) => Math.max(...weights)));
    let bits = 0;
    while (bits < 22 && Math.trunc(0.5 + most * 2 ** (bits + 1)) < 2 ** 15) bits++;
    const rounded = exact.map(({ first, weights }) => ({
      first, weights: Int16Array.from(weights, (weight) => Math.trunc(0.5 + weight * 2 ** bits)),
    }));
    return { bits, half: 2 ** (bits - 1), places: rounded };
  }

  const clamp = (value) => Math.max(0, Math.min(255, value));

  // Resize to `width` × `height`: first each row, then each column, rounded to bytes in between.
  // Reads the picture in strips, and lets the page live: 40 megapixels take a while. Its brightest byte
  // has to be at least `least`.
  async function resize(bitmap, width, height, least = 0) {
    const { width: w, height: h } = bitmap;
    const breathe = breather();
    const rows = Math.max(1, Math.floor(STRIP / w));
    // No OffscreenCanvas: Firefox long had no way to allow that to be read.
    const canvas = element("canvas", { width: w, height: Math.min(rows, h) });
    const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
    const { bits, half, places } = weightsOf(w, width);
    const narrow = new Uint8Array(3 * width * h);
    let brightest = 0;
    for (let top = 0; top < h; top += rows) {
      const some = Math.min(rows, h - top);
      context.fillStyle = "#fff";
      context.fillRect(0, 0, w, some);
      context.drawImage(bitmap, 0, -top);
      const { data } = context.getImageData(0, 0, w, some);
      for (let i = 0; brightest < least && i < data.length; i++) {
        if (i % 4 < 3 && data[i] > brightest) brightest = data[i];
      }
      for (let y = 0; y < some; y++) {
        for (let x = 0; x < width; x++) {
          const { first, weights } = places[x];
          let [red, green, blue] = [half, half, half];
          for (let i = 0, at = 4 * (w * y + first); i < weights.length; i++, at += 4) {
            red += weights[i] * data[at];
            green += weights[i] * data[at + 1];
            blue += weights[i] * data[at + 2];
          }
          const to = 3 * (width * (top + y) + x);
          narrow[to] = clamp(red >> bits);
          narrow[to + 1] = clamp(green >> bits);
          narrow[to + 2] = clamp(blue >> bits);
        }
      }
      await breathe();
    }
    canvas.width = 0; // gives its memory back at once
    if (brightest < least) throw new Error(TEXT.dark(brightest));
    const resized = new Uint8Array(3 * width * height);
    const down = weightsOf(h, height);
    down.places.forEach(({ first, weights }, y) => {
      for (let x = 0; x < 3 * width; x++) {
        let sum = down.half;
        for (let i = 0; i < weights.length; i++) sum += weights[i] * narrow[3 * width * (first + i) + x];
        resized[3 * width * y + x] = clamp(sum >> down.bits);
      }
    });
    return resized;
  }

  // Python's round: halves go to the even neighbor.
  function roundEven(value) {
    const up = Math.round(value);
    return up - value === 0.5 && up % 2 ? up - 1 : up;
  }

  // File → the middle of the picture, `size` × `size` × RGB as bytes: Resize(round(size · 256 / 224))
  // of the short side, then CenterCrop(size).
  async function look(file, size) {
    const start = await Teach.beginning(file);
    const bitmap = await decode(file, start);
    const isDeep = start.slice(1, 4) === "PNG" && start.charCodeAt(24) === 16; // bits
    const { width: w, height: h } = bitmap;
    const short = roundEven((size * 256) / 224);
    const width = w <= h ? short : Math.trunc((short * w) / h);
    const height = w <= h ? Math.trunc((short * h) / w) : short;
    const resized = await resize(bitmap, width, height, isDeep ? DARK : 0).finally(() => bitmap.close());
    const left = roundEven((width - size) / 2);
    const top = roundEven((height - size) / 2);
    const rgb = new Uint8Array(3 * size * size);
    for (let y = 0; y < size; y++) {
      const from = 3 * (width * (top + y) + left);
      rgb.set(resized.subarray(from, from + 3 * size), 3 * size * y);
    }
    return rgb;
  }

  /* Look at a picture whose pixels are known: some browsers hand out other ones, as a protection against
     fingerprinting. Throws an Error where one differs, and is then asked again, since the protection
     can be turned off. The file is a BMP, which isn't compressed: its rows from the top, blue first. */
  let trusted = false;
  async function trustPixels() {
    if (trusted) return;
    const known = Uint8Array.from({ length: 3 * SIDE * SIDE }, (_, i) => 73 * i + (i >> 8)); // each value
    const bgr = known.map((_, i) => known[i + 2 - 2 * (i % 3)]);
    const header = Int32Array.of(54 + bgr.length, 0, 54, 40, SIDE, -SIDE, 1 | (24 << 16), 0, 0, 0, 0, 0, 0);
    const bitmap = await decode(new Blob(["BM", header, bgr], { type: "image/bmp" }), "BM");
    const seen = await resize(bitmap, SIDE, SIDE).finally(() => bitmap.close());
    if (seen.some((byte, i) => byte !== known[i])) throw new Error(TEXT.otherPixels);
    trusted = true;
  }

  // Bytes → what the network takes: numbers from -1 to 1, as its training had them.
  const normalize = (rgb) => Float32Array.from(rgb, (byte) => (byte / 255 - 0.5) / 0.5);

  // The bytes that the network sees, as a picture of the page.
  function paint(canvas, rgb, size) {
    const image = new ImageData(size, size);
    for (let i = 0; i < size * size; i++) {
      image.data.set([rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2], 255], 4 * i);
    }
    Object.assign(canvas, { width: size, height: size });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  const toBlob = (canvas, type) => new Promise((done) => canvas.toBlob(done, type));

  // The picture in light of a color: `share` of each pixel is that color.
  const tint = (rgb, color, share) =>
    Uint8Array.from(rgb, (byte, i) => Math.round((1 - share) * byte + share * color[i % 3]));

  Object.assign(Teach, { look, normalize, paint, tint, toBlob, trustPixels });
})();
