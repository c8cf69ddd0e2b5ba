// Commands called without a process: what they print is collected.
import type { Io } from "../../src/cli/io.js";

export interface FakeIo extends Io {
  /** Standard output so far. */
  bytes(): Buffer;
  text(): string;
  /** How many times something was written. */
  writes(): number;
}

export function fakeIo(given: Partial<Pick<Io, "terminal" | "color" | "columns">> = {}): FakeIo {
  const pieces: Buffer[] = [];
  return {
    terminal: false,
    progress: "none",
    color: false,
    columns: 80,
    ...given,
    // A copy: commands use their buffers again.
    out: (content) => void pieces.push(Buffer.from(content)),
    err: () => undefined,
    bytes: () => Buffer.concat(pieces),
    text: () => Buffer.concat(pieces).toString("utf8"),
    writes: () => pieces.length,
  };
}

/** What a command's constructor gives, as far as tests use it. */
interface Runnable {
  exitOverride(): unknown;
  configureOutput(configuration: { writeOut(text: string): void; writeErr(text: string): void }): unknown;
  parseAsync(words: readonly string[], options: { from: "user" }): Promise<unknown>;
}

/** Runs one command; wrong usage is thrown instead of ending the process. Help and complaints about usage go to `io`, too. */
export async function run(command: Runnable, words: readonly string[], io?: Io): Promise<void> {
  command.exitOverride();
  command.configureOutput({ writeOut: (text) => io?.out(text), writeErr: () => undefined });
  await command.parseAsync(words, { from: "user" });
}

/** The output of a command that ends well. */
export async function outputOf(create: (io: Io) => Runnable, ...words: readonly string[]): Promise<string> {
  const io = fakeIo();
  await run(create(io), words, io);
  return io.text();
}

/** What a command fails with. */
export async function failureOf(create: (io: Io) => Runnable, ...words: readonly string[]): Promise<unknown> {
  return run(create(fakeIo()), words).then(
    () => undefined,
    (error: unknown) => error,
  );
}
