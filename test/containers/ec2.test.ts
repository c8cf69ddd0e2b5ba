import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { decryptedSource } from "../../src/containers/ec2/cipher.js";
import { ec2Bundle } from "../../src/containers/ec2/index.js";
import { memorySource } from "../../src/source/memory.js";
import { readBytes } from "../../src/source/source.js";
import { checkShown } from "../../src/tree/check.js";
import { nodeAt } from "../../src/tree/node.js";
import { openView, type ViewRequest } from "../../src/tree/view.js";
import { between, mixed, noise, randomNumbers } from "../support/content.js";
import { type Bundle, type BundleOptions, makeBundle, unbundled } from "../support/ec2-builder.js";
import { fingerprint } from "../support/hash.js";
import { requireProgram } from "../support/qemu.js";
import { imageErrorOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;

const viewOf = (image: string, options: ViewRequest["options"] = {}) =>
  openView({ image, options, root: "directory", mode: 0o444, cacheLimit: 4 * MIB });

type View = ReturnType<typeof viewOf>;

const findingsOf = (view: View) => checkShown(view.shown, "it", () => undefined);

function flip(path: string, at = 777): void {
  const content = readFileSync(path);
  content[at] = (content[at] ?? 0) ^ 1;
  writeFileSync(path, content);
}

describe.skipIf(!requireProgram("openssl"))("EC2 bundles", () => {
  const directory = tempDirectory();
  const content = mixed(4, 3 * MIB);
  const user = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const cloud = generateKeyPairSync("rsa", { modulusLength: 4096 });
  const pem = user.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const cloudPem = cloud.privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  const keys = { user: user.publicKey, cloud: cloud.publicKey, signer: user.privateKey };
  let encrypted: Bundle;
  let plain: Bundle;

  const bundle = (options: BundleOptions) => makeBundle(subdirectory(directory), subdirectory(directory), content, options);

  function imageOf(view: View, path = "disks/server.img/disk.raw"): Buffer {
    const node = nodeAt(view.tree, path);
    if (node?.kind !== "file") throw new Error(`there is no ${path}`);
    const found = Buffer.alloc(node.file.size, 0xee);
    node.file.read(found, 0);
    return found;
  }

  beforeAll(() => {
    encrypted = bundle(keys);
    plain = bundle({ type: "kernel" });
  });

  test("joined and decrypted: the image is the one that was bundled, as openssl and tar get it too", () => {
    const before = fingerprint(dirname(encrypted.manifest));
    const view = viewOf(encrypted.manifest, { privateKey: pem });
    expect(imageOf(view).equals(content)).toBe(true);
    expect(imageOf(view).equals(unbundled(encrypted, true))).toBe(true);
    expect(view.description).toMatchObject({
      contents: {
        format: "ec2-bundle",
        variant: "AES-128-CBC",
        details: {
          type: "AMI",
          architecture: "x86_64",
          "kernel id": "aki-1",
          "block devices": "ami=sda1",
          user: "111122223333",
          bundler: "test-bundler 1.2 3",
          parts: encrypted.parts.length,
        },
      },
      disks: [{ name: "server.img", role: "AMI" }],
    });
    expect(findingsOf(view).filter(({ severity }) => severity !== "ok")).toEqual([]);
    expect(findingsOf(view).map(({ message }) => message)).toContain("its signature is that of the private key");
    view.close();
    expect(fingerprint(dirname(encrypted.manifest))).toBe(before);
  });

  test("any range of the image", () => {
    const view = viewOf(encrypted.manifest, { privateKey: pem });
    const node = nodeAt(view.tree, "files/server.img");
    if (node?.kind !== "file") throw new Error("there is no file");
    const random = randomNumbers(1);
    for (let round = 0; round < 60; round += 1) {
      const start = between(random, 0, content.length - 1);
      const found = Buffer.alloc(between(random, 1, Math.min(200_000, content.length - start)), 0xee);
      node.file.read(found, start);
      expect(found.equals(content.subarray(start, start + found.length))).toBe(true);
    }
    view.close();
  });

  test("the cloud's key fits as well as the user's", () => {
    const view = viewOf(encrypted.manifest, { privateKey: cloudPem });
    expect(imageOf(view).equals(content)).toBe(true);
    const differing = findingsOf(view).filter(({ severity }) => severity !== "ok");
    expect(differing.map(({ kind }) => kind)).toEqual(["signature differs"]);
    view.close();
    const forCloud = bundle({ cloud: cloud.publicKey });
    const second = viewOf(forCloud.manifest, { privateKey: cloudPem });
    expect(imageOf(second).equals(content)).toBe(true);
    second.close();
    expect(imageErrorOf(() => viewOf(forCloud.manifest))).toMatchObject({ code: "KEY_NEEDED", message: "the bundle is encrypted" });
  });

  test("not encrypted", () => {
    const view = viewOf(plain.manifest);
    expect(imageOf(view, "files/server.img").equals(unbundled(plain, false))).toBe(true);
    expect(view.description.disks?.map(({ role }) => role)).toEqual(["AKI"]);
    view.close();
  });

  test.each([
    ["AKI", { type: "kernel" }],
    ["ARI", { type: "ramdisk" }],
    ["AKI", { machine: "<kernel_id>true</kernel_id>" }],
    ["ARI", { machine: "<ramdisk_id>yes</ramdisk_id>" }],
  ])("%s by %j", (role, options) => {
    const view = viewOf(bundle(options).manifest);
    expect(view.description.disks?.map((disk) => disk.role)).toEqual([role]);
    if ("machine" in options) expect(view.description.contents?.details).not.toHaveProperty("kernel id");
    view.close();
  });

  test("without the key, or with another one, it is refused and says what is wanted", () => {
    const refusal = (privateKey?: string) => imageErrorOf(() => viewOf(encrypted.manifest, { privateKey }));
    expect(refusal()).toMatchObject({ code: "KEY_NEEDED", message: "the bundle is encrypted" });
    expect(refusal()?.hint).toContain("--key-file");
    for (const modulusLength of [1024, 2048, 4096]) {
      const other = generateKeyPairSync("rsa", { modulusLength }).privateKey.export({ type: "pkcs8", format: "pem" }).toString();
      expect(refusal(other)).toMatchObject({ code: "KEY_NEEDED", message: "the private key is not the one that the bundle was made for" });
    }
    const curve = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    expect(refusal(curve)?.code).toBe("KEY_NEEDED");
    expect(refusal("no key")?.message).toContain("no private key in PEM");
    const locked = { format: "pem", cipher: "aes-256-cbc", passphrase: "x" } as const;
    for (const type of ["pkcs8", "pkcs1"] as const) {
      expect(refusal(user.privateKey.export({ type, ...locked }).toString())?.message).toContain("passphrase");
    }
  });

  test.each([0, 1, -1])("a byte that was flipped is found, and part %i named, when it is opened and when it is checked", (which) => {
    const damaged = bundle({ user: user.publicKey });
    const path = damaged.parts.at(which) ?? "";
    const name = path.slice(path.lastIndexOf("/") + 1);
    const view = viewOf(damaged.manifest, { privateKey: pem });
    flip(path, readFileSync(path).length - 20);
    const errors = findingsOf(view).filter(({ severity }) => severity === "error");
    expect(errors.map(({ file }) => file)).toContain(`it: ${name}`);
    view.close();
    const error = imageErrorOf(() => viewOf(damaged.manifest, { privateKey: pem }));
    expect(error?.code).toBe("CORRUPT");
    expect(error?.message).toContain(`the part "${name}" is damaged: its SHA1 is`);
  });

  test("a part that is missing, too short or too long is an error, not another image", () => {
    const { manifest, parts } = bundle(keys);
    const [, part = ""] = parts;
    const whole = readFileSync(part);
    const refusal = () => imageErrorOf(() => viewOf(manifest, { privateKey: pem }));
    writeFileSync(part, whole.subarray(0, -16));
    expect(refusal()?.code).toBe("TRUNCATED");
    writeFileSync(part, Buffer.concat([whole, Buffer.alloc(16)]));
    expect(refusal()?.code).toBe("CORRUPT");
    rmSync(part);
    expect(refusal()).toMatchObject({ code: "PART_MISSING" });
  });

  test("a manifest that was changed after it was signed is told", () => {
    const { manifest } = bundle({ ...keys, change: (text) => text.replace("x86_64", "i386") });
    const view = viewOf(manifest, { privateKey: pem });
    expect(findingsOf(view)).toContainEqual(expect.objectContaining({ file: "it: manifest", kind: "signature differs" }));
    view.close();
  });

  test.each([
    ["AES-256-CBC", "UNSUPPORTED", /encrypted with "AES-256-CBC"/, (text: string) => text.replaceAll("AES-128-CBC", "AES-256-CBC")],
    ["no vector", "CORRUPT", /only one is there/, (text: string) => text.replaceAll(/<(\w+_encrypted_iv)>.*?<\/\1>/g, "")],
    [
      "no image",
      "CORRUPT",
      /describes no image/,
      (text: string) => text.replace("<image>", "<x><image>").replace("</image>", "</image></x>"),
    ],
    ["a gap", "CORRUPT", /without a gap/, (text: string) => text.replace('index="1"', 'index="77"')],
    ["another count", "CORRUPT", /says that there are 99/, (text: string) => text.replace(/count="\d+"/, 'count="99"')],
    ["a part outside", "PART_DENIED", /./, (text: string) => text.replace("server.img.part.01", "../outside")],
    ["not XML", "CORRUPT", /the manifest/, (text: string) => text.slice(0, -4)],
  ])("a manifest with %s is refused", (_, code, message, change) => {
    writeFileSync(join(directory, "outside"), "x");
    const error = imageErrorOf(() => viewOf(bundle({ ...keys, change }).manifest, { privateKey: pem }));
    expect([error?.code, error?.message]).toEqual([code, expect.stringMatching(message)]);
  });

  test("a size that is not that of the image is told", () => {
    const view = viewOf(bundle({ change: (text) => text.replace(/<size>\d+/, "<size>5") }).manifest);
    expect(view.description.notes.join()).toContain("the manifest says 5");
    view.close();
  });

  test("other manifests are none of a bundle, and comments do no harm", () => {
    const is = (text: string) => ec2Bundle.probe(memorySource("x", Buffer.from(text)));
    expect(is('<?xml version="1.0"?><!-- a - b --><manifest><image><parts count="1"/></image></manifest>')).toBe(true);
    expect(is('<manifest xmlns:android="x" package="y"><application/></manifest>')).toBe(false);
    expect(is('<manifest><importer/><import><parts count="1"/></import></manifest>')).toBe(false);
    expect(is("<?xml ".repeat(5000))).toBe(false);
    expect(is("<!-- ".repeat(5000))).toBe(false);
  });

  test("any range of what is encrypted", () => {
    const [key, iv] = [randomBytes(16), randomBytes(16)];
    const options = ["enc", "-e", "-aes-128-cbc", "-K", key.toString("hex"), "-iv", iv.toString("hex")];
    for (const size of [1, 15, 16, 17, 10_007, 2 * MIB + 5]) {
      const clear = noise(3, size);
      const source = decryptedSource(memorySource("x", execFileSync("openssl", options, { input: clear, maxBuffer: 2 ** 26 })), key, iv);
      expect(source.size).toBe(size);
      expect(readBytes(source, 0, size).equals(clear)).toBe(true);
      const random = randomNumbers(size);
      for (let round = 0; round < 40; round += 1) {
        const start = between(random, 0, size);
        const end = between(random, start, Math.min(size, start + 100));
        expect(readBytes(source, start, end - start).equals(clear.subarray(start, end))).toBe(true);
      }
    }
  });

  test("manifests changed anywhere end in an image or an error", () => {
    const text = readFileSync(plain.manifest, "utf8");
    const changed = join(dirname(plain.manifest), "changed.xml");
    for (let at = 0; at < text.length; at += 23) {
      writeFileSync(changed, `${text.slice(0, at)}${String.fromCharCode((text.charCodeAt(at) % 90) + 33)}${text.slice(at + 1)}`);
      const error = imageErrorOf(() => viewOf(changed).close());
      expect(error?.message ?? "").not.toContain("undefined");
    }
  });
});
