// Imports go one way: cli -> daemon -> fuse, erofs -> tree -> containers, disk -> formats -> source -> native -> util.
const layers = ["cli", "daemon", "(?:fuse|erofs)", "tree", "(?:containers|disk)", "formats", "source", "native", "util"];

const oneWay = layers.slice(1).map((layer, index) => ({
  name: `${layer.replace(/\W+/g, " ").trim()}-imports-upwards`,
  severity: "error",
  from: { path: `^src/${layer}/` },
  to: { path: `^src/(?:${layers.slice(0, index + 1).join("|")})/` },
}));

module.exports = {
  forbidden: [
    ...oneWay,
    { name: "cycle", severity: "error", from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } } },
    {
      name: "driver-imports-driver",
      comment: "What two formats share lies beside their folders.",
      severity: "error",
      from: { path: "^src/formats/([^/]+)/" },
      to: { path: "^src/formats/[^/]+/", pathNot: "^src/formats/$1/" },
    },
    {
      name: "only-the-registry-knows-drivers",
      comment: "Raw is the one that others fall back to.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/formats/(?:registry\\.ts|[^/]+/)" },
      to: { path: "^src/formats/[^/]+/", pathNot: "^src/formats/raw/" },
    },
    {
      name: "fuse-native-in-one-place",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/fuse/libfuse\\.ts$" },
      to: { path: "fuse-native" },
    },
    { name: "source-imports-tests", severity: "error", from: { path: "^src/" }, to: { path: "^(?:test|scripts|fixtures)/" } },
    { name: "undeclared-package", severity: "error", from: { path: "^src/" }, to: { dependencyTypes: ["npm-no-pkg", "npm-dev", "unknown"] } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"], extensions: [".ts", ".js"] },
  },
};
