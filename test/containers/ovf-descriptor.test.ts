import { describe, expect, test } from "vitest";
import { parseDescriptor } from "../../src/containers/ovf/descriptor.js";
import { waysOf } from "../../src/containers/ovf/href.js";
import { diskNameOf, freeName, safeName } from "../../src/containers/ovf/names.js";
import { bytesPerUnit, inBytes } from "../../src/containers/ovf/units.js";
import { buildOvf, item, machine, streamOptimized } from "../support/ovf-builder.js";
import { imageErrorOf } from "../support/reading.js";

const parse = (text: string | Uint8Array) => parseDescriptor(Buffer.from(text), "a.ovf");

const files = [{ id: "file1", href: "disk.vmdk", size: 700, compression: "gzip", chunkSize: 300 }];
const disks = [
  { id: "vmdisk1", file: "file1", capacity: "20", units: "byte * 2^30", format: streamOptimized },
  { id: "vmdisk2", capacity: "512", parent: "vmdisk1" },
];
const hardware = [
  item(3, { InstanceID: 1, VirtualQuantity: 2, AllocationUnits: "hertz * 10^6" }),
  item(4, { InstanceID: 2, VirtualQuantity: 1024, AllocationUnits: "byte * 2^20" }),
  item(17, { InstanceID: 3, HostResource: "ovf:/disk/vmdisk1" }),
  item(16, { InstanceID: 4, HostResource: "/file/file2" }),
];
const product = "<%ProductSection><%Info/><%Product>Shop</%Product><%Vendor>Acme</%Vendor><%Version>3.1</%Version></%ProductSection>";
const system = '<%OperatingSystemSection ovf:id="96"><%Info/><%Description>Debian_64</%Description></%OperatingSystemSection>';
const recipe = { files, disks, networks: ["NAT", "inner"], systems: machine("vm", "My machine", hardware, product + system) };

const expected = {
  files: [{ id: "file1", href: "disk.vmdk", size: 700, compression: "gzip", chunkSize: 300 }],
  disks: [
    { id: "vmdisk1", fileRef: "file1", capacity: 20 * 2 ** 30, format: streamOptimized, parentRef: undefined },
    { id: "vmdisk2", fileRef: undefined, capacity: 512, parentRef: "vmdisk1" },
  ],
  networks: ["NAT", "inner"],
  systems: [
    {
      name: "My machine",
      product: { name: "Shop", vendor: "Acme", version: "3.1" },
      operatingSystem: "Debian_64",
      processors: 2,
      memory: 2 ** 30,
      drives: [
        { kind: "disk", target: { disk: "vmdisk1" } },
        { kind: "CD", target: { file: "file2" } },
      ],
    },
  ],
};

describe("namespaces and prefixes:", () => {
  test.each([
    { version: "OVF 1.x", recipe: {} },
    { version: "OVF 1.x", recipe: { prefix: "" } },
    { version: "OVF 1.x", recipe: { prefix: "ns0" } },
    { version: "OVF 1.1.0", recipe: { version: "1.1.0" } },
    { version: "OVF 2.0", recipe: { namespace: "http://schemas.dmtf.org/ovf/envelope/2", version: "2.0", prefix: "" } },
    { version: "OVF 2.x", recipe: { namespace: "http://schemas.dmtf.org/ovf/envelope/2" } },
    { version: "OVF 1.x", recipe: { namespace: "http://schemas.dmtf.org/ovf/envelope/1/", version: "4.1.0.0" } },
    { version: "OVF 0.9", recipe: { namespace: "http://www.vmware.com/schema/ovf/1/envelope" } },
  ])("$version $recipe", ({ version, recipe: own }) => {
    expect(parse(buildOvf({ ...recipe, ...own }))).toMatchObject({ version, ...expected });
  });

  test("undeclared prefixes are no harm", () => {
    const text = buildOvf(recipe).replace("<ovf:File ", '<ovf:File vmw:size="1" other:id="x" ');
    expect(parse(text)).toMatchObject(expected);
  });
});

