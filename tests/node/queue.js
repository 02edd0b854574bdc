// node queue.js LIBRARY PORT: runs the calls that stand on stdin, one JSON list of {queue, db, prefix, calls: [[method, ...arguments]]}.
const [library, port] = process.argv.slice(2);
const modules = require("path").join(__dirname, "..", "..", ".node", "node_modules");
const bull = require(`${modules}/${library}`);

async function main() {
  for (const { queue: name, db = 0, prefix = "bull", calls } of JSON.parse(require("fs").readFileSync(0, "utf8"))) {
    const connection = { host: "127.0.0.1", port: Number(port), db };
    const queue = library === "bull" ? new bull(name, { redis: connection, prefix }) : new bull.Queue(name, { connection, prefix });
    const replies = [];
    for (const [method, ...rest] of calls) {
      // a call of a job: its method, then its id
      const target = method.startsWith("job.") ? await (library === "bull" ? queue.getJob(rest.shift()) : bull.Job.fromId(queue, rest.shift())) : queue;
      const reply = await target[method.replace("job.", "")](...rest);
      replies.push(reply && reply.id !== undefined ? reply.id : null);
    }
    await queue.close();
    console.log(JSON.stringify(replies));
  }
}
main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
