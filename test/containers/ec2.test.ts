import { execFileSync } from "node:child_process";
import { constants, createHash, generateKeyPairSync, publicEncrypt, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { decryptedSource } from "../../src/containers/ec2/cipher.js";
import { memorySource } from "../../src/source/memory.js";
import { readBytes } from "../../src/source/source.js";
import { checkShown } from "../../src/tree/check.js";
import { nodeAt } from "../../src/tree/node.js";
import { openView, type ViewRequest } from "../../src/tree/view.js";
import { mixed, noise } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { requireProgram } from "../support/qemu.js";
import { imageErrorOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const PART = 300_001;
const sha1 = (content: Uint8Array) => createHash("sha1").update(content).digest("hex");

describe.skipIf(!requireProgram("openssl"))("EC2 bundles", () => {
  const directory = tempDirectory();
  const content = mixed(4, 3 * MIB);
  const user = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = user.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  let encrypted: string;
  let plain: string;

  /** A bundle as the tools make it: tar, gzip, AES by openssl, split. The manifest's path. */
  function bundle(isEncrypted: boolean, type = "machine"): string {
    const home = subdirectory(directory);
    const work = subdirectory(directory);
    writeFileSync(join(work, "server.img"), content);
    execFileSync("tar", ["-C", work, "-cSf", join(work, "a.tar"), "server.img"]);
    const archive = readFileSync(join(work, "a.tar"));
    execFileSync("gzip", ["-k", join(work, "a.tar")]);
    const [key, iv] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
    if (isEncrypted) {
      const names = ["-in", join(work, "a.tar.gz"), "-out", join(work, "whole")];
      execFileSync("openssl", ["enc", "-e", "-aes-128-cbc", "-K", key, "-iv", iv, ...names]);
    }
    const whole = readFileSync(join(work, isEncrypted ? "whole" : "a.tar.gz"));
    const parts = Array.from({ length: Math.ceil(whole.length / PART) }, (_, index) => whole.subarray(index * PART, (index + 1) * PART));
    const names = parts.map((_, index) => `server.img.part.${String(index).padStart(2, "0")}`);
    for (const [index, part] of parts.entries()) writeFileSync(join(home, names[index] ?? ""), part);
    const secret = (text: string) =>
      publicEncrypt({ key: user.publicKey, padding: constants.RSA_PKCS1_PADDING }, Buffer.from(text)).toString("hex");
    const list = parts.map((part, index) => {
      return `<part index="${index}"><filename>${names[index]}</filename><digest algorithm="SHA1">${sha1(part)}</digest></part>`;
    });
    const keys = `<user_encrypted_key algorithm="AES-128-CBC">${secret(key)}</user_encrypted_key><user_encrypted_iv>${secret(iv)}</user_encrypted_iv>`;
    const manifest = join(home, "server.img.manifest.xml");
    writeFileSync(
      manifest,
      `<?xml version="1.0" encoding="UTF-8"?>\n<manifest><version>2007-10-10</version><bundler><name>x</name></bundler>` +
        `<machine_configuration><architecture>x86_64</architecture><kernel_id>aki-1</kernel_id></machine_configuration>` +
        `<image><name>server.img</name><user>1</user><type>${type}</type><digest algorithm="SHA1">${sha1(archive)}</digest>` +
        `<size>${content.length}</size><bundled_size>${whole.length}</bundled_size>${isEncrypted ? keys : ""}` +
        // Order in the file is not that of the parts.
        `<parts count="${parts.length}">${list.reverse().join("\n")}</parts></image><signature>00</signature></manifest>\n`,
    );
    return manifest;
  }

  const viewOf = (image: string, options: ViewRequest["options"] = {}) =>
    openView({ image, options, root: "directory", mode: 0o444, cacheLimit: 4 * MIB });

  beforeAll(() => {
    encrypted = bundle(true);
    plain = bundle(false, "kernel");
  });

  test("joined and decrypted: the image is the one that was bundled", () => {
    const before = fingerprint(dirname(encrypted));
    const view = viewOf(encrypted, { privateKey: pem });
    const node = nodeAt(view.tree, "disks/server.img/disk.raw");
    if (node?.kind !== "file") throw new Error("there is no disk");
    const found = Buffer.alloc(node.file.size);
    node.file.read(found, 0);
    expect(found.equals(content)).toBe(true);
    expect(view.description).toMatchObject({
      contents: { format: "ec2-bundle", variant: "AES-128-CBC", details: { type: "AMI", architecture: "x86_64", "kernel id": "aki-1" } },
      disks: [{ name: "server.img", role: "AMI" }],
    });
    expect(checkShown(view.shown, "it", () => undefined).map(({ severity }) => severity)).not.toContain("error");
    view.close();
    expect(fingerprint(dirname(encrypted))).toBe(before);
  });

  test("not encrypted", () => {
    const view = viewOf(plain);
    const node = nodeAt(view.tree, "files/server.img");
    if (node?.kind !== "file") throw new Error("there is no file");
    const found = Buffer.alloc(5000);
    node.file.read(found, MIB - 7);
    expect(found.equals(content.subarray(MIB - 7, MIB + 4993))).toBe(true);
    expect(view.description.disks?.map(({ role }) => role)).toEqual(["AKI"]);
    view.close();
  });

  test("without the key, or with another one, it is refused and says what is wanted", () => {
    expect(imageErrorOf(() => viewOf(encrypted))).toMatchObject({ code: "KEY_NEEDED", message: "the bundle is encrypted" });
    expect(imageErrorOf(() => viewOf(encrypted))?.hint).toContain("--key-file");
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    expect(imageErrorOf(() => viewOf(encrypted, { privateKey: other }))?.code).toBe("KEY_NEEDED");
    expect(imageErrorOf(() => viewOf(encrypted, { privateKey: "no key" }))?.code).toBe("KEY_NEEDED");
  });

  test("a byte that was flipped is found, and the part named", () => {
    const manifest = bundle(false);
    const part = join(dirname(manifest), "server.img.part.01");
    const view = viewOf(manifest);
    const changed = readFileSync(part);
    changed[777] = (changed[777] ?? 0) ^ 1;
    writeFileSync(part, changed);
    const errors = checkShown(view.shown, "it", () => undefined).filter(({ severity }) => severity === "error");
    expect(errors.map(({ file }) => file)).toContain("it: server.img.part.01");
    view.close();
  });

  test("a part that is missing or too short is an error, not another image", () => {
    const manifest = bundle(true);
    const part = join(dirname(manifest), "server.img.part.01");
    writeFileSync(part, readFileSync(part).subarray(0, -16));
    expect(imageErrorOf(() => viewOf(manifest, { privateKey: pem }))?.code).toBe("TRUNCATED");
    execFileSync("rm", [part]);
    expect(imageErrorOf(() => viewOf(manifest, { privateKey: pem }))).toMatchObject({ code: "PART_MISSING" });
  });

  test("any range of what is encrypted", () => {
    const [key, iv] = [randomBytes(16), randomBytes(16)];
    const clear = noise(3, 10_007);
    const options = ["enc", "-e", "-aes-128-cbc", "-K", key.toString("hex"), "-iv", iv.toString("hex")];
    const source = decryptedSource(memorySource("x", execFileSync("openssl", options, { input: clear })), key, iv);
    expect(source.size).toBe(clear.length);
    for (const [start, end] of [
      [0, 1],
      [15, 17],
      [16, 32],
      [0, 10_007],
      [10_006, 10_007],
      [4321, 9876],
    ] as const) {
      expect(readBytes(source, start, end - start).equals(clear.subarray(start, end))).toBe(true);
    }
  });

  test("manifests changed anywhere end in an image or an error", () => {
    const text = readFileSync(plain, "utf8");
    const home = dirname(plain);
    for (let at = 0; at < text.length; at += 23) {
      writeFileSync(
        join(home, "changed.xml"),
        `${text.slice(0, at)}${String.fromCharCode((text.charCodeAt(at) % 90) + 33)}${text.slice(at + 1)}`,
      );
      const error = imageErrorOf(() => viewOf(join(home, "changed.xml")).close());
      expect(error?.message ?? "").not.toContain("undefined");
    }
  });
});
