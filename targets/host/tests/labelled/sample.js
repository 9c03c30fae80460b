// A tiny router for a tiny server.
import { createServer } from "node:http";
const { readFile } = require("fs").promises;

const PORT = 8080;
export const METHODS = ["GET", "PUT"];
let served = 0;

/** Turns a path into a pattern. */
function compile(path) {
  return new RegExp("^" + path.replace(/:(\w+)/g, "(?<$1>[^/]+)") + "$");
}

export class Router {
  #routes = [];

  constructor(prefix) {
    this.prefix = normalize(prefix);
  }

  /** Adds a route. */
  add(method, path, handler) {
    this.#routes.push({ method, pattern: compile(this.prefix + path), handler });
    return this;
  }

  match(request) {
    for (const route of this.#routes) {
      const found = route.pattern.exec(request.url);
      if (found && route.method === request.method) return [route, found.groups];
    }
    return null;
  }

  static async fromFile(name) {
    const router = new Router("/");
    const lines = (await readFile(name, "utf8")).split("\n");
    lines.forEach((line) => router.add("GET", line.trim(), echo));
    return router;
  }

  get size() {
    return this.#routes.length;
  }
}

const normalize = (prefix) => prefix.replace(/\/+$/, "");

const echo = async function (request, response) {
  served += 1;
  response.end(JSON.stringify({ url: request.url }));
};

const helpers = {
  notFound(response) {
    response.writeHead(404).end();
  },
  log: (text) => console.log(text),
};

function* ids() {
  yield served++;
}

class Quiet extends Router {
  log() {}
}

export default function main() {
  const router = new Quiet("/api").add("GET", "/echo", echo);
  createServer((request, response) => {
    const found = router.match(request);
    found ? found[0].handler(request, response) : helpers.notFound(response);
  }).listen(PORT, () => helpers.log(`on ${PORT}`));
}
