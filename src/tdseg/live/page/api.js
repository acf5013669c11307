// Requests to the server, with the token that the address had.

const KEY = "tdseg-token";
const given = new URLSearchParams(location.hash.slice(1)).get("token") ?? new URLSearchParams(location.search).get("token");
if (given) {
  sessionStorage.setItem(KEY, given); // of this tab alone, and sent by this page alone
  history.replaceState(null, "", location.pathname);
}

export const setToken = (token) => sessionStorage.setItem(KEY, token);

export class Refused extends Error {
  constructor(status, fields) {
    super(fields.got ?? `status ${status}`);
    this.status = status;
    this.hint = fields.do ?? "";
  }
}

export const path = (name, rest = "") => `/sessions/${encodeURIComponent(name)}${rest}`;

export async function ask(address, options = {}) {
  const token = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(address, { ...options, headers });
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  const fields = isJson ? await response.json() : {};
  if (!response.ok) throw new Refused(response.status, fields);
  return fields;
}

export const openSession = (name, source) =>
  ask("/sessions", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name, source }) });

export const endSession = (name, options = {}) => ask(path(name), { method: "DELETE", ...options });

export function connect(name, query) {
  const url = new URL(path(name, "/ws"), location.href), token = sessionStorage.getItem(KEY);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = new URLSearchParams({ ...query, ...(token ? { token } : {}) });
  return new WebSocket(url);
}

const EXTRA = /[^\p{L}\p{N}_ .-]/gu;
export function freeName(wish, taken) {
  const name = wish.replace(EXTRA, "-").replace(/^[^\p{L}\p{N}_]+/u, "").slice(0, 56).replace(/[ .]+$/, "") || "source";
  let number = 1, free = name;
  while (taken.has(free)) free = `${name}-${(number += 1)}`;
  return free;
}
