// docs/schemas: what the commands print is what the schemas say, and docs/json.md tells of the same fields.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { beforeAll, describe, expect, test } from "vitest";
import { doctorCommand } from "../../src/cli/commands/doctor.js";
import { formatsCommand } from "../../src/cli/commands/formats.js";
import { infoCommand } from "../../src/cli/commands/info.js";
import { lsCommand } from "../../src/cli/commands/ls.js";
import { mapCommand } from "../../src/cli/commands/map.js";
import type { Leftover } from "../../src/daemon/clean.js";
import type { Attachment } from "../../src/daemon/devices.js";
import type { MountRecord } from "../../src/daemon/state.js";
import { createCounters, type Stats, summarise } from "../../src/fuse/counters.js";
import { openImage } from "../../src/library/index.js";
import { fakeIo, outputOf, run as runCommand } from "../cli/fake-io.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { buildOvf, buildTar } from "../support/ovf-builder.js";
import { requireProgram, run } from "../support/qemu.js";
import { tempDirectory } from "../support/temp.js";
import { disklabel } from "../support/volume-builder.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = join(root, "docs/schemas");
const fixture = (name: string) => join(root, "fixtures", name);
const fixtures = ["base.qcow2", "linux.qcow2", "mbr-logical.raw", "overlay.qcow2", "version1.qcow", "version2.qcow2", "zstd.qcow2"];
const files = readdirSync(folder).filter((name) => name.endsWith(".schema.json"));
const disks = builtDisks();
const directory = tempDirectory();

type Schema = { readonly [key: string]: unknown };
const schemas = new Map(files.map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf8")) as Schema]));

/** Compiled with every other schema at hand. `closed`: a field that the schema does not know is an error. */
function validatorOf(name: string, closed = false): ValidateFunction {
  const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true });
  for (const [each, schema] of schemas) if (each !== name) ajv.addSchema(schema, each);
  const schema = schemas.get(name);
  if (!schema) throw new Error(`there is no ${name}`);
  return ajv.compile(closed ? closedOf(schema) : schema);
}

/** The schema with no room for other fields: those that stand beside a reference count, too. */
function closedOf(schema: Schema): Schema {
  const close = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(close);
    if (typeof value !== "object" || value === null) return value;
    const copy = Object.fromEntries(Object.entries(value).map(([key, each]) => [key, close(each)]));
    return "properties" in value && !("$ref" in value) ? { ...copy, unevaluatedProperties: false } : copy;
  };
  return close(schema) as Schema;
}

function expectValid(name: string, value: unknown): void {
  const validate = validatorOf(name);
  validate(value);
  expect(validate.errors ?? []).toEqual([]);
}

describe("the schemas", () => {
  test.each(files)("%s is one", (name) => {
    expect(schemas.get(name)).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      title: expect.any(String) as string,
    });
    validatorOf(name);
  });

  // What check and salvage find is told in docs/check.md.
  test.each(files.filter((name) => !/^(?:check|salvage)\./.test(name)))("%s describes every field", (name) => {
    const silent = [...propertiesIn(schemas.get(name))].filter(({ schema }) => typeof schema["description"] !== "string");
    expect(silent.map(({ key }) => key)).toEqual([]);
  });

  test.each(files)("%s leaves room for new fields", (name) => {
    const text = readFileSync(join(folder, name), "utf8");
    expect(text).not.toMatch(/"(?:additional|unevaluated)Properties": false/);
  });
});

test("--json-progress: what a program reads beside the result", () => {
  const packed = disks.write({ "long.raw": noise(5, 4 * 2 ** 20) });
  run("gzip", [packed]);
  const cli = join(root, "dist/cli/main.js");
  const environment = { ...process.env, XDG_CACHE_HOME: join(directory, "cache") };
  const { stdout, stderr } = spawnSync(process.execPath, [cli, "check", "--json", "--json-progress", `${packed}.gz`], {
    encoding: "utf8",
    env: environment,
  });
  expectValid("check.schema.json", JSON.parse(stdout));
  const lines = stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Schema);
  for (const line of lines) expectValid("progress.schema.json", line);
  expect(lines[0]).toMatchObject({ what: "reading through", file: `${packed}.gz` });
  expect(lines.at(-1)).toMatchObject({ what: "checking" });
});