/** OVF 0.9: sections and contents are told apart by their type alone. */
const old = `<?xml version="1.0"?>
<ovf:Envelope xmlns:ovf="http://www.vmware.com/schema/ovf/1/envelope" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:rasd="r">
 <References><File ovf:id="f" ovf:href="d.vmdk" ovf:size="5"/></References>
 <Section xsi:type="ovf:DiskSection_Type"><Info/><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="10" ovf:capacityAllocationUnits="MegaBytes"/></Section>
 <Section xsi:type="ovf:NetworkSection_Type"><Network ovf:name="net"/></Section>
 <Content ovf:id="box" xsi:type="ovf:VirtualSystem_Type">
  <Section xsi:type="ovf:ProductSection_Type"><Product>P</Product></Section>
  <Section xsi:type="ovf:OperatingSystemSection_Type" ovf:id="1"/>
  <Section xsi:type="ovf:VirtualHardwareSection_Type">
   <Item><rasd:InstanceId>1</rasd:InstanceId><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
   <Item><rasd:InstanceId>2</rasd:InstanceId><rasd:ResourceType>4</rasd:ResourceType><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
  </Section>
 </Content>
</ovf:Envelope>`;

describe("descriptors of", () => {
  test("OVF 0.9, with contents and sections by xsi:type", () => {
    expect(parse(old)).toMatchObject({
      version: "OVF 0.9",
      disks: [{ id: "d", fileRef: "f", capacity: 10 * 2 ** 20 }],
      networks: ["net"],
      systems: [{ name: "box", product: { name: "P" }, operatingSystem: "CIM number 1", processors: 1, memory: 512 * 2 ** 20 }],
    });
  });

  test("Red Hat: sizes in GiB, files by name, sockets and cores", () => {
    const text = `<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1/" xmlns:rasd="r" xmlns:xsi="x" ovf:version="0.9">
 <References><File ovf:href="group/volume" ovf:id="volume" ovf:size="999"/><Nic ovf:id="n"/></References>
 <Section xsi:type="ovf:DiskSection_Type"><Disk ovf:diskId="volume" ovf:size="3" ovf:fileRef="group/volume" ovf:parentRef="" ovf:volume-format="COW"/></Section>
 <Content ovf:id="out" xsi:type="ovf:VirtualSystem_Type"><Name>guest</Name>
  <Section ovf:id="77" ovf:required="false" xsi:type="ovf:OperatingSystemSection_Type"><Info/><Description>rhel_9x64</Description></Section>
  <Section xsi:type="ovf:VirtualHardwareSection_Type">
   <Item><rasd:InstanceId>1</rasd:InstanceId><rasd:ResourceType>3</rasd:ResourceType><rasd:num_of_sockets>2</rasd:num_of_sockets><rasd:cpu_per_socket>3</rasd:cpu_per_socket></Item>
   <Item><rasd:InstanceId>2</rasd:InstanceId><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>
   <Item><rasd:InstanceId>3</rasd:InstanceId><rasd:ResourceType>17</rasd:ResourceType><rasd:HostResource>group/volume</rasd:HostResource></Item>
  </Section></Content></ovf:Envelope>`;
    expect(parse(text)).toMatchObject({
      disks: [{ id: "volume", fileRef: "group/volume", capacity: 3 * 2 ** 30, parentRef: undefined }],
      systems: [
        { name: "guest", operatingSystem: "rhel_9x64", processors: 6, memory: 2 ** 31, drives: [{ target: { file: "group/volume" } }] },
      ],
    });
  });

  test("collections in collections: all their machines", () => {
    const inner = `<%VirtualSystemCollection ovf:id="b">${machine("m2", "two", hardware)}</%VirtualSystemCollection>`;
    const systems = `<%VirtualSystemCollection ovf:id="a">${machine("m1", "one", [])}${inner}</%VirtualSystemCollection>`;
    expect(parse(buildOvf({ systems })).systems.map(({ name, processors }) => [name, processors])).toEqual([
      ["one", undefined],
      ["two", 2],
    ]);
  });

  test("several configurations: the default one counts, and bounds do not", () => {
    const systems = [
      '<%DeploymentOptionSection><%Configuration ovf:id="small"/><%Configuration ovf:id="big" ovf:default="true"/></%DeploymentOptionSection>',
      machine("m", "m", [
        item(3, { InstanceID: 1, VirtualQuantity: 1 }),
        item(3, { InstanceID: 1, VirtualQuantity: 2 }, ' ovf:configuration="small"'),
        item(3, { InstanceID: 1, VirtualQuantity: 8 }, ' ovf:configuration="medium big"'),
        item(4, { InstanceID: 2, VirtualQuantity: 4, AllocationUnits: "GigaBytes" }),
        item(4, { InstanceID: 2, VirtualQuantity: 1, AllocationUnits: "GigaBytes" }, ' ovf:bound="min"'),
      ]),
    ].join("");
    expect(parse(buildOvf({ systems })).systems).toMatchObject([{ processors: 8, memory: 4 * 2 ** 30 }]);
  });

  test("VirtualBox' addresses with two slashes, and a name that only the hardware tells", () => {
    const systems =
      "<%VirtualSystem><%VirtualHardwareSection><%System><vssd:VirtualSystemIdentifier>lamp</vssd:VirtualSystemIdentifier></%System>" +
      `${item(17, { InstanceID: 1, HostResource: "ovf://disk/d" })}</%VirtualHardwareSection></%VirtualSystem>`;
    expect(parse(buildOvf({ systems })).systems).toMatchObject([{ name: "lamp", drives: [{ target: { disk: "d" } }] }]);
  });
});

