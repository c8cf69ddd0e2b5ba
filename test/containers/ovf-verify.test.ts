import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openOvf } from "../../src/containers/ovf/discrete.js";
import type { Finding } from "../../src/containers/ovf/findings.js";
import { hashNamed, parseManifest } from "../../src/containers/ovf/manifest.js";
import { openOva } from "../../src/containers/ovf/ova.js";
import { isOvfContainer } from "../../src/containers/ovf/package.js";
import { type VerifyOptions, verifyPackage } from "../../src/containers/ovf/verify.js";
import { tar } from "../../src/containers/tar/index.js";
import { memorySource } from "../../src/source/memory.js";
import { ImageError } from "../../src/util/errors.js";
import { alone } from "../support/containers.js";
import { noise } from "../support/content.js";
import { buildManifest, buildOvf, buildTar, digestOf, type TarMember } from "../support/ovf-builder.js";
import { requireProgram, run } from "../support/qemu.js";
import { tempDirectory } from "../support/temp.js";

const disk = noise(1, 5000);
const descriptor = buildOvf({ files: [{ id: "f", href: "d.vmdk" }], disks: [{ id: "d", file: "f" }] });
const payload: readonly TarMember[] = [
  { name: "vm.ovf", content: descriptor },
  { name: "d.vmdk", content: disk },
];
const DIGEST = digestOf("sha256", disk);

function check(members: readonly TarMember[], options?: VerifyOptions): readonly Finding[] {
  return verifyPackage(openOva(memorySource("vm.ova", buildTar(members)), alone).ovf, options);
}

/** The package with the manifest behind the descriptor, as the specification wants it. */
const withManifest = (manifest: string | Uint8Array, more: readonly TarMember[] = []): readonly TarMember[] => [
  ...payload.slice(0, 1),
  { name: "vm.mf", content: manifest },
  ...more,
  ...payload.slice(1),
];
const brief = (findings: readonly Finding[]) => findings.map(({ file, kind }) => `${file}: ${kind}`);
const troubles = (findings: readonly Finding[]) => brief(findings.filter(({ severity }) => severity !== "ok"));

