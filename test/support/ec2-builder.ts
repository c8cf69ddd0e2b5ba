// EC2 bundles from what is known of the format: an image in a tar archive, gzip, AES-128-CBC, parts; and the manifest over them.
import { constants, createCipheriv, createHash, createSign, type KeyObject, publicEncrypt, randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

export interface BundleOptions {
  /** Public keys for whom the bundle's key is encrypted; none for a bundle that is not. */
  readonly user?: KeyObject | undefined;
  readonly cloud?: KeyObject | undefined;
  readonly signer?: KeyObject | undefined;
  readonly type?: string;
  readonly name?: string;
  readonly partSize?: number;
  /** Put into machine_configuration and into image as they are. */
  readonly machine?: string;
  readonly image?: string;
  /** Of the manifest, before it is written. */
  readonly change?: (manifest: string) => string;
}

export interface Bundle {
  readonly manifest: string;
  /** Paths, in order. */
  readonly parts: readonly string[];
  readonly key: Buffer;
  readonly iv: Buffer;
}

/** Writes a bundle of `content` into `folder`, with work files in `work`. */
export function makeBundle(folder: string, work: string, content: Uint8Array, options: BundleOptions = {}): Bundle {
  const { user, cloud, signer, type = "machine", name = "server.img", partSize = 300_001, change = (text) => text } = options;
  writeFileSync(join(work, name), content);
  const archive = execFileSync("tar", ["-C", work, "-cSf", "-", name], { maxBuffer: 2 ** 28 });
  const [key, iv] = [randomBytes(16), randomBytes(16)];
  const packed = gzipSync(archive);
  const cipher = createCipheriv("aes-128-cbc", key, iv);
  const whole = user || cloud ? Buffer.concat([cipher.update(packed), cipher.final()]) : packed;
  const parts: string[] = [];
  const list: string[] = [];
  for (let at = 0; at < whole.length; at += partSize) {
    const file = `${name}.part.${String(parts.length).padStart(2, "0")}`;
    const part = whole.subarray(at, at + partSize);
    list.push(`<part index="${list.length}"><filename>${file}</filename><digest algorithm="SHA1">${sha1(part)}</digest></part>`);
    parts.push(join(folder, file));
    writeFileSync(join(folder, file), part);
  }
  const machine =
    `<machine_configuration><architecture>x86_64</architecture>` +
    `<block_device_mapping><mapping><virtual>ami</virtual><device>sda1</device></mapping></block_device_mapping>` +
    `${options.machine ?? "<kernel_id>aki-1</kernel_id>"}</machine_configuration>`;
  // Order in the file is not that of the parts.
  const image =
    `<image><name>${name}</name><user>111122223333</user><type>${type}</type><digest algorithm="SHA1">${sha1(archive)}</digest>` +
    `<size>${content.length}</size><bundled_size>${whole.length}</bundled_size>${secretsFor("ec2", cloud, key, iv)}` +
    `${secretsFor("user", user, key, iv)}${options.image ?? ""}<parts count="${list.length}">${list.toReversed().join("")}</parts></image>`;
  const signature = signer
    ? `<signature>${createSign("sha1")
        .update(machine + image)
        .sign(signer, "hex")}</signature>`
    : "";
  const manifest = join(folder, `${name}.manifest.xml`);
  const bundler = "<bundler><name>test-bundler</name><version>1.2</version><release>3</release></bundler>";
  writeFileSync(
    manifest,
    change(`<?xml version="1.0"?>\n<manifest><version>2007-10-10</version>${bundler}${machine}${image}${signature}</manifest>`),
  );
  return { manifest, parts, key, iv };
}

/** What openssl and tar make of a bundle: the image. */
export function unbundled({ parts, key, iv }: Bundle, isEncrypted: boolean): Buffer {
  const whole = Buffer.concat(parts.map((part) => readFileSync(part)));
  const options = ["enc", "-d", "-aes-128-cbc", "-K", key.toString("hex"), "-iv", iv.toString("hex")];
  const packed = isEncrypted ? execFileSync("openssl", options, { input: whole, maxBuffer: 2 ** 28 }) : whole;
  return execFileSync("tar", ["-xzOf", "-"], { input: packed, maxBuffer: 2 ** 28 });
}

function secretsFor(owner: string, key: KeyObject | undefined, ...[secret, iv]: readonly Buffer[]): string {
  if (!key || !secret || !iv) return "";
  const encrypted = (text: string) => publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, Buffer.from(text)).toString("hex");
  return (
    `<${owner}_encrypted_key algorithm="AES-128-CBC">${encrypted(secret.toString("hex"))}</${owner}_encrypted_key>` +
    `<${owner}_encrypted_iv>${encrypted(iv.toString("hex"))}</${owner}_encrypted_iv>`
  );
}

function sha1(content: Uint8Array): string {
  return createHash("sha1").update(content).digest("hex");
}