describe("text stored as", () => {
  const named = buildOvf({ ...recipe, networks: ["Zürich €"], declaration: "" });
  const utf16 = (text: string, big = false) => (big ? Buffer.from(text, "utf16le").swap16() : Buffer.from(text, "utf16le"));
  const declared = (encoding: string) => `<?xml version="1.0" encoding="${encoding}"?>\n${named}`;
  const cases: readonly (readonly [string, Buffer, string])[] = [
    ["UTF-8", Buffer.from(named), "Zürich €"],
    ["UTF-8 with a mark", Buffer.from(`\ufeff${named}`), "Zürich €"],
    ["UTF-16LE with a mark", utf16(`\ufeff${declared("UTF-16")}`), "Zürich €"],
    ["UTF-16BE with a mark", utf16(`\ufeff${named}`, true), "Zürich €"],
    ["UTF-16LE without a mark", utf16(declared("utf-16")), "Zürich €"],
    ["UTF-16BE without a mark", utf16(declared("utf-16"), true), "Zürich €"],
    ["UTF-8, declared as UTF-16", Buffer.from(declared("utf-16")), "Zürich €"],
    ["Latin-1, declared as UTF-8", Buffer.from(declared("UTF-8").replace("€", "e"), "latin1"), "Zürich e"],
    ["ISO 8859-1, declared", Buffer.from(declared("ISO-8859-1").replace("€", "e"), "latin1"), "Zürich e"],
    ["windows-1251, declared", Buffer.from(declared("windows-1251").replace("Zürich €", "\xc6"), "latin1"), "Ж"],
    ["UTF-8 behind blank lines", Buffer.from(`\n \n${declared("UTF-8")}`), "Zürich €"],
  ];
  test.each(cases)("%s", (_, content, network) => {
    expect(parse(content).networks).toEqual([network]);
  });

  test("an encoding that nobody knows is refused by name", () => {
    expect(imageErrorOf(() => parse(declared("x-martian")))).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("x-martian") as string,
    });
  });
});

describe("hostile descriptors:", () => {
  const refused = (text: string) => imageErrorOf(() => parse(text))?.message;

  test("entities are not expanded, and nothing outside is looked at", () => {
    const laughs = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>';
    expect(refused(`${laughs}<ovf:Envelope>&b;</ovf:Envelope>`)).toMatch(/entity/);
    const outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>';
    expect(refused(`${outside}<ovf:Envelope ovf:version="&a;"/>`)).toMatch(/entity/);
  });

  test("nesting, numbers of elements and of disks have limits", () => {
    expect(refused("<a>".repeat(1000))).toMatch(/nested deeper than 64/);
    expect(refused(`<Envelope>${"<a/>".repeat(200_001)}</Envelope>`)).toMatch(/more than 200000 elements/);
    expect(refused(buildOvf({ disks: Array.from({ length: 10_001 }, () => ({ id: "d" })) }))).toMatch(/10001 disks/);
  });

  test("what is no descriptor", () => {
    expect(refused("")).toMatch(/cannot be understood/);
    expect(refused("<Envelope>")).toMatch(/cannot be understood/);
    expect(refused("<html/>")).toMatch(/"html", not "Envelope"/);
  });

  test("numbers that are none, or too large, are not known", () => {
    const text = buildOvf({
      files: [{ id: "f", href: "f" }],
      disks: ["99999999999999999999", "-1", "1e9", "$".concat("{disk.size}"), "1.5"].map((capacity, index) => ({
        id: `${index}`,
        capacity,
        units: "byte * 2^30",
      })),
    });
    expect(parse(text).disks.map(({ capacity }) => capacity)).toEqual([undefined, undefined, undefined, undefined, 1.5 * 2 ** 30]);
  });
});