describe("spellings of a manifest:", () => {
  const sha1 = digestOf("sha1", disk);
  const sha512 = digestOf("sha512", disk);
  test.each([
    ["VMware", `SHA1(d.vmdk)= ${sha1}`],
    ["VMware, SHA-256", `SHA256(d.vmdk)= ${DIGEST}`],
    ["VMware, SHA-512", `SHA512(d.vmdk)= ${sha512}`],
    ["SHA-384", `SHA384(d.vmdk)= ${digestOf("sha384", disk)}`],
    ["MD5", `MD5(d.vmdk)= ${digestOf("md5", disk)}`],
    ["VirtualBox", `SHA1 (d.vmdk) = ${sha1}`],
    ["BSD", `SHA256 (d.vmdk) = ${DIGEST}`],
    ["Oracle", `SHA-256(d.vmdk)= ${DIGEST}`],
    ["SHA-1", `SHA-1(d.vmdk)= ${sha1}`],
    ["OpenSSL 3", `SHA2-256(d.vmdk)= ${DIGEST}`],
    ["OpenSSL 3, SHA-512", `SHA2-512(d.vmdk)= ${sha512}`],
    ["OpenSSL 3, SHA3-256", `SHA3-256(d.vmdk)= ${digestOf("sha3-256", disk)}`],
    ["small letters", `sha256(d.vmdk)=${DIGEST}`],
    ["capital digits", `SHA256(d.vmdk)= ${DIGEST.toUpperCase()}`],
    ["blanks", `  SHA256  ( d.vmdk )  =  ${DIGEST}  `],
    ["a file with ./", `SHA256(./d.vmdk)= ${DIGEST}`],
    ["a file of another folder", `SHA256(/build/out/d.vmdk)= ${DIGEST}`],
    ["a file of Windows", `SHA256(C:\\out\\d.vmdk)= ${DIGEST}`],
    ["URL escapes", `SHA256(%64.vmdk)= ${DIGEST}`],
    ["sha256sum", `${DIGEST}  d.vmdk`],
    ["sha256sum of binary files", `${DIGEST} *d.vmdk`],
    ["sha1sum", `${sha1}  d.vmdk`],
    ["CRLF", `SHA256(d.vmdk)= ${DIGEST}\r\n`],
    ["a mark of UTF-8", `\ufeffSHA256(d.vmdk)= ${DIGEST}`],
    ["comments and blank lines", `# made by hand\r\n\r\n\nSHA256(d.vmdk)= ${DIGEST}\n\n// end\n`],
    ["two digests", `SHA1(d.vmdk)= ${sha1}\nSHA256(d.vmdk)= ${DIGEST}`],
  ])("%s", (_, line) => {
    const own = `\nSHA256(vm.ovf)= ${digestOf("sha256", descriptor)}\n`;
    const findings = check(withManifest(line + own));
    expect(findings.filter(({ file, kind }) => file === "d.vmdk" && kind === "ok").length).toBe(
      line.includes("SHA1(d.vmdk)= ") && line.includes("SHA256") ? 2 : 1,
    );
    expect(troubles(findings)).toEqual([]);
  });

  test("UTF-16, as PowerShell redirects it", () => {
    const text = Buffer.from(`\ufeff${buildManifest(payload)}`, "utf16le");
    expect(brief(check(withManifest(text)))).toEqual(["vm.ovf: ok", "d.vmdk: ok"]);
  });

  test("names with blanks and brackets", () => {
    const name = "my disk (1) of (2).vmdk";
    const { entries } = parseManifest(Buffer.from(`SHA256(${name})= ${DIGEST}\nSHA1 (${name}) = ${sha1}`));
    expect(entries.map(({ file }) => file)).toEqual([name, name]);
  });

  test("lines that are nothing are told by number", () => {
    const lines = [
      "hello",
      `SHA256(d.vmdk)= ${DIGEST.slice(1)}`,
      `SHA256(d.vmdk)= xyz`,
      "SHA256()= 00",
      `SHA256 d.vmdk = ${DIGEST}`,
      "x".repeat(30_000),
    ];
    expect(parseManifest(Buffer.from(lines.join("\n")))).toEqual({ entries: [], strange: [1, 2, 3, 4, 5, 6] });
  });

  test("names of algorithms", () => {
    expect(["SHA", "SHA_1", "SHA2-384", "sha3_512", "CRC32", "SHA256x", "SHA2-1"].map(hashNamed)).toEqual([
      "sha1",
      "sha1",
      "sha384",
      "sha3-512",
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("digests", () => {
  test("a package that is as it should be", () => {
    expect(check(withManifest(buildManifest(payload)))).toEqual([
      { file: "vm.ovf", kind: "ok", severity: "ok", message: "its SHA256 is that of the manifest" },
      { file: "d.vmdk", kind: "ok", severity: "ok", message: "its SHA256 is that of the manifest" },
    ]);
  });

  test("any byte of a file that was changed is found, and the file is named", () => {
    const manifest = buildManifest(payload, "sha1");
    for (const at of [0, 1, 511, 512, 2500, 4998, 4999]) {
      const changed = Buffer.from(disk);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const findings = check([payload[0] as TarMember, { name: "vm.mf", content: manifest }, { name: "d.vmdk", content: changed }]);
      expect(troubles(findings)).toEqual(["d.vmdk: digest differs"]);
    }
    const text = Buffer.from(descriptor);
    text[40] = 0x20;
    expect(troubles(check([{ name: "vm.ovf", content: text }, ...withManifest(manifest).slice(1)]))).toContain("vm.ovf: digest differs");
  });

  test("any byte of the manifest that was changed is found, but for blanks and the case of digits", () => {
    const manifest = Buffer.from(buildManifest(payload).trim());
    for (let at = 0; at < manifest.length; at += 1) {
      const changed = Buffer.from(manifest);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(troubles(check(withManifest(changed))).length, `byte ${at}`).toBeGreaterThan(0);
    }
  });

  test("files longer than what is read at once", () => {
    const long = noise(3, 2 ** 21 + 12_345);
    const members = [payload[0] as TarMember, { name: "d.vmdk", content: long }];
    const manifest = { name: "vm.mf", content: buildManifest(members) };
    expect(troubles(check([...members.slice(0, 1), manifest, ...members.slice(1)]))).toEqual([]);
    const changed = Buffer.from(long);
    changed[2 ** 20] = (changed[2 ** 20] ?? 0) ^ 0x80;
    expect(troubles(check([...members.slice(0, 1), manifest, { name: "d.vmdk", content: changed }]))).toEqual(["d.vmdk: digest differs"]);
  });

  test("files that are missing, not listed, of an unknown algorithm", () => {
    const manifest = `SHA256(gone.vmdk)= ${DIGEST}\nWHIRL(d.vmdk)= 00ff\nSHA256(vm.mf)= ${DIGEST}\n`;
    expect(check(withManifest(manifest)).map(({ file, kind, severity }) => [file, kind, severity])).toEqual([
      ["gone.vmdk", "missing", "error"],
      ["vm.mf", "not checked", "warning"],
      ["d.vmdk", "not checked", "warning"],
      ["vm.ovf", "not listed", "warning"],
    ]);
  });

  test("what the descriptor names and the package does not have", () => {
    const members = withManifest(buildManifest(payload.slice(0, 1))).filter(({ name }) => name !== "d.vmdk");
    expect(check(members)).toMatchObject([
      { file: "d.vmdk", kind: "missing", severity: "error", message: "the descriptor names it, and it is missing in the package" },
      { file: "vm.ovf", kind: "ok" },
    ]);
  });

  test("sizes that are not those of the descriptor", () => {
    const text = descriptor.replace('href="d.vmdk"', 'href="d.vmdk" ovf:size="4"');
    const members = [{ name: "vm.ovf", content: text }, ...payload.slice(1)];
    expect(check(members)).toMatchObject([
      { file: "d.vmdk", kind: "size differs", severity: "warning" },
      { kind: "no manifest", severity: "note" },
    ]);
  });

  test("pieces are files of their own", () => {
    const pieces = [0, 1].map((index) => ({ name: `d.vmdk.00000000${index}`, content: noise(index, 600) }));
    const text = descriptor.replace('href="d.vmdk"', 'href="d.vmdk" ovf:chunkSize="600" ovf:size="1200"');
    const members = [{ name: "vm.ovf", content: text }, ...pieces];
    expect(brief(check([...members.slice(0, 1), { name: "vm.mf", content: buildManifest(members) }, ...pieces]))).toEqual([
      "vm.ovf: ok",
      "d.vmdk.000000000: ok",
      "d.vmdk.000000001: ok",
    ]);
  });

  test("a manifest that holds nothing", () => {
    expect(troubles(check(withManifest("")))).toContain("vm.mf: strange line");
  });

  test("the only manifest, whatever it is called", () => {
    const members = [...payload, { name: "manifest.MF", content: buildManifest(payload) }];
    expect(brief(check(members))).toEqual(["vm.ovf: ok", "d.vmdk: ok"]);
  });

  test("a file that cannot be read is told, and the others are checked", () => {
    const open = openOva(memorySource("vm.ova", buildTar(withManifest(buildManifest(payload)))), alone).ovf;
    const findings = verifyPackage(open, {
      read(path) {
        const file = open.open(path);
        if (path !== "d.vmdk") return file;
        return {
          size: 10,
          read: () => {
            throw new ImageError("UNREADABLE", "the disk is broken");
          },
        };
      },
    });
    expect(findings).toMatchObject([{ kind: "ok" }, { file: "d.vmdk", kind: "unreadable", message: "the disk is broken" }]);
  });

  test("an archive that is cut inside a file", () => {
    const bytes = buildTar(withManifest(buildManifest(payload)));
    const { ovf } = openOva(memorySource("vm.ova", bytes.subarray(0, bytes.length - 1024 - 2000)), alone);
    expect(troubles(verifyPackage(ovf))).toEqual(["d.vmdk: unreadable"]);
  });

  test("progress is told in bytes of all files, and may stop it", () => {
    const states: string[] = [];
    check(withManifest(buildManifest(payload)), { progress: ({ file, done, size }) => void states.push(`${file} ${done}/${size}`) });
    const all = descriptor.length + 5000;
    expect(states).toEqual([`vm.ovf ${descriptor.length}/${all}`, `d.vmdk ${all}/${all}`]);
    const stop = () => {
      throw new Error("stopped");
    };
    expect(() => check(withManifest(buildManifest(payload)), { progress: stop })).toThrow("stopped");
  });

  test("a folder: the manifest may list files that the descriptor does not", () => {
    const members: readonly TarMember[] = [...payload, { name: "vm.nvram", content: "x" }];
    const files = [...members, { name: "vm.mf", content: buildManifest(members) }];
    const container = openOvf(memorySource("vm.ovf", Buffer.from(descriptor)), {
      ...alone,
      part(name) {
        const found = files.find((each) => each.name === name);
        if (!found) throw new ImageError("PART_MISSING", "missing");
        return memorySource(name, Buffer.from(found.content));
      },
    });
    expect(isOvfContainer(container)).toBe(true);
    expect(brief(verifyPackage(container.ovf))).toEqual(["vm.ovf: ok", "d.vmdk: ok", "vm.nvram: ok"]);
  });
});

test("other containers are no packages", () => {
  expect(isOvfContainer(tar.open(memorySource("a.tar", buildTar(payload)), alone))).toBe(false);
});

describe("members of an archive", () => {
  const two = buildOvf({ files: ["a", "b"].map((name) => ({ id: name, href: name })) });
  const files = ["a", "b"].map((name) => ({ name, content: name }));
  const kinds = (members: readonly TarMember[]) => troubles(check(members)).filter((each) => !each.includes("no manifest"));

  test("in order", () => {
    expect(kinds([{ name: "vm.ovf", content: two }, ...files])).toEqual([]);
    expect(kinds([{ name: "./vm.ovf", content: two }, ...files])).toEqual([]);
  });

  test("the descriptor behind others, files in another order", () => {
    expect(kinds([...files, { name: "vm.ovf", content: two }])).toEqual(["vm.ovf: wrong order"]);
    expect(kinds([{ name: "vm.ovf", content: two }, ...[...files].reverse()])).toEqual(["vm.ovf: wrong order"]);
  });

  test("a name twice", () => {
    expect(kinds([{ name: "vm.ovf", content: two }, ...files, { name: "b", content: "other" }])).toEqual(["b: stored twice"]);
  });
});

describe.skipIf(!requireProgram("openssl"))("certificates made by OpenSSL", () => {
  const directory = tempDirectory();
  const manifest = buildManifest(payload);
  const certificate = (label: string, kind: "hex" | "base64", { digest = "sha256", key = "rsa", text = manifest } = {}) => {
    writeFileSync(join(directory, "vm.mf"), text);
    run("openssl", ["dgst", `-${digest}`, "-sign", `${key}.key`, "-out", "signature", "vm.mf"], directory);
    const signature = readFileSync(join(directory, "signature")).toString(kind);
    return `${label}(vm.mf)= ${signature}\n${readFileSync(join(directory, `${key}.pem`), "utf8")}`;
  };
  const signed = (cert: string, now?: number) =>
    check(withManifest(manifest, [{ name: "vm.cert", content: cert }]), { now }).filter(({ file }) => file === "vm.cert");

  beforeAll(() => {
    for (const [key, ...options] of [
      ["rsa", "-newkey", "rsa:2048"],
      ["ec", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    ] as const) {
      const subject = ["-subj", `/C=NO/O=Fjord AS/CN=signer ${key}`, "-days", "30"];
      run("openssl", ["req", "-x509", "-nodes", ...options, "-keyout", `${key}.key`, "-out", `${key}.pem`, ...subject], directory);
    }
  });

  test.each([
    ["SHA256", "hex", { digest: "sha256" }],
    ["SHA1", "hex", { digest: "sha1" }],
    ["SHA512", "hex", { digest: "sha512" }],
    ["SHA2-256", "hex", { digest: "sha256" }],
    ["SHA256", "base64", { digest: "sha256" }],
    ["SHA256", "hex", { digest: "sha256", key: "ec" }],
  ] as const)("a signature by %s in %s, %o", (label, kind, options) => {
    const [finding, ...others] = signed(certificate(label, kind, options));
    expect(finding).toMatchObject({ kind: "signature ok", severity: "ok" });
    expect(finding?.message).toMatch(/signed by CN=signer (rsa|ec), O=Fjord AS, C=NO \(self-signed\), valid from \d{4}-\d\d-\d\d to/);
    expect(others).toEqual([]);
  });

  test("a signature of something else, or by another key, is wrong", () => {
    expect(signed(certificate("SHA256", "hex", { text: `${manifest}\n` }))).toMatchObject([{ kind: "signature wrong", severity: "error" }]);
    const other = readFileSync(join(directory, "ec.pem"), "utf8");
    const swapped = `${certificate("SHA256", "hex").split("\n")[0]}\n${other}`;
    expect(signed(swapped)).toMatchObject([{ kind: "signature wrong" }]);
    expect(signed(certificate("SHA512", "hex", { digest: "sha256" }))).toMatchObject([{ kind: "signature wrong" }]);
  });

  test("any byte of the manifest that was changed is found", () => {
    const cert = certificate("SHA256", "hex");
    for (let at = 0; at < manifest.length; at += 5) {
      const changed = Buffer.from(manifest);
      changed[at] = (changed[at] ?? 0) ^ 0x20;
      const found = brief(check(withManifest(changed, [{ name: "vm.cert", content: cert }])));
      expect(found, `byte ${at}`).toContain("vm.cert: signature wrong");
    }
  });

  test("dates of the certificate", () => {
    const cert = certificate("SHA256", "hex");
    expect(signed(cert, Date.now() + 40 * 86_400_000)).toMatchObject([
      { kind: "signature ok" },
      { kind: "certificate expired", severity: "warning" },
    ]);
    expect(signed(cert, 0)).toMatchObject([{ kind: "signature ok" }, { kind: "certificate not valid yet", severity: "warning" }]);
  });

  test("a chain: the one that signed is named, wherever it stands", () => {
    const [line = "", ...own] = certificate("SHA256", "hex").split("\n");
    const other = readFileSync(join(directory, "ec.pem"), "utf8");
    for (const chain of [`${line}\n${own.join("\n")}${other}`, `${line}\n${other}${own.join("\n")}`]) {
      expect(signed(chain)).toMatchObject([{ kind: "signature ok", message: expect.stringContaining("CN=signer rsa") as string }]);
    }
  });

  test("kinds that are not known are told, and damage is an error", () => {
    const pkcs7 = run("openssl", ["crl2pkcs7", "-nocrl", "-certfile", "rsa.pem"], directory);
    expect(signed(pkcs7)).toMatchObject([
      { kind: "signature not checked", message: "it holds a kind of certificate that is not known (PKCS7)" },
    ]);
    expect(signed(`${certificate("SHA256", "hex")}${pkcs7}`)).toMatchObject([
      { kind: "signature ok" },
      { kind: "signature not checked", severity: "note", message: "what else it holds is not looked at: PKCS7" },
    ]);
    expect(signed("hello")).toMatchObject([{ kind: "signature not checked", severity: "warning" }]);
    expect(signed(certificate("WHIRL", "hex"))).toMatchObject([{ kind: "signature not checked" }]);
    expect(signed("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")).toMatchObject([
      { kind: "unreadable", severity: "error" },
    ]);
  });

  test("any byte of the certificate changed ends in findings", () => {
    const cert = Buffer.from(certificate("SHA256", "hex"));
    for (let at = 0; at < cert.length; at += 3) {
      const changed = Buffer.from(cert);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 7));
      expect(signed(changed.toString("latin1")).length).toBeGreaterThan(0);
    }
  });

  test("a certificate without a manifest", () => {
    const members = [...payload, { name: "vm.cert", content: certificate("SHA256", "hex") }];
    expect(brief(check(members))).toEqual(["vm.ovf: no manifest", "vm.cert: signature not checked"]);
  });

  test("a manifest and a certificate that OpenSSL made of files", () => {
    for (const { name, content } of payload) writeFileSync(join(directory, name), content);
    const made = run("openssl", ["dgst", "-sha256", "vm.ovf", "d.vmdk"], directory);
    const findings = check(withManifest(made, [{ name: "vm.cert", content: certificate("SHA256", "hex", { text: made }) }]));
    expect(brief(findings)).toEqual(["vm.cert: signature ok", "vm.ovf: ok", "d.vmdk: ok"]);
  });
});
