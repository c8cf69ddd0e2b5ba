// A browser without a window, spoken to over a pipe: what it shows, asks for and complains about.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

type Values = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Values;
  readonly result?: Values;
  readonly error?: { readonly message: string };
}

export interface PageView {
  readonly width: number;
  readonly height: number;
  readonly dark?: boolean;
  /** Device pixels of one of CSS. */
  readonly scale?: number;
  /** Without scripts. */
  readonly still?: boolean;
}

export interface BrowserPage {
  /** The value of an expression; a promise is waited for. */
  evaluate<T = unknown>(expression: string): Promise<T>;
  /** Presses and releases a key, as `KeyboardEvent.key` calls it. */
  press(key: string, modifiers?: number): Promise<void>;
  /** Mouse events at CSS pixels of the window. */
  mouse(type: "mouseMoved" | "mousePressed" | "mouseReleased" | "mouseWheel", x: number, y: number, more?: Values): Promise<void>;
  /** A PNG of the whole page. */
  screenshot(): Promise<Buffer>;
  /** Bytes of the page as PDF. */
  print(): Promise<Buffer>;
  /** Addresses of all requests, the page itself first. */
  readonly requests: readonly string[];
  /** What the console and the policy for content complained about. */
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

export interface Browser {
  open(url: string, view: PageView): Promise<BrowserPage>;
  close(): Promise<void>;
}

const PROGRAM = "chromium";
/** Milliseconds after which an answer does not come any more. */
const PATIENCE = 30_000;

export async function startChromium(): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), "flatmount-chromium-"));
  const child = spawn(
    PROGRAM,
    ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe", `--user-data-dir=${profile}`],
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
  );
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const connection = connect(child);
  return {
    async open(url, view) {
      const { targetId } = await connection.send("Target.createTarget", { url: "about:blank" });
      const { sessionId } = await connection.send("Target.attachToTarget", { targetId, flatten: true });
      return openPage(connection, String(targetId), String(sessionId), url, view);
    },
    async close() {
      await connection.send("Browser.close").catch(() => child.kill());
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

interface Connection {
  send(method: string, params?: Values, sessionId?: string): Promise<Values>;
  /** Calls `hear` with every event of the session. */
  listen(sessionId: string, hear: (method: string, params: Values) => void): void;
}

/** Messages are JSON, each with a NUL behind it; file descriptor 3 is read by the browser, 4 written. */
function connect(child: ChildProcess): Connection {
  const [, , , input, output] = child.stdio as unknown as [null, null, null, Writable, Readable];
  const waiting = new Map<number, { resolve: (result: Values) => void; reject: (error: Error) => void }>();
  const listeners = new Map<string, (method: string, params: Values) => void>();
  let last = 0;
  let rest = "";
  output.setEncoding("utf8");
  output.on("data", (text: string) => {
    const messages = (rest + text).split("\0");
    rest = messages.pop() ?? "";
    for (const message of messages) take(JSON.parse(message) as Message & { sessionId?: string });
  });
  const fail = (reason: string) => {
    for (const { reject } of waiting.values()) reject(new Error(reason));
    waiting.clear();
  };
  child.once("error", (error) => fail(`${PROGRAM} cannot be started: ${error.message}`));
  child.once("close", () => fail(`${PROGRAM} has ended`));
  input.on("error", () => undefined);

  function take({ id, method, params = {}, result = {}, error, sessionId = "" }: Message & { sessionId?: string }): void {
    if (id === undefined) {
      if (method !== undefined) listeners.get(sessionId)?.(method, params);
      return;
    }
    const answer = waiting.get(id);
    waiting.delete(id);
    if (error) answer?.reject(new Error(error.message));
    else answer?.resolve(result);
  }

  return {
    send(method, params = {}, sessionId) {
      last += 1;
      const id = last;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), PATIENCE);
        waiting.set(id, {
          resolve(result) {
            clearTimeout(timer);
            resolve(result);
          },
          reject(error) {
            clearTimeout(timer);
            reject(error);
          },
        });
        input.write(`${JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) })}\0`);
      });
    },
    listen: (sessionId, hear) => void listeners.set(sessionId, hear),
  };
}

async function openPage(connection: Connection, targetId: string, sessionId: string, url: string, view: PageView): Promise<BrowserPage> {
  const requests: string[] = [];
  const complaints: string[] = [];
  let isLoaded = () => {};
  const loaded = new Promise<void>((resolve) => {
    isLoaded = resolve;
  });
  const send = (method: string, params?: Values) => connection.send(method, params, sessionId);
  connection.listen(sessionId, (method, params) => {
    if (method === "Network.requestWillBeSent") requests.push((params["request"] as { url: string }).url);
    if (method === "Runtime.exceptionThrown" || method === "Runtime.consoleAPICalled") complaints.push(JSON.stringify(params));
    if (method === "Log.entryAdded") complaints.push(JSON.stringify(params["entry"]));
    if (method === "Page.loadEventFired") isLoaded();
  });
  for (const domain of ["Page", "Network", "Runtime", "Log"]) await send(`${domain}.enable`);
  const { width, height, scale = 1, dark = false, still = false } = view;
  await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: scale, mobile: false });
  await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });
  if (still) await send("Emulation.setScriptExecutionDisabled", { value: true });
  await send("Page.navigate", { url });
  await loaded;
  return {
    requests,
    complaints,
    async evaluate<T>(expression: string) {
      const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
      if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
      return (result as { value?: unknown }).value as T;
    },
    async press(key, modifiers = 0) {
      const text = key.length === 1 ? { text: key } : key === "Enter" ? { text: "\r" } : {};
      const code = keyCodes[key];
      const common = { key, modifiers, ...(code !== undefined && { windowsVirtualKeyCode: code }) };
      await send("Input.dispatchKeyEvent", { type: "keyDown", ...common, ...text });
      await send("Input.dispatchKeyEvent", { type: "keyUp", ...common });
    },
    async mouse(type, x, y, more = {}) {
      await send("Input.dispatchMouseEvent", { type, x, y, ...more });
    },
    async screenshot() {
      const { data } = await send("Page.captureScreenshot", { captureBeyondViewport: true });
      return Buffer.from(String(data), "base64");
    },
    async print() {
      const { data } = await send("Page.printToPDF", { printBackground: true });
      return Buffer.from(String(data), "base64");
    },
    async close() {
      await connection.send("Target.closeTarget", { targetId });
    },
  };
}

/** Tab and others do something only by their numbers. */
const keyCodes: Readonly<Record<string, number>> = {
  Tab: 9,
  Enter: 13,
  Escape: 27,
  PageUp: 33,
  PageDown: 34,
  End: 35,
  Home: 36,
  ArrowLeft: 37,
  ArrowUp: 38,
  ArrowRight: 39,
  ArrowDown: 40,
};
