// Rates each page as Mozilla's HTTP Observatory does, by its own modules: what it fetches, tests and scores.
//   node rate.mjs PACKAGE < [{"name", "path", "headers", "httpsPort", "httpPort"}...]
// Its own command takes neither ports nor headers, and looks at no answer of 404 or 500.
import { text } from "node:stream/consumers";

const from = (module) => import(`${process.argv[2]}/src/${module}`);
const { retrieve } = await from("retriever/retriever.js");
const { ALL_TESTS } = await from("constants.js");
const { getGradeForScore, getScoreModifier } = await from("grader/grader.js");
const { MINIMUM_SCORE_FOR_EXTRA_CREDIT } = await from("grader/charts.js");
const ACCEPT = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

function rated(page, requests) {
  const tests = ALL_TESTS.map((test) => test(requests)).map((output) => ({
    name: output.constructor.name,
    result: output.result,
    pass: output.pass,
    points: getScoreModifier(output.result),
  }));
  const sum = (some) => some.reduce((points, test) => points + test.points, 100);
  const strict = sum(tests.filter((test) => test.points < 0));
  const score = strict >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? sum(tests) : strict;
  return { name: page.name, status: requests.responses.auto.status, ...getGradeForScore(score), tests };
}

const found = [];
for (const page of JSON.parse(await text(process.stdin))) {
  const requests = await retrieve("localhost", { ...page, headers: [ACCEPT, ...page.headers] });
  found.push(requests.responses.auto ? rated(page, requests) : { name: page.name, error: "no answer" });
}
console.log(JSON.stringify(found));
