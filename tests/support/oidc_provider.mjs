// A provider for tests, by the API of oauth2-mock-server: it checks PKCE. Says its address on the first line; each line of
// standard input replaces what it alters: {"claims", "userinfo", "token", "answer"}; null removes. Ends with its input.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.argv[2] + "/"));
const { OAuth2Server } = await import(pathToFileURL(require.resolve("oauth2-mock-server")));

const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
let altered = {};

function change(target, changes) {
  for (const [name, value] of Object.entries(changes ?? {})) {
    if (value === null) delete target[name];
    else target[name] = value;
  }
}

server.service.on("beforeTokenSigning", (token) => change(token.payload, altered.claims));
server.service.on("beforeUserinfo", (answer) => change(answer.body, altered.userinfo));
server.service.on("beforeResponse", (answer) => change(answer.body, altered.token));
server.service.on("beforeAuthorizeRedirect", ({ url }) => {
  for (const [name, value] of Object.entries(altered.answer ?? {})) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
});

await server.start(0, "127.0.0.1");
console.log(server.issuer.url);
for await (const line of createInterface({ input: process.stdin })) {
  altered = JSON.parse(line);
  console.log("done");
}
await server.stop();
