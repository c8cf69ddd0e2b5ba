// Encrypted images by QEMU's own tools. Passwords go on the command line: they guard nothing but test data.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { qemuImg, type Step } from "./qemu.js";
import { inTempDirectory } from "./temp.js";

/** What QEMU opens: nested options, as QEMU's own JSON has them. */
type ImageOptions = Readonly<Record<string, unknown>>;

const secret = (password: string, id = "key") => ["--object", `secret,id=${id},data=${password}`];

/** An image file and its password; `more` goes beside `driver`, such as a backing file with a password of its own. */
export interface EncryptedFile {
  readonly path: string;
  readonly format: "qcow" | "qcow2";
  readonly password: string;
  readonly more?: ImageOptions;
  /** Other passwords, by the ids that `more` uses. */
  readonly secrets?: Readonly<Record<string, string>>;
}

const secretsOf = ({ password, secrets = {} }: EncryptedFile) => [
  ...secret(password),
  ...Object.entries(secrets).flatMap(([id, other]) => secret(other, id)),
];

/** The options of the image as one argument of qemu-img. */
function imageOf({ path, format, more = {} }: EncryptedFile): string {
  const encryption = format === "qcow" ? "aes" : undefined;
  const options = {
    driver: format,
    file: { driver: "file", filename: path },
    encrypt: { format: encryption, "key-secret": "key" },
    ...more,
  };
  return `json:${JSON.stringify(options)}`;
}

/** How often something is tried on a busy machine, and milliseconds in between. */
const ATTEMPTS = 30;
const PAUSE = 300;

/** `options` as `-o` takes them, without the password. */
export function createEncrypted(
  { path, format, password }: EncryptedFile,
  size: number,
  options: Readonly<Record<string, string | number>>,
  more: readonly string[] = [],
): void {
  const list = Object.entries({ ...options, "encrypt.key-secret": "key" }).map(([key, value]) => `${key}=${value}`);
  const args = ["create", "-q", ...secret(password), "-f", format, "-o", list.join(","), ...more, path, String(size)];
  // QEMU measures how fast it is before it writes a LUKS header, and gives up on a busy machine.
  for (let attempt = 1; ; attempt += 1) {
    try {
      qemuImg(...args);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || !String(error).includes("accurate CPU usage")) throw error;
      // Right away it would find the machine just as busy.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
    }
  }
}

/** Does the steps, one run of `qemu-io` for all. */
export function changeEncrypted(file: EncryptedFile, steps: readonly Step[]): void {
  inTempDirectory((directory) => {
    const commands = steps.flatMap((step, index) => ["-c", commandOf(step, join(directory, `${index}`))]);
    const result = spawnSync("qemu-io", [...secretsOf(file), "-t", "unsafe", "-d", "unmap", ...commands, imageOf(file)], {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
    if (result.status !== 0 || /fail|error|invalid/i.test(result.stdout + result.stderr)) {
      throw new Error(`qemu-io ${file.path}: ${result.status}\n${result.stdout}${result.stderr}`);
    }
  });
}

function commandOf(step: Step, contentFile: string): string {
  switch (step.kind) {
    case "discard":
      return `discard -q ${step.at} ${step.length}`;
    case "zero":
      return `write -q -z ${step.at} ${step.length}`;
    case "zero-unmap":
      return `write -q -z -u ${step.at} ${step.length}`;
    case "write":
    case "packed":
      writeFileSync(contentFile, step.content);
      return `write -q ${step.kind === "packed" ? "-c " : ""}-s ${contentFile} ${step.at} ${step.content.length}`;
    default:
      throw new Error(`no encrypted image needs the step ${step.kind}`);
  }
}

/** The whole disk, as `qemu-img convert -O raw` writes it. */
export function flatEncrypted(file: EncryptedFile): Buffer {
  return inTempDirectory((directory) => {
    const output = join(directory, "flat");
    qemuImg("convert", ...secretsOf(file), "-O", "raw", imageOf(file), output);
    return readFileSync(output);
  });
}

/** `qemu-img snapshot` with `-c`, `-a` or `-d`. */
export function snapshotEncrypted(file: EncryptedFile, action: "-c" | "-a" | "-d", name: string): void {
  qemuImg("snapshot", "-q", ...secretsOf(file), action, name, imageOf(file));
}
