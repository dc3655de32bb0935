// What people drop or choose, as a flat list of files with paths relative to the top folder.

const FILES_MAX = 200_000;
const DEPTH_MAX = 64;
const ARCHIVE = /\.(zip|tar|tgz|tar\.gz)$/i;

/** Hidden names are left out, as `af deploy` does (`.well-known` is meant to be published). */
const isWanted = (name) => !name.startsWith(".") || name === ".well-known";

/** @returns {Promise<{name: string, files?: {path: string, file: File}[], archive?: File}>} */
export async function fromDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...transfer.files];
  if (entries.length === 1 && entries[0].isDirectory) {
    return { name: entries[0].name, files: await list(entries[0]) };
  }
  if (plain.length === 1 && ARCHIVE.test(plain[0].name)) return fromArchive(plain[0]);
  const files = [];
  for (const entry of entries.filter((entry) => isWanted(entry.name))) {
    if (entry.isDirectory) files.push(...(await list(entry, entry.name + "/")));
    else files.push({ path: entry.name, file: await fileOf(entry) });
  }
  return { name: "", files };
}

export function fromInput(fileList) {
  const all = [...fileList];
  const top = all[0]?.webkitRelativePath.split("/")[0] ?? "";
  const files = all
    .map((file) => ({ path: file.webkitRelativePath.slice(top.length + 1), file }))
    .filter(({ path }) => path.split("/").every(isWanted));
  return { name: top, files: bounded(files) };
}

export function fromArchive(file) {
  return { name: file.name.replace(ARCHIVE, ""), archive: file };
}

async function list(directory, prefix = "", depth = 0, found = []) {
  if (depth > DEPTH_MAX) throw new Error(`${prefix} is nested too deeply.`);
  const reader = directory.createReader();
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at a time
    if (batch.length === 0) return bounded(found);
    for (const entry of batch.filter((entry) => isWanted(entry.name))) {
      if (entry.isDirectory) await list(entry, `${prefix}${entry.name}/`, depth + 1, found);
      else found.push({ path: prefix + entry.name, file: await fileOf(entry) });
    }
    bounded(found);
  }
}

const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

function bounded(files) {
  if (files.length > FILES_MAX) throw new Error(`More than ${FILES_MAX} files: use \`af deploy\`.`);
  return files;
}
