// arlocal keeps its rows through npm's `sqlite3`, a native module that needs an install script. Node has SQLite itself:
// this gives knex the part of that module's interface that it uses, on `node:sqlite`. Loaded with --require.

const Module = require("node:module");
const { DatabaseSync } = require("node:sqlite");

function bindable(value) {
  // As node-sqlite3 does: what is no SQLite value becomes its text.
  if (value === undefined || value === null) return null;
  if (typeof value === "boolean") return Number(value);
  if (value instanceof Date) return value.getTime();
  if (typeof value === "object" && !ArrayBuffer.isView(value)) return String(value);
  return value;
}

class Database {
  constructor(filename, _flags, opened) {
    this.inner = new DatabaseSync(filename);
    queueMicrotask(() => opened(null));
  }
  all(sql, bindings, done) {
    this.perform(sql, bindings, done, (statement, values) => [{}, statement.all(...values).map((row) => ({ ...row }))]);
  }
  run(sql, bindings, done) {
    this.perform(sql, bindings, done, (statement, values) => {
      const { changes, lastInsertRowid } = statement.run(...values);
      return [{ changes: Number(changes), lastID: Number(lastInsertRowid) }];
    });
  }
  perform(sql, bindings, done, act) {
    let context, result;
    try {
      [context, result] = act(this.inner.prepare(sql), (bindings ?? []).map(bindable));
    } catch (error) {
      return setImmediate(() => done.call({}, error));
    }
    setImmediate(() => done.call(context, null, result));
  }
  close(done) {
    this.inner.close();
    setImmediate(() => done(null));
  }
}

const load = Module._load;
Module._load = function (request, ...rest) {
  return request === "sqlite3" ? { Database, OPEN_READWRITE: 2, OPEN_CREATE: 4 } : load.call(this, request, ...rest);
};

// The port that the system chose, and an end to the server when the test process is gone.
const { Server } = require("node:net");
Server.prototype.listen = new Proxy(Server.prototype.listen, {
  apply(listen, server, [, ...rest]) {
    server.once("listening", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
    return Reflect.apply(listen, server, [0, "127.0.0.1", ...rest]);
  },
});
