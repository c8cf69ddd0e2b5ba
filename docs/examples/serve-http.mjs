// Serves the flat disk of an image over HTTP, any range of it: node serve-http.mjs IMAGE [PORT]
//   curl -r 0-511 http://127.0.0.1:8080/ | xxd
import { createServer } from "node:http";
import { pipeline } from "node:stream";
import { openImageAsync } from "flatmount";

const [path, port = "8080"] = process.argv.slice(2);
const image = await openImageAsync(path, { workers: 4 });

const server = createServer(({ method, headers }, response) => {
  if (method !== "GET" && method !== "HEAD") return response.writeHead(405, { Allow: "GET, HEAD" }).end();
  const range = rangeOf(headers.range, image.size);
  if (!range) return response.writeHead(416, { "Content-Range": `bytes */${image.size}` }).end();
  const { start, end, partial } = range;
  response.writeHead(partial ? 206 : 200, {
    "Accept-Ranges": "bytes",
    "Content-Length": end + 1 - start,
    "Content-Type": "application/octet-stream",
    ...(partial && { "Content-Range": `bytes ${start}-${end}/${image.size}` }),
  });
  if (method === "HEAD") return response.end();
  // What cannot be read breaks the connection: the client sees that something is missing.
  pipeline(image.createReadStream({ start, end }), response, (error) => error && console.error(error.message));
});
server.listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
process.once("SIGTERM", () => server.close(() => image.close()));

/** A header that asks for one range; several, or another unit, may be answered with all of it. */
function rangeOf(header, size) {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  const all = { start: 0, end: size - 1, partial: false };
  if (first === undefined || (first === "" && last === "")) return all;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1);
  return start <= end ? { start, end, partial: true } : undefined;
}
