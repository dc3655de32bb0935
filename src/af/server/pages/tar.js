// A folder as a tar file, without reading the files into memory: a Blob may refer to other Blobs.

const BLOCK = 512;
const encoder = new TextEncoder();

/** @param {{path: string, file: File}[]} files @returns {Blob} */
export function tar(files) {
  const parts = [];
  for (const { path, file } of files) {
    if (encoder.encode(path).length > 100 || /[^\x20-\x7e]/.test(path) || file.size >= 8 ** 11) {
      // POSIX pax: an extended header before the file carries what the plain one cannot (long or non-ASCII names, size)
      const records = encoder.encode(record("path", path) + record("size", String(file.size)));
      parts.push(header("PaxHeader", records.length, "x"), records, padding(records.length));
    }
    parts.push(header(path, file.size, "0"), file, padding(file.size));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return new Blob(parts, { type: "application/x-tar" });
}

/** One pax record, "<length> key=value\n"; the length counts itself. */
function record(key, value) {
  const rest = ` ${key}=${value}\n`;
  const size = encoder.encode(rest).length;
  let length = size + String(size).length;
  length = size + String(length).length;
  return length + rest;
}

function header(path, size, type) {
  const block = new Uint8Array(BLOCK);
  const put = (text, at, length) => block.set(encoder.encode(text).subarray(0, length), at);
  const octal = (number, length) => number.toString(8).padStart(length - 1, "0").slice(-(length - 1)) + "\0";
  put(path, 0, 100);
  put(octal(0o644, 8), 100, 8);
  put(octal(0, 8), 108, 8);
  put(octal(0, 8), 116, 8);
  put(octal(size < 8 ** 11 ? size : 0, 12), 124, 12);
  put(octal(0, 12), 136, 12);
  put("        ", 148, 8);
  put(type, 156, 1);
  put("ustar\0" + "00", 257, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(octal(sum, 7) + " ", 148, 8);
  return block;
}

function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}
