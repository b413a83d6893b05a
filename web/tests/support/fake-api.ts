/** An api without a network: a test says what it answers, and sees what it was asked. */

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
}

type Answer = (call: Call) => Response | Promise<Response>;

export class FakeApi {
  readonly calls: Call[] = [];
  readonly #answers = new Map<string, Answer>();

  on(path: string, answer: Answer): void {
    this.#answers.set(path, answer);
  }

  readonly fetch = async (path: string, init: RequestInit): Promise<Response> => {
    const headers = Object.fromEntries(
      [...new Headers(init.headers)].map(([name, value]) => [name.toLowerCase(), value]),
    );
    const call: Call = {
      method: init.method ?? "GET",
      path,
      headers,
      body: JSON.parse(String(init.body ?? null)),
    };
    this.calls.push(call);
    const answer = this.#answers.get(path);
    if (answer === undefined) throw new TypeError("Failed to fetch");
    return answer(call);
  };
}

export function tokens(name: string, expiresInS = 900): Response {
  const body = { access_token: `access ${name}`, refresh_token: `refresh ${name}`, token_type: "Bearer" };
  return Response.json({ ...body, expires_in: expiresInS });
}

export function problem(
  status: number,
  fields: object,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json(
    { type: "about:blank", status, ...fields },
    { status, headers: { ...headers, "Content-Type": "application/problem+json" } },
  );
}
