-- What the load asks, in turn: points, lists, the past, small exports. Every answer that is an error is counted.
local queries = {
  [[{ _meta { position block { number } } }]],
  [[{ account(name: "Wallet:0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1") { name balances { amount asset { symbol } } } }]],
  [[{ postings(first: 100, orderBy: POSITION_DESC) { edges { node { position leg amount balance kind logIndex transactionHash finality } } } }]],
  [[{ balances(first: 100) { edges { node { amount account { name } asset { symbol } } } pageInfo { endCursor } } }]],
  [[{ models(first: 50, orderBy: POSITION_DESC) { edges { node { model domain creator a b x } } } }]],
  [[{ entries(first: 20, where: { block_lte: 100 }) { edges { node { position postings { amount account { name } } } } } }]],
  [[{ holder(address: "0xb0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0", at: { block: 50 }) { balances { amount } } }]],
}
local asked = 0
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  wrong = 0
end

function request()
  asked = asked + 1
  if asked % 50 == 0 then
    return wrk.format("GET", "/export/postings.arrow?at_block=20")
  end
  local body = [[{"query": ]] .. string.format("%q", queries[asked % #queries + 1]) .. "}"
  return wrk.format("POST", "/graphql", { ["Content-Type"] = "application/json" }, body)
end

function response(status, headers, body)
  if status ~= 200 or string.find(body, '"errors"', 1, true) then
    wrong = wrong + 1
    if wrong == 1 then
      print("wrong answer: " .. status .. " " .. string.sub(body, 1, 300))
    end
  end
end

function done(summary, latency, requests)
  local bad = 0
  for _, thread in ipairs(threads) do
    bad = bad + thread:get("wrong")
  end
  local socket = summary.errors
  io.write(string.format(
    '{"requests": %d, "wrong": %d, "lost": %d, "p50_us": %d, "p99_us": %d, "max_us": %d, "microseconds": %d}\n',
    summary.requests, bad, socket.connect + socket.read + socket.write + socket.timeout,
    latency:percentile(50), latency:percentile(99), latency.max, summary.duration))
end
