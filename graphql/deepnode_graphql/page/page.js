// The page's only script: it asks /graphql and shows what comes back. Text goes in as text, never as HTML.

const POLL_MILLISECONDS = 3000;

const STANDING = `{
  _meta {
    position sealedPosition finality chainId reorgs codeVersion
    block { number hash time } finalizedBlock { number }
    manifest { name version digest }
  }
}`;

const byId = (id) => document.getElementById(id);

async function ask(query, variables) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/graphql-response+json" },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

function showStanding(meta) {
  const time = meta.block === null ? "none" : new Date(meta.block.time * 1000).toISOString();
  const rows = [
    ["Position", `${meta.position}, sealed up to ${meta.sealedPosition}`],
    ["Block", meta.block === null ? "none" : `${meta.block.number} ${meta.block.hash}`],
    ["Block time", time],
    ["Final block", meta.finalizedBlock === null ? "none" : String(meta.finalizedBlock.number)],
    ["Finality", meta.finality],
    ["Chain", String(meta.chainId)],
    ["Reorgs followed", String(meta.reorgs)],
    ["Manifest", `${meta.manifest.name} ${meta.manifest.version} ${meta.manifest.digest}`],
    ["Version", meta.codeVersion],
  ];
  const parts = rows.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const description = document.createElement("dd");
    term.textContent = name;
    description.textContent = value;
    return [term, description];
  });
  byId("meta").replaceChildren(...parts);
}

function say(place, message, problem) {
  // An unchanged message is left alone, so that a screen reader does not say it again.
  if (place.textContent !== message) place.textContent = message;
  place.classList.toggle("problem", problem);
}

async function follow() {
  try {
    const { data, errors } = await ask(STANDING);
    if (errors) throw new Error(errors[0].message);
    showStanding(data._meta);
    say(byId("status"), "The books can be read.", false);
  } catch (error) {
    say(byId("status"), `The books cannot be read now: ${error.message}`, true);
  }
  setTimeout(follow, POLL_MILLISECONDS);
}

async function run(event) {
  event.preventDefault();
  say(byId("answer-status"), "Asking …", false);
  try {
    const variables = byId("variables").value.trim();
    const answer = await ask(byId("query").value, variables === "" ? undefined : JSON.parse(variables));
    byId("answer").textContent = JSON.stringify(answer, null, 2);
    const count = answer.errors ? answer.errors.length : 0;
    say(byId("answer-status"), count === 0 ? "Answered." : `Answered with errors: ${count}.`, count !== 0);
  } catch (error) {
    say(byId("answer-status"), `No answer: ${error.message}`, true);
  }
}

byId("ask").addEventListener("submit", run);
byId("query").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask").requestSubmit();
});
follow();
