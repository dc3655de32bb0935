// The first page: who am I, drop a folder, see it live, roll back.

import * as api from "./api.js";
import { fromArchive, fromDrop, fromInput } from "./folder.js";
import { tar } from "./tar.js";

const $ = (id) => document.getElementById(id);
let chosen = null;
let known = [];

/** An element with text and children; never HTML from strings. */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const size = (bytes) => {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (bytes < 1000 || unit === "GB") return `${unit === "B" ? bytes : bytes.toFixed(1)} ${unit}`;
    bytes /= 1000;
  }
};
const files = (count) => `${count.toLocaleString("en")} ${count === 1 ? "file" : "files"}`;
const slugOf = (name) => name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40).replace(/-+$/, "");
const shortCid = (cid) => `${cid.slice(0, 10)}…${cid.slice(-6)}`;
const STATE = { SUCCESS: "ready", FAILED: "failed", CANCELED: "canceled" };
const stateOf = (status) => STATE[status] ?? status.toLowerCase();

function ago(time) {
  const seconds = (Date.now() - new Date(time)) / 1000;
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (seconds >= length) return format.format(-Math.floor(seconds / length), unit);
  }
  return "just now";
}

function copyButton(text, label) {
  const button = element("button", { type: "button", className: "quiet copy", textContent: "Copy", ariaLabel: `Copy ${label}` });
  button.dataset.copy = text;
  return button;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
});

// --- choosing ---------------------------------------------------------------------------------------------------------

function choose(selection) {
  const count = selection.files?.length ?? 1;
  if (count === 0) return fail(new Error("There are no files in it."));
  chosen = selection;
  const bytes = selection.archive?.size ?? selection.files.reduce((total, { file }) => total + file.size, 0);
  const what = selection.archive ? selection.archive.name : `${selection.name || "Your files"}: ${files(count)}`;
  $("chosen").textContent = `${what}, ${size(bytes)}`;
  $("drop").classList.add("full");
  if (!$("site").value) $("site").value = slugOf(selection.name);
  showAddress();
  $("outcome").replaceChildren();
  $("go").focus();
}

function showAddress() {
  const slug = slugOf($("site").value);
  const existing = known.find((site) => site.slug === slug);
  $("go").disabled = !chosen || !slug;
  $("address").textContent = !slug ? "" : existing ? `Replaces what visitors see at ${existing.url}` : `A new site called ${slug}`;
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    fail(error);
  }
}

function wireChoosing() {
  const zone = $("drop");
  let depth = 0;
  const hover = (change) => zone.classList.toggle("over", (depth = Math.max(0, depth + change)) > 0);
  zone.addEventListener("dragenter", (event) => (event.preventDefault(), hover(1)));
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("dragleave", () => hover(-1));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    hover(-depth);
    attempt(async () => choose(await fromDrop(event.dataTransfer)));
  });
  // A file dropped beside the zone must not replace the page.
  for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
  $("choose-folder").addEventListener("click", () => $("folder").click());
  $("choose-archive").addEventListener("click", () => $("archive").click());
  $("folder").addEventListener("change", () => attempt(() => choose(fromInput($("folder").files))));
  $("archive").addEventListener("change", () => attempt(() => choose(fromArchive($("archive").files[0]))));
  $("site").addEventListener("input", showAddress);
  $("deploy").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(deploy);
  });
}

// --- deploying --------------------------------------------------------------------------------------------------------

async function deploy() {
  const slug = slugOf($("site").value);
  if (!chosen || !slug) return;
  $("go").disabled = true;
  $("outcome").replaceChildren();
  step("Starting", 0);
  try {
    const site = known.find((one) => one.slug === slug) ?? (await api.createSite($("site").value.trim(), slug));
    const body = chosen.archive ?? tar(chosen.files);
    const type = chosen.archive && /\.zip$/i.test(chosen.archive.name) ? "application/zip" : "application/x-tar";
    const { deployment } = await api.upload(`/v1/sites/${encodeURIComponent(site.id)}/archive?production=true`, body, type, (sent, total) =>
      step(sent < total ? `Sending ${size(sent)} of ${size(total)}` : "Checking and storing", sent / total),
    );
    const final = await api.follow(deployment.id, () => step("Checking and storing", null));
    if (final.status !== "SUCCESS") {
      throw new api.ApiError(final.error?.message ?? `The deployment ended as ${stateOf(final.status)}.`, { hint: "What visitors see has not changed." });
    }
    live(site, final);
  } finally {
    $("progress").hidden = true;
    showAddress();
    await refresh();
  }
}

function step(text, share) {
  $("progress").hidden = false;
  $("step").textContent = text;
  if (share === null) $("bar").removeAttribute("value");
  else $("bar").value = share;
}

