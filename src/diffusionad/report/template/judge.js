// Judging anew at another threshold: counts, their exact ranges, and what the calibration can still promise.
const judge = (() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const kinds = Object.keys(content.scores);
  const logFactorials = [0];
  const logFactorial = (n) => {
    for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1] + Math.log(i));
    return logFactorials[n];
  };
  // chance of `hits` or more in `of` trials
  const atLeast = (hits, of, rate) => {
    if (hits <= 0) return 1;
    if (rate <= 0 || rate >= 1) return rate >= 1 ? 1 : 0;
    const one = (k) => Math.exp(logFactorial(of) - logFactorial(k) - logFactorial(of - k) + k * Math.log(rate) + (of - k) * Math.log1p(-rate));
    let sum = 0;
    if (hits > of / 2) { for (let k = hits; k <= of; k++) sum += one(k); return sum; }
    for (let k = 0; k < hits; k++) sum += one(k);
    return 1 - sum;
  };
  const root = (rises) => {
    let low = 0, high = 1;
    for (let i = 0; i < 40; i++) { const middle = (low + high) / 2; if (rises(middle) < 0) low = middle; else high = middle; }
    return (low + high) / 2;
  };
  const range = (hits, of) => [  // Clopper and Pearson, 95 %
    hits ? root((rate) => atLeast(hits, of, rate) - 0.025) : 0,
    hits < of ? root((rate) => atLeast(hits + 1, of, rate) - 0.975) : 1,
  ];
  const above = (scores, cut) => scores.reduce((count, score) => count + (score > cut), 0);
  const percent = (share) => (100 * share).toFixed(1) + "%";
  const stored = (cut) => cut === content.threshold;

  const counts = (cut) => {
    const missed = {};
    let rejected = content.overkill[0], passed = content.escapes[0];
    if (stored(cut)) Object.assign(missed, content.missed);
    else {
      rejected = above(content.scores.good || [], cut);
      passed = 0;
      for (const kind of kinds) if (kind !== "good") {
        missed[kind] = content.scores[kind].length - above(content.scores[kind], cut);
        passed += missed[kind];
      }
    }
    return { overkill: [rejected, content.overkill[1]], escapes: [passed, content.escapes[1]], missed };
  };
  const promise = (cut) => {
    if (stored(cut)) return content.promise;
    const n = content.calibration.length;
    if (n < 10) return "Moved by hand. Nothing can be promised: " + n + " calibration pictures are fewer than 10.";
    const allowed = above(content.calibration, cut) + 1;
    return "Moved by hand. From the " + n + " calibration pictures: at most " + allowed + " in " + (n + 1) +
      " good pictures " + (allowed === 1 ? "is" : "are") + " called anomalous on average, if this threshold was chosen without looking at test" +
      " pictures and new pictures are taken like those." + (allowed === 1 ? " No threshold can promise less with so few pictures." : "");
  };
  const verdict = (row, cut) => stored(cut) || row.score === null ? row.verdict : row.score > cut ? "anomalous" : "good";
  const mistake = (row, said) =>
    row.defect === "good" ? (said === "anomalous" ? "false alarm" : "") : said === "good" ? "missed defect" : "";
  return { content, counts, promise, range, percent, stored, verdict, mistake };
})();
