// Plots as SVG, drawn by ECharts without a browser.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as echarts from "echarts";
import { median } from "./report.mjs";

const WIDTH = 760;
const HEIGHT = 380;

/** Colours that people with any colour vision tell apart (Okabe and Ito); ours first. */
const COLOURS = ["#0072b2", "#56b4e9", "#009e73", "#d55e00", "#e69f00", "#cc79a7", "#999999", "#000000"];

/**
 * A line per program; logarithmic, since programs differ by orders of magnitude.
 * @param {import("./growth.mjs").Growth} growth
 */
function lines({ title, unit, steps, peers }) {
  return draw({
    title,
    xAxis: { type: "category", data: [...steps] },
    yAxis: { type: "log", name: unit },
    series: Object.entries(peers).map(([name, values]) => ({
      name,
      type: "line",
      symbolSize: 7,
      data: values.map((samples) => (samples.length > 0 ? round(median(samples)) : null)),
    })),
  });
}

/**
 * A group of bars per image, a bar per program.
 * @param {readonly import("./report.mjs").CaseResult[]} results
 * @param {keyof typeof import("./measures.mjs").measures} measure
 * @param {string} title
 * @param {string} unit
 */
function bars(results, measure, title, unit) {
  const able = results.filter(({ peers }) => Object.values(peers).some(({ values }) => values[measure]?.length));
  const names = [...new Set(able.flatMap(({ peers }) => Object.keys(peers)))];
  return draw({
    title,
    xAxis: { type: "category", data: able.map(({ name }) => name) },
    // From zero on: a bar's length is its value.
    yAxis: { type: "value", name: unit },
    series: names.map((name) => ({
      name,
      type: "bar",
      data: able.map(({ peers }) => {
        const samples = peers[name]?.failure === undefined ? peers[name]?.values[measure] : undefined;
        return samples?.length ? round(median(samples)) : null;
      }),
    })),
  });
}

/** Whole numbers from 100 on: an axis needs no more. */
function round(/** @type {number} */ value) {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/**
 * @param {{ title: string, xAxis: object, yAxis: object, series: { name: string }[] }} plot
 * @returns {string} The SVG.
 */
function draw({ title, xAxis, yAxis, series }) {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: "#ffffff",
      color: COLOURS,
      title: { text: title, left: "center", textStyle: { fontSize: 14 } },
      // Wide gaps: without a browser nobody knows how wide letters are.
      legend: { bottom: 0, itemGap: 36, data: series.map(({ name }) => name) },
      grid: { left: 70, right: 20, top: 70, bottom: 80 },
      xAxis,
      yAxis,
      series,
    });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/**
 * Writes every plot that the results have values for.
 * @param {string} folder
 * @param {readonly import("./report.mjs").CaseResult[]} results
 * @param {readonly import("./growth.mjs").Growth[]} growths
 * @returns {{ file: string, title: string }[]}
 */
export function writePlots(folder, results, growths) {
  mkdirSync(folder, { recursive: true });
  const disks = results.filter(({ peers }) => Object.values(peers).some(({ values }) => values.sequentialCold?.length));
  const all = [
    ...(disks.length > 0
      ? [
          { name: "sequential", title: "Sequential, cold", svg: bars(disks, "sequentialCold", "Sequential read, cold", "MB/s") },
          { name: "random", title: "Random 4 KiB, depth 1", svg: bars(disks, "random1", "Random 4 KiB reads, depth 1", "IOPS") },
          { name: "convert", title: "Convert to raw", svg: bars(disks, "convert", "Convert to a raw file", "s") },
        ]
      : []),
    ...growths.map((growth) => ({ name: growth.name, title: growth.title, svg: lines(growth) })),
  ];
  return all.map(({ name, title, svg }) => {
    writeFileSync(join(folder, `${name}.svg`), `${svg}\n`);
    return { file: `${name}.svg`, title };
  });
}
