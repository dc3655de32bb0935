// The platform's public API with the session cookie: GraphQL, the archive upload, the event stream.

export class ApiError extends Error {
  constructor(message, { code = "", hint = "", reference = "", status = 0 } = {}) {
    super(message);
    Object.assign(this, { code, hint, reference, status });
  }
}

export async function graphql(query, variables = {}) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ query, variables }),
  }).catch(() => {
    throw new ApiError("The platform does not answer.", { hint: "Is `af up` still running?" });
  });
  const reply = await response.json().catch(() => ({}));
  const error = reply.errors?.[0];
  if (error) throw new ApiError(error.message, { ...error.extensions, status: response.status });
  if (!response.ok) throw new ApiError(reply.detail ?? `HTTP ${response.status}`, { ...reply, status: response.status });
  return reply.data;
}

/** POST a body with progress (fetch cannot report how much was sent). */
export function upload(url, body, type, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Content-Type", type);
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total || body.size);
    request.onerror = () => reject(new ApiError("The upload was cut off.", { hint: "Try again." }));
    request.onload = () => {
      const reply = request.response ?? {};
      if (request.status < 300) resolve(reply);
      else reject(new ApiError(reply.detail ?? `HTTP ${request.status}`, { ...reply, status: request.status }));
    };
    request.send(body);
  });
}

const DEPLOYMENT = `id status cid url production current files bytes message createdAt
  error { code message } rejectedRules { line text reason }`;
const SITE = `id slug name url currentDeployment { ${DEPLOYMENT} }`;

export const me = async () => (await graphql("{ me { id email username } }")).me;

export async function sites() {
  const found = [];
  for (let after = null, pages = 0; pages < 50; pages++) {
    const { sites } = await graphql(
      `query ($after: String) { sites(first: 100, after: $after) { data { ${SITE} } pageInfo { endCursor hasNextPage } } }`,
      { after },
    );
    found.push(...sites.data);
    if (!sites.pageInfo.hasNextPage) break;
    after = sites.pageInfo.endCursor;
  }
  return found;
}

export const createSite = async (name, slug) =>
  (await graphql(`mutation ($name: String!, $slug: String) { createSite(data: { name: $name, slug: $slug }) { ${SITE} } }`, { name, slug }))
    .createSite;

export const deployments = async (siteId) =>
  (await graphql(`query ($siteId: ID!) { deployments(siteId: $siteId) { ${DEPLOYMENT} } }`, { siteId })).deployments;

export const deployment = async (id) =>
  (await graphql(`query ($id: ID!) { deployment(where: { id: $id }) { ${DEPLOYMENT} } }`, { id })).deployment;

export const rollback = async (siteId, deploymentId = null) =>
  (
    await graphql(
      `mutation ($siteId: ID!, $deploymentId: ID) {
        rollbackSite(where: { siteId: $siteId }, data: { deploymentId: $deploymentId }) { ${DEPLOYMENT} }
      }`,
      { siteId, deploymentId },
    )
  ).rollbackSite;

const FINAL = new Set(["SUCCESS", "FAILED", "CANCELED"]);
const POLL_MILLISECONDS = 1000;
const FOLLOW_MILLISECONDS = 30 * 60 * 1000;

/** The deployment once it is final. Asks each second, which also works when an event stream is not let through. */
export async function follow(id, onChange) {
  for (const end = Date.now() + FOLLOW_MILLISECONDS, wait = { ms: 80 }; Date.now() < end; wait.ms = Math.min(wait.ms * 1.6, POLL_MILLISECONDS)) {
    const current = await deployment(id);
    if (FINAL.has(current.status)) return current;
    onChange(current);
    await new Promise((resolve) => setTimeout(resolve, wait.ms));
  }
  throw new ApiError("The deployment takes unusually long.", { hint: "See `af logs`." });
}
