// Writes without a pause: probe.js URI SECONDS. Prints a line of JSON, as probe.py does.
const { MongoClient } = require("mongodb");

async function main(uri, seconds) {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 30000 });
  const collection = client.db("d").collection("c");
  const errors = {};
  const end = Date.now() + seconds * 1000;
  let count = 0, longest = 0, last = Date.now();
  while (Date.now() < end) {
    try {
      await collection.insertOne({});
      if (count++) longest = Math.max(longest, Date.now() - last);
      last = Date.now();
    } catch (error) {
      errors[error.name] = (errors[error.name] || 0) + 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  longest = Math.max(longest, Date.now() - last);
  console.log(JSON.stringify({ writes: count, errors, longest_ms: longest }));
  process.exit(0);
}

main(process.argv[2], Number(process.argv[3]));