describe("info --json", () => {
  const told = async (path: string, ...words: readonly string[]) =>
    JSON.parse(await outputOf(infoCommand, "--json", path, ...words)) as Schema;

  test.each(fixtures)("of %s", async (name) => expectValid("info.schema.json", await told(fixture(name))));

  test("of a chain with snapshots, with a parent that was given", async () => {
    const snapshots = [{ id: "1", name: "first", size: 4096, clusters: new Map(), stateSize: 100, seconds: 1_600_000_000 }];
    const recipe = { size: 8192, clusters: new Map(), backing: { name: "base.raw", format: "raw" }, snapshots };
    const info = await told(disks.write({ "top.qcow2": recipe, "base.raw": noise(1, 8192) }));
    expect(info).toMatchObject({ snapshots: [{ stateSize: 100 }], chain: [{}, { found: "where the image says" }] });
    expectValid("info.schema.json", info);
  });

  test("of a compressed image, and of volumes", async () => {
    const packed = disks.write({ "disk.raw": noise(3, 4096) });
    run("gzip", [packed]);
    const info = await told(`${packed}.gz`);
    expect(info["compression"]).toEqual(["gzip"]);
    expectValid("info.schema.json", info);
    const disk = Buffer.alloc(256 * 512);
    disklabel([{ index: 0, start: 16, size: 64 }]).copy(disk, 512);
    const volumes = await told(disks.write({ "bsd.raw": disk }));
    expect(volumes["volumes"]).toBeDefined();
    expectValid("info.schema.json", volumes);
  });

  test("of a package of disks, each of which is an image, too", async () => {
    const path = join(directory, "machine.ova");
    const descriptor = buildOvf({ files: [{ id: "f", href: "disk.qcow2" }], disks: [{ id: "d", file: "f", capacity: "4096" }] });
    run("qemu-img", ["create", "-q", "-f", "qcow2", join(directory, "disk.qcow2"), "4096"]);
    const content = readFileSync(join(directory, "disk.qcow2"));
    writeFileSync(
      path,
      buildTar([
        { name: "machine.ovf", content: descriptor },
        { name: "disk.qcow2", content },
      ]),
    );
    const info = await told(path);
    expect(info["disks"]).toHaveLength(1);
    expect(info["contents"]).toBeDefined();
    expectValid("info.schema.json", info);
  });

  test.skipIf(!requireProgram("xorriso"))("of a disc, and info.json of the same in a mount", async () => {
    const path = join(directory, "disc.iso");
    run("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-o", path, join(root, "docs/schemas")]);
    expectValid("info.schema.json", await told(path));
    const image = openImage(path);
    const file = image.tree.open("info.json");
    expectValid("info.schema.json", JSON.parse(file.readAt(0, file.size).toString("utf8")));
    image.close();
  });

  test("that is wrong is found to be", async () => {
    const validate = validatorOf("info.schema.json");
    const good = await told(fixture("mbr-logical.raw"));
    for (const change of [
      { size: "1" },
      { size: -1 },
      { size: 1.5 },
      { chain: [] },
      { notes: "none" },
      { image: undefined },
      { partitions: [{}] },
    ]) {
      expect(validate(JSON.parse(JSON.stringify({ ...good, ...change }))), JSON.stringify(change)).toBe(false);
    }
    expect(validate({ ...good, another: 1 })).toBe(true);
  });
});

describe("the other commands", () => {
  test.each(fixtures)("map --json of %s", async (name) => {
    expectValid("map.schema.json", JSON.parse(await outputOf(mapCommand, "--json", fixture(name))));
  });

  test("map --json of a damaged disk", async () => {
    const clusters = new Map([[0, { kind: "entry", entry: 0x8000_0001_0000_0000n }]] as const);
    const map = JSON.parse(await outputOf(mapCommand, "--json", disks.write({ "disk.qcow2": { size: 8192, clusters } }))) as Schema[];
    expect(map[0]?.["error"]).toBeDefined();
    expectValid("map.schema.json", map);
  });

  test.each(fixtures)("ls -R --json of %s", async (name) => {
    expectValid("ls.schema.json", JSON.parse(await outputOf(lsCommand, "-R", "--json", fixture(name))));
  });

  test("formats --json, and of one format", async () => {
    expectValid("formats.schema.json", JSON.parse(await outputOf(formatsCommand, "--json")));
    expectValid("formats.schema.json", JSON.parse(await outputOf(formatsCommand, "--json", "vmdk")));
  });

  test("doctor --json", async () => {
    const io = fakeIo();
    // Fails where nothing can be mounted; what it prints is the same.
    await runCommand(doctorCommand(io), ["--json"], io).catch(() => undefined);
    expectValid("doctor.schema.json", JSON.parse(io.text()));
  });

  const record: Required<Omit<MountRecord, "attached">> = {
    ...{ pid: 6092, started: 674_493, image: "/home/me/disk.qcow2", format: "qcow2", size: 1_048_576, mountpoint: "/home/me/disk" },
    ...{ transport: "devfuse", since: "2026-11-23T06:02:59.309Z", log: "/run/user/1000/flatmount/1.log", createdMountpoint: true },
    unattended: 77,
    confined: ["no-new-privileges", "capabilities", "files", "network", "user"],
    paths: [{ file: "disk.raw", path: "server", reason: "compressed" }],
  };
  const attached: Required<Attachment> = {
    ...{ key: "0123", kept: true, device: "/dev/loop0" },
    loops: [{ number: 0, file: "/disk.raw", sequence: 12 }],
    parts: [
      { id: "1", file: "/partitions/1.raw", start: 32_768, size: 262_144, typeName: "Linux", name: "root", device: "/dev/loop0p1" },
      { id: "2", file: "/partitions/2.raw", size: 512, typeName: "LVM", fileSystem: { name: "LVM", advice: "vgchange -ay" } },
      { id: "3", file: "/partitions/3.raw", size: 512, typeName: "Linux", fileSystem: { name: "ext4", type: "ext4", options: ["noload"] } },
    ],
    mounts: [{ mountpoint: "/mnt", device: "/dev/loop0p1", type: "ext4", options: ["noload"], createdMountpoint: false }],
  };

  test("list --json and mount --json: what is recorded of a mount", () => {
    const foreground: MountRecord = { ...record };
    Reflect.deleteProperty(foreground, "log");
    for (const each of [record, foreground, { ...record, attached }]) expectValid("mount.schema.json", each);
    expectValid("list.schema.json", [record, foreground, { ...record, attached }]);
    expect(validatorOf("mount.schema.json")({ ...record, size: "1" })).toBe(false);
    // Every field that the types know is one that the schema knows.
    const closed = validatorOf("mount.schema.json", true);
    closed({ ...record, attached });
    expect(closed.errors ?? []).toEqual([]);
  });
});

