// Imports go one way: launch → cli, library → attach → daemon → fuse, erofs → convert, picture → tree → containers, disk → formats → source → native → util.
const layers = [
  "launch",
  "cli|library",
  "attach",
  "daemon",
  "fuse|erofs",
  "convert|picture",
  "tree",
  "containers|disk",
  "formats",
  "source",
  "native",
  "util",
];

const oneWay = layers.slice(1).map((layer, index) => ({
  name: `one-way-from-${layer.replace("|", "-and-")}`,
  comment: "A lower layer imports a higher one.",
  severity: "error",
  from: { path: `^src/(?:${layer})/` },
  to: { path: `^src/(?:${layers.slice(0, index + 1).join("|")})/` },
}));

module.exports = {
  forbidden: [
    ...oneWay,
    {
      name: "no-layer",
      comment: "A file outside the layers; say where it belongs, here too.",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/(?:${layers.join("|")})/` },
      to: {},
    },
    { name: "cycle", comment: "Files import each other in a circle.", severity: "error", from: {}, to: { circular: true } },
    {
      name: "driver-imports-driver",
      comment: "What two formats share lies beside their folders, or in a folder that is no driver's.",
      severity: "error",
      from: { path: "^src/formats/([^/]+)/" },
      to: { path: "^src/formats/[^/]+/", pathNot: "^src/formats/(?:$1|encryption|cd)/" },
    },
    {
      name: "only-the-registry-knows-drivers",
      comment: "Raw may be asked for by name: it is what others fall back to.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/formats/(?:registry\\.ts$|[^/]+/)" },
      to: { path: "^src/formats/[^/]+/", pathNot: "^src/formats/raw/" },
    },
    {
      name: "fuse-native-in-one-place",
      comment: "Its traps are known to src/fuse/libfuse.ts alone.",
      severity: "error",
      from: { pathNot: "^src/fuse/libfuse\\.ts$" },
      to: { path: "(?:^|/)fuse-native(?:/|$)" },
    },
    {
      name: "source-imports-tests",
      comment: "What is delivered imports what is not.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(?:test|scripts|fixtures)/" },
    },
    {
      name: "undeclared-package",
      comment: "A package that users would not have.",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown", "unknown"], dependencyTypesNot: ["type-only"] },
    },
    { name: "not-found", comment: "An import leads nowhere.", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"], extensions: [".ts", ".js"] },
  },
};
