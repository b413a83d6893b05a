/** Requests to the api, and what went wrong with them in words that a person can read. */

/** `field` is a path such as `tags[2]`, empty for the body as a whole. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** The api answered with an error: `application/problem+json` (RFC 9457), or anything else that is not a success. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;
  /** Stable and in English; empty when the answer was not a problem document. */
  readonly code: string;
  /** What `Retry-After` asked for, in milliseconds. */
  readonly retryAfterMs: number | null;
  /** What is wrong with which field of the body. */
  readonly errors: readonly FieldError[];

  constructor(
    status: number,
    code: string,
    message: string,
    retryAfterMs: number | null,
    errors: readonly FieldError[] = [],
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.errors = errors;
  }

  /** Whether the same request may succeed later. */
  get isPassing(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

/** No answer came. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

const TIMEOUT_MS = 20_000;

export type Headers = Readonly<Record<string, string>>;

export interface Request {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object | null;
  readonly headers?: Headers;
  /** Whether it must reach the server although the page is being closed; its body is small then. */
  readonly keepalive?: boolean;
}

/** Ask, and give the JSON of the answer, null where it has none. Throws Problem or Unreachable. */
export async function request({ method, path, body, headers, keepalive }: Request): Promise<unknown> {
  const content =
    body == null ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await send(path, {
    ...content,
    method,
    headers: { Accept: "application/json", ...content.headers, ...headers },
    keepalive: keepalive ?? false,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text().catch(unreachable);
  if (!response.ok) throw problem(response, decode(text));
  return text === "" ? null : decode(text);
}

/** POST `body`, if any, so that it arrives although the page is being closed, as a sign-out must. */
export async function post(path: string, body: object | null, headers: Headers = {}): Promise<unknown> {
  return request({ method: "POST", path, body, headers, keepalive: true });
}

async function send(path: string, init: RequestInit): Promise<Response> {
  return fetch(path, init).catch(unreachable);
}

function unreachable(cause: unknown): never {
  throw new Unreachable("Muster could not be reached. Check the network, then try again.", { cause });
}

function decode(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy in between may answer with a page; its status is all there is to tell then.
    return null;
  }
}

interface ProblemDocument {
  readonly title?: unknown;
  readonly detail?: unknown;
  readonly code?: unknown;
  readonly errors?: unknown;
}

function problem(response: Response, body: unknown): Problem {
  const document: ProblemDocument = typeof body === "object" && body !== null ? body : {};
  const errors = fieldErrors(document.errors);
  const listed = errors.map(({ field, message }) => [field, message].filter(isSaid).join(": ")).join("; ");
  const [said] = [document.detail, listed, document.title].filter(isSaid);
  const message = sentence(said ?? `Muster answered with an error (${response.status})`);
  const code = typeof document.code === "string" ? document.code : "";
  return new Problem(response.status, code, message, retryAfter(response), errors);
}

const isSaid = (text: unknown): text is string => typeof text === "string" && text !== "";

function fieldErrors(errors: unknown): FieldError[] {
  if (!Array.isArray(errors)) return [];
  return errors
    .map((error: { field?: unknown; message?: unknown } | null) => ({
      field: isSaid(error?.field) ? error.field : "",
      message: isSaid(error?.message) ? error.message : "",
    }))
    .filter(({ message }) => message !== "");
}

/** The api's texts begin in lower case and end without a stop, as part of a line of a log would. */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3). */
function retryAfter(response: Response): number | null {
  const header = response.headers.get("Retry-After");
  if (header === null) return null;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}