describe("what is told of mounts", () => {
  const closedErrors = (name: string, value: unknown) => {
    const validate = validatorOf(name, true);
    validate(value);
    return validate.errors ?? [];
  };
  const stats: Required<Stats> = {
    ...summarise(createCounters(2), { opensAsked: true, passedFiles: 3 }),
    opens: { image: 1, index: 2, server: 3 },
  };
  const status = {
    ...{ mountpoint: "/mnt/d", image: "/home/me/disk.qcow2", format: "qcow2", size: 4096, transport: "devfuse", pid: 1, since: "2026" },
    ...{ state: "served", paths: [{ file: "disk.raw", path: "server", reason: "compressed" }], stats },
  };

  test("stats.json, and status --json: every field is one that the schema knows", () => {
    expect(closedErrors("stats.schema.json", stats)).toEqual([]);
    expect(closedErrors("stats.schema.json", summarise(createCounters(1), { opensAsked: false, passedFiles: 0 }))).toEqual([]);
    expect(closedErrors("status.schema.json", [status, { ...status, stats: undefined }, { ...status, state: "gone" }].map(plain))).toEqual(
      [],
    );
    for (const change of [{ state: "asleep" }, { stats: {} }, { mountpoint: undefined }, { paths: [{}] }]) {
      expect(validatorOf("status.schema.json")(plain([{ ...status, ...change }])), JSON.stringify(change)).toBe(false);
    }
    expect(validatorOf("stats.schema.json")({ ...stats, readBytes: -1 })).toBe(false);
  });

  test("list --clean --json", () => {
    const leftover: Required<Leftover> = { mountpoint: "/mnt/d", image: "/home/me/disk.qcow2", done: "stays", reason: "busy" };
    expect(closedErrors("list-clean.schema.json", [leftover, { mountpoint: "/mnt/e", done: "forgotten" }])).toEqual([]);
    expect(validatorOf("list-clean.schema.json")([{ ...leftover, done: "kept" }])).toBe(false);
  });
});

/** As JSON has it. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** Every field of a schema, wherever it stands. */
function* propertiesIn(value: unknown): Generator<{ key: string; schema: Schema }> {
  if (typeof value !== "object" || value === null) return;
  if ("properties" in value) {
    for (const [key, schema] of Object.entries(value.properties as Record<string, Schema>)) yield { key, schema };
  }
  for (const each of Object.values(value)) yield* propertiesIn(each);
}

describe("docs/json.md", () => {
  let text = "";
  beforeAll(() => {
    text = readFileSync(join(root, "docs/json.md"), "utf8");
  });
  const sectionOf = (command: string): string =>
    text.split(/^## /m).find((each) => each.startsWith(command.endsWith(".json") ? command : `${command} --json`)) ?? "";
  const inBackticks = (part: string): readonly string[] => Array.from(part.matchAll(/`([A-Za-z]+)`/g), ([, name = ""]) => name);
  const fieldsOf = (command: string) => new Set(Array.from(propertiesIn(schemas.get(`${command}.schema.json`)), ({ key }) => key));
  // A mount is described with the list of them.
  const sections = [
    ["info"],
    ["map"],
    ["ls"],
    ["list", "mount"],
    ["list --clean", "list-clean"],
    ["status"],
    ["stats.json", "stats"],
    ["formats"],
    ["doctor"],
  ] as const;

  test.each(sections.map(([command, other = command]) => ({ command, fields: other })))(
    "$command: names every field of the schema",
    ({ command, fields }) => {
      const named = new Set(inBackticks(sectionOf(command)));
      expect([...fieldsOf(fields)].filter((field) => !named.has(field))).toEqual([]);
    },
  );

  test.each(sections.map(([command, other = command]) => ({ command, fields: other })))(
    "$command: every field in its tables is in the schema",
    ({ command, fields }) => {
      const known = fieldsOf(fields);
      const rows = sectionOf(command).matchAll(/^\| (`[^|]+) \|/gm);
      const named = Array.from(rows, ([, cell = ""]) => inBackticks(cell)).flat();
      expect(named.filter((field) => !known.has(field))).toEqual([]);
    },
  );

  test("every command that has --json is here, with a schema that it names", () => {
    expect(files.filter((name) => !text.includes(`schemas/${name}`))).toEqual([]);
  });
});