test.each([
  ["byte", 1],
  ["bytes", 1],
  ["Byte * 2 ^ 20", 2 ** 20],
  ["byte*2^30", 2 ** 30],
  ["byte * 10^9", 1e9],
  ["byte * 1024", 1024],
  ["byte * 2^10 * 2^20", 2 ** 30],
  ["KB", 1024],
  ["KiloBytes", 1024],
  ["MegaBytes", 2 ** 20],
  ["MB", 2 ** 20],
  ["GigaBytes", 2 ** 30],
  ["gigabyte", 2 ** 30],
  ["GiB", 2 ** 30],
  ["TeraBytes", 2 ** 40],
  ["hertz * 10^6", undefined],
  ["byte * 2^99", undefined],
  ["byte * 0", undefined],
  ["", undefined],
  ["parsec", undefined],
])("a unit of %s", (unit, bytes) => {
  expect(bytesPerUnit(unit)).toBe(bytes);
});

test("a unit of many letters takes no time", () => {
  expect(bytesPerUnit("b".repeat(100_000))).toBeUndefined();
});

test("quantities below 2^53 only", () => {
  expect(inBytes("8388608", 2 ** 30)).toBeUndefined();
  expect(inBytes("8388607", 2 ** 30)).toBe(8388607 * 2 ** 30);
  expect(inBytes("", 1)).toBeUndefined();
});

describe("hrefs", () => {
  test.each([
    ["disk.vmdk", ["disk.vmdk"]],
    ["./disk.vmdk", ["disk.vmdk"]],
    ["a/../disk.vmdk", ["disk.vmdk"]],
    ["my%20disk.vmdk", ["my%20disk.vmdk", "my disk.vmdk"]],
    ["100%.vmdk", ["100%.vmdk"]],
    ["sub\\disk.vmdk", ["sub\\disk.vmdk", "sub/disk.vmdk"]],
    [".\\disk.vmdk", [".\\disk.vmdk", "disk.vmdk"]],
    ["disk:1.vmdk", ["disk:1.vmdk"]],
    ["sub//disk.vmdk", ["sub/disk.vmdk"]],
  ])("%s is looked for", (href, paths) => {
    expect(waysOf(href)).toEqual({ paths });
  });

  test.each([
    ["", "no name"],
    ["..", "leads out"],
    ["../disk.vmdk", "leads out"],
    ["a/../../disk.vmdk", "leads out"],
    ["%2e%2e/disk.vmdk", "leads out"],
    ["..\\disk.vmdk", "leads out"],
    ["..%5Cdisk.vmdk", "leads out"],
    ["/etc/passwd", "absolute"],
    ["%2Fetc%2Fpasswd", "absolute"],
    ["C:\\disk.vmdk", "absolute"],
    ["\\\\host\\share", "absolute"],
    ["http://example.com/disk.vmdk", "URL (http)"],
    ["HTTPS://example.com/disk.vmdk", "URL (https)"],
    ["file:///etc/passwd", "URL (file)"],
    ["file:disk.vmdk", "URL (file)"],
    ["a%00b", "no name"],
    [".", "no name"],
    ["sub/", "no name"],
  ])("%s is refused", (href, reason) => {
    expect(waysOf(href)).toEqual({ refusal: expect.stringContaining(reason) as string });
  });
});

test("names of disks", () => {
  expect(diskNameOf("appliance-disk001.vmdk")).toBe("appliance-disk001");
  expect(diskNameOf("sub/v1.2.vmdk.gz")).toBe("v1.2");
  expect(diskNameOf("big.vmdk.000000000")).toBe("big");
  expect(diskNameOf(".vmdk")).toBe(".vmdk");
  expect(safeName("a/b\0c")).toBe("a_b_c");
  expect(safeName("..")).toBe("disk");
  expect(Buffer.byteLength(safeName("€".repeat(100)))).toBe(198);
  const taken = new Set<string>();
  expect(["a", "a", "a-2", "a"].map((name) => freeName(name, taken))).toEqual(["a", "a-2", "a-2-2", "a-3"]);
});
