// What a file is, by its first bytes, and whether a picture is whole. Some browsers open half a picture
// without a word.
(() => {
  "use strict";

  // How files begin that a browser may not open. The first that fits is its kind.
  const KINDS = [
    [/^.{4}ftyp(hei|hev|mif|msf)/s, "heic"],
    [/^.{4}ftyp(iso|mp4|avc|M4|qt|3g|dash|MSNV|f4v)|^.{4}(moov|mdat|wide)/s, "video"],
    [/^(\x1aE\xdf\xa3|RIFF.{4}AVI |\0\0\x01[\xb3\xba]|0&\xb2u|FLV|OggS)/s, "video"],
    [/^(II[*+]\0|MM\0[*+]|IIRO|IIU\0|FUJIFILM|.{4}ftypcrx)/s, "tiff"],
    [/^(PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b)/, "archive"],
    [/^%PDF/, "pdf"],
    [/^8BP[SB]/, "psd"],
    [/^(\xff\x0a|.{4}JXL )/s, "jxl"],
    [/^(\xff\x4f\xff\x51|.{4}jP {2})/s, "jp2"],
    [/^.{128}DICM/s, "dicom"],
    [/^\s*<(!doctype html|html)/i, "html"],
    [/<svg/, "svg"],
  ];

  // The first bytes of a file, a character each.
  async function beginning(file) {
    return String.fromCharCode(...new Uint8Array(await file.slice(0, 512).arrayBuffer()));
  }
  const kindOf = (start) => KINDS.find(([mark]) => mark.test(start))?.[1];

  // Each of these reads a file as far as the end of its first picture. A file that is cut off ends before,
  // and to read on throws a RangeError.
  const CHECKS = [
    [/^\xff\xd8/, readJpeg], [/^\x89PNG/, readPng], [/^GIF8/, readGif], [/^BM/, readBmp],
    [/^RIFF.{4}WEBP/s, (view) => view.getUint8(7 + view.getUint32(4, true))],
  ];

  // Segments, each with its length, as far as the first scan, and somewhere after that the mark of the
  // end. (The small picture that a camera adds has such a mark too; it lies in a segment.)
  function readJpeg(view) {
    let at = 2;
    for (let kind = 0; kind !== 0xda; ) {
      kind = view.getUint8(at) === 0xff ? view.getUint8(at + 1) : 0;
      const hasLength = kind > 1 && kind < 0xff && (kind < 0xd0 || kind > 0xd9);
      at += hasLength ? 2 + view.getUint16(at + 2) : 1; // else something between the segments
    }
    while (view.getUint16(at) !== 0xffd9) at += 1;
  }

  // Chunks, each with its length, as far as IEND.
  function readPng(view) {
    let at = 8;
    while (view.getUint32(at + 4) !== 0x49454e44) at += 12 + view.getUint32(at);
  }

  // Blocks of pieces, each with its length, as far as the last piece of a picture.
  function readGif(view) {
    const colors = (flags) => (flags & 128 ? 3 * 2 ** ((flags & 7) + 1) : 0);
    let at = 13 + colors(view.getUint8(10));
    for (let kind = 0; kind !== 0x2c; at += 1) {
      kind = view.getUint8(at);
      if (kind !== 0x21 && kind !== 0x2c) continue; // something between the blocks
      at += kind === 0x2c ? 10 + colors(view.getUint8(at + 9)) : 1;
      for (let length; (length = view.getUint8(++at)); at += length);
    }
  }

  // Rows, where they are not compressed.
  function readBmp(view) {
    if (view.getUint32(14, true) < 40 || view.getUint32(30, true) !== 0) return;
    const row = 4 * Math.ceil((view.getUint32(18, true) * view.getUint16(28, true)) / 32);
    view.getUint8(view.getUint32(10, true) + row * Math.abs(view.getInt32(22, true)) - 1);
  }

  async function isCut(file, start) {
    const read = CHECKS.find(([mark]) => mark.test(start))?.[1];
    try {
      read?.(new DataView(await file.arrayBuffer()));
      return false;
    } catch (error) {
      if (error instanceof RangeError) return true;
      throw error;
    }
  }

  Object.assign(Teach, { beginning, kindOf, isCut });
})();
