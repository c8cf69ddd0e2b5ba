import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { drawPage } from "../../src/picture/page/page.js";
import type { Picture } from "../../src/picture/picture.js";
import { type Browser, type BrowserPage, type PageView, startChromium } from "../support/chromium.js";
import { diskOf, exampleDisk, fileOf, pictureOfLayer } from "../support/pictures.js";
import { requireProgram } from "../support/qemu.js";
import { tempDirectory } from "../support/temp.js";

const HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">'&<!--\u001b[2J\u202e";
const usual: PageView = { width: 1280, height: 900 };

test("the page is one file that lets nothing in or out", () => {
  const page = drawPage(pictureOfLayer(exampleDisk(), ["boot"]));
  expect(page).toContain("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:");
  expect(page.replaceAll(/http:\/\/www\.w3\.org\/2000\/svg/g, "")).not.toMatch(/https?:|(?:src|href)="(?!data:)|@import|url\((?!#)/);
  expect(page.length).toBeLessThan(80_000);
});

test("hostile labels and file names are nowhere in the page's markup", () => {
  const page = drawPage(pictureOfLayer(exampleDisk(HOSTILE, HOSTILE), [HOSTILE]));
  expect(page).not.toContain("<img");
  expect(page.match(/<\/script>/g)).toHaveLength(2);
  expect(page).not.toMatch(/[\u001b\u202e]/);
});

describe.skipIf(!requireProgram("chromium"))("in a browser", () => {
  const directory = tempDirectory();
  let browser: Browser;
  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser.close());

  let count = 0;
  async function open(picture: Picture, view: PageView = usual): Promise<BrowserPage> {
    count += 1;
    const path = join(directory, `${count}.html`);
    writeFileSync(path, drawPage(picture));
    const page = await browser.open(`file://${path}`, view);
    return page;
  }

  const example = () => pictureOfLayer(exampleDisk("/images/top.img", "/images/base.img"), ["boot", "root"]);
  const frame = "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))";
  const range = (page: BrowserPage) => page.evaluate<string>(`${frame}.then(() => document.getElementById("range").textContent)`);
  const focused = (page: BrowserPage) => page.evaluate<string>("document.activeElement.id || document.activeElement.textContent");

  /** What the panel tells, by the names of the facts. */
  function facts(page: BrowserPage): Promise<Record<string, string>> {
    return page.evaluate(
      'Object.fromEntries([...document.querySelectorAll("#detail dl div")].map((pair) => [...pair.children].map((each) => each.textContent)))',
    );
  }

  /** A place on the map: `part` of the way through its width. */
  async function placeOf(page: BrowserPage, part: number): Promise<[number, number]> {
    const box = await page.evaluate<{ x: number; y: number; width: number }>(
      '(({ x, y, width }) => ({ x, y, width }))(document.querySelector("#view canvas").getBoundingClientRect())',
    );
    return [box.x + box.width * part, box.y + 10];
  }

  async function tabTo(page: BrowserPage, id: string): Promise<void> {
    for (let times = 0; times < 30; times += 1) {
      await page.press("Tab");
      if ((await focused(page)) === id) return;
    }
    throw new Error(`the Tab key does not lead to ${id}`);
  }

  test("nothing is asked for, and nothing complained about: as a file and from a server", async () => {
    const page = await open(example());
    expect(page.requests).toHaveLength(1);
    expect(page.complaints).toEqual([]);
    await page.close();

    const asked: string[] = [];
    const server = createServer(({ url = "" }, response) => {
      asked.push(url);
      response.setHeader("content-type", "text/html").end(drawPage(example()));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const served = await browser.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}/map`, usual);
      await served.evaluate("new Promise((resolve) => setTimeout(resolve, 200))");
      expect(asked).toEqual(["/map"]);
      expect(served.complaints).toEqual([]);
      await served.close();
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test("the policy holds: a request that is tried all the same does not leave", async () => {
    const page = await open(example());
    const outcome = await page.evaluate('fetch("http://127.0.0.1:9/").then(() => "left", (error) => error.name)');
    expect(outcome).toBe("TypeError");
    expect(page.complaints.join("")).toContain("Content Security Policy");
    await page.close();
  });

  test("pointing at the map tells the facts of the run", async () => {
    const page = await open(example());
    await page.mouse("mouseMoved", ...(await placeOf(page, 1.5 / 8)));
    expect(await facts(page)).toEqual({
      Kind: "data: stored plainly",
      Offset: "0x10000 (64 KiB)",
      Length: "64 KiB (65,536 bytes)",
      File: "/images/top.img",
      Position: "0x20000",
      Layer: "0, top.img",
      In: "1 (boot, Linux)",
    });
    await page.mouse("mouseMoved", ...(await placeOf(page, 3.5 / 8)));
    expect(await facts(page)).toMatchObject({ File: "/images/base.img", Position: "0x1000", Layer: "1, base.img" });
    await page.mouse("mouseMoved", ...(await placeOf(page, 4.5 / 8)));
    expect(await facts(page)).toMatchObject({ Kind: "compressed: stored encoded", Position: "from a block at 0x30000 on" });
    await page.mouse("mouseMoved", ...(await placeOf(page, 5.5 / 8)));
    expect(await facts(page)).toMatchObject({
      Kind: "damaged: cannot be read",
      Error: "/images/top.img: the entry leads nowhere (at byte 0x40)",
    });
    await page.mouse("mouseMoved", ...(await placeOf(page, 7.5 / 8)));
    expect(await facts(page)).not.toHaveProperty("Layer");
    await page.mouse("mouseMoved", 5, 5);
    expect(await facts(page)).toEqual({});
    await page.close();
  });

  test("by keyboard alone: to the map, from run to run, zoom, move, ends, all", async () => {
    const page = await open(example());
    await tabTo(page, "view");
    for (const start of ["0x0 (0 bytes)", "0x10000 (64 KiB)", "0x20000 (128 KiB)"]) {
      await page.press("ArrowRight");
      expect((await facts(page))["Offset"]).toBe(start);
    }
    expect(await page.evaluate('document.getElementById("live").textContent')).toContain("Kind zero");
    await page.press("ArrowLeft");
    expect((await facts(page))["Offset"]).toBe("0x10000 (64 KiB)");
    await page.press("+");
    expect(await range(page)).toBe("256 KiB from 48 KiB (0xc000)");
    await page.press("+");
    expect(await range(page)).toBe("128 KiB from 72 KiB (0x12000)");
    await page.press("-");
    expect(await range(page)).toMatch(/^256 KiB from/);
    await page.press("Enter");
    expect(await range(page)).toBe("64 KiB from 64 KiB (0x10000)");
    await page.press("PageDown");
    expect(await range(page)).toBe("64 KiB from 122 KiB (0x1e666)");
    await page.press("PageUp");
    expect(await range(page)).toBe("64 KiB from 64 KiB (0x10000)");
    await page.press("End");
    expect(await range(page)).toBe("64 KiB from 448 KiB (0x70000)");
    expect((await facts(page))["Kind"]).toBe("absent: zeros, because no image has it");
    await page.press("ArrowLeft");
    expect((await facts(page))["Position"]).toBe("0x60000");
    await page.press("Home");
    expect(await range(page)).toBe("64 KiB from 0 bytes (0x0)");
    await page.press("Escape");
    expect(await range(page)).toBe("all 512 KiB");
    expect(page.complaints).toEqual([]);
    await page.close();
  });

  test("buttons zoom and move, and partitions are reached with arrow keys and fill the map", async () => {
    const page = await open(example());
    await tabTo(page, "in");
    await page.press("Enter");
    expect(await range(page)).toBe("256 KiB from 128 KiB (0x20000)");
    await tabTo(page, "right");
    await page.press("Enter");
    expect(await range(page)).toBe("256 KiB from 256 KiB (0x40000)");
    await tabTo(page, "all");
    await page.press("Enter");
    expect(await range(page)).toBe("all 512 KiB");
    await tabTo(page, "1 boot, Linux");
    await page.press("ArrowRight");
    expect(await focused(page)).toBe("2 root, Linux");
    await page.press("Enter");
    expect(await range(page)).toBe("256 KiB from 256 KiB (0x40000)");
    await page.close();
  });

  test("the wheel zooms where the mouse is, and at the end leaves the page to scroll", async () => {
    const page = await open(example(), { width: 1280, height: 500 });
    const [x, y] = await placeOf(page, 0.25);
    await page.mouse("mouseWheel", x, y, { deltaX: 0, deltaY: -240 });
    expect(await range(page)).toMatch(/^281 KiB from 57\.\d KiB/);
    expect(await page.evaluate("scrollY")).toBe(0);
    await page.mouse("mouseWheel", x, y, { deltaX: 0, deltaY: 240 });
    expect(await range(page)).toBe("all 512 KiB");
    await page.mouse("mouseWheel", x, y, { deltaX: 0, deltaY: 240 });
    expect(await range(page)).toBe("all 512 KiB");
    expect(await page.evaluate("new Promise((resolve) => setTimeout(() => resolve(scrollY), 300))")).toBeGreaterThan(0);
    await page.close();
  });

  test("dragging moves the map; a click keeps the run in the panel", async () => {
    const page = await open(example());
    await tabTo(page, "in");
    await page.press("Enter");
    const [x, y] = await placeOf(page, 0.5);
    const [left] = await placeOf(page, 0.25);
    await page.mouse("mousePressed", x, y, { button: "left", buttons: 1, clickCount: 1 });
    await page.mouse("mouseMoved", left, y, { button: "left", buttons: 1 });
    await page.mouse("mouseReleased", left, y, { button: "left", clickCount: 1 });
    expect(await range(page)).toBe("256 KiB from 192 KiB (0x30000)");
    await page.mouse("mousePressed", x, y, { button: "left", buttons: 1, clickCount: 1 });
    await page.mouse("mouseReleased", x, y, { button: "left", clickCount: 1 });
    await page.mouse("mouseMoved", 5, 5);
    expect((await facts(page))["Kind"]).toBe("damaged: cannot be read");
    await page.close();
  });

  test("more runs than pixels: what is pointed at is told as what it is, many", async () => {
    const source = fileOf("f", 2 ** 30);
    const disk = diskOf("f", 512, 30_000, (index, length) =>
      index % 2 === 0 ? { kind: "zero", length } : { kind: "data", length, source, position: index * 1024 },
    );
    const page = await open(pictureOfLayer(disk));
    await page.mouse("mouseMoved", ...(await placeOf(page, 0.5)));
    const { Kind, data, zero } = await facts(page);
    expect(Kind).toMatch(/^mixed, [\d,]+ runs$/);
    expect(data).toMatch(/^\d.* KiB, 5\d %, f, between 0x[\da-f]+ and 0x[\da-f]+$/);
    expect(zero).toMatch(/ KiB, \d\d %$/);
    expect(page.complaints).toEqual([]);
    await page.close();
  });

  test("the runs as a table, a page at a time", async () => {
    const source = fileOf("f", 2 ** 20);
    const page = await open(
      pictureOfLayer(diskOf("f", 512, 250, (index, length) => ({ kind: "data", length, source, position: index * 1024 }))),
    );
    await page.evaluate('document.getElementById("runs").open = true');
    const rows = () =>
      page.evaluate<string[][]>(
        `${frame}.then(() => [...document.querySelectorAll("#runs tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent)))`,
      );
    expect((await rows())[1]).toEqual(["0x200", "512 bytes", "data", "f", "0x400", "–"]);
    expect(await rows()).toHaveLength(100);
    await page.evaluate('document.getElementById("after").click()');
    await page.evaluate('document.getElementById("after").click()');
    expect(await rows()).toHaveLength(50);
    expect(await page.evaluate('document.getElementById("rows").textContent')).toBe("rows 201 to 250 of 250");
    await page.close();
  });

  test("hostile labels and file names stay text", async () => {
    const page = await open(pictureOfLayer(exampleDisk(`/d/${HOSTILE}`, `/d/${HOSTILE}`), [HOSTILE, HOSTILE]));
    await tabTo(page, "view");
    for (let times = 0; times < 8; times += 1) await page.press("ArrowRight");
    await page.evaluate('document.getElementById("runs").open = true');
    await page.evaluate(frame);
    expect(await page.evaluate("document.title")).toContain("<img src=x");
    expect(await page.evaluate('document.querySelectorAll("img, iframe, object").length + document.scripts.length')).toBe(2);
    expect(page.requests).toHaveLength(1);
    expect(page.complaints).toEqual([]);
    await page.close();
  });

  describe.each([
    { width: 320, height: 640, dark: false },
    { width: 320, height: 640, dark: true },
    { width: 1280, height: 900, dark: false },
    { width: 3840, height: 2160, dark: true },
  ])("at $width pixels, dark: $dark", (view) => {
    test("nothing is wider than the page, and text can be read", async () => {
      const page = await open(pictureOfLayer(exampleDisk(`/images/${"long".repeat(60)}.img`, "base.img"), ["boot", "x".repeat(200)]), view);
      await tabTo(page, "view");
      await page.press("ArrowRight");
      await page.evaluate('document.getElementById("runs").open = true');
      await page.evaluate(frame);
      expect(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")).toBe(0);
      expect(await page.evaluate<unknown[]>(textThatIsHardToRead)).toEqual([]);
      // The map itself is drawn as wide as there is room, in the colours of the scheme.
      const width = await page.evaluate<number>('document.querySelector("#view canvas").clientWidth');
      expect(width).toBeGreaterThan(Math.min(view.width - 60, view.width * 0.75));
      expect(await pixelOf(page, 0.5 / 8)).toBe(view.dark ? "63,159,220" : "0,114,178");
      await page.close();
    });
  });

  /** The colour in the middle of the map's first row, `part` of the way through. */
  function pixelOf(page: BrowserPage, part: number): Promise<string> {
    return page.evaluate(
      `(() => { const canvas = document.querySelector("#view canvas"); return [...canvas.getContext("2d").getImageData(canvas.width * ${part}, canvas.height / 2, 1, 1).data].slice(0, 3).join(); })()`,
    );
  }

  test("each layer has a row with what it gives", async () => {
    const page = await open(example());
    const rows = await page.evaluate<string[]>(
      `[...document.querySelectorAll("#view canvas")].map((canvas) => [0, 1, 2, 3, 4, 5, 6, 7].map((block) => {
        const data = canvas.getContext("2d").getImageData(canvas.width * (block + 0.3) / 8, 4, canvas.width / 20, canvas.height - 8).data;
        const counts = { 0: "d", 230: "c", 200: "x", 185: "z", 237: "." };
        const reds = {};
        for (let at = 0; at < data.length; at += 4) if (data[at] in counts) reds[data[at]] = (reds[data[at]] ?? 0) + 1;
        return counts[Object.entries(reds).sort((a, b) => b[1] - a[1])[0][0]];
      }).join(""))`,
    );
    expect(rows).toEqual(["ddzdcxd.", "ddz.cxd.", "...d...."]);
    await page.close();
  });

  test("without scripts there is the drawing, and the tables", async () => {
    const page = await open(example(), { ...usual, still: true });
    // Scripts of the page are off, those of the test are not.
    expect(await page.evaluate('document.querySelector("noscript svg") !== null')).toBe(true);
    expect(await page.evaluate('document.querySelector(".map").hidden')).toBe(true);
    expect(await page.evaluate('[...document.querySelectorAll("caption")].map(({ textContent }) => textContent)')).toEqual([
      "Partitions and volumes",
      "Layers: what each image of the chain gives",
      "Runs in the part of the disk that the map shows",
    ]);
    await page.close();
  });

  test("can be printed", async () => {
    const page = await open(example(), { ...usual, dark: true });
    expect((await page.print()).subarray(0, 5).toString()).toBe("%PDF-");
    // And is as dark as before.
    await page.evaluate(frame);
    expect(await pixelOf(page, 0.5 / 8)).toBe("63,159,220");
    await page.close();
  });

  test("an empty disk", async () => {
    const page = await open(pictureOfLayer(diskOf("e", 512, 0, (_index, length) => ({ kind: "zero", length }))));
    expect(await page.evaluate("document.body.textContent")).toContain("The disk is empty.");
    expect(page.complaints).toEqual([]);
    await page.close();
  });

  test("everything that is operated has a name, and the page a language, a title and one heading", async () => {
    const page = await open(example());
    const nameless = await page.evaluate(
      '[...document.querySelectorAll("button, select, [tabindex]")].filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length)).length',
    );
    expect(nameless).toBe(0);
    expect(
      await page.evaluate(
        '[document.documentElement.lang, document.title, document.querySelectorAll("h1").length, document.querySelectorAll("main").length]',
      ),
    ).toEqual(["en", "Map of /images/top.img", 1, 1]);
    const ids = await page.evaluate<string[]>('[...document.querySelectorAll("[id]")].map(({ id }) => id)');
    expect(new Set(ids).size).toBe(ids.length);
    await page.close();
  });
});

/** Text whose contrast to what is behind it is below 4.5, by WCAG 2; what cannot be operated now is left out, as there. */
const textThatIsHardToRead = `(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = numbers(color).map((value) => { const part = value / 255; return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if ((numbers(color)[3] ?? 1) > 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  let seen = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.textContent.trim() === "" || element.closest("script, style, noscript, option, button:disabled, .unseen, i") || element.getClientRects().length === 0) continue;
    seen += 1;
    const [high, low] = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) found.push([node.textContent, contrast]);
  }
  return seen < 30 ? ["only " + seen + " texts"] : found;
})()`;