function live(site, deployment) {
  const link = element("a", { href: site.url, textContent: site.url, target: "_blank", rel: "noopener" });
  const rejected = deployment.rejectedRules ?? [];
  $("outcome").replaceChildren(
    element(
      "div",
      { className: "result" },
      element("p", { className: "live" }, "Live at ", link, " ", copyButton(site.url, "the address")),
      element("p", { className: "faint" }, `${files(deployment.files)}, ${size(deployment.bytes)} · `, element("code", { textContent: shortCid(deployment.cid), title: deployment.cid }), " ", copyButton(deployment.cid, "the CID")),
      rejected.length === 0 ? null : element("p", { className: "rejected", textContent: `Without effect: ${rejected.map((rule) => `line ${rule.line}, ${rule.text} (${rule.reason})`).join("; ")}` }),
    ),
  );
}

function fail(error) {
  const reference = error.reference ? `${error.reference}: ` : "";
  $("outcome").replaceChildren(
    element("div", { className: "result bad" }, element("p", { textContent: reference + error.message }), error.hint ? element("p", { className: "faint", textContent: error.hint }) : null),
  );
  if (error.code === "UNAUTHENTICATED") show("signed-out");
}

// --- sites ------------------------------------------------------------------------------------------------------------

async function refresh() {
  known = await api.sites();
  $("no-sites").hidden = known.length > 0;
  $("sites").replaceChildren(...known.map(card));
  $("site-names").replaceChildren(...known.map((site) => element("option", { value: site.slug })));
  showAddress();
}

function card(site) {
  const current = site.currentDeployment;
  const address = element("a", { href: site.url, textContent: site.url.replace(/^https?:\/\//, ""), target: "_blank", rel: "noopener" });
  const back = element("button", { type: "button", className: "quiet", textContent: "Roll back", ariaLabel: `Roll ${site.slug} back to the deployment before` });
  back.addEventListener("click", () => rollBack(site, null, back));
  const facts = element("dl", { className: "facts" });
  const fact = (name, ...value) => facts.append(element("div", {}, element("dt", { textContent: name }), element("dd", {}, ...value)));
  fact("Address", address, " ", copyButton(site.url, `the address of ${site.slug}`));
  if (current) {
    fact("Deployed", element("time", { dateTime: current.createdAt, textContent: ago(current.createdAt), title: new Date(current.createdAt).toLocaleString() }));
    fact("Size", `${files(current.files)}, ${size(current.bytes)}`);
    fact("CID", element("code", { textContent: shortCid(current.cid), title: current.cid }), " ", copyButton(current.cid, `the CID of ${site.slug}`));
  }
  const history = element("details", {}, element("summary", { textContent: "History" }), element("ul", { className: "history" }));
  history.addEventListener("toggle", () => history.open && attempt(() => fillHistory(site, history.querySelector("ul"))));
  return element(
    "article",
    { className: "site", id: `site-${site.slug}` },
    element("div", { className: "head" }, element("h3", { textContent: site.name }), element("div", { className: "tools" }, element("span", { className: `badge ${current ? "ready" : ""}`, textContent: current ? "live" : "empty" }), current ? back : null)),
    facts,
    history,
  );
}

async function fillHistory(site, list) {
  const rows = (await api.deployments(site.id)).slice(0, 20).map((deployment) => {
    const state = stateOf(deployment.status);
    const row = element(
      "li",
      {},
      element("span", { className: `badge ${state}`, textContent: deployment.current ? "live" : state }),
      element("time", { dateTime: deployment.createdAt, textContent: ago(deployment.createdAt), title: new Date(deployment.createdAt).toLocaleString() }),
      deployment.cid ? element("code", { textContent: shortCid(deployment.cid), title: deployment.cid }) : null,
      element("span", { className: "grow faint", textContent: deployment.error?.message ?? deployment.message ?? "" }),
    );
    if (state !== "ready") return row;
    row.append(element("a", { href: deployment.url, textContent: "Open", target: "_blank", rel: "noopener" }));
    if (!deployment.current) {
      const back = element("button", { type: "button", className: "quiet", textContent: "Roll back to this" });
      back.addEventListener("click", () => rollBack(site, deployment.id, back));
      row.append(back);
    }
    return row;
  });
  list.replaceChildren(...rows);
}

async function rollBack(site, deploymentId, button) {
  button.disabled = true;
  $("outcome").replaceChildren();
  await attempt(async () => {
    live(site, await api.rollback(site.id, deploymentId));
    await refresh();
  });
  button.disabled = false;
}

// --- start ------------------------------------------------------------------------------------------------------------

function show(id) {
  for (const other of ["signed-out", "signed-in", "broken"]) $(other).hidden = other !== id;
  $("account").hidden = id !== "signed-in";
}

async function start() {
  let user;
  try {
    user = await api.me();
  } catch (error) {
    if (error.code !== "UNAUTHENTICATED") {
      $("broken").textContent = `${error.message} ${error.hint}`;
      return show("broken");
    }
  }
  if (!user) return show("signed-out");
  $("who").textContent = user.username ?? user.email ?? "";
  $("logout").addEventListener("click", async () => {
    await fetch("/auth/logout", { method: "POST" });
    location.reload();
  });
  wireChoosing();
  show("signed-in");
  await attempt(refresh);
}

start();
