// Runs other programs within limits of time, memory and written bytes.
import { spawnSync } from "node:child_process";

/** Seconds after which a program is taken to go on for ever. */
export const SECONDS = 20;
/** Bytes of address space; not for Node, which reserves more than it uses. */
const MEMORY = 4 * 2 ** 30;
/** Bytes of one written file. */
const WRITTEN = 2 ** 29;

export interface Ended {
  readonly kind: "ended" | "crash" | "hang";
  readonly status: number;
  readonly output: string;
  /** The standard error alone. */
  readonly errors: string;
}

export function runLimited(command: readonly string[], { cwd, memory = true }: { cwd: string; memory?: boolean }): Ended {
  // A program that writes more gets an error instead of a signal.
  const limits = ["prlimit", `--fsize=${WRITTEN}`, "--core=0", ...(memory ? [`--as=${MEMORY}`] : [])];
  const { status, signal, stdout, stderr, error } = spawnSync("sh", ["-c", 'trap "" XFSZ; exec "$@"', "sh", ...limits, ...command], {
    cwd,
    timeout: SECONDS * 1000,
    killSignal: "SIGKILL",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 2 ** 22,
    env: { ...process.env, LC_ALL: "C" },
  });
  const output = `${String(stderr)}${String(stdout)}`.trim();
  const errors = String(stderr).trim();
  if ((error as NodeJS.ErrnoException | undefined)?.code === "ETIMEDOUT") return { kind: "hang", status: -1, output, errors };
  if (signal !== null || ((status ?? 0) > 128 && (status ?? 0) < 128 + 32))
    return { kind: "crash", status: status ?? -1, output: signal ?? `status ${status}`, errors };
  return { kind: "ended", status: status ?? -1, output, errors };
}
